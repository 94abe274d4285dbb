"""--odoo-websocket: what only Odoo's own bus server understands goes there. Against the stand-in's, which writes down what it was
told."""
import asyncio
import json
import re
import urllib.request

import pytest

from harness.client import TEXT, RawClient
from harness.deadline import DEADLINE
from harness.gateway import run_gateway
from harness.ports import reserve_port
from harness.wait import until
from standin import BusServer

from odoo_auth_test import RENEWING_ODOO, asked, client, send
from take_over_test import drained, take_over

BOXES = {"17.0": {"mac_address": "aa:bb:cc:dd:ee:ff"}, "18.0": {"identifier": "box"}, "19.1": {"iot_token": "secret"}}
BOX = BOXES["18.0"]
KIOSK = "self_device_update_presence"


@pytest.fixture
def bus(odoo):
    with BusServer(odoo) as bus:
        yield bus


@pytest.fixture
def start(start):
    return lambda **options: start(metrics_listen=f"127.0.0.1:{reserve_port()}", **options)


@pytest.fixture
def gateway(start, bus):
    return start(odoo_websocket=bus.url)


def box(gateway, session=None, channels=("box",), **options):
    return client(gateway, session, list(channels), **({"extensions": BOX} | options))


async def told(bus, condition):
    return await asyncio.to_thread(bus.wait_for, condition)


async def tunnel_of(bus, number=1):
    """The connection with that number, when it was told of a subscribe."""
    await told(bus, lambda _: len(bus.sockets) >= number and bus.sockets[number - 1].events("subscribe"))
    return bus.sockets[number - 1]


def metrics(gateway):
    with urllib.request.urlopen(f"http://{gateway.options['metrics_listen']}/metrics", timeout=DEADLINE) as answer:
        return answer.read().decode()


def metric(gateway, name):
    """The sum over its labels."""
    values = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", metrics(gateway), re.M)
    assert values, f"there is no metric {name}"
    return sum(map(float, values))


# --- a tunnel ---

@pytest.mark.asan
@pytest.mark.tsan
@pytest.mark.parametrize("release", BOXES)
async def test_a_box_speaks_with_odoo_itself(odoo, bus, gateway, release):
    channels = [] if release == "19.1" else ["iot_channel-1"]
    async with client(gateway, channels=channels, extensions=BOXES[release]) as a_box:
        socket = await tunnel_of(bus)
        assert socket.events() == [{"event_name": "subscribe", "data": {"channels": channels, "last": 0} | BOXES[release]}]
        await a_box.send("anything", {"é": [1]})
        await a_box.socket.send(b"\0")
        await told(bus, lambda _: len(socket.messages) == 3)
        assert socket.messages[1:] == ['{"event_name": "anything", "data": {"\\u00e9": [1]}}', b"\0"]
        socket.notify("iot_channel-1", {"type": "iot_action", "payload": "é"})
        await a_box.wait_payload("é")
    assert odoo.log.count("peek") == 0
    assert len(bus.sockets) == 1


async def test_odoo_sees_the_clients_own_head(odoo, mydb, bus, gateway):
    session = odoo.login(mydb.add_user("anna"))
    headers = {"User-Agent": "IoT", "Accept-Language": "de", "X-Forwarded-Host": "shop.example", "X-Forwarded-Proto": "https",
               "X-Forwarded-For": "203.0.113.9, 192.0.2.7", "X-Real-IP": "192.0.2.7", "X-Odoo-Database": "other",
               "Authorization": "Bearer secret-token"}
    box_client = box(gateway, headers=headers, cookie=f"{session.cookie}; x=1; session_id=second", origin="https://shop.example")
    box_client.url += "?version=19.0-2&x=%20y"
    async with box_client:
        socket = await tunnel_of(bus)
    sent = {name.lower(): value for name, value in socket.headers}
    assert sent.pop("sec-websocket-key") and sent.pop("host") == f"127.0.0.1:{gateway.port}"
    assert sent == {"user-agent": "IoT", "accept-language": "de", "x-forwarded-host": "shop.example", "x-forwarded-proto": "https",
                    "x-forwarded-for": "203.0.113.9, 192.0.2.7", "x-real-ip": "192.0.2.7", "cookie": f"{session.cookie}; x=1",
                    "origin": "https://shop.example", "upgrade": "websocket", "connection": "Upgrade",
                    "sec-websocket-version": "13"}
    assert socket.target == "/websocket?version=19.0-2&x=%20y"


