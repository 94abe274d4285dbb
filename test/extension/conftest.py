"""Fixtures of what is tested in a cluster that preloads the extension."""
import pytest

from harness.doorbell import HUB, Listener, wait_for_worker


@pytest.fixture
def restored(preloaded):
    """The preloaded cluster; at the end of the test it runs again, with its own settings."""
    yield preloaded
    if not preloaded.running:
        preloaded.start()
    preloaded.execute("ALTER SYSTEM RESET ALL")
    preloaded.reload()
    wait_for_worker(preloaded, dbname=HUB)  # which the test may have sent elsewhere


@pytest.fixture
def hub(cluster):
    with Listener(cluster) as listener:
        yield listener
