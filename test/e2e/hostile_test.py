"""Clients that are slow, dead or hostile: each is bounded, and costs the others nothing."""
import asyncio
import contextlib
import os
import socket
import time
from pathlib import Path

import pytest

from harness.client import BINARY, HANDSHAKE, TEXT, BusClient, RawClient, encode_frame
from harness.deadline import DEADLINE, scaled
from harness.wait import until
from metrics_test import Metrics, metrics  # noqa: F401

pytestmark = pytest.mark.asan

CONTINUATION, PING = 0x0, 0x9


def connect(gateway):
    return RawClient(("127.0.0.1", gateway.port))


async def other_is_served(gateway, database, payload):
    async with BusClient(gateway.url, ["x"]) as other:
        await other.subscribed()
        database.sendone("x", payload=payload)
        await other.wait_payload(payload)


def test_a_head_that_comes_byte_by_byte(make_gateway, database):
    gateway = make_gateway(database, head_timeout=0.5).start()
    with connect(gateway) as client:
        head = b"GET /websocket HTTP/1.1\r\nHost: " + b"x" * 10_000
        begin = time.monotonic()
        with contextlib.suppress(ConnectionError):
            for byte in head:
                client.send(bytes([byte]))
                client.socket.settimeout(0.05)
                with contextlib.suppress(socket.timeout):
                    if client.socket.recv(100).startswith(b"HTTP/1.1 408 "):
                        return
                assert time.monotonic() - begin < scaled(25), "it is still listened to"


async def test_who_never_finishes_its_handshake_holds_nobody_up(make_gateway, database):
    gateway = make_gateway(database, head_timeout=1).start()
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connect(gateway)) for _ in range(200)]
        await other_is_served(gateway, database, "while they wait")
        for client in idle:
            assert client.response()[0] == 408


async def test_who_never_reads_is_closed_and_resumes(make_gateway, database, metrics):  # noqa: F811
    gateway = make_gateway(database, max_queue_bytes=65536, max_queue_seconds=1, **metrics.options).start()
    async with BusClient(gateway.url, ["x"]) as other:
        await other.subscribed()
        with connect(gateway) as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.upgrade().send_event("subscribe", {"channels": ["x"], "last": 0})
            until(lambda: metrics.values()["odoo_bus_subscriptions"] == 4, lambda: "it does not subscribe")
            sent = 0
            while not any(value for name, value in metrics.values().items() if name.startswith("odoo_bus_slow_closes")):
                assert sent < 2000, "it is still served"
                for _ in range(20):
                    database.sendone("x", payload="x" * 20_000)
                    sent += 1
            await other.wait_for(sent)
        async with BusClient(gateway.url, ["x"], last=other.ids[0]) as again:
            await again.wait_for(sent - 1)
            assert again.ids == other.ids[1:]


async def test_a_message_that_never_ends(make_gateway, database):
    gateway = make_gateway(database, head_timeout=0.4).start()
    with connect(gateway) as client:
        client.upgrade()
        client.send_frame(TEXT, b"{", fin=False)
        client.send_frame(CONTINUATION, b"", fin=False)
        assert client.receive_close() == (1013, "a message takes too long")


async def test_fragments_without_end(make_gateway, database):
    gateway = make_gateway(database, max_message_bytes=1000).start()
    with connect(gateway) as client:
        client.upgrade()
        client.send_frame(BINARY, b"x", fin=False)
        client.send(encode_frame(CONTINUATION, b"x", fin=False) * 1000)
        assert client.receive_close()[0] == 1009


