"""odoo_bus.retention: old rows go, by the table's owner, in the background; nothing else does."""
import psycopg
import pytest

from harness.doorbell import eventually, stat


@pytest.fixture(scope="module")
def preloaded(preloaded):
    preloaded.execute("CREATE ROLE odoo LOGIN CREATEDB")
    return preloaded


@pytest.fixture
def cluster(restored):
    return restored


@pytest.fixture
def made(make_database):
    """A database without Odoo whose table bus_create_table() has made, as the ordinary owner of both."""
    database = make_database(extension=False, owner="odoo")
    database.execute("GRANT ALL ON SCHEMA public TO odoo")
    with database.connect(user="odoo") as connection:
        connection.execute("CREATE EXTENSION odoo_bus")
        connection.execute("SELECT bus_create_table()")
    return database


def insert(database, count, age):
    database.execute("INSERT INTO bus_bus (channel, message, create_date) SELECT bus_channel('c'), '{}', "
                     "now() AT TIME ZONE 'UTC' - %s::interval FROM generate_series(1, %s)", (age, count))


def count(database):
    return database.value("SELECT count(*) FROM bus_bus")


def test_the_rows_of_yesterday_go_in_batches_and_those_of_today_stay(made):
    assert stat(made, "retention").total_seconds() == 24 * 3600
    before = stat(made, "deleted")
    insert(made, 12_000, "25 hours")
    insert(made, 300, "23 hours")
    insert(made, 200, "2 days")  # of transactions that lasted for long
    made.execute("UPDATE bus_bus SET create_date = NULL WHERE id IN (1, 2)")
    made.sendone("c")
    eventually(lambda: count(made) == 303)
    eventually(lambda: stat(made, "deleted") - before == 12_198)  # counted after the commit
    assert made.value("SELECT count(*) FROM bus_bus WHERE create_date IS NULL") == 2


def test_it_goes_on_although_nothing_is_sent_any_more(made):
    made.execute(f'ALTER DATABASE "{made.name}" SET odoo_bus.retention = \'3s\'')
    before = stat(made, "deleted")
    for number in range(5):
        made.sendone(f"c{number}")
    eventually(lambda: count(made) == 0)
    eventually(lambda: stat(made, "deleted") - before == 5)
    # And begins again: within a minute for a session that goes on, at once for a new one.
    made.sendone("c")
    eventually(lambda: count(made) == 0)


def test_odoos_tables_are_left_to_odoo_unless_it_is_asked_for(made, database):
    insert(database, 10, "10 days")
    database.sendone("c")
    insert(made, 10, "10 days")
    made.sendone("c")
    eventually(lambda: count(made) == 1)
    assert count(database) == 11 and stat(database, "retention") is None
    database.execute(f'ALTER DATABASE "{database.name}" SET odoo_bus.retention = \'7d\'')
    database.sendone("c")
    eventually(lambda: count(database) == 2)
    assert stat(database, "retention").days == 7


@pytest.mark.parametrize("off", [
    "ALTER DATABASE {} SET odoo_bus.retention = 0",
    "COMMENT ON TABLE bus_bus IS 'Communication Bus'",  # as Odoo does when it takes the table over
])
def test_it_can_be_switched_off(make_database, made, off):
    made.execute(off.format(f'"{made.name}"'))
    insert(made, 10, "10 days")
    made.sendone("c")
    assert stat(made, "retention") is None
    other = make_database()
    other.execute(f'ALTER DATABASE "{other.name}" SET odoo_bus.retention = \'1d\'')
    insert(other, 10, "10 days")
    other.sendone("c")
    eventually(lambda: count(other) == 1)  # after which the first one would have been looked at
    assert count(made) == 11


def test_the_mark_survives_dump_and_duplication(cluster, make_database, made):
    copy = make_database(extension=False)
    copy.psql(input=cluster.run("pg_dump", dbname=made.name).stdout)
    duplicate = make_database(extension=False, template=f'"{made.name}"')
    for database in (copy, duplicate):
        assert stat(database, "retention").total_seconds() == 24 * 3600
        insert(database, 10, "10 days")
        database.sendone("c")
        eventually(lambda: count(database) == 1)


