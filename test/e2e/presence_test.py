"""Who is on a channel: the table bus_presence, and the notifications of who joins and leaves."""
import asyncio
import signal

import pytest
from psycopg.conninfo import make_conninfo

from harness.client import BusClient
from harness.deadline import scaled
from harness.door import Door
from harness.http_clients import TRANSPORTS, PollClient
from harness.tokens import Secret, claims
from harness.wait import until

from metrics_test import Metrics, metrics  # noqa: F401

SECRET = Secret()
# Short, so that tests are; a gateway is dead after three heartbeats.
QUICK = {"presence": "*", "presence_notifications": True, "presence_heartbeat": 0.5, "presence_grace": 0.5,
         "token_skew": 0}
# Where no gateway dies none is to be taken for dead because the machine has stood still for a second.
ALIVE = {"presence_heartbeat": 10}
# What the server answers to COMMIT: that, and that it waits for the next statement.
COMMITTED = b"COMMIT\0Z\0\0\0\5I"


@pytest.fixture
def presence_database(database):
    database.execute("SELECT bus_create_presence_table()")
    return database


@pytest.fixture
def make_presence_gateway(make_gateway, presence_database, tmp_path):
    def make(conninfo=None, **options):
        return make_gateway(conninfo or presence_database, auth="token", token_keys=SECRET.write(tmp_path / "keys"),
                            **QUICK | options).start()
    return make


def member(name, channels=("a",), **more):
    return {"Authorization": f"Bearer {SECRET.token(claims(channels, seconds=600, sub=name, **more))}"}


def client(gateway, name, channels=("a",), kind=BusClient, **options):
    return kind(gateway.url, channels, headers=member(name, channels), **options)


def online(database, channel="a"):
    return [name for name, in database.execute("SELECT member FROM bus_online WHERE channel = bus_channel(%s) ORDER BY 1",
                                               (channel,))]


def wait_online(database, *members, channel="a"):
    until(lambda: online(database, channel) == list(members), lambda: f"{online(database, channel)}, not {members}")


async def wait_online_async(database, *members, channel="a"):
    await asyncio.to_thread(wait_online, database, *members, channel=channel)


def joins(database):
    """The metric of the rows that a gateway knows it has written."""
    return f'odoo_bus_presence_joins_total{{database="{database.name}"}}'


def told(database, channel="a"):
    """What was sent to the channel of who joins and leaves: "join ann"."""
    return [f"{message['payload']['event']} {message['payload']['member']}" for _, stored, message in database.rows()
            if message["type"] == "presence" and stored == [database.name, channel]]



@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_join_and_leave_are_told_in_order(make_presence_gateway, presence_database, transport):
    # Between two polls nobody is there.
    gateway = make_presence_gateway(presence_grace=scaled(2) if transport == "poll" else 0.5)
    async with client(gateway, "watcher", ["a"], TRANSPORTS[transport]) as watcher:
        await wait_online_async(presence_database, "watcher")
        async with client(gateway, "ann"):
            await wait_online_async(presence_database, "ann", "watcher")
            async with client(gateway, "ann"):  # a second connection is no second member
                async with client(gateway, "bob"):
                    await wait_online_async(presence_database, "ann", "bob", "watcher")
                await wait_online_async(presence_database, "ann", "watcher")
        await wait_online_async(presence_database, "watcher")
        presence_database.sendone("a", payload="end")
        await watcher.wait_payload("end")
        expected = [("join", "watcher"), ("join", "ann"), ("join", "bob"), ("leave", "bob"), ("leave", "ann"), "end"]
        payloads = [p if p == "end" else (p["event"], p["member"]) for p in watcher.payloads]
        assert payloads[-5:] == expected[-5:] and payloads in (expected, expected[1:])
        assert watcher.notifications[-2]["message"]["type"] == "presence"
    since, = presence_database.execute("SELECT count(*) FROM bus_presence WHERE since > now()")[0]
    assert since == 0


