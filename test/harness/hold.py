"""A process that stands still for a while."""
import contextlib
import os
import signal


@contextlib.contextmanager
def held(pid):
    """Stopped, and continued at the end."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
