"""bus_sendnow(): delivered at once whatever becomes of the caller, with the caller's rights, and every way to fail."""
import os
import signal
import threading
import time

import psycopg
import pytest

from harness.cluster import Cluster
from harness.deadline import scaled
from harness.doorbell import eventually, preloaded_cluster, wait_for_worker, wait_until_asleep
from harness.standby import Standby

SEND = "SELECT bus_sendnow('c', 't', '1')"


@pytest.fixture(scope="module")
def preloaded(preloaded):
    for role in ("odoo LOGIN CREATEDB", "clerk LOGIN NOINHERIT", "staff NOLOGIN"):
        preloaded.execute(f"CREATE ROLE {role}")
    return preloaded


@pytest.fixture
def cluster(restored):
    return restored


@pytest.fixture
def owned(database):
    """A database in which everything is as where Odoo's own user has made it."""
    database.execute("""ALTER TABLE bus_bus OWNER TO odoo; ALTER TABLE res_users OWNER TO odoo;
        GRANT INSERT ON bus_bus TO clerk, staff; GRANT USAGE ON SEQUENCE bus_bus_id_seq TO clerk, staff""")
    database.execute(f'ALTER DATABASE "{database.name}" OWNER TO odoo')
    return database


def senders(database):
    """The workers of this database: (pid, role)."""
    return database.execute("SELECT pid, usename FROM pg_stat_activity WHERE backend_type = 'odoo_bus sender' "
                            "AND datname = current_database() ORDER BY usename")


def test_it_is_heard_and_seen_before_the_caller_ends_and_stays_when_it_rolls_back(database, hub):
    with database.connect(autocommit=False) as connection:
        [id] = connection.execute("SELECT bus_sendnow('now', 't', '{\"percent\": 10}')").fetchone()
        hub.wait_for(database.name, "now")
        assert database.rows() == [(id, [database.name, "now"], {"type": "t", "payload": {"percent": 10}})]
        connection.execute("SELECT bus_sendone('later', 't', '1')")
        connection.rollback()
    assert hub.finish(database) == [[database.name, "now"]]
    assert database.rows()[0][0] == id and len(database.rows()) == 2


def test_the_overloads_store_what_those_of_bus_sendone_store(database):
    for target in ("'é \"'", "'res.partner', 3", "'res.partner', -7, 'sub'"):
        for function in ("bus_sendone", "bus_sendnow"):
            for of in ("", "json "):
                database.execute(f"SELECT {function}({target}, 'my.type', {of}'{{\"a\": [1, \"é😀\"]}}')")
    database.execute("SELECT bus_sendnow('null', 't', NULL)")
    rows = database.execute("SELECT channel, message FROM bus_bus ORDER BY id")
    assert rows[0:12:4] == rows[1:12:4] == rows[2:12:4] == rows[3:12:4]
    assert rows[12][1] == '{"type":"t","payload":null}'


def test_a_long_loop_keeps_its_order_and_shows_its_own_rows_to_the_next_statement(database, hub):
    database.execute("""DO $$ DECLARE id bigint; last bigint := 0; BEGIN
        FOR step IN 1..300 LOOP
            id := bus_sendnow('step' || step, 't', to_jsonb(step));
            ASSERT id > last AND (SELECT max(b.id) FROM bus_bus b) = id;
            last := id;
            IF step % 100 = 0 THEN
                BEGIN PERFORM bus_sendnow('inner' || step, 't', '1'); RAISE division_by_zero;
                EXCEPTION WHEN division_by_zero THEN END;
            END IF;
        END LOOP;
        RAISE NOTICE 'done'; END $$""")
    heard = [name for _, name in hub.finish(database)]
    expected = []
    for step in range(1, 301):
        expected += [f"step{step}"] + ([f"inner{step}"] if step % 100 == 0 else [])
    assert heard == expected


