"""Through each proxy, with the configuration that is shipped for it: the same checks for all."""
import asyncio
import contextlib
import http.client
import json
import re
import subprocess
import zlib

import pytest
import yaml

from harness.apache import Apache
from harness.caddy import Caddy
from harness.certificate import make_certificate
from harness.client import HANDSHAKE, PING, PONG, TEXT, BusClient, RawClient
from harness.deadline import DEADLINE, scaled
from harness.gateway import BINARY, run_gateway
from harness.haproxy import Haproxy
from harness.http_clients import TRANSPORTS, EventsClient
from harness.nginx import Nginx
from harness.system import ROOT, clean_environment
from harness.wait import until

from delivery_test import only_what_is_committed_arrives


class ShippedNginx(Nginx):
    """nginx with the interface of the others."""

    snippet = "nginx.conf"
    websockets_over_http2 = False
    checks_health = False
    gateway_timeout = "120s"

    def __init__(self, gateway_port, tls=False, compresses=False, changes=()):
        super().__init__(gateway_port, changes=list(changes))
        if tls:
            self.certificate, key = make_certificate(self.directory, "localhost", "127.0.0.1")
            listen = f"listen 127.0.0.1:{self.port}"
            self.changes += [(f"{listen};", f"{listen} ssl http2; ssl_certificate {self.certificate}; ssl_certificate_key {key};")]
        if compresses:
            self.changes += [("gzip off;", "gzip on; gzip_types text/event-stream; gzip_min_length 1; gzip_proxied any;")]

    @classmethod
    def path(cls):
        return "nginx"


PROXIES = {"nginx": ShippedNginx, "haproxy": Haproxy, "apache": Apache, "caddy": Caddy}
SNIPPETS = [*(each.snippet for each in PROXIES.values()), "proxies/traefik.yaml"]
PATHS = {"/websocket", "/websocket/health", "/bus/events", "/longpolling/poll", "/bus/bus_service.js"}


@pytest.fixture(params=PROXIES)
def shipped(request):
    """Its class."""
    if PROXIES[request.param].path() is None:
        pytest.skip(f"{request.param} is not installed")
    return PROXIES[request.param]


@pytest.fixture
def proxy(shipped, gateway):
    with shipped(gateway.port) as proxy:
        yield proxy


async def test_a_websocket(proxy, database):
    async with BusClient(proxy.websocket_url, ["a"], headers={"Cookie": "x=" + "a" * 12_000}) as client:
        await only_what_is_committed_arrives(client, database)


def test_a_websocket_over_http2(shipped, gateway, database):
    """A browser opens one on a stream where that is offered, and else a connection of HTTP/1.1, as in the other tests."""
    http2 = pytest.importorskip("harness.http2")
    with shipped(gateway.port, tls=True) as proxy, http2.Http2Connection(proxy.port, proxy.certificate) as connection:
        assert connection.offers_websockets == proxy.websockets_over_http2
        if proxy.websockets_over_http2:
            raw = RawClient(connection.open_websocket("/websocket"))
            raw.send_event("subscribe", {"channels": ["a"], "last": 0})
            raw.send_frame(PING)
            assert raw.receive_frame() == (PONG, b"")
            for n in range(3):
                database.sendone("a", payload=n)
                opcode, text = raw.receive_frame()
                assert opcode == TEXT and [each["message"]["payload"] for each in json.loads(text)] == [n]


@pytest.mark.parametrize("transport", ["events", "poll"])
async def test_nothing_is_kept_back(proxy, database, transport):
    """One by one: what a proxy kept back would never come."""
    async with TRANSPORTS[transport](proxy.websocket_url, ["a"]) as client:
        await client.subscribed()
        for n in range(20):
            database.sendone("a", payload=n)
            await client.wait_payload(n)
        assert client.payloads == list(range(20))


class Stream:
    """An event stream that may be compressed, as a browser reads it."""

    def __init__(self, port, encodings):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        self.connection.request("GET", "/bus/events?channels=a&last=0", headers={"Accept-Encoding": encodings})
        self.response = self.connection.getresponse()
        self.encoding = self.response.getheader("Content-Encoding", "identity")
        assert (self.response.status, self.encoding in ("gzip", "identity")) == (200, True), self.encoding
        self.inflate = zlib.decompressobj(31)
        self.text = b""

    def until(self, text):
        while text not in self.text:
            data = self.response.read1(65536)
            assert data, "the stream has ended"
            self.text += self.inflate.decompress(data) if self.encoding == "gzip" else data


def test_nothing_is_kept_back_by_a_proxy_that_compresses(shipped, gateway, database):
    """Caddy 2.6 would keep what is small in its compressor, but for the encoding that the gateway names."""
    database.sendone("a", payload="from the history")
    with shipped(gateway.port, compresses=True) as proxy:
        stream = Stream(proxy.port, "gzip, deflate, br, zstd")
        stream.until(b"from the history")
        for n in range(3):
            database.sendone("a", payload=f"new {n}")
            stream.until(f"new {n}".encode())
        stream.connection.close()


def ask(port, path, headers=(), source=None):
    """(status, body)."""
    with RawClient(("127.0.0.1", port), source) as raw:
        status, _, body = raw.request(path=path, headers={"Host": f"127.0.0.1:{port}", "Connection": "close"} | dict(headers)).response()
        return status, body.decode()