async def test_only_what_is_asked_for(make_presence_gateway, presence_database):
    """Other channels, nobody, and whoever only looks are in no table; without the option nobody is told."""
    gateway = make_presence_gateway(presence=["room_*", "desk"], presence_notifications=False)
    channels = ["room_1", "desk", "a", "room"]
    async with client(gateway, "ann", channels), client(gateway, "", channels), client(gateway, "x" * 256, channels), \
            client(gateway, "new\nline", channels), client(gateway, "eve", ["a"]):
        await wait_online_async(presence_database, "ann", channel="room_1")
        async with client(gateway, "last", ["desk"]):
            await wait_online_async(presence_database, "ann", "last", channel="desk")
        assert presence_database.execute("SELECT DISTINCT member FROM bus_presence WHERE member <> 'last'") == [("ann",)]
        assert presence_database.value("SELECT count(*) FROM bus_presence WHERE member = 'ann'") == 2
        peek = PollClient(gateway.url, ["desk"], headers=member("looker", ["desk"]))
        peek.path = "/websocket/peek_notifications"
        await peek._request("POST", peek.path, {"params": {"channels": ["desk"], "last": 0, "is_first_poll": True}})
        peek.writer.close()
        async with client(gateway, "after", ["desk"]):
            await wait_online_async(presence_database, "after", "ann", channel="desk")
        assert presence_database.rows() == []


async def test_a_reload_is_no_leave_and_a_flapping_member_no_flood(make_presence_gateway, presence_database):
    gateway = make_presence_gateway(presence_grace=5)
    async with client(gateway, "watcher"):
        await wait_online_async(presence_database, "watcher")
        for _ in range(15):
            async with client(gateway, "ann") as ann:
                await ann.subscribed()
        await wait_online_async(presence_database, "ann", "watcher")
        await wait_online_async(presence_database, "watcher")
        assert told(presence_database) == ["join watcher", "join ann", "leave ann"]


async def test_a_channel_that_is_left(make_presence_gateway, presence_database):
    gateway = make_presence_gateway()
    async with BusClient(gateway.url, ["a", "b"], headers=member("ann", ["*"])) as ann:
        await wait_online_async(presence_database, "ann", channel="b")
        await ann.subscribe(["a", "c"])
        await wait_online_async(presence_database, "ann", channel="c")
        await wait_online_async(presence_database, channel="b")
        assert online(presence_database) == ["ann"] and told(presence_database) == ["join ann"]


async def test_two_gateways_agree(make_presence_gateway, presence_database):
    first, second = make_presence_gateway(**ALIVE), make_presence_gateway(**ALIVE)
    async with client(first, "watcher"), client(second, "watcher"):
        await asyncio.to_thread(until, lambda: presence_database.value(
            "SELECT count(*) FROM bus_presence WHERE member = 'watcher'") == 2, lambda: "not at both")
        async with client(first, "ann"):
            await wait_online_async(presence_database, "ann", "watcher")
            async with client(second, "ann") as at_second:
                await asyncio.to_thread(until, lambda: presence_database.value(
                    "SELECT count(*) FROM bus_presence WHERE member = 'ann'") == 2, lambda: "not at both")
                assert online(presence_database) == ["ann", "watcher"]
                await at_second.settle()
            await asyncio.to_thread(until, lambda: presence_database.value(
                "SELECT count(*) FROM bus_presence WHERE member = 'ann'") == 1, lambda: "still at both")
            assert sorted(told(presence_database)) == ["join ann", "join watcher"]
        await wait_online_async(presence_database, "watcher")
    assert sorted(told(presence_database)[:3]) == ["join ann", "join watcher", "leave ann"]


async def test_many_come_at_once_at_two_gateways(make_presence_gateway, presence_database):
    """Each is told of once, whichever gateway is first, and a client hears it in the order of the table."""
    gateways = [make_presence_gateway(**ALIVE), make_presence_gateway(**ALIVE)]
    names = [f"m{i:02}" for i in range(20)]
    async with client(gateways[0], "watcher") as watcher:
        await wait_online_async(presence_database, "watcher")
        crowd = [client(gateway, name).start() for name in names for gateway in gateways]
        await wait_online_async(presence_database, *names, "watcher")
        for each in crowd:
            await each.stop()
        await wait_online_async(presence_database, "watcher")
        lines = told(presence_database)
        assert sorted(lines) == sorted(["join watcher", *(f"{event} {name}" for name in names for event in ("join", "leave"))])
        presence_database.sendone("a", payload="end")
        await watcher.wait_payload("end")
        heard = [f"{p['event']} {p['member']}" for p in watcher.payloads[:-1]]
        assert heard in (lines, lines[1:])


