"""The WebSocket protocol as Odoo's shipped client expects it."""
import asyncio
import json
import socket

import pytest

from harness.client import BINARY, PING, PONG, TEXT, BusClient, RawClient, encode_frame
from harness.deadline import scaled
from harness.wait import until

from metrics_test import Metrics


@pytest.fixture
def raw(gateway):
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        yield raw.upgrade()


async def test_a_notification_has_id_type_and_payload(gateway, database):
    payload = {"text": "é ☃ 𝄞 \u0001 \" \\ /", "list": [1, 2.5, None, True], "nested": {"a": {}}}
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        row = database.sendone("a", "my_module.update", payload)
        await client.wait_for(1)
    assert client.frames == [[{"id": row, "message": {"type": "my_module.update", "payload": payload}}]]


async def test_everyone_gets_broadcast(gateway, database):
    async with BusClient(gateway.url, []) as one, BusClient(gateway.url, ["a"]) as two:
        await one.subscribed()
        await two.subscribed()
        row = database.sendone("broadcast", payload="to all")
        await one.wait_for(1)
        await two.wait_for(1)
        assert one.ids == two.ids == [row]


async def test_only_subscribed_channels_arrive(gateway, database):
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        database.sendmany([["b", "t", 1], [["a", 1], "t", 2], [["res.partner", 3, "a"], "t", 3], ["A", "t", 4],
                           ["a", "t", 5]])
        await client.wait_payload(5)
        assert client.payloads == [5]


async def test_rows_of_other_databases_do_not_arrive(gateway, database):
    """A channel carries its database's name; a row with another name is for nobody here."""
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        with database.connect() as connection:
            connection.execute("""INSERT INTO bus_bus (channel, message)
                                  VALUES ('["elsewhere","a"]', '{"type":"t","payload":1}')""")
        database.sendone("a", payload=2)
        await client.wait_payload(2)
        assert client.payloads == [2]


async def test_rows_that_odoo_writes_arrive(gateway, database, cluster):
    """Odoo inserts by itself and notifies in the database `postgres`, after its commit."""
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        with database.connect() as connection:
            connection.execute("""INSERT INTO bus_bus (channel, message, create_date)
                                  VALUES (%s, '{"type":"t","payload":1}', now() AT TIME ZONE 'utc')""",
                               (database.channel("a"),))
        cluster.execute("SELECT pg_notify('imbus', %s)", (f"[{database.channel('a')}]",))
        await client.wait_payload(1)


async def test_rows_without_any_doorbell_arrive(gateway, database):
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        with database.connect() as connection:
            connection.execute("INSERT INTO bus_bus (channel, message) VALUES (%s, '{\"type\":\"t\",\"payload\":1}')",
                               (database.channel("a"),))
        await client.wait_payload(1)


@pytest.mark.parametrize("message", ["", "not json", "[]", "{}", '{"type":"t"', '{"type":"t","payload":1}]', "\\u0000"])
async def test_a_broken_row_breaks_no_frame(gateway, database, message):
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        with database.connect() as connection:
            connection.execute("INSERT INTO bus_bus (channel, message) VALUES (%s, %s), (NULL, NULL), ('x', 'y')",
                               (database.channel("a"), message))
        database.sendone("a", payload="after")
        await client.wait_payload("after")
        assert client.connections == 1


async def test_subscribe_replaces_the_subscription(gateway, database):
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        await client.subscribe(["b"])
        await client.settle()
        database.sendmany([["a", "t", "old"], ["b", "t", "new"]])
        await client.wait_payload("new")
        assert client.payloads == ["new"]


async def test_a_second_subscribe_sends_nothing_twice(gateway, database):
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        database.sendmany([["a", "t", 1], ["b", "t", "earlier"], ["a", "t", 2]])
        await client.wait_payload(2)
        await client.subscribe(["a", "b"], last=0)
        await client.subscribe(["a", "b"])
        await client.settle()
        database.sendone("a", payload=3)
        await client.wait_payload(3)
        assert [p for p in client.payloads if p != "earlier"] == [1, 2, 3]