async def test_a_page_of_another_site_has_no_cookies_there_either(odoo, mydb, bus, gateway):
    async with box(gateway, odoo.login(mydb.add_user("anna")), origin="https://evil.example"):
        socket = await tunnel_of(bus)
    assert socket.header("cookie") is None and socket.header("origin") == "https://evil.example"


async def test_an_ordinary_page_never_gets_there(odoo, mydb, bus, gateway, database):
    async with client(gateway, odoo.login(mydb.add_user("anna")), ["a"], check_outdated=True) as page:
        await page.subscribed()
        await page.send("update_presence", {"inactivity_period": 1})
        await asked(odoo, 1, status=200)
        await page.settle()
        send(database, "a", payload=1)
        await page.wait_payload(1)
    assert bus.sockets == [] and metric(gateway, "odoo_bus_unforwarded_total") == 0


async def test_what_was_said_before_is_said_there_first(odoo, mydb, bus, gateway):
    async with client(gateway, odoo.login(mydb.add_user("anna")), ["a"], reconnect=False) as page:
        await page.subscribed()
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.upgrade()
        raw.send_event("update_presence", {"inactivity_period": 7})
        raw.send_event("subscribe", {"channels": [], "last": 0} | BOX)
        await told(bus, lambda _: bus.sockets and len(bus.sockets[0].messages) == 2)
    assert [event["event_name"] for event in bus.sockets[0].events()] == ["update_presence", "subscribe"]


async def test_a_page_that_turns_out_to_be_a_box(odoo, mydb, bus, gateway, database):
    """Its former subscription is replaced: from then on only Odoo speaks."""
    async with client(gateway, odoo.login(mydb.add_user("anna")), ["a"]) as page:
        await asked(odoo, 1, status=200)
        await page.settle()
        send(database, "a", payload="by the gateway")
        await page.wait_payload("by the gateway")
        page.extensions = BOX
        await page.subscribe()
        socket = await tunnel_of(bus)
        assert socket.events() == [{"event_name": "subscribe", "data": {"channels": ["a"], "last": page.last} | BOX}]
        send(database, "a", payload="not by the gateway")
        await page.settle()
        socket.notify("a", {"type": "t", "payload": "by Odoo"}, first_id=7)
        await page.wait_payload("by Odoo")
        assert page.payloads == ["by the gateway", "by Odoo"]
        assert len(bus.sockets) == 1


async def test_a_long_message_passes_whole(odoo, bus, gateway):
    async with box(gateway) as a_box:
        socket = await tunnel_of(bus)
        texts = ["é" * 2_500_000, "x" * 65536, "x" * 65537, "x" * 125, "x" * 126, "x"]
        for n, text in enumerate(texts):
            socket.notify("box", {"type": "t", "payload": text}, first_id=n + 1)
        await a_box.wait_for(len(texts))
        assert a_box.payloads == texts
        await a_box.send("long", "y" * 900_000)
        await told(bus, lambda _: socket.events("long"))
        assert socket.events("long") == ["y" * 900_000]


async def test_fragments_with_a_ping_between_them(odoo, bus, gateway):
    async with box(gateway) as a_box:
        socket = await tunnel_of(bus)
        text = json.dumps([{"id": 1, "message": {"type": "t", "payload": "in parts"}}]).encode()
        socket.send_frame(TEXT, text[:5], final=False)
        socket.send_frame(0x9, b"are you there")
        socket.send_frame(0x0, b"", final=False)
        socket.send_frame(0x0, text[5:], final=True)
        await a_box.wait_payload("in parts")


# --- how it ends ---

