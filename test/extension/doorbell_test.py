"""The doorbell of a preloaded extension: what is committed rings, what is not does not, whatever is terminated."""
import collections
import json
import os
import random
import signal
import threading
import time

import psycopg
import pytest

from harness.deadline import DEADLINE, scaled
from harness.doorbell import (HUB, Listener, Waiting, counted, counters, eventually, hold_notify_lock, preloaded_cluster, stat,
                              wait_for_worker, waits_for_lock, worker_pid)
from harness.standby import Standby


@pytest.fixture
def cluster(restored):
    return restored


def test_a_stock_listener_hears_odoos_format_in_the_hub_and_nothing_is_notified_in_the_database(database, hub, cluster):
    with Listener(cluster, database.name) as local:
        database.sendone("broadcast")
        database.execute("SELECT bus_sendone('res.partner', 3, 'sub', 't', '1')")
        assert hub.finish(database) == [[database.name, "broadcast"], [database.name, "res.partner", 3, "sub"]]
        assert all(payload == json.dumps(json.loads(payload), separators=(",", ":")) for payload in hub.payloads)
        assert local.finish_local() == []
    assert stat(database, "mode") == "doorbell"
    assert stat(database, "worker_pid") == worker_pid(cluster)


def test_the_row_is_visible_when_the_notify_arrives(database, hub):
    """With many writers: at every payload, each channel that it names has a row for a reader that begins now."""
    stop = threading.Event()

    def write(writer):
        with database.connect() as connection:
            number = 0
            while not stop.is_set():
                number += 1
                connection.execute("SELECT bus_sendone(%s, 't', '1')", (f"w{writer}-{number}",))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(6)]
    for thread in threads:
        thread.start()
    try:
        with database.connect() as reader:
            checked = 0
            deadline = time.monotonic() + scaled(60)
            while checked < 1500:
                hub.channels.clear()
                hub.collect(deadline)
                channels = [json.dumps(channel, separators=(",", ":")) for channel in hub.channels]
                found = reader.execute("SELECT count(DISTINCT channel) FROM bus_bus WHERE channel = ANY(%s)", (channels,))
                assert found.fetchone()[0] == len(channels)
                checked += len(channels)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_each_channel_once_in_a_round_split_below_the_limit(database, hub):
    """Of a hundred transactions to the same channels while the worker gathers."""
    database.execute("ALTER SYSTEM SET odoo_bus.doorbell_delay = '100ms'")
    database.cluster.reload()
    eventually(lambda: database.value("SHOW odoo_bus.doorbell_delay") == "100ms")
    names = [f"{number}-".ljust(150, "x") for number in range(120)]
    before = counters(database)
    # In one statement: a slow client would let a round pass with each transaction.
    database.execute(f"""DO $$ BEGIN FOR n IN 1..40 LOOP
        PERFORM bus_sendmany('{{{",".join(names)}}}'::text[], 't', '1'); COMMIT; END LOOP; END $$""")
    hub.wait_for(database.name, names[-1])
    change = counted(database, before)
    deadline = time.monotonic() + DEADLINE
    while len(hub.payloads) < change["notifies"]:
        hub.collect(deadline)
    rounds = collections.Counter(map(tuple, hub.channels))
    assert set(rounds) == {(database.name, name) for name in names}
    assert max(rounds.values()) < 40 and len(set(rounds.values())) == 1
    assert max(map(len, hub.payloads)) <= 7999 and min(map(len, hub.payloads)) > 1000
    assert change["doorbells"] == 40 and change["sent"] == 4800 and change["fallbacks"] == 0
    assert change["coalesced"] == 4800 - len(hub.channels)
    assert change["notifies"] == len(hub.payloads)


