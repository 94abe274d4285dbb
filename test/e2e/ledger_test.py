"""Exactly once, in commit order, whatever happens: what the ledger promises, seen from outside."""
import asyncio
import json
import os
import re
import resource
import time
from pathlib import Path

import pytest

from harness.client import BusClient, RawClient
from harness.cluster import Cluster
from harness.deadline import scaled
from harness.hold import held
from harness.http_clients import TRANSPORTS

LATE_SECONDS = float(os.environ.get("ODOO_BUS_TEST_LATE_SECONDS", "30"))


def send(connection, payloads, channel="a"):
    batch = [[channel, "test", payload] for payload in payloads]
    return connection.execute("SELECT bus_sendmany(%s::jsonb)", (json.dumps(batch),)).fetchone()[0]


def insert(connection, database, payload, id="DEFAULT"):
    """A row without any doorbell."""
    connection.execute(
        f"INSERT INTO bus_bus (id, channel, message, create_date) VALUES ({id}, %s, %s, now() AT TIME ZONE 'UTC')",
        (database.channel("a"), json.dumps({"type": "test", "payload": payload})))


async def test_a_late_commit_is_delivered_once_and_at_once(database, gateway):
    late = database.connect(autocommit=False)
    async with BusClient(gateway.url, ["a"]) as one, BusClient(gateway.url, ["a"]) as other:
        for client in (one, other):
            await client.subscribed()
        send(late, ["late"])
        sleeping = asyncio.create_task(asyncio.to_thread(late.execute, "SELECT pg_sleep(%s)", (LATE_SECONDS,)))
        with database.connect() as connection:
            for first in range(0, 10_000, 100):
                await asyncio.to_thread(send, connection, range(first, first + 100))
        for client in (one, other):
            await client.wait_for(10_000)
        await sleeping
        assert "late" not in one.payloads
        begin = time.time()
        await asyncio.to_thread(late.commit)
        for client in (one, other):
            await client.wait_payload("late")
            print(f"the late one came {client.received_at[-1] - begin:.3f} s after its commit")
            assert client.received_at[-1] - begin < scaled(5)
            assert client.payloads == [*range(10_000), "late"]
    late.close()


async def test_an_effect_never_comes_before_a_late_cause(database, gateway):
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        with database.connect(autocommit=False) as late, database.connect() as connection:
            expected = []
            for n in range(100):
                send(late, [["cause", n]])
                send(connection, [["between", n]])
                await client.wait_payload(["between", n])
                late.commit()
                send(connection, [["effect", n]])
                expected += [["between", n], ["cause", n], ["effect", n]]
        await client.wait_for(300)
        assert client.payloads == expected


@pytest.mark.parametrize("prepared", [False, True], ids=["commit", "commit prepared"])
async def test_rows_of_one_transaction_stay_in_order(database, gateway, prepared):
    """A transaction whose rows wait for different holders ends at any moment of a cycle."""
    rounds = 200
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        with database.connect() as writer, database.connect() as other, database.connect() as third:
            for n in range(rounds):
                writer.execute("BEGIN")
                insert(writer, database, [n, 1])
                send(third, [[n, "first"]])
                await client.wait_payload([n, "first"])
                other.execute("BEGIN")
                insert(other, database, "never committed")
                insert(writer, database, [n, 2])
                send(third, [[n, "second"]])
                await client.wait_payload([n, "second"])
                if prepared:
                    writer.execute(f"PREPARE TRANSACTION 'round {n}'")
                other.execute("ROLLBACK")
                send(third, [[n, "last"]])
                end = time.perf_counter() + n % 100 * 20e-6
                while time.perf_counter() < end:  # the moment is what this test is about
                    pass
                writer.execute(f"COMMIT PREPARED 'round {n}'" if prepared else "COMMIT")
        await client.wait_for(5 * rounds)
        for n in range(rounds):
            assert client.payloads.index([n, 1]) < client.payloads.index([n, 2])


async def test_a_row_without_a_doorbell_arrives_within_two_seconds(database, gateway):
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        with database.connect() as connection:
            insert(connection, database, "silent")
        begin = time.time()
        await client.wait_payload("silent")
        assert client.received_at[-1] - begin < 2 + scaled(3)