NOTE_WHO_DELETES = """CREATE TABLE noted AS SELECT current_user AS who LIMIT 0; ALTER TABLE noted OWNER TO odoo;
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO noted VALUES (current_user); RETURN OLD; END $$;
    CREATE TRIGGER note BEFORE DELETE ON bus_bus FOR EACH ROW EXECUTE FUNCTION note()"""


def test_it_acts_as_the_tables_owner(made):
    made.execute(NOTE_WHO_DELETES)
    insert(made, 3, "10 days")
    made.sendone("c")
    eventually(lambda: count(made) == 1)
    assert made.execute("SELECT DISTINCT who FROM noted") == [("odoo",)]
    made.execute("ALTER TABLE bus_bus OWNER TO postgres")
    made.execute("TRUNCATE noted")
    insert(made, 3, "10 days")
    made.execute(f'ALTER DATABASE "{made.name}" SET odoo_bus.retention = \'1s\'')
    made.sendone("c")  # plans it for the owner of now
    eventually(lambda: count(made) == 0)
    assert made.execute("SELECT DISTINCT who FROM noted") == [("postgres",)]


def test_a_table_that_is_anothers_by_now_is_left_alone(database, cluster):
    """Planned as a superuser, whose rights the triggers of the new owner would have."""
    cluster.execute("ALTER SYSTEM SET log_min_messages = debug1")
    cluster.reload()
    database.execute(f'ALTER DATABASE "{database.name}" SET odoo_bus.retention = \'8s\'')
    database.sendone("c")
    database.execute(NOTE_WHO_DELETES)
    database.execute("ALTER TABLE bus_bus OWNER TO odoo; ALTER TABLE res_users OWNER TO odoo")
    insert(database, 1, "1 day")

    def runs():
        return cluster.log_text().count('starting background worker process "odoo_bus retention"')

    def is_due():
        return database.value("SELECT now() AT TIME ZONE 'UTC' - max(create_date) > '9.5 s' FROM bus_bus")

    before = runs()
    eventually(lambda: is_due() and runs() > before, timeout=60)
    eventually(lambda: not cluster.execute("SELECT FROM pg_stat_activity WHERE backend_type = 'odoo_bus retention'"))
    database.sendone("c")  # plans it for the new owner
    eventually(lambda: count(database) == 0, timeout=60)
    assert database.execute("SELECT DISTINCT who FROM noted") == [("odoo",)]


def test_an_error_is_shown_and_holds_up_nobody_else(made, make_database):
    made.execute("""CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'keep it'; END $$;
        CREATE TRIGGER refuse BEFORE DELETE ON bus_bus FOR EACH ROW EXECUTE FUNCTION refuse()""")
    insert(made, 3, "10 days")
    made.sendone("c")
    eventually(lambda: stat(made, "last_error") == "keep it")
    other = make_database(extension=False)
    other.execute("CREATE EXTENSION odoo_bus; SELECT bus_create_table()")
    insert(other, 3, "10 days")
    other.sendone("c")
    eventually(lambda: count(other) == 1)
    assert count(made) == 4


def test_it_waits_for_no_lock_and_nobody_waits_for_it(made):
    with made.connect(autocommit=False) as connection:
        connection.execute("LOCK TABLE bus_bus IN SHARE MODE")
        with made.connect() as sender:
            sender.execute("SET lock_timeout = '100ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                sender.execute("SELECT bus_sendone('c', 't', '1')")
        connection.rollback()
        insert(made, 10, "10 days")
        made.sendone("c")
        eventually(lambda: count(made) == 1)
        made.execute(f'ALTER DATABASE "{made.name}" SET odoo_bus.retention = \'1s\'')
        made.sendone("c")
        connection.execute("LOCK TABLE bus_bus IN SHARE MODE")
        eventually(lambda: "lock timeout" in (stat(made, "last_error") or ""))
        connection.rollback()
    assert made.sendone("c")


def test_a_database_that_goes_meanwhile(make_database, cluster):
    for _ in range(3):
        database = make_database(extension=False)
        database.execute("CREATE EXTENSION odoo_bus; SELECT bus_create_table()")
        insert(database, 6000, "10 days")
        database.sendone("c")
        cluster.execute(f'DROP DATABASE "{database.name}"')
    other = make_database(extension=False)
    other.execute("CREATE EXTENSION odoo_bus; SELECT bus_create_table()")
    insert(other, 3, "10 days")
    other.sendone("c")
    eventually(lambda: count(other) == 1)