async def test_a_refused_subscribe_keeps_the_former_one(gateway, database):
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        for channels in ([database.channel("b")], ["b", 3], "b", None, [["b"]]):
            await client.send("subscribe", {"channels": channels, "last": 0})
        await client.settle()
        database.sendmany([["b", "t", "refused"], ["a", "t", "kept"]])
        await client.wait_payload("kept")
        assert client.payloads == ["kept"]
        assert client.connections == 1


async def test_an_array_in_string_form_grants_nothing(gateway, database):
    async with BusClient(gateway.url, [database.channel("res.partner", 3)]) as client:
        await client.subscribed()
        database.value("SELECT bus_sendone('res.partner', 3, 't', '1')")
        await client.subscribe(["a"])
        await client.settle()
        database.sendone("a", payload="end")
        await client.wait_payload("end")
        assert client.payloads == ["end"]


# --- last ---

async def test_last_0_replays_the_last_50_seconds(make_gateway, database):
    with database.connect() as connection:
        connection.execute("""INSERT INTO bus_bus (channel, message, create_date)
            SELECT %s, format('{"type":"t","payload":%%s}', age), now() AT TIME ZONE 'utc' - age * interval '1 second'
            FROM unnest(ARRAY[3600, 90, 20, 1]) age""", (database.channel("a"),))
    gateway = make_gateway(database).start()
    async with BusClient(gateway.url, ["a"], last=0) as client:
        await client.subscribed()
        database.sendone("a", payload="live")
        await client.wait_payload("live")
        assert client.payloads == [20, 1, "live"]


async def test_last_resumes_after_it(gateway, database):
    async with BusClient(gateway.url, ["a"]) as first:
        await first.subscribed()
        ids = database.sendmany([["a", "t", n] for n in range(10)])
        await first.wait_for(10)
    async with BusClient(gateway.url, ["a"], last=ids[3]) as client:
        await client.subscribed()
        database.sendone("a", payload="live")
        await client.wait_payload("live")
        assert client.payloads == [4, 5, 6, 7, 8, 9, "live"]


async def test_last_older_than_the_gateway_is_read_from_the_table(make_gateway, database):
    ids = database.sendmany([["a", "t", n] for n in range(10)] + [["b", "t", "other"]])
    database.execute("UPDATE bus_bus SET create_date = create_date - interval '1 hour' WHERE id < %s", (ids[8],))
    gateway = make_gateway(database).start()
    async with BusClient(gateway.url, ["a"], last=ids[1]) as client:
        await client.subscribed()
        database.sendone("a", payload="live")
        await client.wait_payload("live")
        assert client.payloads == [2, 3, 4, 5, 6, 7, 8, 9, "live"]


async def test_last_above_the_newest_counts_as_0(gateway, database):
    database.sendone("a", payload="recent")
    async with BusClient(gateway.url, ["a"], last=1_000_000) as client:
        await client.subscribed()
        database.sendone("a", payload="live")
        await client.wait_payload("live")
        assert client.payloads == ["recent", "live"]
        assert client.internal == []


@pytest.mark.parametrize("last", [None, "7", 1.5, [], -1, 2**70])
async def test_last_that_is_no_id_counts_as_0(gateway, database, last):
    database.sendone("a", payload="recent")
    async with BusClient(gateway.url, ["a"]) as client:
        client.last = last
        await client.subscribed()
        database.sendone("a", payload="live")
        await client.wait_payload("live")
        assert client.payloads == ["recent", "live"]


async def test_last_is_a_position_not_a_maximum(gateway, database):
    """A low id that is committed late comes after a higher one, and resuming starts after it."""
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        with database.connect(autocommit=False) as late:
            low = late.execute("SELECT bus_sendone('a', 't', '\"late\"')").fetchone()[0]
            high = database.sendone("a", payload="early")
            await client.wait_payload("early")
            late.commit()
        await client.wait_payload("late")
        assert client.ids == [high, low]
    async with BusClient(gateway.url, ["a"], last=low) as resumed, BusClient(gateway.url, ["a"], last=high) as missed:
        await resumed.subscribed()
        await missed.subscribed()
        database.sendone("a", payload="end")
        await resumed.wait_payload("end")
        await missed.wait_payload("end")
        assert resumed.payloads == ["end"]
        assert missed.payloads == ["late", "end"]