async def test_kill_9_under_load_loses_nothing_and_repeats_nothing(database, make_gateway, tmp_path):
    gateway = make_gateway(database, state_dir=tmp_path / "state", log_level="info").start()
    total, rate = 30_000, 5_000  # a second, when the machine can
    sent = batches = 0
    clients = [BusClient(gateway.url, ["a"]).start() for _ in range(20)]
    for client in clients:
        await client.subscribed()
    with database.connect() as connection:
        begin = time.monotonic()
        while sent < total:
            await asyncio.to_thread(send, connection, range(sent, sent + 100))
            sent += 100
            batches += 1
            if batches in (80, 160):  # after 8,000 and 16,000 notifications
                gateway.kill9()
                await asyncio.to_thread(gateway.start, healthy=False)
            await asyncio.sleep(max(0, sent / rate - (time.monotonic() - begin)))  # the pace
    print(f"{sent / (time.monotonic() - begin):.0f} notifications a second while the gateway was killed twice")
    for client in clients:
        await client.wait_for(sent, timeout=120)
        assert client.payloads == list(range(sent))
        assert client.connections >= 2
        await client.stop()


async def test_without_a_state_directory_a_restart_loses_nothing(database, make_gateway):
    gateway = make_gateway(database).start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        with database.connect(autocommit=False) as late, database.connect() as connection:
            send(late, ["late"])
            send(connection, ["before"])
            await client.wait_payload("before")
            gateway.kill9()
            send(connection, ["while it is down"])
            gateway.start()
            late.commit()
            send(connection, ["after"])
        await client.wait_payload("after")
        assert {"before", "while it is down", "late", "after"} == set(client.payloads)
        # What is younger than the stated overlap may come again.
        assert client.payloads.count("late") == client.payloads.count("after") == 1


async def test_a_damaged_state_file_is_set_aside(database, make_gateway, tmp_path):
    state = tmp_path / "state"
    gateway = make_gateway(database, state_dir=state).start()
    database.sendone("a", payload=1)
    gateway.terminate()
    order, = state.glob("*.order")
    order.write_bytes(b"\0" * order.stat().st_size)
    gateway.start()
    assert gateway.wait_for_line("set aside")
    assert list(state.glob("*.damaged-1"))
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        database.sendone("a", payload=2)
        await client.wait_payload(2)


async def test_an_id_that_somebody_chose_hides_no_other(database, make_gateway, tmp_path):
    gateway = make_gateway(database, state_dir=tmp_path / "state").start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        with database.connect() as connection:
            insert(connection, database, "chosen", id=1_000_000)
            await client.wait_payload("chosen")
            send(connection, ["ordinary"])
            await client.wait_payload("ordinary")
            gateway.kill9()
            gateway.start()
            # The sequence passes it: it is not delivered again.
            connection.execute("SELECT setval('bus_bus_id_seq', 1000000)")
            send(connection, ["beyond"])
        await client.wait_payload("beyond")
        assert client.payloads == ["chosen", "ordinary", "beyond"]


async def test_a_prepared_transaction_survives_a_restart_of_the_server(database, gateway, cluster):
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        with database.connect() as connection:
            connection.execute("BEGIN")
            insert(connection, database, "prepared")
            connection.execute("PREPARE TRANSACTION 'late'")
            send(connection, ["later id"])
            await client.wait_payload("later id")
        await asyncio.to_thread(cluster.restart, "immediate")
        await asyncio.to_thread(gateway.wait_healthy)
        database.sendone("a", payload="after the restart")
        await client.wait_payload("after the restart")
        database.execute("COMMIT PREPARED 'late'")
        await client.wait_payload("prepared")
        assert client.payloads == ["later id", "after the restart", "prepared"]


async def lose_one(cluster, database, client):
    """What the client gets before the server crashes and has never heard of it. Returns its id."""
    with cluster.crashing() as crash:
        with database.connect() as connection:
            connection.execute("SET synchronous_commit = off")
            lost, = send(connection, ["lost"])
        await client.wait_payload("lost")
        await asyncio.to_thread(crash)
    return lost


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_id_that_is_drawn_again_after_a_crash_is_new(make_gateway, transport):
    # Only the last transaction does not wait for the disk, and nothing else writes the log before the crash.
    with Cluster(fsync=True, autovacuum=False) as cluster:
        database = cluster.create_database("odoo").install()
        gateway = make_gateway(database, hub_database="none").start()
        async with TRANSPORTS[transport](gateway.url, ["a"], check_outdated=True) as client:
            await client.subscribed()
            kept = 0
            # The sequence logs 32 ids ahead: the id that follows them is lost together with its row.
            while kept == 0 or database.value("SELECT log_cnt FROM bus_bus_id_seq") != 0:
                database.sendone("a", payload=kept)
                kept += 1
            lost = await lose_one(cluster, database, client)
            again = database.sendone("a", payload="new")
            assert again == lost, "the id was not drawn again: this test proves nothing"
            await client.wait_payload("new")
            # A poll has come back by now with the id that stood for two.
            assert not database.sendone("a", payload="other") == again
            await client.wait_payload("other")
            assert client.payloads == [*range(kept), "lost", "new", "other"]
            assert [element["type"] for element in client.internal
                    if element["type"] != "bus/subscribed"] == ["bus/subscription_outdated"]
        gateway.finish()


