"""Every request gets an answer that says what was wrong with it, and none is dropped silently."""
import json

import pytest

from harness.client import HANDSHAKE, TEXT, BusClient, RawClient, encode_frame
from metrics_test import Metrics, metrics  # noqa: F401

pytestmark = pytest.mark.asan


def answer(gateway, method="GET", path="/websocket", headers=None, body=b""):
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        return raw.request(method, path, headers, body).response()


def changed(**changes):
    """A right handshake with headers replaced, or removed where the value is None."""
    headers = dict(HANDSHAKE)
    for name, value in changes.items():
        headers[name.replace("_", "-")] = value
    return {name: value for name, value in headers.items() if value is not None}


def test_right_handshake(gateway):
    status, headers, _ = answer(gateway)
    assert status == 101
    assert headers["upgrade"].lower() == "websocket"
    # The example of RFC 6455, section 1.3: this key has this answer.
    assert headers["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


async def test_cookies_of_12_kb_are_served(gateway, database):
    cookie = "session_id=" + "a" * 84 + "; " + "; ".join(f"c{i}={'x' * 990}" for i in range(12))
    assert len(cookie) > 12_000
    async with BusClient(gateway.url, ["a"], headers={"Cookie": cookie}) as client:
        await client.subscribed()
        database.sendone("a", payload=1)
        await client.wait_payload(1)


def test_cookies_of_100_kb_get_431(gateway):
    status, _, body = answer(gateway, headers=changed(Cookie="x=" + "a" * 100_000))
    assert status == 431
    assert body


def test_version_8_gets_426_and_the_version_that_is_served(gateway):
    status, headers, body = answer(gateway, headers=changed(Sec_WebSocket_Version="8"))
    assert status == 426
    assert headers["sec-websocket-version"] == "13"
    assert body


@pytest.mark.parametrize("key", ["", "abc", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSBkb3VibGVkIQ==",
                                 "!!!!IHNhbXBsZSBub25jZQ==", None])
def test_bad_key_gets_400(gateway, key):
    status, _, body = answer(gateway, headers=changed(Sec_WebSocket_Key=key))
    assert status == 400
    assert b"key" in body.lower()


def test_two_host_headers_get_400(gateway):
    status, _, body = answer(gateway, headers=[*HANDSHAKE.items(), ("Host", "other.example")])
    assert status == 400
    assert body


@pytest.mark.parametrize("name", ["Host", "Origin"])
def test_missing_header_gets_400(gateway, name):
    assert answer(gateway, headers=changed(**{name: None}))[0] == 400


@pytest.mark.parametrize("name", ["Connection", "Upgrade"])
def test_no_upgrade_gets_426_or_400(gateway, name):
    assert answer(gateway, headers=changed(**{name: None}))[0] in (400, 426)


def test_post_to_websocket_gets_405(gateway):
    status, headers, _ = answer(gateway, method="POST", headers=changed(Content_Length="2"), body=b"{}")
    assert status == 405
    assert "GET" in headers["allow"]


def test_unknown_path_gets_404(gateway):
    assert answer(gateway, path="/nothing/here", headers={"Host": "h"})[0] == 404


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20 + b"\r\n\r\n",
                                  b"GET\r\n\r\n", b"GET /websocket HTTP/1.1\r\nHost h\r\n\r\n",
                                  b"GET /websocket HTTP/9.9\r\nHost: h\r\n\r\n", b"\x00" * 100 + b"\r\n\r\n"])
def test_junk_is_answered(gateway, junk):
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.send(junk)
        status, _, _ = raw.response()
    assert status in (400, 405, 501, 505)
    assert gateway.health()[0] == 200


@pytest.mark.parametrize("raw", [
    b"GET /websocket/health HTTP/1.0\r\n\r\n", b"GET /websocket/health HTTP/1.0\r\nHost: x\r\n\r\n",
    b"HEAD /websocket/health HTTP/1.0\r\n\r\n", b"OPTIONS /websocket/health HTTP/1.0\r\n\r\n",
    b"HEAD /websocket/health HTTP/1.1\r\nHost: x\r\n\r\n", b"OPTIONS /websocket/health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://x/websocket/health HTTP/1.1\r\nHost: x\r\n\r\n"])
@pytest.mark.parametrize("where", ["health", "ready", "metrics"])
def test_health_checks_of_every_kind_are_answered(make_gateway, database, metrics, raw, where):  # noqa: F811
    gateway = make_gateway(database, **metrics.options).start()
    if where == "metrics" and raw.startswith(b"OPTIONS"):
        pytest.skip("nobody asks for metrics by OPTIONS")
    port = gateway.port if where == "health" else metrics.port
    raw = raw.replace(b": x", b": localhost").replace(b"//x", b"//localhost")  # a name that the metrics answer to
    with RawClient(("127.0.0.1", port)) as client:
        client.send(raw if where == "health" else raw.replace(b"/websocket/health", f"/{where}".encode()))
        head, _, body = b"".join(iter(lambda: client.socket.recv(65536), b"")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and b"\r\nConnection: close" in head
    assert bool(body) != raw.startswith(b"HEAD")


def test_nothing_else_is_served_by_http_1_0(gateway):
    with RawClient(("127.0.0.1", gateway.port)) as client:
        client.send(b"GET /bus/events?channels=a HTTP/1.0\r\nHost: x\r\n\r\n")
        status, _, body = client.response()
        assert status == 505 and b"proxy_http_version 1.1" in body


def test_a_client_that_expects_a_word_before_its_body_gets_it(gateway, database):
    database.sendone("a", payload=1)
    body = json.dumps({"id": 1, "params": {"channels": ["a"], "last": 0}}).encode()
    with RawClient(("127.0.0.1", gateway.port)) as client:
        client.send(b"POST /longpolling/poll HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert client.socket.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(body)
        status, _, answer = client.response()
        assert status == 200 and json.loads(answer)["result"][0]["message"]["payload"] == 1


def test_slow_head_gets_408(make_gateway, database):
    gateway = make_gateway(database, head_timeout=0.3).start()
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.send(b"GET /websocket HTTP/1.1\r\nHost: h\r\n")
        assert raw.response()[0] == 408


def test_head_in_single_bytes_is_served(gateway):
    head = "GET /websocket HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in HANDSHAKE.items()) + "\r\n"
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        for byte in head.encode():
            raw.send(bytes([byte]))
        assert raw.response()[0] == 101


async def test_frame_behind_the_head_is_read(gateway, database):
    """A client may send its first frame in the same packet as its request."""
    database.sendone("early", payload="here")
    head = "GET /websocket HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in HANDSHAKE.items()) + "\r\n"
    event = json.dumps({"event_name": "subscribe", "data": {"channels": ["early"], "last": 0}})
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.send(head.encode() + encode_frame(TEXT, event.encode()))
        assert raw.response()[0] == 101
        opcode, payload = raw.receive_frame()
        assert opcode == TEXT
        assert json.loads(payload)[0]["message"]["payload"] == "here"


def test_connections_past_the_bound_get_503(make_gateway, database):
    gateway = make_gateway(database, max_connections=2).start()
    with RawClient(("127.0.0.1", gateway.port)) as one, RawClient(("127.0.0.1", gateway.port)) as two:
        one.upgrade()
        two.upgrade()
        status, headers, _ = answer(gateway)
        assert status == 503
        assert int(headers["retry-after"]) > 0