async def test_a_client_that_comes_back_misses_nothing(gateway, database):
    async with BusClient(gateway.url, ["a"]) as client:
        for n in range(20):
            database.sendone("a", payload=2 * n)
            if n % 4 == 0:
                await client.until(lambda: client.socket is not None and client.socket.open, "the connection opens")
                client.socket.transport.abort()
            database.sendone("a", payload=2 * n + 1)
            await client.wait_for(2 * n + 2)
        assert client.payloads == list(range(40))
        assert client.connections >= 5


async def test_outdated_clients_that_ask_are_told(gateway, database):
    ids = database.sendmany([["a", "t", n] for n in range(5)])
    database.execute("DELETE FROM bus_bus WHERE id <= %s", (ids[4],))
    # A gateway that starts anew does not have the row in its history either: it is gone for good.
    gateway.terminate()
    newest = database.sendone("a", payload="newest")
    gateway.start()
    async with BusClient(gateway.url, ["a"], last=ids[1], check_outdated=True) as client:
        await client.until(lambda: client.internal, "an internal element")
        await client.wait_payload("newest")
        outdated = {"type": "bus/subscription_outdated", "internal": True, "payload": None}
        assert client.internal == [outdated]
        assert [outdated] in client.frames
        assert client.ids == [newest]


async def test_a_reset_last_is_told_to_clients_that_know_internal_elements(gateway, database):
    async with BusClient(gateway.url, ["a"]) as first:
        await first.subscribed()
        newest = database.sendone("a", payload="recent")
        await first.wait_for(1)
    async with BusClient(gateway.url, ["a"], last=newest + 1000, check_outdated=True) as client:
        await client.until(lambda: client.internal, "an internal element")
        assert client.internal == [{"type": "bus/last_id_reset", "internal": True, "payload": newest}]


@pytest.mark.parametrize("knows", [True, False], ids=["20.0", "19.0"])
async def test_channels_that_are_added_begin_after_last_in_20(make_gateway, database, knows):
    metrics = Metrics()
    gateway = make_gateway(database, history_seconds=1, **metrics.options).start()
    begin = database.sendone("z", payload="before")
    old = [database.sendone(channel, payload=payload) for channel, payload in (("b", 1), ("a", 1), ("c", 1), ("b", 2))]
    async with BusClient(gateway.url, ["a"], last=begin, check_outdated=False if knows else None) as client:
        await client.wait_payload(1)
        # The history forgets it all; what is asked for from now on is in the table only.
        label = f'{{database="{database.name}"}}'
        reads = metrics.values()["odoo_bus_reads_total" + label]
        await asyncio.to_thread(until, lambda: metrics.values()["odoo_bus_reads_total" + label] > reads + 3, gateway.tail)
        await asyncio.to_thread(metrics.wait_for, "odoo_bus_history_notifications" + label, 0)
        await client.subscribe(["a", "b"], last=begin)
        await client.settle()
        database.sendone("b", payload=3)
        await client.wait_payload(3)
        assert client.payloads == ([1, 1, 2, 3] if knows else [1, 3])
        assert client.internal == []
        if not knows:
            return
        # One that is kept and left, and one that is added: each where it is.
        await client.subscribe(["b", "c"], last=old[3])
        await client.settle()
        database.sendone("c", payload=4)
        await client.wait_payload(4)
        assert client.payloads == [1, 1, 2, 3, 4]
        # A `last` that nobody has given counts as 0, and everything that is kept is new.
        await client.subscribe(["b", "c", "z"], last=client.last + 1000)
        await client.wait_payload("before")
        assert client.internal == [{"type": "bus/last_id_reset", "internal": True, "payload": client.ids[-2]}]
        # And one whose row is gone: something may have been missed.
        database.execute("DELETE FROM bus_bus WHERE id = %s", (begin,))
        client.check_outdated = True
        await client.subscribe(["b", "c", "a"], last=begin)
        await client.until(lambda: len(client.internal) == 2, "it is told to be outdated")
        assert client.internal[1] == {"type": "bus/subscription_outdated", "internal": True, "payload": None}
        database.sendone("a", payload=5)
        await client.wait_payload(5)
        assert client.payloads == [1, 1, 2, 3, 4, "before", 1, 5]
        assert client.connections == 1