@pytest.mark.parametrize("code, reason", [(4001, "SESSION_EXPIRED"), (4002, "keep alive"), (1000, "OUTDATED_VERSION"),
                                          (1001, ""), (1013, "é"), (3000, "r" * 123)])
async def test_odoo_closes_and_the_client_is_closed_so(bus, gateway, code, reason):
    async with box(gateway, reconnect=False) as a_box:
        socket = await tunnel_of(bus)
        socket.close(code, reason)
        assert await a_box.wait_closed() == (code, reason)
        await told(bus, lambda _: socket.closed)
        assert socket.closed == (code, "")


async def test_odoo_closes_without_a_code(bus, gateway):
    async with box(gateway, reconnect=False) as a_box:
        socket = await tunnel_of(bus)
        socket.close()
        assert (await a_box.wait_closed())[0] == 1005


async def test_odoo_just_ends(bus, gateway):
    async with box(gateway, reconnect=False) as a_box:
        socket = await tunnel_of(bus)
        socket.abort()
        assert (await a_box.wait_closed())[0] == 1006


@pytest.mark.parametrize("code, reason", [(1000, ""), (1001, "page is left"), (4000, "é")])
async def test_the_client_closes_and_odoo_is_closed_so(bus, gateway, code, reason):
    async with box(gateway, reconnect=False) as a_box:
        socket = await tunnel_of(bus)
        await a_box.socket.close(code, reason)
        await told(bus, lambda _: socket.closed)
        assert socket.closed == (code, reason)


async def test_the_client_just_ends(bus, gateway):
    async with box(gateway, reconnect=False) as a_box:
        socket = await tunnel_of(bus)
        a_box.drop()
        await told(bus, lambda _: socket.closed)
        assert socket.closed == (1006, "")


def test_a_code_that_no_close_frame_may_have(bus, gateway):
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.upgrade()
        raw.send_event("subscribe", {"channels": [], "last": 0} | BOX)
        bus.wait_for(lambda _: bus.sockets and bus.sockets[0].messages)
        raw.send_frame(0x8, (1005).to_bytes(2, "big"))
        bus.wait_for(lambda _: bus.sockets[0].closed)
    assert bus.sockets[0].closed[0] in (1002, 1006)


async def test_a_take_over_sends_it_back(bus, start):
    gateway = start(odoo_websocket=bus.url, drain_seconds=0)
    async with box(gateway) as a_box:
        first = await tunnel_of(bus)
        former = await take_over(gateway)
        assert (await a_box.wait_closed())[0] == 4002
        await told(bus, lambda _: first.closed)
        assert first.closed[0] == 4002
        await drained(gateway, former)
        second = await tunnel_of(bus, 2)
        second.notify("box", {"type": "t", "payload": "again"})
        await a_box.wait_payload("again")


async def test_the_gateway_stops_and_is_killed(bus, start):
    gateway = start(odoo_websocket=bus.url)
    async with box(gateway) as a_box:
        first = await tunnel_of(bus)
        await asyncio.to_thread(gateway.terminate)
        assert (await a_box.wait_closed())[0] == 1001
        await told(bus, lambda _: first.closed)
        assert first.closed[0] == 1001
        await asyncio.to_thread(gateway.start)
        second = await tunnel_of(bus, 2)
        await asyncio.to_thread(gateway.kill9)
        await told(bus, lambda _: second.closed)
        assert second.closed == (1006, "")
        await asyncio.to_thread(gateway.start)
        await tunnel_of(bus, 3)


async def test_odoo_restarts(bus, gateway):
    async with box(gateway) as a_box:
        await tunnel_of(bus)
        bus.stop()
        await a_box.wait_closed(2)  # once without a frame, then because nothing answers
        assert a_box.closes[0][0] == 1006 and a_box.closes[1] == (1013, "Odoo's bus server cannot be used")
        bus.listen()
        socket = await tunnel_of(bus, 2)
        socket.notify("box", {"type": "t", "payload": "again"})
        await a_box.wait_payload("again")
    assert sum("cannot be used" in line for line in gateway.lines) == 1
    gateway.wait_for_line("can be used again")
    assert metric(gateway, "odoo_bus_odoo_websocket_failures_total") >= 1


