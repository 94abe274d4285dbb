"""odoo_bus.retention: old rows go, by the table's owner, in the background; nothing else does."""
import psycopg
import pytest

from harness.doorbell import eventually, stat, wait_for_worker
from harness.hold import held


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


def test_a_row_that_is_dated_in_the_future_is_as_old_as_the_next_one(made):
    before = stat(made, "deleted")
    insert(made, 6_000, "-70 years")  # more than a batch
    insert(made, 1, "25 hours")
    made.execute("UPDATE bus_bus SET create_date = 'infinity' WHERE id % 2 = 0 AND id < 6000")
    insert(made, 10, "-70 years")
    made.sendone("c")
    eventually(lambda: count(made) == 11)
    eventually(lambda: stat(made, "deleted") - before == 6_001)


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


def test_what_is_sent_while_a_worker_is_at_its_end_is_left_to_the_next_one(cluster, made):
    """It has looked at the table for the last time, or is terminated, and nothing is sent after that."""
    made.execute(f'ALTER DATABASE "{made.name}" SET odoo_bus.retention = \'1s\'')
    with made.connect(autocommit=False) as connection:
        with held(wait_for_worker(cluster)):
            made.sendone("before")
            connection.execute("LOCK TABLE bus_bus IN SHARE MODE")
        [(pid,)] = eventually(lambda: made.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'odoo_bus retention' "
                                                   "AND wait_event_type = 'Lock'"))
        with held(pid):
            connection.rollback()
            made.sendone("meanwhile")
            made.execute("SELECT pg_terminate_backend(%s)", (pid,))
    eventually(lambda: count(made) == 0)


def test_odoos_tables_are_left_to_odoo_unless_it_is_asked_for(made, database):
    database.execute("ALTER TABLE bus_bus OWNER TO odoo")
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
    other.execute("ALTER TABLE bus_bus OWNER TO odoo")
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


OBSTACLES = [
    ("a trigger ON DELETE", """CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER keep BEFORE DELETE ON bus_bus FOR EACH ROW EXECUTE FUNCTION keep()"""),
    ("a trigger ON DELETE", """CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER note AFTER DELETE ON bus_bus REFERENCING OLD TABLE AS gone EXECUTE FUNCTION note()"""),
    ("a foreign key refers to it", "CREATE TABLE child (bus int REFERENCES bus_bus ON DELETE CASCADE)"),
    ("a rule ON DELETE", "CREATE RULE keep AS ON DELETE TO bus_bus DO INSTEAD NOTHING"),
    ("row-level security is forced", "ALTER TABLE bus_bus ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"),
    ("other tables inherit", "CREATE TABLE child () INHERITS (bus_bus)"),
    ("no index of its column id", "ALTER TABLE bus_bus DROP CONSTRAINT bus_bus_pkey; CREATE INDEX ON bus_bus (id) WHERE id > 5"),
    ("no privilege", "REVOKE DELETE ON bus_bus FROM odoo"),
    ("a superuser", "ALTER TABLE bus_bus OWNER TO postgres"),
]


@pytest.mark.parametrize("obstacle, ddl", OBSTACLES, ids=[obstacle for obstacle, _ in OBSTACLES])
def test_what_is_in_the_way_of_deleting_is_shown_and_left_alone(cluster, made, make_database, obstacle, ddl):
    """Before it is planned, and after: what runs then looks again."""
    made.execute(f'ALTER DATABASE "{made.name}" SET odoo_bus.retention = \'1s\'')
    made.sendone("before")  # so that the database is known, and cleaned every second
    eventually(lambda: count(made) == 0)
    with held(wait_for_worker(cluster)):
        made.sendone("c")
        made.execute(ddl)
    assert stat(made, "retention") is None and obstacle in stat(made, "warning")
    other = make_database(extension=False)
    other.execute("CREATE EXTENSION odoo_bus; SELECT bus_create_table(); ALTER TABLE bus_bus OWNER TO odoo")
    insert(other, 3, "10 days")
    other.sendone("c")
    eventually(lambda: count(other) == 1)  # the first one was due before
    assert count(made) == 1
    for _ in range(2):
        made.sendone("c")
    told = f'@{made.name} LOG:  old rows of "bus_bus" are not deleted: {stat(made, "warning").split(": ")[1]}'
    assert cluster.log_text().count(told) == 1
    assert count(made) == 3


def test_a_table_that_has_another_owner_by_now_is_left_until_it_is_planned_again(cluster, made, make_database):
    made.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
    insert(made, 3, "10 days")
    with held(wait_for_worker(cluster)):
        made.sendone("c")
        made.execute("CREATE ROLE heir LOGIN; ALTER TABLE bus_bus OWNER TO heir")
    other = make_database(extension=False)
    other.execute("CREATE EXTENSION odoo_bus; SELECT bus_create_table(); ALTER TABLE bus_bus OWNER TO odoo")
    insert(other, 3, "10 days")
    other.sendone("c")
    eventually(lambda: count(other) == 1)  # the first one was due before
    assert count(made) == 4
    made.sendone("c")
    eventually(lambda: count(made) == 2)
    made.execute("DROP OWNED BY heir; DROP ROLE heir")


