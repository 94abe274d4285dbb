"""Nobody gains a right through the workers and the functions: what a hostile owner of a database has left for them is
not run by the retention worker at all, and by the others with nothing but the caller's rights."""
import psycopg
import pytest

from harness import hostile
from harness.doorbell import eventually, preloaded_cluster, stat, wait_for_worker
from harness.hold import held

# A session in which the owner's settings are in nobody's way.
SANE = "-c statement_timeout=0 -c lock_timeout=0 -c exit_on_error=off -c default_transaction_read_only=off " \
       "-c idle_in_transaction_session_timeout=0 -c standard_conforming_strings=on -c search_path=public"


@pytest.fixture(scope="module")
def preloaded():
    with preloaded_cluster(log_line_prefix="%b|%p|%u|%d|", **{"odoo_bus.retention_superuser_tables": "on"}) as private:
        private.execute("CREATE ROLE odoo LOGIN; CREATE ROLE mallory LOGIN")
        yield private


@pytest.fixture
def cluster(restored):
    yield restored
    gained = hostile.has_rights(restored)
    restored.execute("ALTER ROLE mallory RESET ALL; ALTER ROLE mallory NOSUPERUSER; REVOKE postgres, odoo FROM mallory")
    assert gained == []


@pytest.fixture
def owned(make_database):
    """Mallory's database, in whose schema public the extension is; bus_bus is to be made."""
    database = make_database(extension=False, owner="mallory")
    database.execute("ALTER SCHEMA public OWNER TO mallory; GRANT ALL ON SCHEMA public TO PUBLIC")
    with database.connect(user="mallory") as mallory:
        mallory.execute("CREATE EXTENSION odoo_bus")
        mallory.execute(hostile.FUNCTIONS)
    return database


def give(database, owner):
    """The table, and what its owner needs; Mallory may send."""
    database.execute(f"""ALTER TABLE bus_bus OWNER TO {owner};
        GRANT INSERT, SELECT ON bus_bus TO mallory; GRANT USAGE ON SEQUENCE bus_bus_id_seq TO mallory, odoo""")


def insert_old(session, count):
    session.execute("INSERT INTO bus_bus (channel, message, create_date) "
                    "SELECT 'old', '{}', '2000-01-01' FROM pg_catalog.generate_series(1, %s)", (count,))


def old_rows(database, table="public.bus_bus"):
    """As Mallory: a planner evaluates predicates of the indexes of the tables that it plans for."""
    with database.connect(user="mallory", options=SANE) as connection:
        return connection.execute(f"SELECT count(*) FROM {table} WHERE channel = 'old'").fetchone()[0]


def by_workers(cluster, before):
    return [run for run in hostile.runs(cluster.log_text()[before:]) if run[4].startswith("odoo_bus")]


@pytest.mark.parametrize("owner", ["postgres", "odoo", "mallory"])
def test_the_retention_runs_nothing_that_a_role_has_left_on_the_table(cluster, owned, owner):
    """In whatever schema the names of PostgreSQL's own are looked up, whatever the owner has set, as whomever it acts."""
    with owned.connect(user="mallory") as mallory:
        mallory.execute("SELECT bus_create_table()")
        insert_old(mallory, 7000)
        mallory.execute(hostile.ON_TABLE.format(table="bus_bus"))
        mallory.execute(hostile.IN_SEARCH_PATH.format(schema="public"))
    give(owned, owner)
    assert {kind for kind, *_ in hostile.runs(cluster.log_text())} >= {"index expression", "check constraint", "index predicate"}
    owned.execute("CREATE FUNCTION public.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS "
                  "$$ BEGIN PERFORM hostile.take('event trigger'); END $$; "
                  "CREATE EVENT TRIGGER hostile ON ddl_command_end EXECUTE FUNCTION public.on_ddl()")
    with owned.connect(user="mallory") as mallory:
        for name, value in hostile.settings(cluster).items():
            mallory.execute(f'ALTER DATABASE "{owned.name}" SET {name} = {value}')
            mallory.execute(f"ALTER ROLE mallory SET {name} = {value}")
    before = len(cluster.log_text())
    with owned.connect(user="mallory", options=SANE) as mallory:
        mallory.execute("SELECT bus_sendone('c', 't', '1')")
    eventually(lambda: old_rows(owned) == 0)
    assert by_workers(cluster, before) == []
    own = [run for run in hostile.runs(cluster.log_text()[before:]) if run[1] == "mallory"]
    assert own, "what Mallory sends herself fires it"


