"""The same contract over WebSocket, event stream and long polling; then what is peculiar to the last two."""
import asyncio
import contextlib
import json
import urllib.error
import urllib.request

import pytest

from harness.client import BusClient, RawClient
from harness.deadline import DEADLINE
from harness.gateway import run_gateway
from harness.http_clients import TRANSPORTS, EventsClient, PollClient

from delivery_test import only_what_is_committed_arrives

pytestmark = pytest.mark.asan


@pytest.fixture(params=TRANSPORTS)
def make_client(request, gateway):
    def make(channels, url=None, **options):
        return TRANSPORTS[request.param](url or gateway.url, channels, **options)
    make.transport = request.param
    return make


# --- the contract ---

async def test_nothing_before_commit_and_nothing_after_rollback(make_client, database):
    async with make_client(["a"]) as client:
        await only_what_is_committed_arrives(client, database)


async def test_only_what_is_subscribed(make_client, database):
    async with make_client(["a"]) as client:
        await client.subscribed()
        for channel in ("b", "a", "broadcast", "A"):
            database.sendone(channel, payload=channel)
        database.sendone("a", payload="end")
        await client.wait_payload("end")
        assert client.payloads == ["a", "broadcast", "end"]


async def test_any_payload_arrives_unchanged(make_client, database):
    payloads = ["é ☃ 𝄞 \\ \" \n \r \t", {"a": [1, None, True, {"b": "\u2028"}]}, "x" * 300_000, 12345678901234567890, []]
    async with make_client(["a"]) as client:
        await client.subscribed()
        for payload in payloads:
            database.sendone("a", payload=payload)
        await client.wait_for(len(payloads))
        assert client.payloads == payloads


async def test_a_message_with_line_breaks_between_its_values(make_client, database):
    async with make_client(["a"]) as client:
        await client.subscribed()
        database.execute("INSERT INTO bus_bus (channel, message, create_date) VALUES (bus_channel('a'), %s, now())",
                         ('{\r\n "type": "t",\n\n "payload": {"id": 1,\n "channel": ["x"]}\n}',))
        database.execute("NOTIFY imbus")
        await client.wait_for(1)
        assert client.notifications[0]["message"] == {"type": "t", "payload": {"id": 1, "channel": ["x"]}}


async def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(make_client, database):
    async with make_client(["a"]) as client:
        await client.subscribed()
        for n in range(300):
            database.sendone("a", payload=n)
            if n % 50 == 25:
                await client.wait_payload(n - 5)
                if make_client.transport == "websocket":
                    await client.socket.close(3000)
                else:
                    client.drop()
        await client.wait_payload(299)
        assert client.payloads == list(range(300))


async def test_last_is_a_position(make_client, database):
    """A lower id that was committed later comes after it, to those who come back as well."""
    async with make_client(["a"]) as first:
        await first.subscribed()
        with database.connect(autocommit=False) as slow:
            slow.execute("SELECT bus_sendone('a', 't', '\"slow\"')")
            database.sendone("a", payload="quick")
            await first.wait_payload("quick")
            slow.commit()
        await first.wait_payload("slow")
        assert first.ids[0] > first.ids[1]
        async with make_client(["a"], last=first.ids[0]) as again:
            await again.wait_payload("slow")
            assert again.payloads == ["slow"]
        async with make_client(["a"], last=first.ids[1]) as last:
            database.sendone("a", payload="new")
            await last.wait_payload("new")
            assert last.payloads == ["new"]


async def test_a_client_from_long_ago_gets_what_is_left_in_the_table(make_gateway, make_client, database):
    gateway = make_gateway(database, history_seconds=1).start()
    first = database.sendone("a", payload="first")
    for n in range(450):
        database.sendone("a", payload=n)
    async with make_client(["b"], url=gateway.url) as other:
        # Once a later notification is dispatched the history before it is too old.
        await other.subscribed()
        await asyncio.sleep(2)
        database.sendone("b", payload="later")
        await other.wait_payload("later")
        async with make_client(["a"], url=gateway.url, last=first or database.value("SELECT min(id) FROM bus_bus")) as client:
            await client.wait_payload(449)
            assert client.payloads == list(range(450))