def test_many_sessions_of_several_roles_at_once(owned):
    ids = {}

    def send(number):
        with owned.connect(user=["odoo", "clerk"][number % 2], autocommit=False) as connection:
            ids[number] = [connection.execute("SELECT bus_sendnow('c', 't', to_jsonb(%s::int))", (number,)).fetchone()[0]
                           for _ in range(40)]

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = {id: message["payload"] for id, _, message in owned.rows()}
    assert len(stored) == 320
    for number, own in ids.items():
        assert own == sorted(own) and all(stored[id] == number for id in own)
    assert [role for _, role in senders(owned)] == ["clerk", "odoo"]


def note_the_user(database):
    database.execute("""CREATE TABLE noted (who text); GRANT INSERT ON noted TO PUBLIC;
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO noted VALUES (current_user); RETURN NULL; END $$;
        CREATE TRIGGER note AFTER INSERT ON bus_bus FOR EACH ROW EXECUTE FUNCTION note()""")


@pytest.mark.parametrize("login, statements, acts_as, connects_as", [
    ("odoo", [], "odoo", "odoo"),
    ("postgres", ["SET ROLE odoo"], "odoo", "postgres"),
    ("postgres", ["SET SESSION AUTHORIZATION clerk"], "clerk", "clerk"),
    ("clerk", ["SET ROLE staff"], "staff", "clerk"),
    ("clerk", ["CALL privileged()"], "postgres", "clerk"),
    ("postgres", [], "postgres", "postgres"),
], ids=["login", "set role", "session authorization", "role without login", "security definer", "superuser"])
def test_as_whom(owned, login, statements, acts_as, connects_as):
    """As the current user, in a connection of the session's."""
    note_the_user(owned)
    owned.execute(f"""GRANT staff TO clerk;
        CREATE PROCEDURE privileged() LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM bus_sendnow('c', 't', '1'); END $$""")
    with owned.connect(user=login) as connection:
        for statement in statements:
            connection.execute(statement)
        if "CALL" not in "".join(statements):
            connection.execute(SEND)
        assert owned.execute("SELECT who FROM noted") == [(acts_as,)]
        if not (login == "clerk" and acts_as == "staff" and connection.info.server_version >= 170000):
            assert [role for _, role in senders(owned)] == [connects_as]


def test_what_fires_cannot_become_the_role_of_the_connection(owned):
    owned.execute("""GRANT staff TO clerk;
        CREATE FUNCTION climb() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN SET ROLE clerk; RETURN NULL; END $$;
        CREATE TRIGGER climb AFTER INSERT ON bus_bus FOR EACH ROW EXECUTE FUNCTION climb()""")
    with owned.connect(user="clerk") as connection:
        connection.execute("SET ROLE staff")
        if connection.info.server_version < 170000:
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="security-definer"):
                connection.execute(SEND)
    assert owned.rows() == []