async def test_a_killed_gateway_expires(make_presence_gateway, presence_database):
    # For so long the mover has time, and twice as long until it is taken for dead.
    options = {"presence_heartbeat": scaled(1.5)}
    first, second = make_presence_gateway(**options), make_presence_gateway(**options)
    async with client(second, "watcher"), client(first, "gone"), client(first, "mover") as mover:
        await wait_online_async(presence_database, "gone", "mover", "watcher")
        first.kill9()
        mover.url = second.url  # before it was taken for dead: neither a leave nor a join
        await wait_online_async(presence_database, "mover", "watcher")
        await asyncio.to_thread(until, lambda: "leave gone" in told(presence_database), lambda: "no leave")
        await asyncio.to_thread(until, lambda: presence_database.value(
            "SELECT count(*) FROM bus_presence_gateway") == 1, lambda: "the dead gateway is still listed")
        assert sorted(told(presence_database)) == ["join gone", "join mover", "join watcher", "leave gone"]
        assert presence_database.value("SELECT count(DISTINCT gateway) FROM bus_presence") == 1


async def test_when_all_gateways_are_dead_nobody_is_online(make_presence_gateway, presence_database):
    gateway = make_presence_gateway()
    async with client(gateway, "ann"):
        await wait_online_async(presence_database, "ann")
        gateway.kill9()
        await wait_online_async(presence_database)
        assert presence_database.value("SELECT count(*) FROM bus_presence") == 1


async def test_a_restarted_gateway_finds_who_was_there(make_presence_gateway, presence_database, tmp_path):
    gateway = make_presence_gateway(state_dir=tmp_path / "state", presence_heartbeat=20, presence_grace=scaled(5))
    async with client(gateway, "ann"):
        async with client(gateway, "bob"):
            await wait_online_async(presence_database, "ann", "bob")
            gateway.kill9()
        gateway.start()
        await wait_online_async(presence_database, "ann")
        assert sorted(told(presence_database)) == ["join ann", "join bob", "leave bob"]


async def test_a_gateway_that_slept_is_there_again(make_presence_gateway, presence_database):
    first, second = make_presence_gateway(), make_presence_gateway()
    async with client(second, "watcher"), client(first, "ann"):
        await wait_online_async(presence_database, "ann", "watcher")
        first.process.send_signal(signal.SIGSTOP)
        await asyncio.to_thread(until, lambda: "leave ann" in told(presence_database), lambda: "no leave")
        first.process.send_signal(signal.SIGCONT)
        await wait_online_async(presence_database, "ann", "watcher")
        assert [line for line in told(presence_database) if "ann" in line] == ["join ann", "leave ann", "join ann"]


async def test_the_server_restarts_and_nobody_is_told(make_presence_gateway, presence_database, cluster, metrics):  # noqa: F811
    """After a crash the unlogged table is empty: gateways fill it again, and only who came or went is told of."""
    metrics_of_first = Metrics()
    first, second = make_presence_gateway(**metrics_of_first.options), make_presence_gateway(**metrics.options)
    async with client(first, "ann"), client(second, "bob"):
        async with client(second, "leaver") as leaver:
            await wait_online_async(presence_database, "ann", "bob", "leaver")
            # They know it, too: who is not sure tells again.
            await asyncio.to_thread(metrics_of_first.wait_for, joins(presence_database), 1)
            await asyncio.to_thread(metrics.wait_for, joins(presence_database), 2)
            await asyncio.to_thread(cluster.stop, "immediate")
            await leaver.stop()
            # Delivery does not need presence: it waits for the database alone.
            async with client(first, "comer") as comer:
                await asyncio.to_thread(cluster.start)
                await asyncio.to_thread(first.wait_healthy)
                presence_database.sendone("a", payload="after")
                await comer.wait_payload("after")
                await wait_online_async(presence_database, "ann", "bob", "comer")
                await asyncio.to_thread(until, lambda: "leave leaver" in told(presence_database), lambda: "no leave")
                await asyncio.to_thread(cluster.restart)
                await wait_online_async(presence_database, "ann", "bob", "comer")
                await asyncio.to_thread(until, lambda: presence_database.value(
                    "SELECT count(*) FROM bus_presence_gateway WHERE expires > now()") == 2, lambda: "not both")
    lines = told(presence_database)
    assert sorted(lines[:5]) == ["join ann", "join bob", "join comer", "join leaver", "leave leaver"], lines