async def test_the_connection_breaks_while_it_is_found_out_what_a_crash_took(make_gateway):
    with Cluster(fsync=True, autovacuum=False) as cluster:
        database = cluster.create_database("odoo").install()
        database.execute("CREATE ROLE gateway LOGIN")
        database.execute("GRANT SELECT ON bus_bus, bus_bus_id_seq TO gateway")
        gateway = make_gateway(cluster.conninfo("odoo", user="gateway"), hub_database="none").start()
        async with BusClient(gateway.url, ["a"]) as client:
            await client.subscribed()
            kept = 0
            while kept == 0 or database.value("SELECT log_cnt FROM bus_bus_id_seq") != 0:
                database.sendone("a", payload=kept)
                kept += 1
            database.execute("ALTER ROLE gateway NOLOGIN")  # it stays connected until the crash
            lost = await lose_one(cluster, database, client)
            with database.connect(autocommit=False) as connection:
                again, = send(connection, ["new"])
                assert again == lost, "the id was not drawn again: this test proves nothing"
                connection.commit()
                # The gateway comes back, and cannot read the table.
                connection.execute("LOCK TABLE bus_bus IN ACCESS EXCLUSIVE MODE")
                cluster.execute("ALTER ROLE gateway LOGIN")
                while not cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                          "WHERE usename = 'gateway' AND wait_event_type = 'Lock'"):
                    await asyncio.sleep(0.01)
            await client.wait_payload("new")
            assert client.payloads == [*range(kept), "lost", "new"]
        gateway.finish()


async def test_a_sequence_that_goes_back_is_a_new_beginning(database, gateway):
    database.sendmany([["a", "test", n] for n in range(10)])
    async with BusClient(gateway.url, ["a"], check_outdated=True) as client:
        await client.wait_for(10)
        database.execute("TRUNCATE bus_bus RESTART IDENTITY")
        await client.until(lambda: client.internal, "a word that it is outdated")
        assert client.internal[0]["type"] == "bus/subscription_outdated"
        database.sendone("a", payload="new")
        await client.wait_payload("new")
        assert client.payloads == [*range(10), "new"]


SEQUENCES = {
    "cache": ("CACHE 20", "has CACHE 20", "CACHE 1"),
    "descending": ("INCREMENT BY -1", "descends", "INCREMENT BY 1"),
    "negative": ("MINVALUE -2147483648", "ids below 1", "MINVALUE 1"),
    "zero": ("MINVALUE 0", "ids below 1", "MINVALUE 1"),
    "cycle": ("CYCLE", "has CYCLE", "NO CYCLE"),
}


@pytest.mark.parametrize("when", ["before", "meanwhile"])
@pytest.mark.parametrize("kind", SEQUENCES)
async def test_a_sequence_that_cannot_be_followed_is_refused_until_it_can(database, make_gateway, kind, when):
    alteration, words, mend = SEQUENCES[kind]

    def alter(how):
        database.execute(f"ALTER SEQUENCE bus_bus_id_seq {how}")

    if when == "before":
        alter(alteration)
    gateway = make_gateway(database).start(healthy=when == "meanwhile")
    if when == "meanwhile":
        alter(alteration)
        await asyncio.to_thread(gateway.wait_healthy, False)
    line = await asyncio.to_thread(gateway.wait_for_line, words)
    assert f"ALTER SEQUENCE public.bus_bus_id_seq {mend}" in line
    alter(mend)
    await asyncio.to_thread(gateway.wait_healthy)
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        database.sendone("a", payload=1)
        await client.wait_payload(1)


@pytest.mark.parametrize("alteration", ["INCREMENT BY 2", "INCREMENT BY 10 RESTART WITH 3", "AS bigint RESTART WITH 3000000000",
                                        "AS bigint RESTART WITH 9007199254740993"])
