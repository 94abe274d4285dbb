"""bus_notify(), to be set as ODOO_NOTIFY_FUNCTION: what pg_notify() announces at a commit, the worker announces after it."""
import json
import os
import random
import select
import signal
import threading
import time

import psycopg
import pytest

from harness.database import Database
from harness.deadline import DEADLINE
from harness.doorbell import HUB, counted, counters, eventually, hold_notify_lock, stat, wait_for_worker, waits_for_lock, worker_pid
from harness.standby import Standby

CHANNELS = ("imbus", "cron_trigger", "third")


@pytest.fixture
def cluster(restored):
    return restored


@pytest.fixture
def odoo(cluster):
    """The database in which Odoo notifies, with the extension and without a bus_bus."""
    cluster.execute("CREATE EXTENSION odoo_bus", dbname=HUB)
    yield Database(cluster, HUB)
    cluster.execute("DROP EXTENSION odoo_bus", dbname=HUB)


class Ear:
    """Listens as Odoo's servers do, and keeps (channel, payload, process)."""

    def __init__(self, cluster, dbname=HUB):
        self.cluster, self.dbname = cluster, dbname
        self.connection = cluster.connect(dbname)
        for channel in (*CHANNELS, "finish"):
            self.connection.execute(f"LISTEN {channel}")
        self.notifies = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def wait_for(self, channel, payload):
        deadline = time.monotonic() + DEADLINE
        while not any(notify[:2] == (channel, payload) for notify in self.notifies):
            left = deadline - time.monotonic()
            assert left > 0, f"{channel} {payload} was not heard in time; heard {self.notifies}"
            select.select([self.connection.fileno()], [], [], left)
            self.connection.pgconn.consume_input()
            while notify := self.connection.pgconn.notifies():
                self.notifies.append((notify.relname.decode(), notify.extra.decode(), notify.be_pid))
        return self

    def finish(self):
        """All up to now: of what was committed before, nothing is announced after what is committed now."""
        end = str(random.randrange(2**32))
        self.cluster.execute("SELECT bus_notify('finish', %s)", (end,), dbname=self.dbname)
        self.wait_for("finish", end)
        return [notify for notify in self.notifies if notify[0] != "finish"]

    def heard(self):
        return [notify[:2] for notify in self.finish()]


@pytest.fixture
def ear(cluster):
    with Ear(cluster) as listening:
        yield listening


def channels_of(notifies):
    """Those of the bus, in the order in which NOTIFY imbus names them."""
    return [channel for name, payload in notifies if name == "imbus" for channel in json.loads(payload)]


def stopped(pid):
    """The worker does nothing until the block ends."""
    class Stopped:
        def __enter__(self):
            os.kill(pid, signal.SIGSTOP)

        def __exit__(self, *_):
            os.kill(pid, signal.SIGCONT)

    return Stopped()


def test_odoos_own_statements_are_announced_by_the_worker(odoo, ear, cluster):
    """As Odoo sends them: by an unqualified name, as a role without any privilege, in a transaction of its own."""
    cluster.execute("CREATE ROLE odoo_role LOGIN")
    try:
        before = counters(odoo)
        with cluster.connect(HUB, user="odoo_role", autocommit=False) as cursor:
            cursor.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            cursor.execute("""SELECT "bus_notify"('imbus', '[["mydb","broadcast"],["mydb","res.partner",3]]')""")
            cursor.commit()
            cursor.execute("""SELECT "bus_notify"('cron_trigger', 'mydb')""")
            assert ear.heard() == [("imbus", '[["mydb","broadcast"],["mydb","res.partner",3]]')]
            cursor.commit()
        assert ear.finish()[1:] == [("cron_trigger", "mydb", worker_pid(cluster))]
        change = counted(odoo, before)
        assert (change["sent"], change["doorbells"], change["fallbacks"]) == (0, 4, 0)
        assert stat(odoo, "notified") >= 5
    finally:
        cluster.execute("DROP ROLE odoo_role")


