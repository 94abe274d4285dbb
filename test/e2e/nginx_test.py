"""Through nginx, with the configuration that is shipped."""
import subprocess
import urllib.request

import pytest

from harness.client import HANDSHAKE, BusClient, RawClient
from harness.http_clients import TRANSPORTS
from harness.nginx import Nginx
from harness.system import ROOT


@pytest.fixture
def nginx(gateway):
    with Nginx(gateway.port) as nginx:
        yield nginx


async def test_nothing_before_commit_never_after_rollback(nginx, database):
    async with BusClient(nginx.websocket_url, ["a"]) as client:
        await client.subscribed()
        with database.connect(autocommit=False) as connection:
            connection.execute("SELECT bus_sendone('a', 't', '\"committed\"')")
            connection.execute("SAVEPOINT s")
            connection.execute("SELECT bus_sendone('a', 't', '\"rolled back to\"')")
            connection.execute("ROLLBACK TO s")
            database.sendone("a", payload="meanwhile")
            await client.wait_payload("meanwhile")
            assert client.payloads == ["meanwhile"]
            connection.commit()
        await client.wait_payload("committed")
        with database.connect(autocommit=False) as connection:
            connection.execute("SELECT bus_sendone('a', 't', '\"rolled back\"')")
            connection.rollback()
        database.sendone("a", payload="end")
        await client.wait_payload("end")
        assert client.payloads == ["meanwhile", "committed", "end"]


def test_the_rest_goes_to_odoo_with_the_headers_it_needs(nginx):
    with urllib.request.urlopen(nginx.url("/headers")) as answer:
        host, forwarded_for, proto, connection = answer.read().decode().split("|")
    assert host == f"127.0.0.1:{nginx.port}"
    assert forwarded_for == "127.0.0.1"
    assert proto == "http"
    assert connection == ""


def test_a_forged_forwarded_for_is_not_the_last(nginx):
    request = urllib.request.Request(nginx.url("/headers"), headers={"X-Forwarded-For": "203.0.113.9"})
    with urllib.request.urlopen(request) as answer:
        assert answer.read().decode().split("|")[1] == "203.0.113.9, 127.0.0.1"


def test_health(nginx):
    with urllib.request.urlopen(nginx.url("/websocket/health")) as answer:
        assert answer.read() == b'{"status":"pass"}'


async def test_cookies_of_12_kb_are_served(nginx, database):
    async with BusClient(nginx.websocket_url, ["a"], headers={"Cookie": "x=" + "a" * 12_000}) as client:
        await client.subscribed()
        database.sendone("a", payload=1)
        await client.wait_payload(1)


def test_a_request_without_upgrade_is_answered(nginx):
    with RawClient(("127.0.0.1", nginx.port)) as raw:
        headers = {k: v for k, v in HANDSHAKE.items() if k not in ("Upgrade", "Connection")}
        assert raw.request(headers=headers).response()[0] in (400, 426)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_every_transport_through_nginx(nginx, database, transport):
    async with TRANSPORTS[transport](nginx.websocket_url, ["a"]) as client:
        await client.subscribed()
        for n in range(20):
            # One by one: what nginx kept back would never come.
            database.sendone("a", payload=n)
            await client.wait_payload(n)
        assert client.payloads == list(range(20))


async def test_a_stream_through_nginx_shows_that_it_is_quiet(make_gateway, database):
    gateway = make_gateway(database, heartbeat=0.2).start()
    with Nginx(gateway.port) as nginx:
        async with TRANSPORTS["events"](nginx.websocket_url, ["a"]) as client:
            await client.until(lambda: client.heartbeats >= 3, "heartbeats")


def test_the_script_through_nginx(nginx):
    with urllib.request.urlopen(nginx.url("/bus/bus_service.js")) as answer:
        assert answer.read() == (ROOT / "client" / "bus_service.js").read_bytes()
        assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"


def test_curl_reads_a_stream(nginx, database):
    curl = subprocess.Popen(["curl", "-sN", nginx.url("/bus/events?channels=a")], stdout=subprocess.PIPE, text=True)
    try:
        assert curl.stdout.readline() == "retry: 2000\n"
        while '"bus/subscribed"' not in curl.stdout.readline():
            pass
        database.sendone("a", payload="seen by curl")
        while "seen by curl" not in (line := curl.stdout.readline()):
            assert line
    finally:
        curl.terminate()
        curl.wait(30)