@RENEWING_ODOO
async def test_a_session_that_odoo_renews_at_the_handshake(odoo, mydb, bus, gateway):
    session = odoo.login(mydb.add_user("anna"))
    renewed = session.sid[:42] + "n" * 42
    bus.set_cookie = f"session_id={renewed}; HttpOnly; Path=/"
    async with box(gateway, session) as a_box:
        assert (await a_box.wait_closed())[0] == 4002
        await a_box.until(lambda: a_box.cookies.get("session_id") == renewed, "the new cookie comes")
        socket = await tunnel_of(bus, 2)
        assert socket.header("cookie") == f"session_id={renewed}"


# --- a shadow connection ---

@pytest.mark.asan
@pytest.mark.tsan
async def test_a_kiosk_has_a_shadow_at_odoo(odoo, mydb, bus, gateway, database):
    session = odoo.login(mydb.add_user("kiosk"))
    async with client(gateway, session, ["orders"], reconnect=False) as kiosk:
        await asked(odoo, 1, status=200)
        await kiosk.send("update_presence", {"inactivity_period": 1})
        await kiosk.send(KIOSK, {})
        socket, = await told(bus, lambda _: bus.sockets)
        await kiosk.send(KIOSK, {"n": 2})
        await told(bus, lambda _: len(socket.messages) == 2)
        assert socket.events() == [{"event_name": KIOSK, "data": {}}, {"event_name": KIOSK, "data": {"n": 2}}]
        assert socket.header("cookie") == session.cookie
        socket.notify("orders", {"type": "t", "payload": "not by Odoo"})
        send(database, "orders", payload="by the gateway")
        await kiosk.wait_payload("by the gateway")
        assert kiosk.payloads == ["by the gateway"]
        await kiosk.socket.close(1001, "left")
        await told(bus, lambda _: socket.closed)
        assert socket.closed == (1001, "left")
    assert len(bus.sockets) == 1


@pytest.mark.parametrize("odoo", ["17.0"], indirect=True)
async def test_odoo_hears_of_a_kiosks_end_once(odoo, mydb, bus, gateway):
    """By its shadow; of a page's by on_closed."""
    kiosk = client(gateway, odoo.login(mydb.add_user("kiosk")), ["a"], reconnect=False)
    page = client(gateway, odoo.login(mydb.add_user("page")), ["a"], reconnect=False)
    kiosk.url += "?version=17.0-1"
    page.url += "?version=17.0-1"
    async with kiosk, page:
        await asked(odoo, 2, status=200)
        await kiosk.send(KIOSK, {})
        await told(bus, lambda _: bus.sockets)
        await kiosk.stop()
        await told(bus, lambda _: bus.sockets[0].closed)
        await page.stop()
        await asked(odoo, 1, route="closed", login="page")
    assert odoo.log.count("closed", login="kiosk") == 0


async def test_the_end_of_a_shadow_is_that_of_its_client(odoo, mydb, bus, gateway):
    async with client(gateway, odoo.login(mydb.add_user("kiosk")), ["a"], reconnect=False) as kiosk:
        await kiosk.subscribed()
        await kiosk.send(KIOSK, {})
        socket, = await told(bus, lambda _: bus.sockets)
        socket.close(4001, "SESSION_EXPIRED")
        assert await kiosk.wait_closed() == (4001, "SESSION_EXPIRED")


async def test_a_shadow_becomes_the_tunnel(odoo, mydb, bus, gateway):
    async with client(gateway, odoo.login(mydb.add_user("kiosk")), ["a"]) as kiosk:
        await kiosk.subscribed()
        await kiosk.send(KIOSK, {})
        socket, = await told(bus, lambda _: bus.sockets)
        kiosk.extensions = BOX
        await kiosk.subscribe()
        await told(bus, lambda _: socket.events("subscribe"))
        socket.notify("a", {"type": "t", "payload": "by Odoo"})
        await kiosk.wait_payload("by Odoo")
        assert len(bus.sockets) == 1
        text = metrics(gateway)
        assert 'odoo_bus_odoo_websockets{kind="shadow"} 0' in text and 'odoo_bus_odoo_websockets{kind="tunnel"} 1' in text