def test_equal_ones_are_announced_once_a_round_and_lists_of_channels_together(odoo, ear):
    odoo.execute("ALTER SYSTEM SET odoo_bus.doorbell_delay = '100ms'")
    odoo.cluster.reload()
    eventually(lambda: odoo.value("SHOW odoo_bus.doorbell_delay") == "100ms")
    before = counters(odoo)
    # In one statement: a slow client would let a round pass with each transaction.
    odoo.execute("""DO $$ BEGIN FOR n IN 1..400 LOOP
        PERFORM bus_notify('imbus', format('[["mydb","%s"],["mydb","all"]]', rpad(n % 100 || '-', 150, 'x')));
        PERFORM bus_notify('cron_trigger', 'mydb'); COMMIT; END LOOP; END $$""")
    heard = ear.heard()
    change = counted(odoo, before)
    assert change["doorbells"] == 401 and change["fallbacks"] == 0 and change["notifies"] < 200
    channels = channels_of(heard)
    assert {name for _, name in channels} == {"all", *(f"{n}-".ljust(150, "x") for n in range(100))}
    lengths = [len(payload) for name, payload in heard if name == "imbus"]
    assert max(lengths) <= 7999 and len(lengths) < 100 and max(lengths) > 1000
    crons = [notify for notify in heard if notify[0] == "cron_trigger"]
    rounds = channels.count(["mydb", "all"])
    assert rounds == len(crons) < 100
    assert change["coalesced"] == 400 * 3 - len(channels) - len(crons)


def test_when_there_is_much_to_announce_rounds_are_longer(odoo):
    """Each wakes every listener: at most one in 10 ms, not one in 2.5 ms."""
    channels = ",".join(f'["mydb","{number}"]' for number in range(300))
    before = counters(odoo)
    begin = time.monotonic()
    odoo.execute(f"""DO $$ DECLARE until timestamptz := clock_timestamp() + interval '2 seconds'; BEGIN
        WHILE clock_timestamp() < until LOOP
            PERFORM bus_notify('imbus', '[{channels}]'), pg_sleep(0.0005); COMMIT; END LOOP; END $$""")
    change = counted(odoo, before)
    assert 0 < change["notifies"] <= 110 * (time.monotonic() - begin) + 10


# What is no list of channels as Odoo writes it, on imbus, too.
OTHERS = ["", "x", "[]", "[[]]", '[["mydb", "spaces"]]', '[["mydb","nested",["x"]]]', '[["mydb","x"]', '[["mydb","x"]]]', '["mydb"]',
          '[[3,"mydb"]]', '[["mydb",1.5]]', '[["mydb",007]]', '[["mydb",true]]', '{"mydb": 1}', '[["mydb","\\x"]]', '[["mydb","\n"]]',
          '[["mydb","x"],]', '[["mydb","ü"]]', '[["mydb","\\u0000"]]', '[["mydb","\\ud83d"]]', '[["mydb","\\ude00\\ud83d"]]',
          '[["mydb","\\u00g0"]]', "ü€😀", "'", "\\", "%s", "x" * 7999]


@pytest.mark.parametrize("channel", CHANNELS)
def test_other_payloads_are_unchanged_and_in_order(odoo, ear, channel):
    with odoo.connect() as session:
        for payload in OTHERS:
            session.execute("SELECT bus_notify(%s, %s)", (channel, payload))
        session.execute("SELECT bus_notify(%s, p) FROM unnest(%s::text[]) AS p", (channel, [f"{p[:-9]}." for p in OTHERS * 2]))
    once = list(dict.fromkeys(f"{p[:-9]}." for p in OTHERS))
    assert ear.heard() == [(channel, payload) for payload in OTHERS + once]


def test_what_odoo_can_write_is_merged_byte_for_byte(odoo, ear):
    names = ['"', "\\", "/", "\b\f\n\r\t\x01\x1f\x7f", "ü€😀", "a,b]", "[[", -3, 0, 2**53]
    channels = [["mydb", name] for name in names] + [["mydb", "res.partner", 3, "presence"], ["mydb"]]
    with odoo.connect(autocommit=False) as session:
        for channel in channels:
            session.execute("SELECT bus_notify('imbus', %s)", (json.dumps([channel, ["mydb", "all"]], separators=(",", ":")),))
        session.commit()
    merged = [channels[0], ["mydb", "all"], *channels[1:]]
    assert ear.heard() == [("imbus", json.dumps(merged, separators=(",", ":")))]


