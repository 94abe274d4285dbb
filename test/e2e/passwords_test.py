"""Passwords of the database: the ways to keep them out of the command line work, and none of them is ever shown."""
import re

import psycopg
import pytest

from harness.client import RawClient
from harness.cluster import Cluster
from harness.gateway import run_gateway
from harness.ports import reserve_port

ROLE, PASSWORD = "secretive", "hunter2_hunter2"


@pytest.fixture(scope="module")
def cluster():
    """Asks this role for its password, when it comes over TCP."""
    private = Cluster()
    hba = private.data / "pg_hba.conf"
    hba.write_text(f"host all {ROLE} 127.0.0.1/32 scram-sha-256\n" + hba.read_text())
    with private:
        private.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
        yield private


@pytest.fixture
def database(make_database):
    database = make_database()
    database.execute(f"GRANT SELECT ON bus_bus, bus_bus_id_seq TO {ROLE}")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(conninfo(database))
    return database


def conninfo(database, **more):
    return database.cluster.conninfo(database.name, tcp=True, user=ROLE, **more)


def passfile(directory, mode=0o600):
    path = directory / "pgpass"
    path.write_text(f"*:*:*:{ROLE}:{PASSWORD}\n")
    path.chmod(mode)
    return path


def services(directory, database, *lines):
    path = directory / "services"
    path.write_text("\n".join(["[bus]", "host=127.0.0.1", f"port={database.cluster.port}", f"user={ROLE}",
                               f"dbname={database.name}", *lines, ""]))
    path.chmod(0o600)
    return {"PGSERVICEFILE": str(path)}


# The arguments, the environment, and whether it is warned of.
WAYS = {
    "passfile=": lambda database, directory: (conninfo(database, passfile=str(passfile(directory))), {}),
    "PGPASSFILE": lambda database, directory: (conninfo(database), {"PGPASSFILE": str(passfile(directory))}),
    "service=": lambda database, directory: ("service=bus", services(directory, database, f"password={PASSWORD}")),
    "service= with passfile=": lambda database, directory: (
        f"service=bus passfile={passfile(directory)}", services(directory, database)),
    "PGPASSWORD": lambda database, directory: (conninfo(database), {"PGPASSWORD": PASSWORD}),
    "the environment": lambda database, directory: (None, {"ODOO_BUS_DATABASE": conninfo(database, password=PASSWORD)}),
    "the command line": lambda database, directory: (conninfo(database, password=PASSWORD), {}),
    "a URI on the command line": lambda database, directory: (
        f"postgresql://{ROLE}:{PASSWORD}@127.0.0.1:{database.cluster.port}/{database.name}", {}),
}


def everything_said(gateway, metrics_port):
    """Of the log, the metrics, health and status; and of doctor, which is asked with the same configuration."""
    said = ["\n".join(gateway.lines)]
    for port, path in ((gateway.port, "/websocket/health"), (metrics_port, "/metrics"), (metrics_port, "/ready")):
        with RawClient(("127.0.0.1", port)) as client:
            said.append(client.request(path=path, headers={"Host": "localhost"}).response()[2].decode())
    for command in (("status",), ("doctor",), ("doctor", "--json"), ("--check-config",), ("--threads=x",)):
        done = run_gateway(*command, *gateway.arguments, environment=gateway.environment)
        said += [done.stdout, done.stderr]
    assert all(said[:5]), "nothing was asked"
    return "\n".join(said)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_give_a_password_works_and_shows_nothing(make_gateway, database, tmp_path, way):
    given, environment = WAYS[way](database, tmp_path)
    port = reserve_port()
    gateway = make_gateway(*([given] if given else []), environment=environment, metrics_listen=f"127.0.0.1:{port}",
                           hub_database="none", state_dir=tmp_path, log_level="debug").start()
    warnings = [line for line in gateway.lines if "has a password on the command line" in line]
    assert len(warnings) == ("command line" in way), gateway.tail()
    for warning in warnings:
        assert all(remedy in warning for remedy in ("passfile=", "service=", "PGPASSFILE", "ODOO_BUS_DATABASE"))
    gateway.reload()
    gateway.wait_for_line("the configuration was reloaded")
    assert PASSWORD not in everything_said(gateway, port)
    assert PASSWORD not in "".join(path.read_text(errors="replace") for path in tmp_path.iterdir()
                                   if path.name not in ("pgpass", "services"))


@pytest.mark.parametrize("wrong", [
    {"password": PASSWORD + "x"}, {"password": PASSWORD, "host": "127.0.0.2"}, {"password": PASSWORD, "sslmode": "verify-full"},
    {"password": PASSWORD, "options": "-c no_such_setting=1"}, {"password": PASSWORD, "port": "1"}])
def test_no_error_shows_it(make_gateway, database, wrong):
    """Neither the server's errors nor libpq's."""
    port = reserve_port()
    text = psycopg.conninfo.make_conninfo(conninfo(database), **wrong)
    gateway = make_gateway(text, metrics_listen=f"127.0.0.1:{port}", log_level="debug").start(healthy=False)
    gateway.wait_for_line(f'warning database "{database.name}": .*trying again')
    assert PASSWORD not in everything_said(gateway, port)


@pytest.mark.parametrize("text", [
    f"postgresql://{ROLE}:a@{PASSWORD}@127.0.0.1/db", f"password={PASSWORD} x", f"password='{PASSWORD}", f"dbname=a {PASSWORD}",
    f"postgresql://{ROLE}:{PASSWORD}@[::1/db", f"postgresql://{ROLE}:{PASSWORD}%zz@h/db", f"postgresql://u:{PASSWORD}@h/db?x=1"])
def test_a_malformed_string_is_not_repeated(text):
    for arguments in ((), ("--check-config",)):
        done = run_gateway(*arguments, "--database", text)
        assert done.returncode == 2 and "--database" in done.stderr
        assert PASSWORD not in done.stdout + done.stderr


def test_a_passfile_that_libpq_would_ignore(make_gateway, database, tmp_path):
    text = conninfo(database, passfile=str(passfile(tmp_path, 0o644)))
    done = run_gateway("--check-config", "--database", text)
    assert done.returncode == 2 and "passfile" in done.stderr and "other users can read it" in done.stderr
    gateway = make_gateway(text)
    gateway.expected_exit = None
    gateway.spawn()
    assert gateway.wait() == 1
    assert any("is ignored, since other users can read it" in line for line in gateway.lines)


def test_a_service_that_does_not_exist(database, tmp_path):
    environment = services(tmp_path, database)
    done = run_gateway("--check-config", "--database", "service=other", environment=environment)
    assert done.returncode == 2 and '"other" not found' in done.stderr
    assert run_gateway("--check-config", "--database", "service=bus", environment=environment).returncode == 0


def test_a_configuration_file_that_others_can_read(tmp_path):
    config = tmp_path / "gateway.conf"
    config.write_text(f"database = dbname=a password={PASSWORD}\n")
    config.chmod(0o644)
    done = run_gateway("--check-config", "--config", config)
    assert done.returncode == 0 and re.search("gateway.conf has a password, and other users can read it", done.stderr)
    config.chmod(0o640)
    assert run_gateway("--check-config", "--config", config).stderr == ""
