"""NOTIFY imbus: Odoo's format, below 8000 bytes, each channel once, and only what was committed."""
import json
import random

import pytest

from harness.doorbell import Listener, worker_pid


@pytest.fixture
def listener(database):
    with database.connect() as connection:
        connection.execute("LISTEN imbus")
        yield connection


def heard(listener, database):
    """The payloads of the NOTIFYs up to now, in order: a NOTIFY of our own ends the waiting."""
    database.execute("NOTIFY imbus, 'end'")
    payloads = []
    for notification in listener.notifies():
        if notification.payload == "end":
            return payloads
        payloads.append(notification.payload)


def test_payloads_stay_below_the_limit_and_no_channel_is_missing_or_doubled(database, listener):
    rng = random.Random(7)
    prefix = len(json.dumps([database.name, ""], separators=(",", ":")))
    # Lengths around every edge: a payload of exactly 7999 bytes, alone and by two, three, many.
    lengths = [7997 - prefix, 7996 - prefix, 3998 - prefix, 3998 - prefix, 3999 - prefix, 3998 - prefix]
    lengths += [rng.randint(5, 900) for _ in range(400)]
    names = [f"{number}-".ljust(length, "x") for number, length in enumerate(lengths)]
    database.execute("SELECT bus_sendmany(%s, 't', '1'), bus_sendmany(%s, 't', '1')", (names, names[::-1]))
    payloads = heard(listener, database)
    assert all(len(payload) < 8000 for payload in payloads)
    assert max(map(len, payloads)) == 7999
    assert [channel for payload in payloads for channel in json.loads(payload)] == [[database.name, n] for n in names]
    assert len(payloads) < 30
    assert all(" " not in payload for payload in payloads)


def test_many_channels_in_many_subtransactions(database, listener):
    """Against a model of sets: random savepoints, releases and rollbacks."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    with database.connect(autocommit=False) as connection:
        for _ in range(30):
            levels = [[]]
            for _ in range(rng.randint(1, 80)):
                action = rng.randrange(8)
                if action < 4:
                    name = f"c{rng.randrange(60)}"
                    connection.execute("SELECT bus_sendone(%s, 't', '1')", (name,))
                    if not any(name in level for level in levels):
                        levels[-1].append(name)
                elif action == 4:
                    connection.execute(f"SAVEPOINT s{len(levels)}")
                    levels.append([])
                elif len(levels) > 1:
                    level = rng.randint(1, len(levels) - 1)
                    undone = levels[level:]
                    del levels[level:]
                    if action == 5:
                        connection.execute(f"RELEASE s{level}")
                        for names in undone:
                            levels[-1].extend(names)
                    else:
                        connection.execute(f"ROLLBACK TO s{level}")
                        levels.append([])
            committed = rng.random() < 0.8
            connection.commit() if committed else connection.rollback()
            expected = [[database.name, name] for level in levels for name in level] if committed else []
            found = [channel for payload in heard(listener, database) for channel in json.loads(payload)]
            assert found == expected, f"seed {seed}"


def test_a_hundred_thousand_channels(database, listener):
    database.execute("SELECT bus_sendmany(array_agg('c' || i), 't', '1') FROM generate_series(1, 100000) AS i")
    channels = [channel for payload in heard(listener, database) for channel in json.loads(payload)]
    assert channels == [[database.name, f"c{i}"] for i in range(1, 100001)]


def test_nothing_is_notified_when_switched_off(database, listener):
    database.execute("SET odoo_bus.notify = off; SELECT bus_sendone('c', 't', '1')")
    assert heard(listener, database) == []
    assert len(database.rows()) == 1


def test_a_deferred_trigger_that_sends_is_heard(database, listener):
    with database.connect() as connection:
        connection.execute("CREATE TABLE t (id int)")
        connection.execute("CREATE CONSTRAINT TRIGGER t AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED "
                           "FOR EACH ROW EXECUTE FUNCTION bus_record_changed('t_%s', 't')")
        connection.execute("INSERT INTO t VALUES (1)")
    assert heard(listener, database) == [json.dumps([[database.name, "t_1"]], separators=(",", ":"))]


def test_without_preloading_all_notify_in_their_own_database_and_there_is_no_worker(database, cluster):
    """Whatever the version: from 17 on both could be had, see "Why it must be preloaded" in docs/doorbell.md."""
    sent = [[database.name, f"c{number}"] for number in range(50)]
    with Listener(cluster) as hub, Listener(cluster, database.name) as local:
        for _, name in sent:
            database.sendone(name)  # in a session of its own
        assert local.finish_local() == sent
        assert hub.finish_local() == []
    assert worker_pid(cluster) is None
    assert database.execute("SELECT mode, sent, queue_size, worker_pid FROM bus_stat") == [("notify", None, None, None)]


def test_without_preloading_bus_notify_is_pg_notify(database, listener):
    """With lists of channels in one, and what was rolled back not at all."""
    with database.connect(autocommit=False) as connection:
        connection.execute("SELECT bus_notify('imbus', '[[\"mydb\",\"a\"],[\"mydb\",\"b\"]]'), bus_notify('imbus', 'no list')")
        connection.execute("SAVEPOINT s")
        connection.execute("SELECT bus_notify('imbus', '[[\"mydb\",\"rolled back\"]]')")
        connection.execute("ROLLBACK TO s")
        connection.execute("SELECT bus_notify('imbus', '[[\"mydb\",\"b\"],[\"mydb\",\"c\"]]')")
        assert heard(listener, database) == []
        connection.commit()
    assert heard(listener, database) == ["no list", '[["mydb","a"],["mydb","b"],["mydb","c"]]']