def test_the_rest_goes_to_odoo_with_the_headers_it_needs(proxy):
    status, text = ask(proxy.port, "/headers", {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}, "127.0.0.2")
    host, forwarded_for, proto, connection = text.split("|")
    assert (status, host, proto) == (200, f"127.0.0.1:{proxy.port}", "http")
    assert forwarded_for.split(", ")[-1] == "127.0.0.2"
    assert connection.lower() in ("", "keep-alive")


def test_the_gateway_is_told_the_host_and_the_address(proxy):
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example.com", "X-Forwarded-Proto": "https",
              "X-Real-IP": "203.0.113.9", "Odoo-Bus-Doctor": "arrived"}
    _, text = ask(proxy.port, "/websocket", HANDSHAKE | {"Host": f"127.0.0.1:{proxy.port}"} | forged, "127.0.0.2")
    assert json.loads(text)["arrived"] == {"upgrade": True, "trusted": True, "host": f"127.0.0.1:{proxy.port}",
                                           "proto": "http", "address": "127.0.0.2"}


def test_a_proxy_that_checks_health_leaves_out_what_is_not(shipped, gateway, database, cluster):
    """The script is served whether a database is read or not, so that an error is the proxy's. nginx does not check."""
    with shipped(gateway.port) as proxy:
        def answers(status):
            return lambda: ask(proxy.port, "/bus/bus_service.js")[0] == status

        assert ask(proxy.port, "/websocket/health") == (200, '{"status":"pass"}')
        cluster.execute(f'ALTER DATABASE "{database.name}" ALLOW_CONNECTIONS false')
        cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database.name])
        until(lambda: gateway.health()[0] == 503, lambda: "the gateway is healthy without its database")
        if proxy.checks_health:
            until(answers(503), lambda: "the proxy does not notice")
        cluster.execute(f'ALTER DATABASE "{database.name}" ALLOW_CONNECTIONS true')
        until(answers(200), lambda: "the proxy does not notice that it is healthy again")


def pings(raw, count):
    """Answers so many of them; False when the connection ends before."""
    with contextlib.suppress(ConnectionError):
        while count:
            opcode, payload = raw.receive_frame()
            if opcode == PING:
                raw.send_frame(PONG, payload)
                count -= 1
        return True
    return False


async def test_silence_is_shorter_than_the_proxys_patience(shipped, make_gateway, database):
    """With the time that a connection may be silent, and with that after which the gateway breaks the silence, both shortened."""
    patience = int(scaled(2)) + 1
    gateway = make_gateway(database, ping_interval=patience / 4, heartbeat=patience / 4).start()
    changes = []
    if shipped.gateway_timeout:
        here = shipped.gateway_timeout.replace("120", str(patience))
        changes = [(shipped.gateway_timeout, here)]
        shortest = min(map(int, re.findall(r"\d+", shipped.gateway_timeout)))
        configuration = dict(re.findall(r"^#(ping-interval|pong-timeout|heartbeat|poll-hold) = (\d+)$",
                                        run_gateway("--print-config").stdout, re.M))
        assert shortest > int(configuration["ping-interval"]) + int(configuration["pong-timeout"])
        assert shortest > int(configuration["heartbeat"]) and shortest > int(configuration["poll-hold"])
    with shipped(gateway.port, changes=changes) as proxy:
        async with EventsClient(proxy.websocket_url, ["quiet"], reconnect=False) as stream:
            await stream.subscribed()
            with RawClient(("127.0.0.1", proxy.port)) as raw:
                raw.upgrade(headers=HANDSHAKE | {"Host": f"127.0.0.1:{proxy.port}", "Origin": f"http://127.0.0.1:{proxy.port}"})
                assert await asyncio.to_thread(pings, raw, 10), "more than twice the patience"
            await stream.until(lambda: stream.heartbeats >= 10, "heartbeats")
            assert not stream.closes


def what_doctor_sees(proxy, gateway):
    """{check: state} of the checks of the proxy."""
    done = subprocess.run([BINARY, "doctor", "--json", "--url", proxy.url(), *gateway.arguments], capture_output=True,
                          text=True, env=clean_environment(), stdin=subprocess.DEVNULL, timeout=4 * DEADLINE)
    return {check["name"]: check["state"] for check in json.loads(done.stdout)["checks"] if check["name"].startswith("proxy.")}


def test_doctor_finds_nothing(shipped, gateway):
    with shipped(gateway.port, compresses=True) as proxy:
        states = what_doctor_sees(proxy, gateway)
        assert set(states.values()) == {"ok"} and {"proxy.address", "proxy.buffering", "proxy.upgrade"} <= states.keys()


@pytest.mark.skipif(Caddy.path() is None, reason="caddy is not installed")
def test_doctor_finds_compression_that_keeps_events(gateway):
    changes = [("flush_interval -1", "flush_interval -1\n\t\theader_down -Content-Encoding")]
    with Caddy(gateway.port, compresses=True, changes=changes) as proxy:
        states = what_doctor_sees(proxy, gateway)
        assert {name for name, state in states.items() if state != "ok"} == {"proxy.buffering"}


def test_every_snippet_sends_the_same_paths():
    for snippet in SNIPPETS:
        text = (ROOT / "deploy" / snippet).read_text()
        text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        for there, here in [("\\.", "."), ("^/(bus/events|longpolling/poll)$", "/bus/events /longpolling/poll")]:
            text = text.replace(there, here)
        assert set(re.findall(r"/(?:websocket|bus|longpolling)\b[\w/.]*", text)) == PATHS, snippet
    assert yaml.safe_load((ROOT / "deploy" / SNIPPETS[-1]).read_text())["http"]["routers"].keys() == {"odoo-bus-gateway", "odoo"}
