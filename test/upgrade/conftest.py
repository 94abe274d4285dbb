"""Two releases of PostgreSQL: the one under test, and an older one, whose programs are in ODOO_BUS_TEST_OLD_POSTGRESQL."""
import os
import re
import subprocess
from pathlib import Path

import pytest

from harness.cluster import Cluster
from harness.installation import Installation
from harness.system import clean_environment, postgresql_bin, server_user


@pytest.fixture(scope="session")
def old_bin():
    return Path(os.environ["ODOO_BUS_TEST_OLD_POSTGRESQL"])


@pytest.fixture(params=[False, True], ids=["notify", "doorbell"])
def settings(request):
    """Of both servers."""
    return {"shared_preload_libraries": "odoo_bus"} if request.param else {}


@pytest.fixture
def old(old_bin, settings):
    with Cluster(bin=old_bin, **settings) as cluster:
        assert major(old_bin) < major(postgresql_bin()), "no upgrade: both servers are of the same release"
        yield cluster


@pytest.fixture
def installation():
    """Of the newer release, for another version of the extension."""
    with Installation() as private:
        yield private


@pytest.fixture
def make_new(settings):
    """A cluster of the newer release that has not been started."""
    created = []

    def make(bin=None):
        # From 18 on checksums are the default, and pg_upgrade wants both to have them or neither.
        options = ["--no-data-checksums"] if major(bin or postgresql_bin()) >= 18 else []
        created.append(Cluster(bin=bin, initdb=options, **settings))
        return created[-1]

    yield make
    for cluster in created:
        cluster.remove()


def major(directory):
    said = subprocess.run([directory / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
    return int(re.search(r"(\d+)", said)[1])


def pg_upgrade(old, new, *options):
    """Runs as the administrator's command would; returns what it said."""
    done = subprocess.run(
        [new.bin / "pg_upgrade", "-b", old.bin, "-B", new.bin, "-d", old.data, "-D", new.data, "-U", old.user, *options],
        cwd=new.directory, env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, **server_user())
    logs = sorted([*new.directory.glob("pg_upgrade_*.log"), *new.data.glob("pg_upgrade_output.d/**/*.log"),
                   *new.data.glob("pg_upgrade_output.d/**/*.txt")])
    text = done.stdout + done.stderr + "".join(f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}" for path in logs)
    assert done.returncode == 0, f"pg_upgrade failed:\n{text}"
    return text


def take_the_place(new, old):
    """Listens where the former server has."""
    new.port, new.host = old.port, old.host
    new.configure(port=new.port, unix_socket_directories=new.host)
    return new.start()
