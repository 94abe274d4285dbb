"""Many writers at once, leaks, and what a backend's memory does."""
import subprocess
import threading

import psycopg
import pytest


def test_ids_and_rows_of_concurrent_writers(database):
    """Each writer gets the ids of its own rows, all different, rising within one writer; DDL goes on meanwhile."""
    failures, ids = [], [[] for _ in range(8)]

    def write(writer):
        try:
            with database.connect() as connection:
                for number in range(150):
                    sent = connection.execute("SELECT bus_sendmany(ARRAY['a', 'b'], 't', to_jsonb(%s::int)), "
                                              "bus_sendone('c', 't', to_jsonb(%s::int))", (writer, writer)).fetchone()
                    ids[writer] += [*sent[0], sent[1]]
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(len(ids))]
    for thread in threads:
        thread.start()
    with database.connect() as connection:
        while any(thread.is_alive() for thread in threads):
            connection.execute("ALTER TABLE bus_bus ADD COLUMN extra int DEFAULT 1")
            connection.execute("ALTER TABLE bus_bus DROP COLUMN extra")
    for thread in threads:
        thread.join()
    assert not failures
    rows = {id: message["payload"] for id, _, message in database.rows()}
    for writer, own in enumerate(ids):
        assert own == sorted(own) and len(own) == 450
        assert all(rows[id] == writer for id in own)
    assert len(rows) == 450 * len(ids)


def memory(connection):
    """Bytes of the backend's memory contexts."""
    if connection.info.server_version < 140000:
        pytest.skip("PostgreSQL 13 does not list its memory contexts")
    return connection.execute("SELECT sum(total_bytes) FROM pg_backend_memory_contexts").fetchone()[0]


def grown_by(connection, statement):
    for _ in range(3):
        connection.execute(statement)
    before = memory(connection)
    for _ in range(3):
        connection.execute(statement)
    return memory(connection) - before


def test_a_backend_that_sends_does_not_grow(database):
    with database.connect() as connection:
        for call in ("bus_sendone('c' || i % 1000, 't', '{\"a\": [1, \"é\"]}')", "bus_sendone('res.partner', i, 't', NULL)",
                     "bus_sendmany(ARRAY['a' || i], 't', '1')"):
            assert grown_by(connection, f"SELECT count({call}) FROM generate_series(1, 3000) AS i") < 100_000, call
        # By the kept plan as well, and by the trigger.
        connection.execute("ALTER TABLE bus_bus ADD COLUMN extra int DEFAULT 1")
        assert grown_by(connection, "SELECT count(bus_sendone('c', 't', '1')) FROM generate_series(1, 3000)") < 100_000
        connection.execute("CREATE TABLE t AS SELECT i AS id, 0 AS value FROM generate_series(1, 1000) AS i")
        connection.execute("CREATE TRIGGER t AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION bus_record_changed('t_%s', 't')")
        assert grown_by(connection, "UPDATE t SET value = value + 1") < 100_000


def test_memory_within_one_transaction_is_that_of_the_channels(database):
    """Many rows to a thousand channels keep a thousand channels; what subtransactions undid is not kept."""
    with database.connect(autocommit=False) as connection:
        grown = grown_by(connection, "SELECT count(bus_sendone('c' || i % 1000, 't', '1')) FROM generate_series(1, 20000) AS i")
        assert grown < 100_000
        loop = """DO $$ BEGIN
            FOR i IN 1..2000 LOOP
                BEGIN
                    PERFORM bus_sendone('undone' || i, 't', '1');
                    RAISE division_by_zero;
                EXCEPTION WHEN division_by_zero THEN
                END;
            END LOOP;
        END $$"""
        assert grown_by(connection, loop) < 200_000


def test_an_error_in_the_middle_leaves_nothing_behind(database):
    with database.connect() as connection:
        connection.execute("ALTER TABLE bus_bus ADD CHECK (message NOT LIKE '%wrong%')")
        try:
            connection.execute("""SELECT bus_sendmany('[["a", "t", 1], ["b", "t", "wrong"], ["c", "t", 3]]')""")
            raise AssertionError("the check constraint was not honoured")
        except psycopg.errors.CheckViolation:
            pass
        connection.execute("SELECT bus_sendone('d', 't', '4')")
    assert [channel[1] for _, channel, _ in database.rows()] == ["d"]


def test_serializable_conflicts_are_noticed(database):
    """The direct insert takes part in serializable isolation as any INSERT does."""
    with database.connect(autocommit=False) as first, database.connect(autocommit=False) as second:
        for connection in (first, second):
            connection.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            connection.execute("SELECT count(*) FROM bus_bus").fetchone()
        first.execute("SELECT bus_sendone('a', 't', '1')")
        second.execute("SELECT bus_sendone('b', 't', '1')")
        first.commit()
        try:
            second.commit()
            raise AssertionError("no conflict was noticed")
        except psycopg.errors.SerializationFailure:
            second.rollback()


def test_the_library_needs_no_cplusplus_runtime(cluster):
    """A C++ exception could cross a PostgreSQL frame only if something threw it."""
    library = subprocess.run([cluster.bin / "pg_config", "--pkglibdir"], capture_output=True, text=True, check=True)
    symbols = subprocess.run(["nm", "-D", "--undefined-only", library.stdout.strip() + "/odoo_bus.so"],
                             capture_output=True, text=True, check=True).stdout
    assert "heap_form_tuple" in symbols
    assert "_Z" not in symbols and "__cxa_throw" not in symbols and "__gxx" not in symbols