async def test_events_wait_while_odoo_restarts(odoo, mydb, bus, gateway, database):
    bus.stop()
    async with client(gateway, odoo.login(mydb.add_user("kiosk")), ["a"]) as kiosk:
        await asked(odoo, 1, status=200)
        await kiosk.send(KIOSK, {"n": 1})
        await asyncio.to_thread(gateway.wait_for_line, "cannot be used")
        await kiosk.send(KIOSK, {"n": 2})
        send(database, "a", payload="served meanwhile")
        await kiosk.wait_payload("served meanwhile")
        bus.listen()
        await told(bus, lambda _: bus.sockets and len(bus.sockets[0].messages) == 2)
        assert bus.sockets[0].events(KIOSK) == [{"n": 1}, {"n": 2}]
        assert kiosk.closes == []


# --- without it ---

async def test_without_the_option_it_is_said_once_for_each_kind(odoo, mydb, start, database):
    gateway = start()
    for number in range(2):
        for keys in BOXES.values():
            async with client(gateway, channels=["box"], extensions=keys) as a_box:
                await a_box.subscribed()
                await a_box.send(KIOSK, {})
                await a_box.send("other\nevent", {})
                await a_box.settle()
                await asyncio.to_thread(odoo.wait_for, lambda log: log.count("peek", status=200) >= 1)
                send(database, "box", payload=number)
                await a_box.wait_payload(number)
    assert metric(gateway, "odoo_bus_unforwarded_total") == 18
    lines = [line for line in gateway.lines if "--odoo-websocket" in line]
    for kind in ("mac_address", "identifier", "iot_token", KIOSK, r"other\\nevent"):
        assert len([line for line in lines if re.search(rf'"{kind}"', line)]) <= 1
    assert lines, "nothing was said"


@pytest.mark.parametrize("keys", BOXES.values())
async def test_without_the_option_a_warning_names_the_key_and_the_cure(odoo, start, keys):
    gateway = start()
    async with client(gateway, channels=["box"], extensions=keys) as a_box:
        await a_box.subscribed()
    line = gateway.wait_for_line(f'"{next(iter(keys))}"')
    assert "--odoo-websocket" in line and "secret" not in line


async def test_nobody_answers_there(odoo, start):
    gateway = start(odoo_websocket="ws://127.0.0.1:1")
    async with box(gateway) as a_box:
        await a_box.until(lambda: len(a_box.closes) == 3, "it comes back again and again")
        assert {code for code, _ in a_box.closes} == {1013}
    assert sum("cannot be used" in line for line in gateway.lines) == 1
    assert metric(gateway, "odoo_bus_odoo_websocket_failures_total") >= 3


# --- those who are slow ---

@pytest.mark.asan
async def test_odoo_reads_slowly(bus, start):
    """What it does not take is not read of the client, and nothing is lost."""
    gateway = start(odoo_websocket=bus.url, rate_limit_burst=1_000_000, max_receive_rate="1GiB", max_queue_seconds=3600)
    bus.reads = False
    async with box(gateway) as a_box:
        socket, = await told(bus, lambda _: bus.sockets)
        text = "z" * 500_000
        sending = asyncio.ensure_future(asyncio.gather(*(a_box.send("n", [n, text]) for n in range(60))))
        await asyncio.wait([sending], timeout=1)
        assert not sending.done(), "30 MB were taken, and Odoo reads nothing"
        socket.resume()
        await sending
        await told(bus, lambda _: len(socket.messages) == 61)
        assert [n for n, _ in socket.events("n")] == list(range(60))
        assert a_box.closes == []


