"""Waiting for what only shows when one looks."""
import time

from .deadline import DEADLINE


def until(condition, message, interval=0.05):
    """Looks again and again until `condition()`; fails with `message()` when it does not come true."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(message())
        time.sleep(interval)