# --- events and frames that mean nothing ---

async def test_unknown_and_invalid_events_are_ignored(make_gateway, database):
    metrics = Metrics()
    gateway = make_gateway(database, rate_limit_burst=1000, **metrics.options).start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        for text in ['{"event_name":"my_module/ping","data":{"a":1}}', '{"event_name":"unknown"}', "not json", "", "[]",
                     "{}", '"x"', "null", '{"event_name":5}', '{"event_name":"subscribe"}', "[" * 1000,
                     '{"event_name":"update_presence","data":{"inactivity_period":4000}}',
                     '{"event_name":"update_presence","data":"x"}']:
            await client.socket.send(text)
        await client.socket.send(b"\x00")
        await client.socket.send(b"")
        await client.socket.send(b"\xff\xfe\x00binary")
        await client.settle()
        database.sendone("a", payload=1)
        await client.wait_payload(1)
        assert client.connections == 1
        assert metrics.values()["odoo_bus_ignored_events_total"] == 12  # not the presence, nor what is binary


def test_ping_is_answered_with_its_payload(raw):
    raw.send_frame(PING, b"are you there")
    assert raw.receive_frame() == (PONG, b"are you there")


def test_a_message_in_fragments_is_one_message(raw, database):
    event = json.dumps({"event_name": "subscribe", "data": {"channels": ["é☃"], "last": 0}}, ensure_ascii=False).encode()
    cut = event.index("☃".encode()) + 1
    raw.send_frame(TEXT, event[:10], fin=False)
    raw.send_frame(PING, b"between")
    raw.send_frame(0, event[10:cut], fin=False)
    raw.send_frame(0, event[cut:])
    assert raw.receive_frame() == (PONG, b"between")
    database.sendone("é☃", payload=1)
    opcode, payload = raw.receive_frame()
    assert opcode == TEXT
    assert json.loads(payload)[0]["message"]["payload"] == 1


def test_frames_have_each_form_of_length(raw, database):
    raw.send_event("subscribe", {"channels": ["a"], "last": 0})
    database.sendone("a", payload="")
    _, smallest = raw.receive_frame()
    for length in (125, 126, 127, 65535, 65536, 1_000_000):
        database.sendone("a", payload="x" * (length - len(smallest)))
        opcode, payload = raw.receive_frame()
        assert (opcode, len(payload)) == (TEXT, length)
        assert json.loads(payload)[0]["message"]["payload"] == "x" * (length - len(smallest))


def test_pongs_stand_between_frames_that_do_not_fit_into_the_socket(make_gateway, database):
    """Frames are written past libwebsockets, which answers pings itself: neither may break into the rest of the other."""
    gateway = make_gateway(database, max_queue_bytes=100_000_000, max_queue_seconds=60, rate_limit_burst=1000).start()
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        raw.upgrade().send_event("subscribe", {"channels": ["a"], "last": 0, "confirm": 1})
        got, pongs, answers = [], set(), 0
        for number in range(60):
            database.sendone("a", payload=[number, "x" * 200_000])
            raw.send_frame(PING, str(number).encode())
            raw.send_event("bus/ping", {})
        while not got or got[-1] < 59 or answers < 60:
            opcode, payload = raw.receive_frame()
            if opcode == PONG:
                pongs.add(int(payload))
                continue
            for element in json.loads(payload):
                if element.get("internal"):
                    answers += element["type"] == "bus/pong"
                else:
                    got.append(element["message"]["payload"][0])
        assert got == list(range(60))
        assert pongs and pongs <= set(range(60))


# --- close codes ---

def test_a_message_over_1_mib_closes_with_1009(raw):
    raw.send_frame(TEXT, b"x" * (1024 * 1024 + 1))
    assert raw.receive_close()[0] == 1009