def test_errors_come_back_as_they_were_met_and_the_worker_goes_on(owned):
    with owned.connect(user="clerk") as connection:
        def fails(error, statement=SEND):
            with pytest.raises(error) as caught:
                connection.execute(statement)
            return caught.value.diag

        owned.execute("REVOKE INSERT ON bus_bus FROM clerk")
        diag = fails(psycopg.errors.InsufficientPrivilege)
        assert "GRANT INSERT ON public.bus_bus TO clerk" in diag.message_hint
        assert not senders(owned), "that is found out before a worker is started"
        owned.execute("GRANT INSERT ON bus_bus TO clerk")
        connection.execute(SEND)
        [(pid, _)] = senders(owned)

        owned.execute("""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE 'no: %', repeat('é', 2000) USING ERRCODE = 'BU123', DETAIL = 'why', HINT = 'what'; END $$;
            CREATE TRIGGER refuse AFTER INSERT ON bus_bus FOR EACH ROW EXECUTE FUNCTION refuse()""")
        diag = fails(psycopg.Error)
        assert (diag.sqlstate, diag.message_detail, diag.message_hint) == ("BU123", "why", "what")
        assert diag.message_primary.startswith("no: éé") and 900 < len(diag.message_primary.encode()) < 1024
        assert "PL/pgSQL function refuse()" in diag.context and diag.context.endswith("background worker of bus_sendnow()")
        owned.execute("DROP TRIGGER refuse ON bus_bus")

        owned.execute("""CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON bus_bus DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION refuse()""")
        assert fails(psycopg.Error).sqlstate == "BU123", "at its commit"
        owned.execute("DROP TRIGGER refuse ON bus_bus")

        owned.execute("ALTER TABLE bus_bus ADD CONSTRAINT small CHECK (length(message) < 40)")
        fails(psycopg.errors.CheckViolation, "SELECT bus_sendnow('c', 't', to_jsonb(repeat('x', 40)))")
        # What is wrong with the arguments is found before.
        assert fails(psycopg.errors.NullValueNotAllowed, "SELECT bus_sendnow(NULL, 't', '1')").message_hint
        fails(psycopg.errors.InvalidParameterValue, "SELECT bus_sendnow('', 3, 't', '1')")
        fails(psycopg.errors.InvalidParameterValue, "SELECT bus_sendnow('m', 3, 's', '', '1')")
        fails(psycopg.errors.ProgramLimitExceeded, "SELECT bus_sendnow('c', 't', to_jsonb(repeat('x', 1024 * 1024)))")
        connection.execute(SEND)
        assert [sender for sender, _ in senders(owned)] == [pid]
    assert len(owned.rows()) == 2
    assert owned.value("SELECT sent_now FROM bus_stat") >= 1
    owned.execute("DROP TABLE bus_bus")
    with pytest.raises(psycopg.errors.UndefinedTable) as caught:
        owned.execute(SEND)
    assert "bus_create_table" in caught.value.diag.message_hint


def test_a_caught_error_leaves_the_callers_transaction_usable(owned):
    owned.execute("ALTER TABLE bus_bus ADD CONSTRAINT never CHECK (false) NOT VALID")
    owned.execute("""DO $$ BEGIN
        FOR i IN 1..20 LOOP
            BEGIN PERFORM bus_sendnow('c', 't', '1'); RAISE 'not reached';
            EXCEPTION WHEN check_violation THEN END;
        END LOOP; END $$""")


def test_it_does_not_wait_for_its_caller_for_ever(database):
    with database.connect(autocommit=False) as connection:
        connection.execute("SET odoo_bus.sendnow_lock_timeout = '50ms'; LOCK TABLE bus_bus")
        with pytest.raises(psycopg.errors.LockNotAvailable) as caught:
            connection.execute(SEND)
        assert "calling transaction" in caught.value.diag.message_hint
        connection.rollback()
        # Locks that any sender takes are in nobody's way.
        connection.execute("SELECT bus_sendone('c', 't', '1')")
        connection.execute(SEND)


def test_read_only_serializable_and_prepared_callers(database):
    with database.connect() as connection:
        connection.execute("BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY")
        connection.execute(SEND)
        connection.execute("COMMIT")
        connection.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        connection.execute("SELECT count(*) FROM bus_bus")
        connection.execute(SEND)
        connection.execute("PREPARE TRANSACTION 'now'")
        connection.execute("ROLLBACK PREPARED 'now'")
    assert len(database.rows()) == 2


def test_a_standby_refuses_and_a_server_without_preloading_says_how(database, cluster):
    with Standby(cluster) as standby:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction, match="bus_sendnow"):
            standby.execute(SEND, dbname=database.name)
        standby.promote()
        standby.execute(SEND, dbname=database.name)
    with Cluster() as plain:
        other = plain.create_database().install()
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as caught:
            other.execute(SEND)
        assert "shared_preload_libraries" in caught.value.diag.message_hint
        assert other.rows() == []


