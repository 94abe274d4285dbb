"""Fixtures of every suite that is written in Python: a cluster, a database, gateways."""
import asyncio
import inspect
import os
import signal
import sys
from pathlib import Path

import pytest

# pytest 6, of bullseye, has no setting for it.
sys.path[:0] = [str(Path(__file__).parent / directory) for directory in (".", "odoo-standin", "odoo")]

from harness.cluster import Cluster
from harness.deadline import scaled
from harness.doorbell import preloaded_cluster
from harness.gateway import Gateway

# Those of chaos may be asked for more.
TEST_DEADLINE = scaled(300 + 10 * int(os.environ.get("CHAOS_FAULTS", "0")) + int(os.environ.get("CHAOS_NOTIFICATIONS", "0")) / 100) \
    + float(os.environ.get("CHAOS_SECONDS", "0"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """No test waits for ever, whatever it waits for."""
    def end(*_):
        raise TimeoutError(f"{item.name} has not ended within {TEST_DEADLINE:.0f} s")

    signal.signal(signal.SIGALRM, end)
    signal.alarm(int(TEST_DEADLINE) + 10)  # an asynchronous one is told earlier, by its loop
    yield
    signal.alarm(0)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Runs `async def` tests in a loop of their own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), TEST_DEADLINE))
    return True


@pytest.fixture(scope="session")
def cluster():
    """This worker's PostgreSQL; a test that stops or restarts it starts it again."""
    with Cluster() as private:
        yield private


@pytest.fixture(scope="module")
def preloaded():
    """A PostgreSQL of this module's own, which preloads the extension; a module whose databases are to be in it says
    that it is its `cluster`."""
    with preloaded_cluster() as private:
        yield private


@pytest.fixture
def make_database(cluster):
    """Creates databases: make_database("name", extension=False, encoding="'LATIN1'", ...)."""
    created = []

    def make(name=None, extension=True, **options):
        database = cluster.create_database(name, **options)
        created.append(database)
        return database.install() if extension else database

    yield make
    if not cluster.running:
        cluster.start()
    for database in created:
        database.drop()


@pytest.fixture
def database(make_database):
    """A fresh database with Odoo's bus_bus and the extension."""
    return make_database()


@pytest.fixture
def make_gateway(make_database):
    """Creates gateways: make_gateway(database).start(). At the end of the test, and before its databases go, they
    are stopped and checked."""
    created = []

    def make(*databases, **options):
        created.append(Gateway(*databases, **options))
        return created[-1]

    yield make
    errors = []
    for gateway in created:
        try:
            gateway.finish()
        except AssertionError as error:
            errors.append(str(error))
    assert not errors, "\n".join(errors)


@pytest.fixture
def gateway(make_gateway, database):
    """A gateway that serves `database`."""
    return make_gateway(database).start()