async def test_odoo_never_reads(bus, start):
    gateway = start(odoo_websocket=bus.url, rate_limit_burst=1_000_000, max_receive_rate="1GiB", max_queue_seconds=0.5)
    bus.reads = False
    async with box(gateway, reconnect=False) as a_box:
        await told(bus, lambda _: bus.sockets)
        sending = asyncio.ensure_future(asyncio.gather(*(a_box.send("n", "z" * 500_000) for n in range(60)),
                                                       return_exceptions=True))
        assert await a_box.wait_closed() == (1013, "Odoo's bus server does not read")
        await sending


@pytest.mark.asan
def test_a_client_reads_slowly(bus, start):
    """Odoo is held back, nothing is lost, and the gateway keeps little of it."""
    gateway = start(odoo_websocket=bus.url, max_queue_seconds=3600)
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.upgrade()
        raw.send_event("subscribe", {"channels": [], "last": 0} | BOX)
        socket, = bus.wait_for(lambda _: bus.sockets)
        before = metric(gateway, "process_resident_memory_bytes")
        for n in range(60):
            socket.send(json.dumps([n, "x" * 1_000_000]))
        until(lambda: socket.buffered() > 20_000_000, lambda: f"only {socket.buffered()} bytes wait")  # another thread sends
        assert metric(gateway, "process_resident_memory_bytes") - before < 8_000_000
        received = bytearray()
        while len(received) < 60 * 1_000_000:
            opcode, payload = raw.receive_frame()
            if opcode <= 2:
                received += payload
        assert [int(n) for n in re.findall(rb"\[(\d+), ", received)] == list(range(60))


def test_a_client_never_reads(bus, start):
    gateway = start(odoo_websocket=bus.url, max_queue_seconds=0.5)
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.upgrade()
        raw.send_event("subscribe", {"channels": [], "last": 0} | BOX)
        socket, = bus.wait_for(lambda _: bus.sockets)
        for n in range(60):
            socket.send("x" * 1_000_000)
        bus.wait_for(lambda _: socket.closed)
        gateway.wait_for_line("closing a slow client")


# --- those who are hostile ---

GARBAGE = {
    "nothing": b"\r\n\r\n", "text": b"hello\r\n\r\n", "other status": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "refused": b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "no accept": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "another's accept": b"HTTP/1.1 101 x\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    "endless": b"HTTP/1.1 101 x\r\n" + b"A: b\r\n" * 20_000, "control": b"HTTP/1.1 101 x\r\nA: \x00\r\n\r\n",
    "cut": b"HTTP/1.1 101 Switching Pro"}


@pytest.mark.asan
@pytest.mark.parametrize("answer", GARBAGE)
async def test_a_handshake_that_is_none(bus, gateway, answer):
    bus.answer = GARBAGE[answer]
    async with box(gateway, reconnect=False) as a_box:
        assert (await a_box.wait_closed())[0] == 1013
    gateway.wait_for_line("cannot be used")


async def test_a_handshake_that_is_never_answered(bus, start):
    gateway = start(odoo_websocket=bus.url, odoo_timeout=0.3)
    bus.answer = b""
    async with box(gateway, reconnect=False) as a_box:
        assert (await a_box.wait_closed())[0] == 1013


BROKEN = {
    "masked": b"\x81\x81\0\0\0\0x", "reserved bit": b"\xc1\x01x", "unknown opcode": b"\x83\x01x", "long control": b"\x89\x7e\0\xff",
    "control in parts": b"\x09\0", "continuation of nothing": b"\x80\x01x", "message within a message": b"\x01\x01x\x81\x01y",
    "impossible length": b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "close of one byte": b"\x88\x01\x03",
    "reason that is no text": b"\x88\x03\x03\xe8\xff",
    **{f"close {code}": b"\x88\x02" + code.to_bytes(2, "big") for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535)}}


@pytest.mark.asan
@pytest.mark.parametrize("frame", BROKEN)
async def test_a_frame_that_is_none(bus, gateway, frame):
    async with box(gateway, reconnect=False) as a_box:
        socket = await tunnel_of(bus)
        socket.send_bytes(BROKEN[frame])
        assert await a_box.wait_closed() == (1013, "Odoo's bus server cannot be used")
        await told(bus, lambda _: socket.closed)
        assert socket.closed[0] == 1002