def test_what_it_causes_cannot_use_it(database):
    database.execute("""CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM bus_sendnow('again', 't', '1'); RETURN NULL; END $$;
        CREATE TRIGGER again AFTER INSERT ON bus_bus FOR EACH ROW EXECUTE FUNCTION again()""")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState) as caught:
        database.execute(SEND)
    assert "bus_sendone" in caught.value.diag.message_hint


def test_large_payloads_and_other_encodings(make_database):
    database = make_database(encoding="'LATIN1'", template="template0", locale="'C'")
    with database.connect(client_encoding="UTF8") as connection:
        connection.execute("SELECT bus_sendnow('ö', 'ü', to_jsonb(repeat('é', 150000)))")
        channel, message = connection.execute("SELECT channel, length(message) FROM bus_bus").fetchone()
        assert channel.endswith('"\\u00f6"]') and message > 900_000
        connection.execute("""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'é'; END $$;
            CREATE TRIGGER refuse AFTER INSERT ON bus_bus FOR EACH ROW EXECUTE FUNCTION refuse()""")
        with pytest.raises(psycopg.errors.RaiseException, match="^é"):
            connection.execute(SEND)


def test_a_terminated_worker_is_replaced_and_nothing_is_sent_twice(database, cluster):
    """Under load, whatever it is doing; also cancelled. No call fails but by a cancellation, and each sends once."""
    stop = threading.Event()
    returned, failures = [], []

    def send():
        with database.connect() as connection:
            while not stop.is_set():
                try:
                    returned.append(connection.execute(SEND).fetchone()[0])
                except psycopg.errors.QueryCanceled:
                    pass
                except psycopg.Error as error:
                    failures.append(error)

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    terminated = set()
    try:
        for _ in range(15):
            pid = eventually(lambda: next((pid for pid, _ in senders(database) if pid not in terminated), None))
            done = len(returned)
            eventually(lambda: len(returned) > done + 5)
            cluster.execute("SELECT pg_cancel_backend(%s)", (pid,))
            cluster.execute("SELECT pg_terminate_backend(%s)", (pid,))
            terminated.add(pid)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(terminated) == 15 and not failures
    assert sorted(returned) == [id for id, _, _ in database.rows()]


def test_a_killed_worker_restarts_the_server_and_the_next_call_starts_another(database, cluster):
    committed = database.value(SEND)
    [(pid, _)] = senders(database)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not os.path.exists(f"/proc/{pid}"))

    def sent():
        try:
            return database.value(SEND)
        except psycopg.OperationalError:
            return None

    assert eventually(sent) > committed
    assert committed in [id for id, _, _ in database.rows()]


@pytest.mark.parametrize("how", ["cancelled", "terminated"])
def test_a_caller_that_does_not_wait_any_longer(database, cluster, how):
    """While the worker stands still. What it has not begun it does not send; its place is not lost."""
    database.execute(SEND)
    [(pid, _)] = senders(database)
    wait_until_asleep(cluster, pid)
    os.kill(pid, signal.SIGSTOP)
    try:
        with database.connect() as connection:
            if how == "cancelled":
                connection.execute("SET statement_timeout = '100ms'")
                for _ in range(20):
                    with pytest.raises(psycopg.errors.QueryCanceled):
                        connection.execute("SELECT bus_sendnow('abandoned', 't', '1')")
            else:
                thread = threading.Timer(0.2, lambda: cluster.execute("SELECT pg_terminate_backend(%s)",
                                                                      (connection.info.backend_pid,)))
                thread.start()
                with pytest.raises(psycopg.OperationalError):
                    connection.execute("SELECT bus_sendnow('abandoned', 't', '1')")
                thread.join()
    finally:
        os.kill(pid, signal.SIGCONT)
    database.execute(SEND)
    assert [channel[1] for _, channel, _ in database.rows()] == ["c", "c"]
    assert [sender for sender, _ in senders(database)] == [pid]