async def test_a_crash_before_the_commit_was_answered(make_presence_gateway, presence_database, cluster, metrics):  # noqa: F811
    """Whether others were told of the member cannot be known then: they are told that it leaves."""
    async with Door(cluster.port) as door:
        way = make_conninfo(cluster.conninfo(presence_database.name, tcp=True), port=door.port)
        gateway = await asyncio.to_thread(make_presence_gateway, way, presence_heartbeat=60, **metrics.options)
        async with client(gateway, "ann"):
            await asyncio.to_thread(metrics.wait_for, joins(presence_database), 1)
            door.hold(COMMITTED)
            async with client(gateway, "leaver"):
                await door.knocked.wait()
                await wait_online_async(presence_database, "ann", "leaver")
                await asyncio.to_thread(cluster.stop, "immediate")
                door.cut()
            await asyncio.to_thread(cluster.start)
            await asyncio.to_thread(until, lambda: told(presence_database)[-1] == "leave leaver", lambda: "no leave")
            assert told(presence_database) == ["join ann", "join leaver", "join leaver", "leave leaver"]


async def test_bounds(make_presence_gateway, presence_database):
    """So many rows and no more; everybody is served all the same."""
    gateway = make_presence_gateway(presence_max_members=3, presence_max_rows=5, presence_rate=5, **ALIVE)
    async with BusClient(gateway.url, [f"c{i}" for i in range(10)], headers=member("ann", ["*"])) as ann:
        await asyncio.to_thread(until, lambda: presence_database.value("SELECT count(*) FROM bus_presence") == 5,
                                lambda: "not five")
        presence_database.sendone("c9", payload="served")
        await ann.wait_payload("served")
        await asyncio.to_thread(gateway.wait_for_line, "--presence-max-rows")
        assert presence_database.value("SELECT count(*) FROM bus_presence") == 5
    await asyncio.to_thread(until, lambda: presence_database.value("SELECT count(*) FROM bus_presence") == 0,
                            lambda: "somebody is left")
    crowd = [client(gateway, f"m{i}").start() for i in range(5)]
    await asyncio.to_thread(until, lambda: len(online(presence_database)) == 3, lambda: "not three")
    presence_database.sendone("a", payload="to all")
    for each in crowd:
        await each.wait_payload("to all")
    assert len(online(presence_database)) == 3
    for each in crowd:
        await each.stop()


async def test_without_the_table_everything_else_goes_on(make_gateway, database, tmp_path):
    gateway = make_gateway(database, auth="token", token_keys=SECRET.write(tmp_path / "keys"), **QUICK).start()
    async with client(gateway, "ann") as ann:
        await asyncio.to_thread(gateway.wait_for_line, r"SELECT public\.bus_create_presence_table\(\)")
        database.sendone("a", payload="served")
        await ann.wait_payload("served")
        database.execute("SELECT bus_create_presence_table()")
        await wait_online_async(database, "ann")
        await asyncio.to_thread(gateway.wait_for_line, "being written again")


