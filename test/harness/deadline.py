"""Deadlines, which scale with what the machine can do now. As a program: prints by how much.

A deadline bounds how long a failure takes, and no test may depend on how long it is: what passes, passes at once.
"""
import os
import subprocess
import sys
import time

# Of a machine with two quiet cores: a process that is started and awaited, and a loop of the interpreter.
FORK = 0.004
LOOP = 0.15
LOOPS = 2_000_000
MOST = 10


def slowness():
    """How many times slower than that machine this one is, at least 1."""
    begin = time.monotonic()
    for _ in range(25):
        subprocess.run(["/bin/true"], check=True)
    forked = time.monotonic()
    total = 0
    for number in range(LOOPS):
        total += number
    looped = time.monotonic()
    return round(min(max((forked - begin) / 25 / FORK, (looped - forked) / LOOP, 1), MOST), 2)


if "ODOO_BUS_TEST_SLOWNESS" not in os.environ:
    os.environ["ODOO_BUS_TEST_SLOWNESS"] = str(slowness())  # the processes that this one starts measure nothing
SLOWNESS = float(os.environ["ODOO_BUS_TEST_SLOWNESS"])


def scaled(seconds):
    return seconds * SLOWNESS


# Sanitized builds are several times slower.
DEADLINE = scaled(float(os.environ.get("ODOO_BUS_TEST_DEADLINE", "30")))

if __name__ == "__main__":
    print(SLOWNESS)
    sys.exit()