async def test_any_ascending_sequence_is_followed(database, make_gateway, alteration):
    database.execute("ALTER TABLE bus_bus ALTER id TYPE bigint")
    database.execute(f"ALTER SEQUENCE bus_bus_id_seq {alteration}")
    gateway = make_gateway(database).start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        ids = [database.sendone("a", payload=n) for n in range(6)]
        await client.wait_payload(5)
        assert [each["id"] for each in client.notifications] == ids
    async with BusClient(gateway.url, ["a"], last=ids[2]) as client:
        await client.wait_payload(5)
        assert [each["id"] for each in client.notifications] == ids[3:]


async def test_a_database_that_is_dropped_does_not_disturb_another(make_database, make_gateway, cluster):
    doomed, kept = make_database(), make_database()
    gateway = make_gateway(doomed, kept).start()
    async with BusClient(gateway.url + f"?db={kept.name}", ["a"]) as client:
        await client.subscribed()
        cluster.drop_database(doomed.name)
        gateway.wait_for_line(f'"{doomed.name}".*does not exist')
        begin = time.time()
        kept.sendone("a", payload=1)
        await client.wait_payload(1)
        assert client.received_at[-1] - begin < scaled(5)


async def test_a_poll_that_moves_gets_what_it_has_once_again_at_most(database, make_gateway):
    one, other = make_gateway(database).start(), make_gateway(database).start()
    async with TRANSPORTS["poll"](one.url, ["a"]) as client:
        await client.subscribed()
        database.sendone("a", payload="before")
        await client.wait_payload("before")
    # It comes with what is the newest here, too: each poll would bring it again.
    async with TRANSPORTS["poll"](other.url, ["a"], last=client.last, headers=client.headers) as moved:
        await moved.wait_payload("before")
        database.sendone("a", payload="after")
        await moved.wait_payload("after")
        assert moved.payloads == ["before", "after"]


async def test_who_comes_from_a_gateway_that_is_not_seen_any_more_loses_nothing(database, make_gateway, tmp_path):
    """The two saw transactions in different orders; then the other one died, and this one was started anew."""
    gone = make_gateway(database, state_dir=tmp_path / "gone").start()
    stays = make_gateway(database, state_dir=tmp_path / "stays").start()
    async with BusClient(gone.url, ["a"]) as client:
        await client.subscribed()
        with held(stays.process.pid):
            with database.connect(autocommit=False) as late, database.connect() as connection:
                send(late, ["late"])
                send(connection, ["early"])
                await client.wait_payload("early")
                client.reconnect = False
                gone.kill9()
                late.commit()
        assert client.payloads == ["early"]
    async with BusClient(stays.url, ["a"]) as witness:
        await witness.wait_payload("late")
        assert witness.payloads == ["late", "early"]
    stays.kill9()
    stays.start()
    async with BusClient(stays.url, ["a"], last=client.last, headers=client.headers) as moved:
        await moved.wait_payload("late")


async def test_who_moved_long_ago_is_at_home_also_after_a_crash(database, make_gateway, tmp_path):
    gateway = make_gateway(database, state_dir=tmp_path).start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        for payload in ("before", "last"):
            database.sendone("a", payload=payload)
        await client.wait_payload("last")
    gateway.kill9()
    gateway.start()
    got = []
    for seconds in (0, 120):
        moved = {"Cookie": f"{client.headers['Cookie']}.{int(time.time() - seconds) << 32 | 1}"}
        async with BusClient(gateway.url, ["a"], last=client.last, headers=moved) as back:
            await back.subscribed()
            database.sendone("a", payload=seconds)
            await back.wait_payload(seconds)
            got.append(back.payloads)
    assert got == [["before", "last", 0], [0, 120]]


async def test_two_gateways_deliver_everything_and_a_client_may_move(database, make_gateway, tmp_path):
    one, other = (make_gateway(database, state_dir=tmp_path / name).start() for name in ("one", "other"))
    async with BusClient(one.url, ["a"]) as client:
        await client.subscribed()
        with database.connect() as connection:
            send(connection, range(100))
            await client.wait_for(100)
            client.url = other.url
            client.socket.transport.abort()
            send(connection, range(100, 200))
        await client.wait_payload(199)
        assert set(client.payloads) == set(range(200))
        # It goes back at most 10 seconds, and comes back to its own gateway without a repetition.
        seen = len(client.payloads)
        client.socket.transport.abort()
        await client.until(lambda: client.connections == 3, "the third connection")
        database.sendone("a", payload="last")
        await client.wait_payload("last")
        assert client.payloads[seen:] == ["last"]