@pytest.mark.unsanitized
async def test_a_frame_without_an_end_takes_no_memory(bus, gateway):
    async with box(gateway, reconnect=False) as a_box:
        socket = await tunnel_of(bus)
        before = metric(gateway, "process_resident_memory_bytes")
        socket.send_bytes(b"\x81\x7f\x7f" + b"\xff" * 7)
        for _ in range(40):
            socket.send_bytes(b"x" * 1_000_000)
        await asyncio.to_thread(lambda: [None for _ in iter(socket.buffered, 0)])
        assert metric(gateway, "process_resident_memory_bytes") - before < 8_000_000
        socket.abort()
        assert (await a_box.wait_closed())[0] == 1006


@pytest.mark.parametrize("hostility", ["too fast", "too big"])
async def test_limits_hold_behind_a_tunnel(bus, start, hostility):
    gateway = start(odoo_websocket=bus.url, max_message_bytes=1000, rate_limit_burst=5)
    async with box(gateway, reconnect=False) as a_box:
        socket = await tunnel_of(bus)
        if hostility == "too big":
            await a_box.send("big", "x" * 1000)
        for _ in range(12 if hostility == "too fast" else 0):
            await a_box.send("fast", 0)
        code = 1009 if hostility == "too big" else 1013
        assert (await a_box.wait_closed())[0] == code
        await told(bus, lambda _: socket.closed)
        assert socket.closed[0] == code
        assert len(socket.events("fast")) <= 5 and socket.events("big") == []


@pytest.mark.unsanitized
async def test_a_tunnel_takes_at_most_twice_the_memory_of_a_page(odoo, mydb, bus, start):
    COUNT = 400
    gateway = start(odoo_websocket=bus.url, threads=1, max_connections_per_address=0, max_handshakes_per_address=0)
    session = odoo.login(mydb.add_user("anna"))

    async def connect(**options):
        clients = []
        for _ in range(COUNT):
            clients.append(client(gateway, session, ["a"], **options).start())
            await clients[-1].subscribed()
        return clients

    async def memory():
        await asyncio.sleep(1.5)  # what a tick frees
        return metric(gateway, "process_resident_memory_bytes")

    warm = await connect()
    boxes = await connect(extensions=BOX)
    await told(bus, lambda _: len(bus.sockets) == COUNT and all(socket.messages for socket in bus.sockets))
    at_first = await memory()
    pages = await connect()
    with_pages = await memory()
    more = await connect(extensions=BOX)
    await told(bus, lambda _: len(bus.sockets) == 2 * COUNT and all(socket.messages for socket in bus.sockets))
    with_tunnels = await memory()
    page, tunnel = (with_pages - at_first) / COUNT, (with_tunnels - with_pages) / COUNT
    print(f"a page takes {page:.0f} bytes, a tunnel {tunnel:.0f}")
    await asyncio.gather(*(each.stop() for each in warm + boxes + pages + more))
    assert tunnel < 2 * page


# --- clients of ours at Odoo's own server ---

@pytest.mark.parametrize("odoo", ["17.0", "18.0", "19.0", "19.4", "20.0"], indirect=True)
def test_tail_works_with_odoos_own_server(odoo, mydb, bus):
    mydb.send("a", "t", "hello")
    done = run_gateway("tail", f"{bus.url}/websocket", "a", "--count", "1")
    assert "hello" in done.stdout, done.stderr
    socket, = bus.sockets
    assert socket.mistakes == [] and socket.channels == ["a"]


@pytest.mark.parametrize("odoo", ["17.0", "18.0", "19.0", "19.4", "20.0"], indirect=True)
async def test_the_tests_own_client_works_with_odoos_own_server(odoo, mydb, bus):
    class Stock:
        url = bus.url + "/websocket"

    mydb.send("a", "t", "hello")
    async with client(Stock, channels=["a"], check_outdated=False) as page:
        await page.wait_payload("hello")
    assert bus.sockets[0].mistakes == []