@pytest.mark.parametrize("owner", ["postgres", "odoo"])
def test_a_table_that_is_swapped_while_the_worker_looks_at_it_is_not_touched(cluster, owned, owner):
    """The worker has checked public.bus_bus, and waits; meanwhile the schemas change their names."""
    with owned.connect(user="mallory") as mallory:
        mallory.execute("SELECT bus_create_table()")
        insert_old(mallory, 10)
        give(owned, owner)
        mallory.execute("""CREATE SCHEMA evil; CREATE TABLE evil.bus_bus (id serial PRIMARY KEY, channel text, create_date timestamp);
            INSERT INTO evil.bus_bus (channel, create_date) VALUES ('old', '2000-01-01'); GRANT ALL ON SCHEMA evil TO PUBLIC;
            GRANT ALL ON evil.bus_bus TO PUBLIC;
            CREATE FUNCTION evil.of_delete() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM hostile.take('delete'); RETURN OLD; END $$;
            CREATE TRIGGER of_delete BEFORE DELETE ON evil.bus_bus FOR EACH ROW EXECUTE FUNCTION evil.of_delete()""")
        before = len(cluster.log_text())
        with owned.connect(autocommit=False) as admin:
            with held(wait_for_worker(cluster)):
                mallory.execute("SELECT bus_sendone('c', 't', '1')")
                # The retention of the table is in its comment, which is read between the check and the deletion.
                admin.execute("LOCK TABLE pg_catalog.pg_description IN ACCESS EXCLUSIVE MODE")
                mallory.autocommit = False
                mallory.execute("ALTER SCHEMA public RENAME TO passing; ALTER SCHEMA evil RENAME TO public; "
                                "ALTER SCHEMA passing RENAME TO evil")
            with cluster.connect() as watcher:
                eventually(lambda: watcher.execute("SELECT pid FROM pg_locks WHERE NOT granted AND relation = "
                                                   "'pg_description'::regclass").fetchall())
            mallory.commit()
            admin.commit()
    eventually(lambda: not cluster.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'odoo_bus retention'"))
    assert "lock timeout" not in (cluster.execute("SELECT last_error FROM evil.bus_stat", dbname=owned.name)[0][0] or "")
    assert by_workers(cluster, before) == []
    assert (old_rows(owned, "evil.bus_bus"), old_rows(owned, "public.bus_bus")) == (0, 1)


@pytest.mark.parametrize("instead", [
    "CREATE VIEW bus_bus AS SELECT * FROM real WHERE hostile.of_view(id)",
    "CREATE MATERIALIZED VIEW bus_bus AS SELECT * FROM real",
    "CREATE FOREIGN TABLE bus_bus (id int, channel text, message text, create_date timestamp, write_date timestamp) SERVER nowhere",
    "CREATE TABLE bus_bus (LIKE real INCLUDING ALL) PARTITION BY RANGE (id); "
    "ALTER TABLE bus_bus ATTACH PARTITION real FOR VALUES FROM (MINVALUE) TO (MAXVALUE)",
    "CREATE TABLE bus_bus (LIKE real INCLUDING ALL); CREATE DOMAIN hostile.instant AS timestamp CHECK (hostile.of_domain(VALUE::text)); "
    "ALTER TABLE bus_bus ALTER create_date TYPE hostile.instant",
], ids=["view", "materialized view", "foreign table", "partitioned", "domain"])
def test_what_is_no_table_is_neither_read_nor_cleaned(cluster, owned, make_database, instead):
    with owned.connect(user="mallory") as mallory:
        mallory.execute("SELECT bus_create_table()")
        insert_old(mallory, 10)
        owned.execute("CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing; "
                      "GRANT USAGE ON FOREIGN SERVER nowhere TO mallory")
        mallory.execute(f'ALTER DATABASE "{owned.name}" SET odoo_bus.retention = 1')
        with held(wait_for_worker(cluster)):
            with owned.connect(user="mallory") as sender:
                sender.execute("SELECT bus_sendone('c', 't', '1')")
            mallory.execute("ALTER TABLE bus_bus RENAME TO real")
            mallory.execute(instead)
        before = len(cluster.log_text())
    other = make_database(extension=False, owner="odoo")
    other.execute("CREATE EXTENSION odoo_bus; SELECT bus_create_table()")
    insert_old(other, 1)
    other.sendone("c")
    eventually(lambda: other.value("SELECT count(*) FROM bus_bus") == 1)  # the first one was due before
    assert old_rows(owned, "real") == 10 and by_workers(cluster, before) == []
    if "PARTITION" in instead:
        assert "it is partitioned" in stat(owned, "warning")
        return
    for statement in ("SELECT * FROM bus_poll('{c}', 0)", "SELECT bus_last_id()", "SELECT bus_gc('0')", "CALL bus_gc_all('0')",
                      "SELECT bus_sendone('c', 't', '1')", "SELECT bus_sendnow('c', 't', '1')"):
        with pytest.raises(psycopg.errors.WrongObjectType):
            owned.execute(statement)
    assert [run for run in hostile.runs(cluster.log_text()[before:]) if run[1] != "mallory"] == []


def test_functions_look_nothing_up_in_the_search_path(cluster, owned):
    """A superuser uses every function of the extension where Mallory's operators, functions, types and casts come first."""
    with owned.connect(user="mallory") as mallory:
        mallory.execute("SELECT bus_create_table()")
        mallory.execute("CREATE TABLE res_users AS SELECT 2 AS id, 3 AS partner_id")
        mallory.execute("CREATE TABLE ir_module_module AS SELECT varchar 'base' AS name, varchar '19.0.1.3' AS latest_version")
        insert_old(mallory, 1)
        mallory.execute(hostile.IN_SEARCH_PATH.format(schema="public"))
    before = len(cluster.log_text())
    with owned.connect() as admin:
        admin.execute("SET search_path = public, pg_catalog")
        for statement in ("SELECT public.bus_sendone('c', 't', '1'::pg_catalog.jsonb)",
                          "SELECT public.bus_sendmany('[[\"c\", \"t\", 1]]'::pg_catalog.jsonb)",
                          "SELECT public.bus_sendone_user(2, 't', '1'::pg_catalog.jsonb)", "SELECT public.bus_notify('c', 'p')",
                          "SELECT public.bus_sendnow('c', 't', '1'::pg_catalog.jsonb)",
                          "SELECT * FROM public.bus_poll(ARRAY[public.bus_channel('c')], 0)",
                          "SELECT * FROM public.bus_poll(ARRAY[public.bus_channel('c')], 1)",
                          "SELECT public.bus_last_id()", "SELECT public.bus_gc()", "CALL public.bus_gc_all()",
                          "SELECT * FROM public.bus_stat", "SELECT public.bus_create_presence_table()",
                          "SELECT * FROM public.bus_online", "SELECT public.bus_stat_reset()",
                          "CREATE TABLE watched (id int PRIMARY KEY, name text)",
                          "CREATE TRIGGER watch AFTER INSERT OR UPDATE OR DELETE ON watched FOR EACH ROW "
                          "EXECUTE FUNCTION public.bus_record_changed('w_%s', 't', 'id', 'name')",
                          "INSERT INTO watched VALUES (1, 'a')"):
            admin.execute(statement, prepare=False)
        admin.execute("ALTER TABLE bus_bus ADD other int DEFAULT 1")  # from now on a statement inserts
        admin.execute("SELECT public.bus_sendone('c', 't', '1'::pg_catalog.jsonb)")
        admin.execute("DROP TABLE bus_bus CASCADE")
        admin.execute("SELECT public.bus_create_table(true)")
    assert hostile.runs(cluster.log_text()[before:]) == []


@pytest.mark.parametrize("session, statements", [
    ("postgres", ["SET ROLE odoo"]), ("postgres", ["SET SESSION AUTHORIZATION odoo"]), ("odoo", []),
], ids=["set role", "session authorization", "login"])
def test_what_bus_sendnow_fires_gets_no_more_than_the_current_user(cluster, owned, session, statements):
    """Also where the session is a superuser's: in the caller's own session RESET ROLE would be possible."""
    with owned.connect(user="mallory") as mallory:
        mallory.execute("SELECT bus_create_table()")
        mallory.execute(hostile.ON_TABLE.format(table="bus_bus"))
        mallory.execute("CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON bus_bus DEFERRABLE INITIALLY DEFERRED "
                        "FOR EACH ROW EXECUTE FUNCTION hostile.of_row()")
        mallory.execute("GRANT ALL ON bus_bus TO odoo; GRANT ALL ON SEQUENCE bus_bus_id_seq TO odoo")
    before = len(cluster.log_text())
    with owned.connect(user=session) as connection:
        for statement in statements:
            connection.execute(statement)
        for _ in range(2):
            connection.execute("SELECT bus_sendnow('c', 't', '1')")
    fired = by_workers(cluster, before)
    assert {"trigger before_insert", "trigger at_commit", "check constraint", "policy", "default"} <= {kind for kind, *_ in fired}
    assert {(user, is_superuser) for _, user, _, is_superuser, _ in fired} == {("odoo", False)}
    assert hostile.has_rights(cluster) == []


def test_functions_of_indexes_cannot_start_a_worker(cluster, owned):
    """What ANALYZE evaluates as a superuser runs as the owner, in an operation that nothing outlasts."""
    with owned.connect(user="mallory") as mallory:
        mallory.execute("SELECT bus_create_table()")
        mallory.execute("""CREATE FUNCTION send(int) RETURNS int LANGUAGE plpgsql IMMUTABLE SET search_path = public AS $$
                BEGIN PERFORM public.bus_sendnow('c', 't', '1'); RETURN $1; END $$;
            CREATE TABLE analyzed (id int); CREATE INDEX ON analyzed (send(id))""")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="security-restricted operation"):
            mallory.execute("INSERT INTO analyzed VALUES (1); REINDEX TABLE analyzed")