def test_an_idle_cluster_spends_no_transaction_ids_and_a_busy_one_few(database):
    def next_xid():
        return int(database.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text"))

    idle = next_xid()
    time.sleep(2.5)  # longer than the worker sleeps
    assert next_xid() == idle
    before = counters(database)
    begin = time.monotonic()
    with database.connect() as connection:
        while time.monotonic() < begin + 2:
            connection.execute("SELECT bus_sendone('c', 't', '1')")
    seconds = time.monotonic() - begin
    change = counted(database, before)
    assert change["notifies"] <= 420 * seconds
    assert change["doorbells"] > change["notifies"]


def test_random_savepoints(database, hub):
    """Against a model of sets: what a rolled back savepoint sent does not ring, nor is it counted."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    before = counters(database)
    expected, sent = [], 0
    with database.connect(autocommit=False) as connection:
        for turn in range(40):
            levels, counts = [[]], [0]
            for _ in range(rng.randint(1, 60)):
                action = rng.randrange(8)
                if action < 4:
                    name = f"{turn}.{rng.randrange(40)}"
                    connection.execute("SELECT bus_sendone(%s, 't', '1')", (name,))
                    counts[-1] += 1
                    if not any(name in level for level in levels):
                        levels[-1].append(name)
                elif action == 4:
                    connection.execute(f"SAVEPOINT s{len(levels)}")
                    levels.append([])
                    counts.append(0)
                elif len(levels) > 1:
                    level = rng.randint(1, len(levels) - 1)
                    undone, undone_counts = levels[level:], counts[level:]
                    del levels[level:], counts[level:]
                    if action == 5:
                        connection.execute(f"RELEASE s{level}")
                        levels[-1].extend(name for names in undone for name in names)
                        counts[-1] += sum(undone_counts)
                    else:
                        connection.execute(f"ROLLBACK TO s{level}")
                        levels.append([])
                        counts.append(0)
            if rng.random() < 0.8:
                connection.commit()
                expected += [[database.name, name] for level in levels for name in level]
                sent += sum(counts)
            else:
                connection.rollback()
    assert hub.finish(database) == expected, f"seed {seed}"
    assert counted(database, before)["sent"] == sent + 1, f"seed {seed}"


def test_a_failure_after_the_reservation_gives_it_back_and_does_not_ring(database, hub):
    """PostgreSQL looks for serialization failures after the channels were reserved."""
    before = counters(database)
    failures = 0
    for number in range(20):
        with database.connect(autocommit=False) as first, database.connect(autocommit=False) as second:
            for connection in (first, second):
                connection.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
                connection.execute("SELECT count(*) FROM bus_bus").fetchone()
            first.execute("SELECT bus_sendone(%s, 't', '1')", (f"first{number}",))
            second.execute("SELECT bus_sendone(%s, 't', '1')", (f"second{number}",))
            first.commit()
            with pytest.raises(psycopg.errors.SerializationFailure):
                second.commit()
            failures += 1
    assert hub.finish(database) == [[database.name, f"first{number}"] for number in range(20)]
    change = counted(database, before)
    assert change == {"sent": 21, "doorbells": 21, "notifies": change["notifies"], "coalesced": 0, "fallbacks": 0,
                      "queue_used": 0}


def test_a_session_that_ends_inside_its_transaction_leaves_no_reservation(database, hub, cluster):
    with database.connect(autocommit=False) as connection:
        connection.execute("SELECT bus_sendone('c', 't', '1')")
        cluster.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
    assert hub.finish(database) == []
    eventually(lambda: stat(database, "queue_used") == 0)


def test_a_prepared_transaction_is_refused(database, hub):
    with database.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT bus_sendone('c', 't', '1')")
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="odoo_bus") as error:
            connection.execute("PREPARE TRANSACTION 'bus'")
        assert error.value.diag.message_hint
        connection.execute("ROLLBACK")
    assert hub.finish(database) == []
    eventually(lambda: stat(database, "queue_used") == 0)


def test_many_databases_at_once(make_database, hub):
    databases = [make_database() for _ in range(4)]
    threads = [threading.Thread(target=lambda d=d: [d.sendone(f"c{n}") for n in range(30)]) for d in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    heard = hub.finish(databases[0])
    assert sorted(heard) == sorted([d.name, f"c{n}"] for d in databases for n in range(30))


def test_a_transaction_without_room_notifies_itself(database, hub, cluster):
    before = counters(database)
    with Listener(cluster, database.name) as local:
        # 40,000 channels of 120 bytes do not fit into 4 MB.
        database.execute("SELECT bus_sendmany(array_agg(rpad(i || '-', 120, 'x')), 't', '1') FROM generate_series(1, 40000) AS i")
        local.wait_for(database.name, "40000-".ljust(120, "x"))
        assert len(local.channels) == 40000
        assert hub.finish(database) == []
    change = counted(database, before)
    assert change["fallbacks"] == 1 and change["doorbells"] == 1 and change["sent"] == 40001


def test_a_full_queue_makes_the_next_ones_notify_and_empties(database, cluster):
    """While the worker is stopped, transactions fill the queue, then notify themselves; none waits for it."""
    before = counters(database)
    with Listener(cluster) as hub, Listener(cluster, database.name) as local:
        pid = worker_pid(cluster)
        os.kill(pid, signal.SIGSTOP)
        try:
            with database.connect() as connection:
                for turn in range(12):
                    connection.execute("SELECT bus_sendmany(array_agg(rpad(%s || '.' || i || '-', 120, 'x')), 't', '1') "
                                       "FROM generate_series(1, 4000) AS i", (turn,))
            assert 3_000_000 < stat(database, "queue_used") <= stat(database, "queue_size") == 4194304
            fallbacks = counters(database)["fallbacks"] - before["fallbacks"]
            assert 0 < fallbacks < 12
        finally:
            os.kill(pid, signal.SIGCONT)
        local.wait_for(database.name, "11.4000-".ljust(120, "x"))
        heard = hub.finish(database) + local.channels
        assert sorted(heard) == sorted([database.name, f"{turn}.{n}-".ljust(120, "x")] for turn in range(12) for n in range(1, 4001))
    counted(database, before)


def test_a_terminated_worker_comes_back_and_announces_what_it_had_not(database, cluster):
    """Under load, ten times: every channel is heard in the hub or, from transactions that found no worker, in the database."""
    sent = []
    stop = threading.Event()

    def write(writer):
        with database.connect() as connection:
            number = 0
            while not stop.is_set():
                name = f"{writer}-{number}"
                connection.execute("SELECT bus_sendone(%s, 't', '1')", (name,))
                sent.append([database.name, name])
                number += 1

    with Listener(cluster) as hub, Listener(cluster, database.name) as local:
        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(3)]
        for thread in threads:
            thread.start()
        pids = set()
        try:
            for _ in range(10):
                pid = wait_for_worker_any(cluster, pids)
                pids.add(pid)
                cluster.execute("SELECT pg_terminate_backend(%s)", (pid,))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        # While there is none, or the last one is about to end, what ends the listening would not be heard in the hub.
        wait_for_worker(cluster, other_than=pid)
        hub.finish(database)
        local.finish_local()
        assert len(pids) == 10 and len(sent) > 100
        heard = collections.Counter(map(tuple, hub.channels)) + collections.Counter(map(tuple, local.channels))
        assert [channel for channel in sent if tuple(channel) not in heard] == []
    eventually(lambda: stat(database, "queue_used") == 0)


def wait_for_worker_any(cluster, known):
    return eventually(lambda: (pid := worker_pid(cluster)) and pid not in known and pid)


@pytest.fixture
def held_notify_lock(cluster):
    with hold_notify_lock(cluster) as waiting:
        yield waiting.let_go


def test_what_is_taken_is_kept_until_its_notify_has_committed(database, cluster, hub, held_notify_lock):
    """The worker waits for the lock and is terminated; senders do not wait; the next worker announces."""
    pid = worker_pid(cluster)
    database.sendone("kept")

    def waits_for_lock():
        return cluster.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'odoo_bus doorbell' "
                               "AND wait_event_type = 'Lock' AND query LIKE '%%NOTIFY%%'")

    eventually(waits_for_lock)
    database.sendone("later")
    assert stat(database, "queue_used") == 256
    cluster.execute("SELECT pg_terminate_backend(%s)", (pid,))
    eventually(lambda: [row for row in waits_for_lock() if row[0] != pid])
    assert stat(database, "queue_used") == 256
    held_notify_lock()
    hub.wait_for(database.name, "kept").wait_for(database.name, "later")
    eventually(lambda: stat(database, "queue_used") == 0)


def test_a_commit_that_waits_for_a_standby_does_not_delay_others(database, cluster, hub):
    with Waiting(cluster, "SELECT bus_sendone('waiting', 't', '1')", database.name) as waiting:
        assert hub.finish(database) == []
        waiting.let_go()
        hub.wait_for(database.name, "waiting")


def test_an_error_of_the_worker_is_shown_and_its_channels_are_announced_later(database, cluster, hub):
    pid = worker_pid(cluster)
    database.sendone("before")
    hub.wait_for(database.name, "before")
    with hold_notify_lock(cluster) as holder:
        database.sendone("kept")
        eventually(lambda: waits_for_lock(cluster, pid))
        cluster.execute("SELECT pg_cancel_backend(%s)", (pid,))
        eventually(lambda: stat(database, "last_error"))
        assert "canceling statement" in stat(database, "last_error")
        assert stat(database, "last_error_at") is not None and stat(database, "queue_used") > 0
        holder.let_go()
        hub.wait_for(database.name, "kept")
    assert worker_pid(cluster) == pid
    database.execute("SELECT bus_stat_reset()")
    assert stat(database, "last_error") is None and stat(database, "sent") == 0


def test_what_the_owner_of_the_hub_has_set_does_not_end_the_waiting_of_the_worker(database, cluster, hub):
    settings = {"lock_timeout": "50ms", "exit_on_error": "on", "default_transaction_isolation": "serializable",
                "search_path": "nowhere", "session_replication_role": "replica"}
    if cluster.execute("SELECT name FROM pg_settings WHERE name = 'transaction_timeout'"):  # since 17
        settings["transaction_timeout"] = "50ms"
    pid = worker_pid(cluster)
    database.execute("SELECT bus_stat_reset()")
    with hold_notify_lock(cluster) as holder:
        try:
            for name, value in settings.items():
                cluster.execute(f"ALTER DATABASE {HUB} SET {name} = '{value}'")
            database.execute("SELECT pg_terminate_backend(%s)", (pid,))
            pid = wait_for_worker(cluster, other_than=pid)
            database.sendone("kept")
            eventually(lambda: waits_for_lock(database, pid))
            database.execute("SELECT pg_sleep(0.3)")  # longer than the time-outs
            assert waits_for_lock(database, pid) and stat(database, "last_error") is None
            holder.let_go()
            hub.wait_for(database.name, "kept")
            assert worker_pid(cluster) == pid
        finally:
            cluster.execute(f"ALTER DATABASE {HUB} RESET ALL")
            database.execute("SELECT pg_terminate_backend(%s)", (pid,))
            wait_for_worker(cluster, other_than=pid)


@pytest.mark.parametrize("victim", ["worker", "sender"])
def test_kill_9_loses_no_row_and_the_doorbell_rings_again(database, cluster, victim):
    with database.connect(autocommit=False) as sender:
        committed = database.sendone("before")
        sender.execute("SELECT bus_sendone('lost with its transaction', 't', '1')")
        old = worker_pid(cluster)
        os.kill(old if victim == "worker" else sender.info.backend_pid, signal.SIGKILL)
        eventually(lambda: not os.path.exists(f"/proc/{sender.info.backend_pid}"))
        with pytest.raises(psycopg.OperationalError):
            sender.commit()

    def restarted():
        try:
            return worker_pid(cluster) not in (None, old)
        except psycopg.OperationalError:
            return False

    eventually(restarted)
    wait_for_worker(cluster, other_than=old)
    assert [row[0] for row in database.rows()] == [committed]
    with Listener(cluster) as hub:
        database.sendone("after")
        hub.wait_for(database.name, "after")
    assert stat(database, "doorbells") == 1, "shared memory begins afresh"
    eventually(lambda: stat(database, "queue_used") == 0)


@pytest.mark.parametrize("mode", ["smart", "fast", "immediate"])
def test_shutdown_and_start(database, cluster, mode):
    stop = threading.Event()
    ids = []

    def write():
        try:
            with database.connect() as connection:
                while not stop.is_set():
                    ids.append(connection.execute("SELECT bus_sendone('c', 't', '1')").fetchone()[0])
        except psycopg.Error:
            pass

    thread = threading.Thread(target=write)
    thread.start()
    eventually(lambda: len(ids) > 20)
    if mode == "smart":
        stop.set()  # it waits for the clients
    begin = time.monotonic()
    cluster.stop(mode)
    assert time.monotonic() - begin < scaled(20)
    stop.set()
    thread.join()
    assert "PANIC" not in cluster.log_text() and "TRAP" not in cluster.log_text()
    cluster.start()
    wait_for_worker(cluster)
    kept = [row[0] for row in database.rows()]
    assert set(ids) <= set(kept)
    with Listener(cluster) as hub:
        database.sendone("after")
        hub.wait_for(database.name, "after")


def test_a_standby_is_idle_until_it_is_promoted(database, cluster):
    cluster.execute("SELECT 1")
    with Standby(cluster) as standby:
        with standby.connect(database.name) as connection:
            assert connection.execute("SELECT mode, worker_pid, queue_used FROM bus_stat").fetchone() == ("doorbell", None, 0)
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute("SELECT bus_sendone('c', 't', '1')")
        assert worker_pid(standby) is None
        standby.promote()
        wait_for_worker(standby)
        with Listener(standby) as hub:
            standby.execute("SELECT bus_sendone('promoted', 't', '1')", dbname=database.name)
            hub.wait_for(database.name, "promoted")


def test_the_hub_can_be_a_template_and_the_worker_comes_back(database, cluster):
    old = worker_pid(cluster)
    with Listener(cluster, database.name) as local:
        with database.connect() as connection:
            connection.execute(f"CREATE DATABASE copy TEMPLATE {HUB}")
            connection.execute("DROP DATABASE copy")
        wait_for_worker(cluster, other_than=old)
        with Listener(cluster) as hub:
            assert hub.finish(database) == []
        assert local.finish_local() == []


def test_another_hub_that_is_missing_renamed_dropped_and_there_again(database, cluster):
    """Meanwhile senders notify themselves, and no log is flooded."""
    old = worker_pid(cluster)
    cluster.execute("ALTER SYSTEM SET odoo_bus.hub_database = 'other_hub'")
    with Listener(cluster, database.name) as local:
        cluster.reload()
        eventually(lambda: (stat(database, "last_error") or "").startswith("cannot connect"))
        database.sendone("by itself")
        local.wait_for(database.name, "by itself")
        assert stat(database, "worker_pid") is None
    cluster.execute("CREATE DATABASE other_hub")
    try:
        cluster.reload()  # tried at once
        pid = wait_for_worker(cluster, other_than=old)
        with Listener(cluster, "other_hub") as hub:
            database.sendone("c")
            hub.wait_for(database.name, "c")
        with cluster.connect() as connection:
            connection.execute("ALTER DATABASE other_hub RENAME TO renamed_hub")
            connection.execute("ALTER DATABASE renamed_hub RENAME TO other_hub")
        cluster.reload()
        wait_for_worker(cluster, other_than=pid)
    finally:
        cluster.execute("DROP DATABASE other_hub")
    database.sendone("without a hub")
    assert database.value("SELECT count(*) FROM bus_bus") == 3
    cluster.execute("ALTER SYSTEM RESET odoo_bus.hub_database")
    cluster.reload()
    wait_for_worker(cluster)
    with Listener(cluster) as hub:
        assert hub.finish(database) == []


def test_a_database_that_is_dropped_right_after_sending(make_database, database, cluster, hub):
    names = []
    for _ in range(4):
        doomed = make_database()
        doomed.sendone("c")
        cluster.execute(f'DROP DATABASE "{doomed.name}"')
        names.append(doomed.name)
    assert hub.finish(database) == [[name, "c"] for name in names]


def test_the_worker_keeps_no_snapshot_and_can_be_recognised(database, cluster, hub):
    database.sendone("c")
    hub.wait_for(database.name, "c")
    # Once a second it is awake for a moment.
    eventually(lambda: cluster.execute("SELECT backend_xmin, backend_xid, datname, wait_event_type, state FROM pg_stat_activity "
                                       "WHERE backend_type = 'odoo_bus doorbell'") == [(None, None, HUB, "Extension", "idle")])


def memory(connection):
    return connection.execute("SELECT sum(total_bytes) FROM pg_backend_memory_contexts").fetchone()[0]


def resident_kb(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:"))


def test_neither_backend_nor_worker_grows(database, cluster):
    if cluster.connect().info.server_version < 140000:
        pytest.skip("PostgreSQL 13 does not list its memory contexts")
    pid = worker_pid(cluster)
    number = int(os.environ.get("ODOO_BUS_TEST_GROWTH", "20000"))
    with database.connect() as connection:
        connection.execute("""CREATE PROCEDURE send_each(transactions int) LANGUAGE plpgsql AS $$ BEGIN
            FOR i IN 1..transactions LOOP
                PERFORM bus_sendone('c' || i % 1000, 't', '1');
                COMMIT;
            END LOOP; END $$""")
        loop = "DO $$ BEGIN FOR i IN 1..{} LOOP PERFORM bus_sendone('c' || i % 1000, 't', '1'); END LOOP; END $$"
        for statement in (loop, "CALL send_each({})"):
            for _ in range(2):
                connection.execute(statement.format(20000))
            pids = (connection.info.backend_pid, pid)
            before, resident_before = memory(connection), [resident_kb(pid) for pid in pids]
            connection.execute(statement.format(number * 3 if number < 1_000_000 else number))
            assert memory(connection) - before < 100_000, statement
            grown = [resident_kb(pid) - was for pid, was in zip(pids, resident_before)]
            print(statement, grown)
            assert max(grown) < 2000, statement
            connection.execute("TRUNCATE bus_bus")
    assert worker_pid(cluster) == pid
    eventually(lambda: stat(database, "queue_used") == 0)


def test_one_session_warns_that_ids_run_out(make_database):
    for database in (make_database(), make_database()):
        notices = []
        database.execute("SELECT setval('bus_bus_id_seq', 2000000000)")
        for _ in range(3):
            with database.connect() as connection:
                connection.add_notice_handler(lambda diag: notices.append(diag.message_primary))
                connection.execute("SELECT bus_sendone('c', 't', '1')")
        assert len(notices) == 1 and "run out" in notices[0]
        assert "run out" in stat(database, "warning")


def test_only_superusers_reset_the_counters(database):
    database.execute("CREATE ROLE bus_reader")
    try:
        with database.connect() as connection:
            connection.execute("SET ROLE bus_reader")
            assert connection.execute("SELECT mode FROM bus_stat").fetchone() == ("doorbell",)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT bus_stat_reset()")
    finally:
        database.execute("DROP ROLE bus_reader")


@pytest.mark.parametrize("setting, lowest, highest", [
    ("odoo_bus.doorbell_delay", "0", "100ms"), ("odoo_bus.queue_size", "64kB", "1GB")])
def test_settings_have_their_ranges(cluster, setting, lowest, highest):
    with cluster.connect() as connection:
        for value, fits in ((lowest, True), (highest, True), ("-1", False), ("2000000000", False)):
            if fits:
                connection.execute(f"ALTER SYSTEM SET {setting} = '{value}'")
            else:
                with pytest.raises(psycopg.errors.InvalidParameterValue):
                    connection.execute(f"ALTER SYSTEM SET {setting} = '{value}'")
        with pytest.raises(psycopg.errors.CantChangeRuntimeParam):
            connection.execute(f"SET {setting} = '{lowest}'")


def test_a_small_queue_and_no_delay(tmp_path):
    """The smallest of both, with several writers."""
    with preloaded_cluster(**{"odoo_bus.queue_size": "64kB", "odoo_bus.doorbell_delay": 0}) as small:
        database = small.create_database().install()
        with Listener(small) as hub, Listener(small, database.name) as local:
            def write(writer):
                with database.connect() as connection:
                    for number in range(60):
                        connection.execute("SELECT bus_sendmany(array_agg(%s || i), 't', '1') FROM generate_series(1, 250) AS i",
                                           (f"{writer}.{number}.",))

            threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            change = eventually(lambda: (c := counters(database))["queue_used"] == 0 and c)
            assert change["fallbacks"] + change["doorbells"] == 240 and change["sent"] == 60000
            hub.finish(database)
            local.finish_local()
            heard = set(map(tuple, hub.channels)) | set(map(tuple, local.channels))
            assert heard >= {(database.name, f"{w}.{n}.{i}") for w in range(4) for n in range(60) for i in range(1, 251)}