async def test_outdated_is_told_once_to_those_who_ask(make_gateway, make_client, database):
    gateway = make_gateway(database, history_seconds=1).start()
    database.sendone("a", payload=1)
    gone = database.value("SELECT max(id) FROM bus_bus")
    database.sendone("b", payload=2)
    database.execute("DELETE FROM bus_bus WHERE id = %s", (gone,))
    gateway.terminate()
    gateway.start()
    async with make_client(["a"], url=gateway.url, last=gone, check_outdated=True) as client:
        await client.until(lambda: client.internal, "an internal element")
        database.sendone("a", payload="new")
        await client.wait_payload("new")
        told = [element["type"] for element in client.internal]
        assert told.count("bus/subscription_outdated") == 1


async def test_a_gateway_that_is_killed(make_client, make_gateway, database, tmp_path):
    gateway = make_gateway(database, state_dir=tmp_path).start()
    async with make_client(["a"], url=gateway.url) as client:
        await client.subscribed()
        database.sendone("a", payload=1)
        await client.wait_payload(1)
        gateway.kill9()
        database.sendone("a", payload=2)
        gateway.start()
        database.sendone("a", payload=3)
        await client.wait_payload(3)
        assert client.payloads == [1, 2, 3]


async def test_everybody_at_once(gateway, database):
    clients = [make(gateway.url, [f"c{n % 7}"]) for n in range(21) for make in TRANSPORTS.values()]
    async with contextlib.AsyncExitStack() as stack:
        for client in clients:
            await stack.enter_async_context(client)
        await asyncio.gather(*(client.subscribed() for client in clients))
        for n in range(700):
            database.sendone(f"c{n % 7}", payload=n)
        database.sendone("broadcast", payload="end")
        await asyncio.gather(*(client.wait_payload("end") for client in clients))
        for client in clients:
            number = int(client.channels[0][1:])
            assert client.payloads == [*range(number, 700, 7), "end"]


# --- event streams ---

def get(gateway, path, method="GET", headers=None, body=None):
    """(status, headers, body) of a request that is answered at once."""
    request = urllib.request.Request(f"http://127.0.0.1:{gateway.port}{path}", method=method, headers=headers or {},
                                     data=body)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


async def test_a_stream_by_post(gateway, database):
    async with EventsClient(gateway.url, ["with,comma", "a"], post=True) as client:
        await client.subscribed()
        database.sendone("with,comma", payload=1)
        await client.wait_payload(1)
        assert client.notifications[0]["channel"] == [database.name, "with,comma"]


def test_the_stream_is_what_the_standard_says(gateway, database):
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.request(path="/bus/events?channels=a,,b&channel=c%2Cd&last=0", headers={"Host": "x"})
        status, headers, _ = raw.response()
        assert status == 200
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-store, no-transform"
        assert headers["content-encoding"] == "identity"
        assert headers["x-accel-buffering"] == "no"
        assert "content-length" not in headers
        events = []
        for count, channel in enumerate(["a", "b", "c,d"], 1):  # one after the other: what comes together is one event
            database.sendone(channel, payload=channel)
            while len(events) < count:
                raw._fill()
                events = [event for event in raw.buffer.decode().split("\n\n")[:-1] if event.startswith("data: ")]
        assert raw.buffer.startswith(b"retry: 2000\n\nevent: internal\ndata: [{")
        newest = database.value("SELECT max(id) FROM bus_bus")
        for event, identifier, channel in zip(events, range(newest - 2, newest + 1), ["a", "b", "c,d"]):
            data, name = event.split("\n")
            assert name == f"id: {identifier}"
            assert json.loads(data.removeprefix("data: ")) == [
                {"id": identifier, "channel": [database.name, channel], "message": {"type": "test", "payload": channel}}]


async def test_heartbeats_tell_where_a_quiet_client_is(make_gateway, database):
    gateway = make_gateway(database, heartbeat=0.3).start()
    async with EventsClient(gateway.url, ["quiet"]) as client, BusClient(gateway.url, ["a"]) as other:
        await asyncio.gather(client.subscribed(), other.subscribed())
        database.sendone("a", payload=1)
        await other.wait_payload(1)
        await client.until(lambda: client.positions and client.positions[-1] == other.ids[-1], "a position")
        await client.until(lambda: client.heartbeats >= 3, "heartbeats")
        assert client.notifications == []