def test_fragments_over_1_mib_close_with_1009(raw):
    raw.send_frame(TEXT, b"x" * 600_000, fin=False)
    raw.send_frame(0, b"x" * 600_000)
    assert raw.receive_close()[0] == 1009


def test_a_message_of_1_mib_is_read(raw, database):
    raw.send_frame(TEXT, b"x" * (1024 * 1024))
    raw.send_event("subscribe", {"channels": ["a"], "last": 0})
    database.sendone("a", payload=1)
    assert raw.receive_frame()[0] == TEXT


def test_too_many_messages_close_with_1013(raw):
    raw.send(encode_frame(TEXT, b'{"event_name":"x"}') * 11)
    assert raw.receive_close()[0] == 1013


def test_ten_messages_at_once_are_allowed(raw, database):
    raw.send(encode_frame(TEXT, b'{"event_name":"x"}') * 9)
    raw.send_event("subscribe", {"channels": ["a"], "last": 0})
    database.sendone("a", payload=1)
    assert raw.receive_frame()[0] == TEXT


@pytest.mark.parametrize("text", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b'{"event_name":"\xe2\x98"}'])
def test_text_that_is_not_utf8_closes_with_1007(raw, text):
    raw.send_frame(TEXT, text)
    assert raw.receive_close()[0] == 1007


@pytest.mark.parametrize("frame", [
    pytest.param(encode_frame(0x3, b"x"), id="reserved opcode"),
    pytest.param(encode_frame(TEXT, b"{}", reserved=4), id="reserved bit"),
    pytest.param(encode_frame(PING, b"x", fin=False), id="control frame in fragments"),
    pytest.param(encode_frame(0x0, b"x"), id="continuation of nothing"),
])
def test_a_broken_frame_closes_with_1002(raw, frame):
    raw.send(frame)
    assert raw.receive_close()[0] == 1002


def test_a_control_frame_that_is_too_long_ends_the_connection(raw):
    """libwebsockets says no code for it."""
    raw.send(encode_frame(PING, b"x" * 126))
    raw.wait_end()


def test_a_client_that_closes_is_answered(raw):
    raw.send_frame(8, b"\x03\xe8")
    assert raw.receive_close()[0] == 1000
    raw.wait_end()


async def test_keep_alive_closes_with_4002_and_the_client_resumes(make_gateway, database):
    gateway = make_gateway(database, keep_alive=0.5).start()
    async with BusClient(gateway.url, ["a"], delay_scale=0.01) as client:
        for n in range(3):
            database.sendone("a", payload=n)
            assert (await client.wait_closed(n + 1))[0] == 4002
        database.sendone("a", payload="end")
        await client.wait_payload("end")
        assert client.payloads == [0, 1, 2, "end"]


def test_silence_is_pinged_and_answered_pings_keep_the_connection(make_gateway, database):
    gateway = make_gateway(database, ping_interval=0.2, pong_timeout=scaled(5)).start()
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.upgrade()
        for _ in range(4):
            opcode, payload = raw.receive_frame()
            assert opcode == PING
            raw.send_frame(PONG, payload)


def test_an_unanswered_ping_ends_the_connection(make_gateway, database):
    gateway = make_gateway(database, ping_interval=0.2, pong_timeout=0.3).start()
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.upgrade()
        assert raw.receive_frame()[0] == PING
        raw.wait_end()


async def test_a_client_that_does_not_read_costs_the_others_nothing(make_gateway, database):
    gateway = make_gateway(database, max_queue_bytes=200_000, max_queue_seconds=2).start()
    with RawClient(("127.0.0.1", gateway.port)) as deaf:
        deaf.upgrade()
        deaf.send_event("subscribe", {"channels": ["a"], "last": 0})
        async with BusClient(gateway.url, ["a"]) as client:
            await client.subscribed()
            sent = 0
            deaf_is_closed = "closing a slow client"
            while not any(deaf_is_closed in line for line in gateway.lines):
                assert sent < 2000, "the client that does not read was never closed"
                database.sendone("a", payload=[sent, "x" * 50_000])
                sent += 1
                await client.wait_for(sent)
            assert client.connections == 1
            assert [p[0] for p in client.payloads] == list(range(sent))


