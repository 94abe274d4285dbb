"""Ports are held: two processes that draw at the same time never draw the same one."""
import subprocess
import sys

import pytest

from harness.ports import PORTS, reserve_port
from harness.system import ROOT

DRAW = """
import sys
from harness import ports
ports.LOCKS, first = sys.argv[1], int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
while True:
    try:
        print(ports.reserve_port(ports=range(first, first + 60)), flush=True)
    except RuntimeError:
        print("none is left", flush=True)
        sys.stdin.read()
        break
"""


class Drawer:
    """A process that draws every port that it can get, and keeps them."""

    def __init__(self, locks, first):
        self.process = subprocess.Popen([sys.executable, "-c", DRAW, locks, str(first)], cwd=ROOT / "test", text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == "ready\n"

    def begin(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def drawn(self):
        return [int(line) for line in iter(self.process.stdout.readline, "none is left\n")]

    def end(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def drawers(tmp_path):
    """Two processes that draw from a few ports, in a file of locks of their own. In that of all tests these ports are this
    process' own: whoever looked whether one is free would have it meanwhile."""
    first = reserve_port(adjacent=60)
    drawers = [Drawer(tmp_path / "locks", first) for _ in range(2)]
    yield drawers
    for drawer in drawers:
        drawer.end()


def test_processes_that_draw_at_the_same_time_draw_different_ports(drawers):
    for drawer in drawers:
        drawer.begin()
    first, second = (drawer.drawn() for drawer in drawers)
    assert not set(first) & set(second)
    assert len(first) + len(second) == len({*first, *second}) > 1


def test_the_ports_of_a_process_are_free_when_it_has_ended(drawers):
    first, second = drawers
    first.begin()
    held = first.drawn()
    first.end()
    second.begin()
    assert set(held) <= set(second.drawn())


def test_adjacent_ports_are_reserved_together():
    first = reserve_port(adjacent=2)
    assert first in PORTS and first + 1 in PORTS
    with pytest.raises(RuntimeError):
        reserve_port(ports=range(first, first + 2))