async def test_the_role_of_a_gateway_needs_no_more(make_gateway, presence_database, tmp_path):
    """The grants of docs/security.md are enough, with notifications."""
    role = f"gateway_{presence_database.name}"
    presence_database.execute(f'CREATE ROLE "{role}" LOGIN')
    try:
        for grant in ("SELECT ON bus_bus", "SELECT ON SEQUENCE bus_bus_id_seq", "SELECT, INSERT, DELETE ON bus_presence",
                      "SELECT, INSERT, UPDATE, DELETE ON bus_presence_gateway"):
            presence_database.execute(f'GRANT {grant} TO "{role}"')
        conninfo = f"{presence_database.conninfo} user={role}"
        gateway = make_gateway(conninfo, auth="token", token_keys=SECRET.write(tmp_path / "keys"), **QUICK).start()
        async with client(gateway, "ann") as ann:
            await asyncio.to_thread(gateway.wait_for_line, "permission denied for table bus_bus")
            presence_database.execute(f'GRANT INSERT ON bus_bus TO "{role}"')
            presence_database.execute(f'GRANT USAGE ON SEQUENCE bus_bus_id_seq TO "{role}"')
            await wait_online_async(presence_database, "ann")
            await ann.until(lambda: any(n["message"]["type"] == "presence" for n in ann.notifications), "its join")
        gateway.terminate()
    finally:
        presence_database.execute(f'DROP OWNED BY "{role}"')
        presence_database.execute(f'DROP ROLE "{role}"')


async def test_a_name_that_the_database_cannot_hold(make_gateway, make_database, tmp_path):
    database = make_database(encoding="'LATIN1'", template="template0", locale="'C'")
    database.execute("SELECT bus_create_presence_table()")
    gateway = make_gateway(database, auth="token", token_keys=SECRET.write(tmp_path / "keys"), **QUICK).start()
    async with client(gateway, "日本"), client(gateway, "Zoë"), client(gateway, "ann"):
        await asyncio.to_thread(until, lambda: "ann" in online(database), lambda: str(online(database)))
        await asyncio.to_thread(gateway.wait_for_line, "not shown as present")
        async with client(gateway, "later"):
            await asyncio.to_thread(until, lambda: "later" in online(database), lambda: str(online(database)))


FUNCTION = """
CREATE FUNCTION app_authorize(request jsonb, channels text[], OUT granted text[], OUT member text) LANGUAGE sql AS $$
    SELECT ARRAY(SELECT bus_channel(name) FROM unnest(channels) AS name) || bus_channel('res.partner', 7),
           request->'cookies'->>'sid' WHERE request->'cookies'->>'sid' <> 'nobody'
$$;
"""


async def test_the_function_in_sql_names_the_member(make_gateway, presence_database):
    presence_database.execute(FUNCTION)
    gateway = make_gateway(presence_database, auth="sql", auth_sql_function="app_authorize", sql_pass="cookie:sid",
                           sql_cache=0, **{k: v for k, v in QUICK.items() if k != "token_skew"}).start()

    def visitor(name):
        return BusClient(gateway.url, ["a"], headers={"Cookie": f"sid={name}"})
    async with visitor("ann") as ann:
        await wait_online_async(presence_database, "ann")
        partner = "SELECT member FROM bus_online WHERE channel = bus_channel('res.partner', 7)"
        assert presence_database.execute(partner) == [("ann",)]
        async with visitor("nobody") as nobody:
            assert (await nobody.wait_closed())[0] == 4001
        async with visitor("bob"):
            await wait_online_async(presence_database, "ann", "bob")
        await ann.until(lambda: [p for p in ann.payloads if p == {"event": "leave", "member": "bob"}][1:],
                        "bob's leave on both channels")
        assert {"event": "join", "member": "bob"} in ann.payloads


async def test_a_database_is_copied_and_its_members_stay(make_presence_gateway, presence_database, cluster):
    """Presence lets go of a database that somebody wants to himself, and is not there to be copied."""
    gateway = make_presence_gateway(presence_grace=60)
    async with client(gateway, "ann"):
        await wait_online_async(presence_database, "ann")
        copy = f"{presence_database.name}_copy"
        await asyncio.to_thread(cluster.execute, f'CREATE DATABASE "{copy}" TEMPLATE "{presence_database.name}"')
        await asyncio.to_thread(cluster.drop_database, copy)
        await wait_online_async(presence_database, "ann")
        async with client(gateway, "bob"):
            await wait_online_async(presence_database, "ann", "bob")
        assert sorted(told(presence_database)) == ["join ann", "join bob"]
