"""Why a connection to PostgreSQL does not come about, and that doctor tells what mends just that."""
import json
import os
import signal
import socketserver
import threading

import psycopg
import pytest

from harness.cluster import Cluster
from harness.gateway import run_gateway
from harness.ports import reserve_port
from harness.wait import until

PASSWORD = "s3cret-of-one"
HBA = """
local all postgres trust
local all all peer
host all postgres 127.0.0.1/32 trust
host all with_password,no_login 127.0.0.1/32 scram-sha-256
host few all 127.0.0.1/32 trust
"""


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as cluster:
        cluster.execute(f"CREATE ROLE with_password LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE few LOGIN CONNECTION LIMIT 0")
        cluster.execute("CREATE DATABASE few")
        cluster.execute("CREATE DATABASE closed")
        cluster.execute("REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
        (cluster.data / "pg_hba.conf").write_text(HBA)
        cluster.reload()
        until(lambda: cluster.execute("SELECT count(*) FROM pg_hba_file_rules") == [(5,)], lambda: cluster.log_text())
        until(lambda: refused(cluster, user="nobody"), lambda: "pg_hba.conf is not read again")
        yield cluster


def refused(cluster, **parameters):
    try:
        psycopg.connect(tcp(cluster, **parameters)).close()
    except psycopg.OperationalError:
        return True
    return False


def tcp(cluster, dbname="postgres", user="postgres", **more):
    return psycopg.conninfo.make_conninfo(host="127.0.0.1", port=cluster.port, dbname=dbname, user=user, **more)


def connection(conninfo):
    done = run_gateway("doctor", "--json", "--database", conninfo, "--auth", "open")
    [check] = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "postgresql.connection"]
    assert PASSWORD not in done.stdout and "\n" not in check["found"] and ".c:" not in check["found"]
    return check


WRONG = {
    "password": (lambda cluster: tcp(cluster, user="with_password", password="wrong"), "28P01", "correct the password"),
    "no password": (lambda cluster: tcp(cluster, user="with_password"), "no password", "passfile="),
    "database": (lambda cluster: tcp(cluster, dbname="nobody_made_this_one"), "3D000", "psql -l"),
    "no right to connect": (lambda cluster: tcp(cluster, dbname="closed", user="with_password", password=PASSWORD), "42501",
                            "GRANT CONNECT"),
    "role's limit": (lambda cluster: tcp(cluster, dbname="few", user="few"), "53300", "CONNECTION LIMIT"),
    "pg_hba.conf": (lambda cluster: tcp(cluster, user="nobody"), "28000", "pg_reload_conf()"),
    "peer": (lambda cluster: psycopg.conninfo.make_conninfo(host=cluster.host, port=cluster.port, dbname="postgres", user="nobody"),
             "28000", "pg_ident.conf"),
    "port": (lambda cluster: f"host=127.0.0.1 port={reserve_port()} dbname=postgres", "refused", "start PostgreSQL"),
    "socket": (lambda cluster: f"host={cluster.host} port={reserve_port()} dbname=postgres", "No such file", "unix_socket_directories"),
    "host": (lambda cluster: "host=nobody-has-this-name.invalid dbname=postgres", "could not translate", "getent hosts"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_has_a_cure_of_its_own(cluster, what):
    conninfo, found, cure = WRONG[what]
    check = connection(conninfo(cluster))
    assert check["state"] == "failed" and found in check["found"] and cure in check["cure"], check


def test_nothing_is_wrong(cluster):
    assert connection(tcp(cluster, user="with_password", password=PASSWORD))["state"] == "ok"


def test_another_server_listens_there():
    class Foreign(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(b"SSH-2.0-foreign\r\n")
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Foreign) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        check = connection(f"host=127.0.0.1 port={server.server_address[1]} dbname=postgres")
        server.shutdown()
    assert check["state"] == "failed" and "another server listens there" in check["cure"], check


def test_it_is_being_stopped():
    with Cluster() as cluster:
        with cluster.connect("postgres"):  # which a smart shutdown waits for
            os.kill(cluster.pid, signal.SIGTERM)
            until(lambda: refused(cluster), lambda: cluster.log_text())
            check = connection(tcp(cluster))
        assert check["state"] == "failed" and "57P03" in check["found"] and "its log" in check["cure"], check
        until(lambda: not cluster.running, lambda: cluster.log_text())
        cluster.start()