async def test_many_connections_at_once(gateway, database):
    clients = [BusClient(gateway.url, ["a", f"own{n}"]).start() for n in range(200)]
    try:
        await asyncio.gather(*(client.subscribed() for client in clients))
        database.sendmany([[f"own{n}", "t", n] for n in range(200)] + [["a", "t", "all"]])
        await asyncio.gather(*(client.wait_payload("all") for client in clients))
        assert [client.payloads for client in clients] == [[n, "all"] for n in range(200)]
    finally:
        await asyncio.gather(*(client.stop() for client in clients))


def test_binary_frames_say_nothing(raw):
    raw.send_frame(BINARY, b"\x00")
    raw.send_frame(PING, b"1")
    assert raw.receive_frame() == (PONG, b"1")


# --- extensions: nothing of them reaches a client that does not ask for them ---

async def test_a_subscription_is_confirmed_to_those_who_ask(gateway, database):
    database.sendone("a", payload="before")
    first = database.value("SELECT max(id) FROM bus_bus")
    async with BusClient(gateway.url, ["a"]) as earlier:
        await earlier.wait_payload("before")  # the gateway has read it
    async with BusClient(gateway.url, ["a"], extensions={"confirm": 7, "name_channels": True}) as client:
        await client.until(lambda: client.internal, "a confirmation")
        assert client.internal == [{"type": "bus/subscribed", "internal": True, "payload": {"confirm": 7, "last": first}}]
        database.sendone("a", payload="after")
        await client.wait_payload("after")
        channel = [database.name, "a"]
        assert [n["channel"] for n in client.notifications] == [channel, channel]
        await client.send("bus/ping", None)
        await client.until(lambda: len(client.internal) == 2, "a pong")
        assert client.internal[1] == {"type": "bus/pong", "internal": True, "payload": {"last": client.ids[-1]}}


async def test_a_client_of_odoo_sees_nothing_of_the_extensions(gateway, database):
    async with BusClient(gateway.url, ["a"]) as stock, BusClient(gateway.url, ["a"], extensions={"confirm": 1, "name_channels": True}) as ours:
        await stock.subscribed()
        await ours.until(lambda: ours.internal, "a confirmation")
        for n in range(3):
            database.sendone("a", payload=n)
        await asyncio.gather(stock.wait_payload(2), ours.wait_payload(2))
        assert stock.internal == []
        assert all(set(n) == {"id", "message"} for n in stock.notifications)
        assert [n["message"] for n in ours.notifications] == [n["message"] for n in stock.notifications]


async def test_what_is_committed_after_the_confirmation_arrives(make_gateway, database):
    """Each channel is added while others send to it: nothing after its confirmation is missing."""
    gateway = make_gateway(database, rate_limit_burst=1000).start()
    async with BusClient(gateway.url, [], extensions={"confirm": 0, "name_channels": True}) as client:
        await client.until(lambda: client.internal, "a confirmation")
        for n in range(1, 20):
            database.sendone(f"c{n}", payload=["before", n])
            client.channels.append(f"c{n}")
            client.extensions["confirm"] = n
            await client.subscribe()
            await client.until(lambda: client.internal[-1]["payload"]["confirm"] == n, "the confirmation")
            database.sendone(f"c{n}", payload=["after", n])
            await client.wait_payload(["after", n])


async def test_last_of_a_confirmation_is_a_position(gateway, database):
    """A client that has received nothing comes back to where it was, not to 50 seconds ago."""
    async with BusClient(gateway.url, ["other"]) as other:
        await other.subscribed()
        database.sendone("other", payload=0)
        await other.wait_payload(0)
    async with BusClient(gateway.url, ["a"], extensions={"confirm": 1}) as client:
        await client.until(lambda: client.internal, "a confirmation")
        client.last = client.internal[0]["payload"]["last"]
        database.sendone("a", payload="while connected")
        await client.wait_payload("while connected")
        client.last = client.internal[0]["payload"]["last"]
        before = len(client.notifications)
        await client.socket.close(3000)
        await client.until(lambda: len(client.notifications) > before, "the notification again")
        assert client.payloads == ["while connected", "while connected"]