def test_each_sessions_are_in_order_and_none_is_lost(odoo, ear):
    before = counters(odoo)

    def write(writer):
        with odoo.connect() as session:
            for number in range(100):
                session.execute("SELECT bus_notify('third', %s)", (f"{writer}.{number}",))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    heard = [payload.split(".") for _, payload in ear.heard()]
    for writer in range(8):
        assert [number for name, number in heard if name == str(writer)] == [str(number) for number in range(100)]
    assert len(heard) == 800 and counted(odoo, before)["fallbacks"] == 0


def test_random_savepoints(odoo, ear):
    """Against a model: what was rolled back is never announced."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    expected = []
    with odoo.connect(autocommit=False) as session:
        for turn in range(40):
            levels = [[]]
            for _ in range(rng.randint(1, 60)):
                action = rng.randrange(8)
                if action < 4:
                    payload = f"{turn}.{rng.randrange(40)}"
                    session.execute("SELECT bus_notify('third', %s)", (payload,))
                    if not any(payload in level for level in levels):
                        levels[-1].append(payload)
                elif action == 4:
                    session.execute(f"SAVEPOINT s{len(levels)}")
                    levels.append([])
                elif len(levels) > 1:
                    level = rng.randint(1, len(levels) - 1)
                    undone = levels[level:]
                    del levels[level:]
                    if action == 5:
                        session.execute(f"RELEASE s{level}")
                        levels[-1] += [payload for payloads in undone for payload in payloads]
                    else:
                        session.execute(f"ROLLBACK TO s{level}")
                        levels.append([])
            if rng.random() < 0.8:
                session.commit()
                expected += [("third", payload) for level in levels for payload in level]
            else:
                session.rollback()
    assert ear.heard() == expected, f"seed {seed}"
    eventually(lambda: stat(odoo, "queue_used") == 0)


def test_a_prepared_transaction_is_refused_in_postgresqls_words(odoo, ear):
    words = {}
    with odoo.connect() as session:
        for function in ("pg_notify", "bus_notify"):
            session.execute("BEGIN")
            session.execute(f"SELECT {function}('third', 'p')")
            with pytest.raises(psycopg.errors.FeatureNotSupported) as error:
                session.execute("PREPARE TRANSACTION 'bus'")
            words[function] = error.value.diag.message_primary
            session.execute("ROLLBACK")
        assert words["bus_notify"] == words["pg_notify"]
        session.execute("BEGIN; SAVEPOINT s; SELECT bus_notify('third', 'p'); ROLLBACK TO s; PREPARE TRANSACTION 'bus'")
        session.execute("COMMIT PREPARED 'bus'")
    assert ear.heard() == []
    eventually(lambda: stat(odoo, "queue_used") == 0)


def test_what_is_committed_is_announced_when_the_worker_is_killed_before(odoo, ear, cluster):
    pid = worker_pid(cluster)
    with stopped(pid):
        odoo.execute("SELECT bus_notify('imbus', '[[\"mydb\",\"kept\"]]'), bus_notify('cron_trigger', 'mydb')")
        cluster.execute("SELECT pg_terminate_backend(%s)", (pid,))
    ear.wait_for("cron_trigger", "mydb").wait_for("imbus", '[["mydb","kept"]]')
    assert {process for _, _, process in ear.notifies} == {wait_for_worker(cluster, other_than=pid)}


def test_what_the_worker_has_taken_is_announced_by_the_next_one_and_no_sender_waits(odoo, ear, cluster):
    pid = worker_pid(cluster)
    with hold_notify_lock(cluster) as holder:
        odoo.execute("SELECT bus_notify('imbus', '[[\"mydb\",\"taken\"]]'), bus_notify('third', 'taken')")
        eventually(lambda: waits_for_lock(cluster, pid))
        odoo.execute("SELECT bus_notify('third', 'later')")
        cluster.execute("SELECT pg_terminate_backend(%s)", (pid,))
        eventually(lambda: worker_pid(cluster) not in (None, pid) and waits_for_lock(cluster, worker_pid(cluster)))
        holder.let_go()
        assert ear.heard() == [("third", "taken"), ("third", "later"), ("imbus", '[["mydb","taken"]]')]
    assert pid not in {process for _, _, process in ear.notifies}
    eventually(lambda: stat(odoo, "queue_used") == 0)


def test_with_a_full_queue_transactions_notify_and_none_waits(odoo, ear, cluster):
    before = counters(odoo)
    pid = worker_pid(cluster)
    with stopped(pid), odoo.connect() as session:
        for number in range(700):
            session.execute("SELECT bus_notify('third', %s)", (f"{number}-".ljust(7999, "x"),))
        session.execute("SELECT bus_notify('imbus', p) FROM unnest(%s::text[]) AS p", (
            [json.dumps([["mydb", f"{number}-".ljust(3000, "x")]], separators=(",", ":")) for number in range(20)],))
        assert 4_000_000 < stat(odoo, "queue_used") <= stat(odoo, "queue_size")
        fallbacks = counters(odoo)["fallbacks"] - before["fallbacks"]
        assert 100 < fallbacks < 400
        own = session.info.backend_pid
    heard = ear.finish()
    assert sorted(payload for name, payload, _ in heard if name == "third") == sorted(f"{n}-".ljust(7999, "x") for n in range(700))
    assert len(channels_of([notify[:2] for notify in heard])) == 20
    assert {process for _, _, process in heard} == {own, pid}
    counted(odoo, before)


def test_without_a_worker_here_it_is_pg_notify(odoo, ear, cluster, make_database):
    """In a database that is not the worker's; in each, when the worker is elsewhere, or there is none."""
    other = make_database()
    before = counters(odoo)
    with Ear(cluster, other.name) as local, other.connect(autocommit=False) as session:
        session.execute("SELECT bus_notify('third', 'here'), bus_sendone('c', 't', '1')")
        session.commit()
        assert local.finish() == [("third", "here", session.info.backend_pid)]
    assert ear.heard() == [("imbus", json.dumps([[other.name, "c"]], separators=(",", ":")))], "the row's channel alone"
    assert counted(odoo, before)["fallbacks"] == 2  # with the end of listening
    ear.notifies.clear()
    old = worker_pid(cluster)
    cluster.execute("ALTER SYSTEM SET odoo_bus.hub_database = 'template1'")
    cluster.reload()
    wait_for_worker(cluster, other_than=old)
    with odoo.connect() as session:
        session.execute("SELECT bus_notify('third', 'there is another worker')")
        cluster.execute("ALTER SYSTEM SET odoo_bus.hub_database = 'missing'")
        cluster.reload()
        eventually(lambda: stat(odoo, "worker_pid") is None)
        session.execute("SELECT bus_notify('third', 'there is none')")
        assert ear.finish() == [("third", f"there is {what}", session.info.backend_pid) for what in ("another worker", "none")]


def test_what_was_committed_before_the_hub_was_changed_is_heard_in_the_former_one(odoo, ear, cluster):
    pid = worker_pid(cluster)
    with stopped(pid):
        odoo.execute("SELECT bus_notify('third', 'kept')")
        cluster.execute("ALTER SYSTEM SET odoo_bus.hub_database = 'template1'")
        cluster.reload()
    ear.wait_for("third", "kept")
    assert ear.notifies[0][2] == pid
    wait_for_worker(cluster, other_than=pid)


def test_a_standby_refuses_in_postgresqls_words(odoo, cluster):
    with Standby(cluster) as standby, standby.connect(HUB) as session:
        words = set()
        for function in ("pg_notify", "bus_notify"):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction) as error:
                session.execute(f"SELECT {function}('third', 'p')")
            words.add(error.value.diag.message_primary)
        assert len(words) == 1