def test_a_heartbeat_is_a_comment(make_gateway, database):
    """Bytes that mean nothing to whoever reads the stream: a line that begins with a colon, and an empty one."""
    gateway = make_gateway(database, heartbeat=0.2).start()
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.request(path="/bus/events?channels=quiet&last=0", headers={"Host": "x"}).response()
        while raw.buffer.count(b"\n\n") < 5:
            raw._fill()
        hello, told, *beats = raw.buffer.split(b"\n\n")[:5]
        assert hello == b"retry: 2000" and told.startswith(b"event: internal\ndata: ")
        assert all(beat.startswith(b":") and b"\n" not in beat for beat in beats), beats


def test_how_long_a_quiet_client_waits():
    """Proxies, browsers and bus_service.js, which gives up a stream after 45 s and a poll after 75 s, rely on these."""
    configuration = run_gateway("--print-config").stdout.splitlines()
    assert "#heartbeat = 15" in configuration and "#poll-hold = 50" in configuration


async def test_a_stream_ends_and_comes_back(make_gateway, database):
    gateway = make_gateway(database, keep_alive=1).start()
    async with EventsClient(gateway.url, ["a"]) as client:
        assert await client.wait_closed() == (4002, "keep alive timeout")
        database.sendone("a", payload=1)
        await client.wait_payload(1)


async def test_a_stream_that_is_not_read_costs_little_and_resumes(make_gateway, database):
    gateway = make_gateway(database, max_queue_bytes=65536, max_queue_seconds=60).start()
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.request(path="/bus/events?channels=a", headers={"Host": "x"})
        raw.response()
        for _ in range(400):
            database.sendone("a", payload="x" * 50_000)
        gateway.wait_for_line("closing a slow client")
        text = raw.wait_end()
        assert text.count(b"data: [{\"id\"") < 400


def test_requests_that_are_refused(gateway):
    for path, method, status in [
            ("/bus/events?channels=%zz", "GET", 400), ("/bus/events?channels=%ff", "GET", 400),
            ("/bus/events?channels=%00", "GET", 400), ("/bus/events?channels=" + "x" * 2000, "GET", 400),
            ("/bus/events", "PUT", 405), ("/longpolling/poll", "GET", 405), ("/websocket/peek_notifications", "GET", 405),
            ("/bus/bus_service.js", "POST", 405), ("/bus/events?channels=%5B%22x%22%5D", "GET", 403), ("/bus", "GET", 404)]:
        answer = get(gateway, path, method, body=b"{}" if method in ("POST", "PUT") else None)
        assert answer[0] == status, (path, answer)


def test_bodies_that_are_refused(make_gateway, database):
    # What is whole must not be late, and what never is must not be waited for.
    gateway = make_gateway(database, max_message_bytes=2000).start()
    hasty = make_gateway(database, head_timeout=0.5, max_message_bytes=2000).start()
    for path in ("/longpolling/poll", "/bus/events", "/websocket/peek_notifications"):
        for body in (b"", b"{", b"[]", b"null", b'{"params": 1}', b'{"params": {"channels": [1]}}', b"\xff", b"[" * 500):
            assert get(gateway, path, "POST", body=body)[0] == 400, (path, body)
        assert get(gateway, path, "POST", body=b" " * 3000)[0] == 413
        with RawClient(("127.0.0.1", gateway.port)) as raw:
            assert raw.request("POST", path, {"Host": "x"}).response()[0] == 411
        for headers, body, status in [
                ({"Transfer-Encoding": "chunked"}, b"0\r\n\r\n", 400),  # no JSON
                ({"Transfer-Encoding": "chunked"}, b"2\r\n{}", 408),
                ({"Transfer-Encoding": "chunked"}, b"2 \r\n{}\r\n0\r\n\r\n", 400),
                ({"Transfer-Encoding": "chunked"}, b"7d1\r\n", 413),
                ({"Transfer-Encoding": "chunked", "Content-Length": "12"}, b"2\r\n{}\r\n0\r\n\r\n", 400),
                ({"Transfer-Encoding": "gzip, chunked"}, b"", 501), ({"Transfer-Encoding": "identity"}, b"", 501)]:
            with RawClient(("127.0.0.1", (hasty if status == 408 else gateway).port)) as raw:
                assert raw.request("POST", path, {"Host": "x", **headers}, body).response()[0] == status, (path, headers, body)
        with RawClient(("127.0.0.1", hasty.port)) as raw:
            assert raw.request("POST", path, {"Host": "x", "Content-Length": 10}, b"half").response()[0] == 408