@pytest.mark.parametrize("opcode, payload", [(PING, b"x" * 100), (CONTINUATION, b"")])
async def test_a_flood_of_frames_that_libwebsockets_keeps_to_itself(make_gateway, database, opcode, payload):
    gateway = make_gateway(database, max_receive_rate=1000, max_message_bytes=1000).start()
    with connect(gateway) as client:
        client.upgrade()
        if opcode == CONTINUATION:
            client.send_frame(TEXT, b"", fin=False)
        flood = encode_frame(opcode, payload, fin=opcode == PING) * 20
        begin = time.monotonic()
        seen = b""
        with contextlib.suppress(ConnectionError):
            while b"too many bytes" not in seen:
                assert time.monotonic() - begin < scaled(90), "it may go on for ever"
                client.socket.settimeout(0.05)
                with contextlib.suppress(socket.timeout):
                    received = client.socket.recv(65536)
                    if not received:
                        break
                    seen = (seen + received)[-4096:]
                client.socket.settimeout(DEADLINE)
                client.send(flood)
        await other_is_served(gateway, database, "after the flood")


def test_ten_thousand_connections_from_one_address(make_gateway, database, metrics):  # noqa: F811
    # Half of them never ask for anything, for as long as a busy machine needs for the rest. Whether it is healthy
    # was not asked before: who asked would have the seat of one of them until the gateway sees that it has gone.
    gateway = make_gateway(database, trusted_proxy="none", max_connections_per_address=50, head_timeout=600,
                           **metrics.options).start(healthy=False)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(gateway)) for _ in range(50)]
        for client in clients[:25]:
            client.upgrade()
        for _ in range(500):
            with connect(gateway) as one_more:
                with contextlib.suppress(ConnectionError):
                    assert one_more.response()[0] == 429
        # Whom a handshake has let in is counted when it has been answered, by another thread than that which refuses.
        metrics.wait_for('odoo_bus_connections{transport="websocket"}', 25)
        assert metrics.values()['odoo_bus_http_answers_total{status="429"}'] == 500
        clients[0].socket.close()
        metrics.wait_for('odoo_bus_connections{transport="websocket"}', 24)
        until(lambda: can_connect(gateway), lambda: "the seat of one that has gone stays taken")


def can_connect(gateway):
    with connect(gateway) as client, contextlib.suppress(ConnectionError):
        return client.request().response()[0] == 101


def test_behind_a_proxy_its_clients_are_told_apart(make_gateway, database):
    gateway = make_gateway(database, trusted_proxy="127.0.0.0/8", max_connections_per_address=3).start()
    with contextlib.ExitStack() as stack:
        def status(address):
            headers = HANDSHAKE | ({"X-Forwarded-For": address} if address else {})
            return stack.enter_context(connect(gateway)).request(headers=headers).response()[0]
        assert [status("192.0.2.1") for _ in range(4)] == [101, 101, 101, 429]
        assert [status("192.0.2.2, 192.0.2.1"), status("192.0.2.1, 192.0.2.2")] == [429, 101]
        assert [status(f"203.0.113.7:{port}") for port in range(1, 5)] == [101, 101, 101, 429]
        assert [status(f"[2001:db8::7]:{port}") for port in range(1, 5)] == [101, 101, 101, 429]
        assert [status(unreadable) for unreadable in ("unknown", "_a", "203.0.113.7:http", "1")] == [101, 101, 101, 429]
        assert [status(None) for _ in range(5)] == [101] * 5


@pytest.mark.unsanitized  # UndefinedBehaviorSanitizer needs descriptors itself
async def test_without_descriptors_the_connected_are_served_and_nothing_spins(make_gateway, database):
    gateway = make_gateway(database, wrapper=["prlimit", "--nofile=120:120"], max_connections_per_address=0, hub_database="none")
    await asyncio.to_thread(gateway.start)
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        with contextlib.ExitStack() as stack:
            statuses = []
            while 503 not in statuses and len(statuses) < 200:
                statuses.append(await asyncio.to_thread(
                    lambda: stack.enter_context(connect(gateway)).request().response()[0]))
            assert set(statuses) == {101, 503}
            for _ in range(20):  # they wait, and are not read
                stack.enter_context(connect(gateway))
            before = seconds_of_processor(gateway)
            await asyncio.sleep(2)  # what is used meanwhile cannot be awaited
            assert seconds_of_processor(gateway) - before < 0.5
            for n in range(10):
                await asyncio.to_thread(database.sendone, "a", payload=n)
                await client.wait_payload(n)
        await asyncio.to_thread(until, lambda: can_connect(gateway), lambda: "nobody is let in after that")
        assert client.connections == 1


