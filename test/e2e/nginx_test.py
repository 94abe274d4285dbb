"""Through nginx, with the configuration that is shipped."""
import json
import socket
import subprocess
import urllib.request

import pytest

from harness.client import HANDSHAKE, BusClient, RawClient
from harness.deadline import DEADLINE
from harness.http_clients import TRANSPORTS
from harness.nginx import Nginx
from harness.system import ROOT
from harness.tokens import Secret, claims

from delivery_test import only_what_is_committed_arrives

SECRET = Secret()


@pytest.fixture
def nginx(gateway):
    with Nginx(gateway.port) as nginx:
        yield nginx


async def test_nothing_before_commit_never_after_rollback(nginx, database):
    async with BusClient(nginx.websocket_url, ["a"]) as client:
        await only_what_is_committed_arrives(client, database)


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


def first_event(nginx, database):
    """What comes of one small notification while the stream is open, until then or for two seconds."""
    with RawClient(("127.0.0.1", nginx.port)) as raw:
        raw.request(path="/bus/events?channels=a&last=0", headers={"Host": "x"})
        database.sendone("a", payload="at once")
        raw.socket.settimeout(2 if nginx.keeps else DEADLINE)
        try:
            while b'"at once"' not in raw.buffer:
                raw._fill()
        except socket.timeout:
            pass
        return raw.buffer


BUFFERED = ("proxy_buffering off;", "proxy_buffering on;")
DEAF = ("proxy_cache off;", "proxy_cache off; proxy_ignore_headers X-Accel-Buffering;")


@pytest.mark.parametrize("changes, keeps", [([], False), ([BUFFERED], False), ([DEAF], False), ([BUFFERED, DEAF], True)],
                         ids=["as shipped", "the gateway's header alone", "the configuration alone", "neither"])
def test_an_event_is_not_kept_back(gateway, database, changes, keeps):
    """Twice assured; the last case shows that the test would tell."""
    with Nginx(gateway.port, changes=changes) as nginx:
        nginx.keeps = keeps
        text = first_event(nginx, database)
        assert (b'"at once"' in text) != keeps
        assert not text.endswith(b"0\r\n\r\n"), "the response is still open"


@pytest.mark.parametrize("auth", ["token", "sql"])
def test_polls_and_peeks_are_answered_without_odoo(make_gateway, database, tmp_path, auth):
    """By the gateway itself, directly and through nginx, when its lines for that are not commented out."""
    if auth == "token":
        options = {"token_keys": SECRET.write(tmp_path / "keys")}
        headers = {"Authorization": f"Bearer {SECRET.token(claims(['a']))}"}
    else:
        database.execute("""CREATE FUNCTION app_authorize(request jsonb, channels text[]) RETURNS text[] LANGUAGE sql AS $$
            SELECT ARRAY[bus_channel('a')] WHERE request->'cookies'->>'sid' = 'known' $$""")
        options = {"auth_sql_function": "app_authorize", "sql_pass": "cookie:sid"}
        headers = {"Cookie": "sid=known"}
    database.sendone("a", payload=1)
    database.sendone("b", payload="not granted")
    identifier = database.value("SELECT min(id) FROM bus_bus")
    gateway = make_gateway(database, auth=auth, **options).start()

    def ask(port, path, more):
        body = json.dumps({"id": 3, "params": {"channels": ["a", "b"], "last": 0, "is_first_poll": True}}).encode()
        with RawClient(("127.0.0.1", port)) as raw:
            pairs = {"Host": "x", "Content-Type": "application/json", "Content-Length": len(body), **more}
            status, _, answer = raw.request("POST", path, pairs, body).response()
            return status, json.loads(answer)

    commented = """    # location = /websocket/peek_notifications {
    #     proxy_pass http://odoo_bus_gateway;
    # }"""
    with Nginx(gateway.port, changes=[(commented, commented.replace("# ", ""))]) as nginx:
        for port in (gateway.port, nginx.port):
            status, answer = ask(port, "/websocket/peek_notifications", headers)
            assert (status, answer["id"]) == (200, 3)
            assert answer["result"] == {"channels": [[database.name, "a"]], "notifications": [
                {"id": identifier, "message": {"type": "test", "payload": 1}}]}
            status, answer = ask(port, "/longpolling/poll", headers)
            assert status == 200 and [element["id"] for element in answer["result"]] == [identifier]
            for path in ("/websocket/peek_notifications", "/longpolling/poll"):
                status, answer = ask(port, path, {})
                assert (status, answer["error"]["code"]) == (401, 100)


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
        curl.wait(DEADLINE)