def test_no_background_worker_is_free(make_database):
    """PostgreSQL and the doorbell take two: an error that says what to do. With one more, idle senders make room."""
    with preloaded_cluster(max_worker_processes=2) as small:
        database = small.create_database().install()
        begin = time.monotonic()
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded) as caught:
            database.execute(SEND)
        assert time.monotonic() - begin > 4
        assert "max_worker_processes" in caught.value.diag.message_hint
        with database.connect() as connection:
            connection.execute("SET statement_timeout = '200ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute(SEND)
        small.configure(max_worker_processes=3, **{"odoo_bus.sendnow_idle_timeout": "1h"})
        small.restart()
        others = [small.create_database().install() for _ in range(3)]
        for _ in range(2):
            for other in others:
                other.execute(SEND)
        assert [len(other.rows()) for other in others] == [2, 2, 2]


def test_an_idle_worker_leaves(database, cluster):
    database.execute(SEND)
    assert senders(database)
    cluster.execute("ALTER SYSTEM SET odoo_bus.sendnow_idle_timeout = '1s'")
    cluster.reload()
    eventually(lambda: not senders(database))
    assert database.value("SELECT senders FROM bus_stat") == 0
    database.execute(SEND)


def test_odoo_can_drop_and_duplicate_its_database(owned, cluster):
    """As it does: it terminates all connections, as an ordinary role, then copies or drops. Also without terminating."""
    cluster.execute("ALTER SYSTEM SET odoo_bus.sendnow_idle_timeout = '1h'")
    cluster.reload()
    with owned.connect(user="odoo") as connection:
        connection.execute(SEND)
    with owned.connect(user="clerk") as connection:
        connection.execute(SEND)
    cluster.execute("GRANT clerk TO odoo")
    with cluster.connect(user="odoo") as odoo:
        [count] = odoo.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s "
                               "AND pid <> pg_backend_pid()", (owned.name,)).fetchone()
        assert count >= 2
        odoo.execute(f'CREATE DATABASE copy TEMPLATE "{owned.name}"')
        with cluster.connect("copy", user="odoo") as connection:
            connection.execute(SEND)
        odoo.execute("DROP DATABASE copy")
    with owned.connect(user="odoo") as connection:
        connection.execute(SEND)
    cluster.execute(f'ALTER DATABASE "{owned.name}" RENAME TO renamed')
    assert cluster.execute("SELECT bus_sendnow('c', 't', '1')", dbname="renamed")
    cluster.execute(f'ALTER DATABASE renamed RENAME TO "{owned.name}"')
    owned.execute(SEND)
    cluster.execute("DROP DATABASE IF EXISTS copy WITH (FORCE)")


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_shutdown_while_sessions_send(database, cluster, mode):
    stop = threading.Event()
    returned = []

    def send():
        try:
            with database.connect() as connection:
                while not stop.is_set():
                    returned.append(connection.execute(SEND).fetchone()[0])
        except psycopg.Error:
            pass

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(returned) > 20)
    begin = time.monotonic()
    cluster.stop(mode)
    assert time.monotonic() - begin < scaled(30)
    stop.set()
    for thread in threads:
        thread.join()
    cluster.start()
    wait_for_worker(cluster)
    assert set(returned) <= {id for id, _, _ in database.rows()}
    database.execute(SEND)


def test_neither_caller_nor_worker_grows(database):
    def resident_kb(pid):
        with open(f"/proc/{pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon:"))

    with database.connect() as connection:
        statement = "SELECT count(bus_sendnow('c' || i % 1000, 't', to_jsonb(repeat('x', i)))) FROM generate_series(1, 3000) AS i"
        connection.execute(statement)
        connection.execute(statement)
        [(pid, _)] = senders(database)
        pids = (pid, connection.info.backend_pid)
        before = [resident_kb(pid) for pid in pids]
        for _ in range(3):
            connection.execute(statement)
        assert [sender for sender, _ in senders(database)] == [pid]
        for pid, was in zip(pids, before):
            assert resident_kb(pid) - was < 1500