@pytest.mark.unsanitized
async def test_gaps_that_may_not_die_cost_next_to_nothing(database, make_gateway, cluster):
    """A transaction that has sent stays open while every second one of 400,000 ids is never committed."""
    # auto_explain logs the plans that the gateway's own statements really have.
    logged = cluster.conninfo(database.name, options="-c session_preload_libraries=auto_explain "
                              "-c auto_explain.log_min_duration=0 -c auto_explain.log_analyze=on")
    gateway = make_gateway(logged, hub_database="none", history_bytes="1MiB", log_level="info").start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        with database.connect() as connection, database.connect(autocommit=False) as holder:
            before = await typical_latency(connection, client, "before")
            send(holder, ["held"])
            memory = resident_bytes(gateway)
            connection.execute(
                "INSERT INTO bus_bus (channel, message, create_date) "
                "SELECT '[\"none\"]', '{\"type\":\"t\",\"payload\":0}', now() AT TIME ZONE 'UTC' "
                "FROM (SELECT nextval('bus_bus_id_seq') FROM generate_series(1, 200000)) AS never_committed")
            send(connection, ["dense"])
            await client.wait_payload("dense", timeout=120)
            grown = resident_bytes(gateway) - memory
            mark = len(cluster.log_text())
            for attempt in range(3):  # what costs time costs it each time; what else the machine does, not
                during = await typical_latency(connection, client, f"during {attempt}")
                if bearable := during < 3 * before + 0.1:  # probing them all takes much longer
                    break
            plans = cluster.log_text()[mark:]
            holder.commit()
            begin = time.time()
            await client.wait_payload("held")
            print(f"latency {before * 1000:.1f} ms before, {during * 1000:.1f} ms with 200,000 gaps; memory grew by "
                  f"{grown >> 20} MiB; the held one came {time.time() - begin:.2f} s after its commit")
    assert bearable
    assert grown < 40 << 20
    assert "Index Scan using bus_bus_pkey" in plans
    assert "Seq Scan on bus_bus " not in plans


async def typical_latency(connection, client, name):
    """The median time from a commit to the client, in seconds."""
    latencies = []
    for number in range(50):
        send(connection, [[name, number]])
        begin = time.time()
        await client.wait_payload([name, number])
        latencies.append(client.received_at[-1] - begin)
    return sorted(latencies)[len(latencies) // 2]


def resident_bytes(gateway):
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) << 10


def test_the_number_of_reads_does_not_depend_on_the_number_of_clients(database, make_gateway, cluster):
    wanted = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * wanted:
        pytest.skip(f"only {hard} open files are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    logged = database.cluster.conninfo(database.name, options="-c log_statement=all")
    # Who is not read from answers no pings, and a busy machine takes minutes to connect them all.
    gateway = make_gateway(logged, hub_database="none", log_level="info", ping_interval=3600).start()
    clients = []
    connection = database.connect()

    def statements():
        """That the gateway has sent, whichever of its connections to this database it was."""
        return len(re.findall(r"LOG:  (?:execute|statement)\b", cluster.log_text()))

    def statements_for(notifications):
        """How many the gateway needs for some notifications, each sent when the former one has arrived."""
        before, begin = statements(), time.monotonic()
        for number in range(notifications):
            send(connection, [number], "broadcast")
            for client in (clients[0], clients[-1]):
                while json.dumps(number) not in client.receive_frame()[1].decode():
                    pass
        count, seconds = statements() - before, time.monotonic() - begin
        # One for each notification, and a read and a check in each second.
        assert notifications <= count <= notifications + 2 * (seconds + 3)
        return f"{count} in {seconds:.2f} s"

    def connect():
        client = RawClient(("127.0.0.1", gateway.port)).upgrade()
        client.send_event("subscribe", {"channels": [], "last": 0})
        clients.append(client)

    try:
        for _ in range(10):
            connect()
        few = statements_for(20)
        while len(clients) < wanted:
            connect()
        many = statements_for(20)
        print(f"statements for 20 notifications: {few} with 10 clients, {many} with {wanted}")
    finally:
        for client in clients:
            client.socket.close()
        connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