def seconds_of_processor(gateway):
    user, system = Path(f"/proc/{gateway.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_too_many_handshakes_of_one_address(make_gateway, database):
    gateway = make_gateway(database, trusted_proxy="none", max_handshakes_per_address=1).start()
    statuses = []
    for n in range(12):
        with connect(gateway) as client:
            # Who is no proxy that is trusted has the address that it has.
            headers = HANDSHAKE | {"X-Forwarded-For": f"192.0.2.{n}"}
            statuses.append(client.request(headers=headers).response()[0])
    assert statuses[:5] == [101] * 5
    assert 429 in statuses


# Each stays open for as long as its client likes: there is nothing to tell.
OPENED = {
    "websocket": lambda client: client.request(),
    "events": lambda client: client.request(path="/bus/events?channels=quiet", headers={"Host": "x"}),
    "poll": lambda client: client.request("POST", "/longpolling/poll", {"Host": "x", "Content-Length": len(POLL)}, POLL),
}
POLL = b'{"id": 1, "params": {"channels": ["quiet"], "last": 0}}'


def held(gateway, stack, transport, number):
    """So many connections that are open, and held."""
    clients = [stack.enter_context(connect(gateway)) for _ in range(number)]
    for client in clients:
        OPENED[transport](client)
        if transport != "poll":
            assert client.response()[0] in (101, 200)
    return clients


@pytest.mark.parametrize("held_by", OPENED)
def test_all_connections_count_whatever_they_are(make_gateway, database, metrics, held_by):  # noqa: F811
    gateway = make_gateway(database, max_connections=3, **metrics.options).start()
    with contextlib.ExitStack() as stack:
        clients = held(gateway, stack, held_by, 3)
        metrics.wait_for(f'odoo_bus_connections{{transport="{held_by}"}}', 3)
        for transport, opened in OPENED.items():
            with connect(gateway) as one_more:
                opened(one_more)
                status, headers, _ = one_more.response()
                assert status == 503 and int(headers["retry-after"]) > 0, transport
        clients[0].socket.close()
        until(lambda: can_connect(gateway), lambda: "the seat of one that has gone stays taken")


@pytest.mark.parametrize("held_by", OPENED)
def test_an_address_has_so_many_connections_whatever_they_are(make_gateway, database, held_by):
    gateway = make_gateway(database, trusted_proxy="127.0.0.0/8", max_connections_per_address=3).start()

    def opened(client, transport, address):
        method, path, headers, body = {
            "websocket": ("GET", "/websocket", HANDSHAKE, b""),
            "events": ("GET", "/bus/events?channels=quiet", {"Host": "x"}, b""),
            "poll": ("POST", "/longpolling/poll", {"Host": "x", "Content-Length": len(POLL)}, POLL)}[transport]
        return client.request(method, path, {**headers, "X-Forwarded-For": address}, body)

    with contextlib.ExitStack() as stack:
        for _ in range(3):
            opened(stack.enter_context(connect(gateway)), held_by, "192.0.2.1")
        until(lambda: gateway.established() == 3, lambda: "they have not come")
        for transport in OPENED:
            def refused():
                with connect(gateway) as one_more:
                    one_more.socket.settimeout(scaled(1))
                    with contextlib.suppress(socket.timeout):
                        return opened(one_more, transport, "192.0.2.1").response()[0] == 429
            until(refused, lambda: f"one more {transport} is served")
        with connect(gateway) as another:
            assert opened(another, "events", "192.0.2.2").response()[0] == 200


@pytest.mark.parametrize("transport", OPENED)
def test_an_address_opens_so_many_in_a_while_whatever_they_are(make_gateway, database, transport):
    gateway = make_gateway(database, trusted_proxy="none", max_handshakes_per_address=1).start()
    statuses = []
    while 429 not in statuses:
        assert len(statuses) < 200
        with connect(gateway) as client:
            if transport == "poll":
                asks = POLL.replace(b'"last"', b'"confirm": 1, "last"')  # and is answered at once
                client.request("POST", "/longpolling/poll", {"Host": "x", "Content-Length": len(asks)}, asks)
            else:
                OPENED[transport](client)
            statuses.append(client.response()[0])
    assert statuses[:5] == [101 if transport == "websocket" else 200] * 5


@pytest.mark.parametrize("transport", OPENED)
def test_all_together_open_so_many_in_a_while(make_gateway, database, transport):
    gateway = make_gateway(database, trusted_proxy="127.0.0.0/8", max_handshakes=1).start()
    asks = POLL.replace(b'"last"', b'"confirm": 1, "last"')  # and is answered at once
    method, path, headers, body = {
        "websocket": ("GET", "/websocket", HANDSHAKE, b""),
        "events": ("GET", "/bus/events?channels=quiet", {"Host": "x"}, b""),
        "poll": ("POST", "/longpolling/poll", {"Host": "x", "Content-Length": len(asks)}, asks)}[transport]
    statuses = []
    while 503 not in statuses:
        assert len(statuses) < 200
        address = {"X-Forwarded-For": f"192.0.2.{len(statuses)}"}
        with connect(gateway) as client:
            status, answered, _ = client.request(method, path, {**headers, **address}, body).response()
            statuses.append(status)
    assert statuses[:5] == [101 if transport == "websocket" else 200] * 5
    assert int(answered["retry-after"]) > 0


def test_what_waits_for_who_does_not_read_is_not_in_the_kernel(make_gateway, database, metrics):  # noqa: F811
    """Where it would take megabytes for each, and --max-queue-bytes would not count it."""
    gateway = make_gateway(database, **metrics.options).start()
    with connect(gateway) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.upgrade().send_event("subscribe", {"channels": ["x"], "last": 0})
        for _ in range(20):
            database.sendone("x", payload="x" * 50_000)
        until(lambda: metrics.values()["odoo_bus_backlog_bytes"] > 500_000,
              lambda: f"{metrics.values()['odoo_bus_backlog_bytes']} bytes wait in the gateway")


async def test_memory_has_a_ceiling(make_gateway, database, metrics):  # noqa: F811
    """Clients whose messages are never finished hold memory; the gateway sheds them and goes on."""
    frees_at_once = {"ASAN_OPTIONS": "exitcode=99:quarantine_size_mb=1"}
    gateway = make_gateway(database, **metrics.options, max_message_bytes="4MiB", max_receive_rate="1GiB",
                           environment=frees_at_once).start()
    ceiling = int(metrics.values()["process_resident_memory_bytes"]) + (32 << 20)
    gateway.terminate()
    gateway.options["max_memory"] = ceiling
    gateway.start()
    highest = 0
    async with BusClient(gateway.url, ["x"]) as other:
        await other.subscribed()
        with contextlib.ExitStack() as stack:
            part = encode_frame(BINARY, b"x" * (3 << 20), fin=False)
            for _ in range(60):
                client = stack.enter_context(connect(gateway))
                with contextlib.suppress(ConnectionError, AssertionError):
                    client.upgrade()
                    await asyncio.to_thread(client.send, part)
                highest = max(highest, metrics.values()["process_resident_memory_bytes"])
            until(lambda: metrics.values()["odoo_bus_shed_connections_total"] > 0, lambda: "nobody is shed")
            assert highest < ceiling + (64 << 20)
            # Who holds nothing is not closed, and is served.
            database.sendone("x", payload="still here")
            await other.wait_payload("still here")
            assert other.connections == 1
        metrics.wait_for("odoo_bus_memory_ceiling_reached", 0)
        await other_is_served(gateway, database, "admitted again")