def test_disabled_triggers_and_rules_of_other_events_are_not_in_the_way(made):
    made.execute("""CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER keep BEFORE DELETE ON bus_bus FOR EACH ROW EXECUTE FUNCTION keep();
        ALTER TABLE bus_bus DISABLE TRIGGER keep;
        CREATE RULE noted AS ON UPDATE TO bus_bus DO INSTEAD NOTHING;
        ALTER TABLE bus_bus ENABLE ROW LEVEL SECURITY""")
    insert(made, 3, "10 days")
    made.execute("SELECT bus_sendone('c', 't', '1')")
    eventually(lambda: count(made) == 1)


def test_the_tables_of_superusers_are_cleaned_where_the_server_says_so(cluster, made):
    made.execute("ALTER TABLE bus_bus OWNER TO postgres")
    insert(made, 3, "10 days")
    made.sendone("c")
    assert stat(made, "retention") is None and "superuser" in stat(made, "warning")
    with pytest.raises(psycopg.errors.CantChangeRuntimeParam):
        made.execute("SET odoo_bus.retention_superuser_tables = on")
    cluster.execute("ALTER SYSTEM SET odoo_bus.retention_superuser_tables = on")
    cluster.reload()
    eventually(lambda: stat(made, "retention"))
    made.sendone("c")
    eventually(lambda: count(made) == 2)


@pytest.mark.parametrize("index", ["id DESC", "id DESC NULLS LAST", "id, channel"])
def test_any_index_that_begins_with_the_id_will_do(made, index):
    made.execute(f"""ALTER TABLE bus_bus DROP CONSTRAINT bus_bus_pkey; CREATE INDEX ON bus_bus ({index});
        ALTER TABLE bus_bus ALTER id DROP NOT NULL""")
    insert(made, 11_000, "25 hours")
    made.execute("INSERT INTO bus_bus (id, create_date) VALUES (NULL, '2000-01-01'), (-5, '2000-01-01'), (-6, '-infinity')")
    insert(made, 10, "1 hour")
    made.sendone("c")
    eventually(lambda: count(made) == 12)
    assert made.value("SELECT count(*) FROM bus_bus WHERE id IS NULL") == 1


def test_ids_that_do_not_run_out(make_database):
    database = make_database(extension=False)
    database.execute("""CREATE EXTENSION odoo_bus; SELECT bus_create_table(bigint_ids => true);
        ALTER TABLE bus_bus OWNER TO odoo; SELECT setval('bus_bus_id_seq', 5000000000)""")
    insert(database, 6000, "25 hours")
    database.sendone("c")
    eventually(lambda: count(database) == 1)


def test_rows_that_others_have_locked_wait_for_nobody_and_go_later(made):
    made.execute(f'ALTER DATABASE "{made.name}" SET odoo_bus.retention = \'1s\'')
    insert(made, 3, "10 days")
    with made.connect(autocommit=False) as connection:
        connection.execute("SELECT FROM bus_bus WHERE id = 2 FOR UPDATE")
        made.sendone("c")
        eventually(lambda: count(made) == 1)
        assert "lock" not in (stat(made, "last_error") or "")
    eventually(lambda: count(made) == 0)


def test_an_error_is_shown_and_holds_up_nobody_else(made, make_database):
    made.execute("CREATE PUBLICATION p FOR TABLE bus_bus; ALTER TABLE bus_bus REPLICA IDENTITY NOTHING")
    insert(made, 3, "10 days")
    made.sendone("c")
    eventually(lambda: "publishes deletes" in (stat(made, "last_error") or ""))
    other = make_database(extension=False)
    other.execute("CREATE EXTENSION odoo_bus; SELECT bus_create_table(); ALTER TABLE bus_bus OWNER TO odoo")
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
        made.execute(f'ALTER DATABASE "{made.name}" SET odoo_bus.retention = \'3s\'')
        made.sendone("c")
        # Before the row is due.
        connection.execute("LOCK TABLE bus_bus IN SHARE MODE")
        eventually(lambda: "lock timeout" in (stat(made, "last_error") or ""))
        connection.rollback()
    assert made.sendone("c")


def test_a_database_that_goes_meanwhile(make_database, cluster):
    for _ in range(3):
        database = make_database(extension=False)
        database.execute("CREATE EXTENSION odoo_bus; SELECT bus_create_table(); ALTER TABLE bus_bus OWNER TO odoo")
        insert(database, 6000, "10 days")
        database.sendone("c")
        cluster.execute(f'DROP DATABASE "{database.name}"')
    other = make_database(extension=False)
    other.execute("CREATE EXTENSION odoo_bus; SELECT bus_create_table(); ALTER TABLE bus_bus OWNER TO odoo")
    insert(other, 3, "10 days")
    other.sendone("c")
    eventually(lambda: count(other) == 1)
