"""A process that stands still for a while."""
import contextlib
import os
import signal
from pathlib import Path

from .wait import until


def stand_still(pid):
    """SIGSTOP, and until each of its threads stands still: one of them must be given a processor to take the signal, and
    the others go on until then."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: all(state == "T" for state in states(pid)), lambda: f"process {pid} is {states(pid)}", interval=0.001)


def states(pid):
    """Of each thread, as ps shows it."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            found.append((thread / "stat").read_text().rpartition(")")[2].split()[0])
    return found


@contextlib.contextmanager
def held(pid):
    """Stopped, and continued at the end."""
    stand_still(pid)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
