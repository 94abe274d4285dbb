"""--metrics-listen: by which names it may be requested, and the token that it can require."""

import pytest

from harness.client import RawClient
from harness.gateway import run_gateway
from harness.ports import reserve_port

TOKEN = "0123456789abcdef0123456789abcdef"
PATHS = ("/metrics", "/ready")


def ask(address, path, *headers):
    """(status, headers, body)."""
    with RawClient(address) as client:
        return client.request(path=path, headers=headers).response()


def asked(gateway, path, host, *headers):
    return ask(("127.0.0.1", gateway.metrics_port), path, ("Host", host), *headers)


@pytest.fixture
def start(make_gateway, database):
    def start(**options):
        port = reserve_port()
        gateway = make_gateway(database, **{"metrics_listen": f"127.0.0.1:{port}"} | options).start()
        gateway.metrics_port = port
        return gateway
    return start


def write_token(directory, mode=0o600, text=TOKEN + "\n"):
    path = directory / "metrics-token"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_name_that_is_not_the_gateways_is_refused(start):
    """A page of evil.example whose name leads to 127.0.0.1 since a moment ago is of the same origin as the metrics."""
    gateway = start(metrics_host=["bus1.example", "Bus2.Example"])
    port = gateway.metrics_port
    for path in PATHS:
        for host in ("127.0.0.1", f"127.0.0.1:{port}", "[::1]", f"[::1]:{port}", "192.0.2.7", "[2001:db8::7]:80",
                     "localhost", f"LOCALHOST:{port}", "localhost.", "bus1.example", f"BUS1.example:{port}", "bus2.example."):
            assert asked(gateway, path, host)[0] == 200, host
        for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example",
                     "evil.localhost", "bus1.example.evil.example", "xbus1.example", "x", "2130706433", "0x7f.0.0.1",
                     "127.1", "[::1", "[]", "127.0.0.1@evil.example", "localhost,evil.example"):
            status, _, body = asked(gateway, path, host)
            assert status in (400, 421), host
            assert b"odoo_bus" not in body and b"reasons" not in body
            if status == 421:
                assert b"--metrics-host" in body and host.encode() not in body


def test_a_unix_socket_is_reached_by_no_page(start, tmp_path):
    start(metrics_listen=f"unix:{tmp_path}/metrics")
    assert ask(f"{tmp_path}/metrics", "/metrics", ("Host", "anything"))[0] == 200


def test_the_metrics_are_for_those_who_have_the_token(start, tmp_path):
    gateway = start(metrics_token_file=write_token(tmp_path))
    bearer = ("Authorization", f"Bearer {TOKEN}")
    assert asked(gateway, "/metrics", "localhost", bearer)[0] == 200
    for headers in ([], [("Authorization", f"Bearer {TOKEN}x")], [("Authorization", f"Bearer {TOKEN[1:]}")],
                    [("Authorization", f"Basic {TOKEN}")], [("Authorization", "Bearer ")], [("Authorization", TOKEN)],
                    [("X-Authorization", f"Bearer {TOKEN}")], [bearer, bearer], [("Cookie", f"token={TOKEN}")]):
        status, answered, body = asked(gateway, "/metrics", "localhost", *headers)
        assert (status, answered["www-authenticate"]) == (401, "Bearer"), headers
        assert b"odoo_bus" not in body
    assert asked(gateway, f"/metrics?token={TOKEN}", "localhost")[0] == 401
    assert asked(gateway, "/ready", "localhost")[0] == 200, "load balancers have no token"
    assert asked(gateway, "/metrics", "evil.example", bearer)[0] == 421
    assert TOKEN not in "\n".join(gateway.lines)


def test_status_and_doctor_send_the_token(start, tmp_path, database):
    gateway = start(metrics_token_file=write_token(tmp_path))
    done = run_gateway("status", *gateway.arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{database.name}: being read" in done.stdout
    done = run_gateway("doctor", *gateway.arguments)
    assert "the running gateway may have" in done.stdout, "it has read the metrics"
    without = [f"--metrics-listen=127.0.0.1:{gateway.metrics_port}"]
    done = run_gateway("status", *without)
    assert done.returncode == 1 and "--metrics-token-file" in done.stderr
    for text in (done.stdout, done.stderr):
        assert TOKEN not in text


@pytest.mark.parametrize("mode, text, named", [
    (0o644, TOKEN, "other users can read the secret"), (0o602, TOKEN, "other users can write to it"),
    (0o600, "short\n", "no token of 32 characters"), (0o600, "", "no token"), (0o600, f"{TOKEN}\n{TOKEN}\n", "in one line"),
    (None, TOKEN, "No such file"),
])
def test_a_file_without_a_usable_token(make_gateway, database, tmp_path, mode, text, named):
    path = tmp_path / "none" if mode is None else write_token(tmp_path, mode, text)
    gateway = make_gateway(database, metrics_listen=f"127.0.0.1:{reserve_port()}", metrics_token_file=path)
    gateway.expected_exit = None
    gateway.spawn()
    assert gateway.wait() == 1
    assert any("--metrics-token-file" in line and named in line for line in gateway.lines), gateway.tail()
    done = run_gateway("--check-config", *gateway.arguments)
    assert done.returncode == 2 and "--metrics-token-file" in done.stderr and named in done.stderr
    for output in (done.stderr, *gateway.lines):
        assert TOKEN not in output