@pytest.mark.parametrize("path", ["/bus/events", "/longpolling/poll", "/websocket/peek_notifications"])
def test_a_body_in_chunks(gateway, database, path):
    """As a client sends it that does not know its length."""
    data = {"channels": ["a"], "last": 0, "confirm": 1}
    body = json.dumps(data if path == "/bus/events" else {"id": 1, "params": data}).encode()
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.request("POST", path, {"Host": "x", "Transfer-Encoding": "chunked"})
        for byte in body:
            raw.send(b"1;name=value\r\n%c\r\n" % byte)
        raw.send(b"0\r\nDigest: x\r\n\r\n")
        while b"bus/subscribed" not in raw.buffer and b'"notifications"' not in raw.buffer:
            raw._fill()


# --- long polling ---

async def test_a_poll_is_held_and_then_answered_with_nothing(make_gateway, database):
    gateway = make_gateway(database, poll_hold=1).start()
    async with PollClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        answers = client.answers
        await client.until(lambda: client.answers >= answers + 2, "answers without notifications")
        assert client.notifications == []
        database.sendone("a", payload=1)
        await client.wait_payload(1)


def test_odoos_poll_and_peek(gateway, database):
    database.sendone("a", payload={"n": 1})
    identifier = database.value("SELECT max(id) FROM bus_bus")

    def call(path, params, request_id):
        body = json.dumps({"jsonrpc": "2.0", "method": "call", "id": request_id, "params": params}).encode()
        status, headers, answer = get(gateway, path, "POST", {"Content-Type": "application/json"}, body)
        assert status == 200 and headers["Content-Type"] == "application/json"
        return json.loads(answer)

    message = {"type": "test", "payload": {"n": 1}}
    channel = [database.name, "a"]
    assert call("/longpolling/poll", {"channels": ["a"], "last": 0, "options": {}}, 5) == {
        "jsonrpc": "2.0", "id": 5, "result": [{"id": identifier, "channel": channel, "message": message}]}
    peek = {"channels": ["a"], "last": 0, "is_first_poll": True}
    granted = [[database.name, "broadcast"], channel]
    assert call("/websocket/peek_notifications", peek, "x") == {
        "jsonrpc": "2.0", "id": "x", "result": {"channels": granted, "notifications": [{"id": identifier, "message": message}]}}
    assert call("/websocket/peek_notifications", peek | {"last": identifier}, None) == {
        "jsonrpc": "2.0", "id": None, "result": {"channels": granted, "notifications": []}}
    assert call("/longpolling/poll", {"channels": ["[1]"], "last": 0}, 1)["error"]["message"] == "the channels are refused"


async def test_many_polls_are_held_at_once(gateway, database):
    clients = [PollClient(gateway.url, ["a"]) for _ in range(200)]
    async with contextlib.AsyncExitStack() as stack:
        for client in clients:
            await stack.enter_async_context(client)
        await asyncio.gather(*(client.subscribed() for client in clients))
        for n in range(20):
            database.sendone("a", payload=n)
        await asyncio.gather(*(client.wait_payload(19) for client in clients))
        assert all(client.payloads == list(range(20)) for client in clients)


# --- the script, and pages of other hosts ---

def test_the_script_is_served_and_cached(gateway):
    from harness.system import ROOT
    status, headers, body = get(gateway, "/bus/bus_service.js")
    assert status == 200 and body == (ROOT / "client" / "bus_service.js").read_bytes()
    assert headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert "max-age" in headers["Cache-Control"]
    status, again, body = get(gateway, "/bus/bus_service.js", headers={"If-None-Match": headers["ETag"]})
    assert (status, body, again["ETag"]) == (304, b"", headers["ETag"])


def test_pages_of_other_hosts_read_nothing_unless_they_are_named(make_gateway, database):
    gateway = make_gateway(database, allowed_origin="https://shop.example.com", poll_hold=0.1).start()
    body = json.dumps({"params": {"channels": ["a"], "last": 0, "confirm": 1}, "id": 1}).encode()
    for origin, readable in [("https://shop.example.com", True), ("https://evil.example.com", False), ("null", False)]:
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        status, answer, _ = get(gateway, "/longpolling/poll", "OPTIONS", headers)
        assert status == (204 if readable else 403)
        assert answer["Access-Control-Allow-Origin"] == (origin if readable else None)
        status, answer, _ = get(gateway, "/longpolling/poll", "POST", headers, body)
        assert status == 200
        assert answer["Access-Control-Allow-Origin"] == (origin if readable else None)
        assert answer["Access-Control-Allow-Credentials"] == ("true" if readable else None)
