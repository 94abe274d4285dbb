"""What bus_sendnow() fires in its worker sees what it would see in the caller's session, where bus_sendone() fires it: roles,
search_path and every setting that SET can change; and nothing of what another request has left."""
import pytest

from harness import hostile
from harness.doorbell import eventually

# What has to differ: the properties of the worker's own transaction, and what cannot hold in another session.
DIFFER = ("lock_timeout", "transaction_isolation", "transaction_read_only", "transaction_deferrable", "transaction_timeout",
          "exit_on_error")
# Contexts of what SET can change, and what follows from it.
NOTED = f"""jsonb_build_object('current_user', current_user, 'session_user', session_user, 'role', current_setting('role'),
    'is_superuser', current_setting('is_superuser'), 'schemas', current_schemas(false), 'custom', current_setting('app.who', true),
    'other', current_setting('app.other', true), 'clock', '2026-01-01 12:00+00'::timestamptz::text, 'float', (1::float8 / 3)::text)
    || (SELECT jsonb_object_agg(name, setting) FROM pg_settings WHERE context IN ('user', 'superuser') AND name <> ALL ('{{{",".join(DIFFER)}}}'))"""


@pytest.fixture(scope="module")
def preloaded(preloaded):
    preloaded.execute("CREATE ROLE odoo LOGIN; CREATE ROLE clerk LOGIN; CREATE ROLE staff; GRANT staff TO clerk; "
                      "CREATE ROLE low LOGIN")
    return preloaded


@pytest.fixture
def cluster(restored):
    yield restored
    for role in ("clerk", "low"):
        restored.execute(f"ALTER ROLE {role} RESET ALL")


@pytest.fixture
def noting(database):
    """At the insertion and at the commit, what is seen there is noted."""
    database.execute(f"""
        CREATE TABLE noted (number serial, channel text, moment text, seen jsonb);
        GRANT INSERT ON noted, bus_bus TO PUBLIC; GRANT USAGE ON SEQUENCE noted_number_seq, bus_bus_id_seq TO PUBLIC;
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO public.noted (channel, moment, seen)
                SELECT NEW.channel::json ->> 1, TG_NAME, {NOTED};
            RETURN NULL; END $$;
        CREATE TRIGGER at_once AFTER INSERT ON bus_bus FOR EACH ROW EXECUTE FUNCTION note();
        CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON bus_bus DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION note();
        CREATE SCHEMA elsewhere; GRANT USAGE ON SCHEMA elsewhere TO PUBLIC""")
    return database


def seen(database, channel, moment="at_once"):
    [(found,)] = database.execute("SELECT seen FROM noted WHERE channel = %s AND moment = %s", (channel, moment))
    return found


def compare(database, connection, wrapped="SELECT public.{function}('{channel}', 't', '1')"):
    """Sends by both, and returns what the worker's triggers have seen."""
    database.execute("TRUNCATE noted")
    for function, channel in ("bus_sendone", "one"), ("bus_sendnow", "now"):
        connection.execute(wrapped.format(function=function, channel=channel))
    for moment in "at_once", "at_commit":
        one, now = seen(database, "one", moment), seen(database, "now", moment)
        assert {name: (one.get(name), now.get(name)) for name in one.keys() | now.keys() if one.get(name) != now.get(name)} == {}
    assert len(one) > 150
    return now


@pytest.mark.parametrize("login, statements, current, session", [
    ("clerk", [], "clerk", "clerk"),
    ("clerk", ["SET ROLE staff"], "staff", "clerk"),
    ("postgres", [], "postgres", "postgres"),
    ("postgres", ["SET ROLE clerk"], "clerk", "postgres"),
    ("postgres", ["SET SESSION AUTHORIZATION clerk"], "clerk", "clerk"),
    ("postgres", ["SET SESSION AUTHORIZATION clerk", "SET ROLE staff"], "staff", "clerk"),
], ids=str)
def test_the_roles_are_the_callers(noting, login, statements, current, session):
    with noting.connect(user=login) as connection:
        for statement in statements:
            connection.execute(statement)
        now = compare(noting, connection)
    assert (now["current_user"], now["session_user"]) == (current, session)


def test_every_setting_is_the_callers(noting):
    """Of the session, of its role and database, of the client's options, of the transaction, and RESET."""
    with noting.connect(user="clerk", options="-c IntervalStyle=sql_standard -c app.who=Zoë", application_name="mine") as connection:
        now = compare(noting, connection)
        assert (now["IntervalStyle"], now["custom"], now["application_name"]) == ("sql_standard", "Zoë", "mine")
        for name, value in hostile.settings(noting.cluster).items():
            # The first would end the test. The last is spelled as quote_all_identifiers is when it is set.
            if name not in ("statement_timeout", "default_transaction_read_only", "exit_on_error", "lock_timeout",
                            "idle_in_transaction_session_timeout", "default_transaction_isolation", "default_text_search_config"):
                connection.execute(f"SET {name} = {value}")
        now = compare(noting, connection)
        assert now["TimeZone"] == "Asia/Kathmandu" and now["schemas"] == ["public", "pg_catalog"]
        assert now["random_page_cost"] == "1e+10" and now["work_mem"] == "64"
        connection.execute("RESET ALL; SET seq_page_cost = 0.125; SET statement_timeout = '1min'")
        now = compare(noting, connection)
        assert now["seq_page_cost"] == "0.125" and now["TimeZone"] != "Asia/Kathmandu"
        connection.execute("SET default_transaction_isolation = serializable")
        assert compare(noting, connection)["default_transaction_isolation"] == "serializable"
        with connection.transaction():
            connection.execute("SET LOCAL TimeZone = 'Asia/Tokyo'; SET LOCAL app.who = 'local'")
            connection.execute("SELECT bus_sendnow('local', 't', '1')")
        assert (seen(noting, "local")["TimeZone"], seen(noting, "local")["custom"]) == ("Asia/Tokyo", "local")
        compare(noting, connection)


def test_what_a_role_sets_for_later_sessions_is_not_the_callers(cluster, noting):
    """The worker is a later session; the caller's is not."""
    with noting.connect(user="clerk") as connection:
        compare(noting, connection)
        cluster.execute("ALTER ROLE clerk SET search_path = elsewhere, public; ALTER ROLE clerk SET TimeZone = 'Asia/Tokyo'")
        cluster.execute(f'ALTER DATABASE "{noting.name}" SET DateStyle = \'German\'')
        cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'odoo_bus sender'")
        eventually(lambda: not cluster.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'odoo_bus sender'"))
        now = compare(noting, connection)
        assert now["schemas"] == ["public"] and now["TimeZone"] != "Asia/Tokyo" and now["DateStyle"] != "German, DMY"
    with noting.connect(user="clerk") as connection:
        assert compare(noting, connection)["schemas"] == ["elsewhere", "public"]


@pytest.mark.parametrize("language", ["sql", "plpgsql"])
def test_a_definers_function_pins_the_search_path_for_what_it_fires(cluster, noting, language):
    """Of a caller without rights, whose own search_path has functions of that caller first."""
    body = "SELECT {0}" if language == "sql" else "BEGIN RETURN {0}; END"
    noting.execute("".join(f"""CREATE FUNCTION definer_{function}(c text) RETURNS bigint LANGUAGE {language} SECURITY DEFINER
        SET search_path = public, pg_temp SET work_mem = '123kB' AS $$ {body.format(f"{function}(c, 't', '1')")} $$;"""
                           for function in ("bus_sendone", "bus_sendnow")))
    noting.execute("""CREATE SCHEMA low_s AUTHORIZATION low;
        CREATE FUNCTION public.shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM lower(NEW.channel); RETURN NULL; END $$;
        CREATE TRIGGER shout AFTER INSERT ON bus_bus FOR EACH ROW EXECUTE FUNCTION shout()""")
    with noting.connect(user="low") as connection:
        connection.execute("""CREATE FUNCTION low_s.lower(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
            IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN EXECUTE 'ALTER ROLE low SUPERUSER'; END IF;
            RETURN $1; END $$""")
        connection.execute("ALTER ROLE low SET search_path = low_s, pg_catalog, public")
    with noting.connect(user="low") as connection:
        # A deferred trigger runs when the function has ended, with the caller's rights and path, in both.
        noting.execute("DROP TRIGGER at_commit ON bus_bus")
        noting.execute("CREATE TRIGGER at_commit AFTER INSERT ON bus_bus FOR EACH ROW EXECUTE FUNCTION note()")
        now = compare(noting, connection, "SELECT public.definer_{function}('{channel}')")
    assert (now["current_user"], now["session_user"], now["schemas"], now["work_mem"]) == ("postgres", "low", ["public"], "123")
    assert cluster.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'low'") == [(False,)]


LEAVE = """CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM set_config('TimeZone', 'Asia/Tokyo', false), set_config('app.who', 'left', false), set_config('search_path', 'elsewhere', false);
    EXECUTE 'PREPARE left_over AS SELECT 1';
    EXECUTE 'CREATE TEMP TABLE left_over (a int)';
    EXECUTE 'DECLARE left_over CURSOR WITH HOLD FOR SELECT 1';
    BEGIN EXECUTE 'LISTEN left_over'; EXCEPTION WHEN feature_not_supported THEN END;
    PERFORM pg_advisory_lock(4711), nextval('public.left_over');
    RETURN NULL; END $$;
    CREATE SEQUENCE left_over; GRANT USAGE ON SEQUENCE left_over TO PUBLIC;
    CREATE TRIGGER leave AFTER INSERT ON bus_bus FOR EACH ROW WHEN (NEW.message LIKE '%leave%') EXECUTE FUNCTION leave();
    CREATE TABLE found (what text); GRANT INSERT ON found TO PUBLIC;
    CREATE FUNCTION find() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO public.found SELECT 'statement ' || name FROM pg_prepared_statements UNION ALL SELECT 'cursor ' || name FROM pg_cursors
            WHERE is_holdable UNION ALL SELECT 'table ' || relname FROM pg_class WHERE relpersistence = 't' AND pg_my_temp_schema() = relnamespace
            UNION ALL SELECT 'channel ' || c FROM pg_listening_channels() c UNION ALL
            SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
            UNION ALL SELECT 'TimeZone' WHERE current_setting('TimeZone') = 'Asia/Tokyo'
            UNION ALL SELECT 'app.who' WHERE current_setting('app.who', true) <> ''
            UNION ALL SELECT 'search_path' WHERE current_setting('search_path') = 'elsewhere';
        BEGIN
            INSERT INTO public.found VALUES ('sequence ' || currval('public.left_over'));
        EXCEPTION WHEN object_not_in_prerequisite_state THEN END;
        RETURN NULL; END $$;
    CREATE TRIGGER find AFTER INSERT ON bus_bus FOR EACH ROW WHEN (NEW.message LIKE '%find%') EXECUTE FUNCTION find()"""


def test_nothing_is_left_between_requests(cluster, database):
    """Of the same caller, whose worker serves both requests."""
    database.execute("GRANT INSERT ON bus_bus TO PUBLIC; GRANT USAGE ON SEQUENCE bus_bus_id_seq TO PUBLIC; CREATE SCHEMA elsewhere")
    database.execute(LEAVE)
    workers = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'odoo_bus sender' ORDER BY pid"
    with database.connect(user="clerk") as connection:
        connection.execute("SELECT bus_sendnow('c', 'leave', '1')")
        served_by = cluster.execute(workers)
        connection.execute("SELECT bus_sendnow('c', 'find', '1')")
        assert database.execute("SELECT what FROM found ORDER BY 1") == []
        assert cluster.execute(workers) == served_by and len(served_by) == 1
        # As a check of the test: in one transaction the same is found.
        connection.execute("BEGIN; SELECT bus_sendone('c', 'leave', '1'); SELECT public.bus_sendone('c', 'find', '1'); COMMIT")
        assert {what.split()[0] for what, in database.execute("SELECT what FROM found")} == {
            "statement", "cursor", "table", "lock", "TimeZone", "app.who", "search_path", "sequence"}


def test_another_role_or_session_gets_another_worker(cluster, noting):
    """Also for settings that PostgreSQL cannot forget in a session: those that no library has defined."""
    def workers():
        return {pid for pid, in cluster.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'odoo_bus sender' AND "
                                                "datname = %s", (noting.name,))}

    with noting.connect(user="clerk") as connection:
        connection.execute("SET app.who = 'Zoë'")
        assert compare(noting, connection)["custom"] == "Zoë"
    first = workers()
    for statements in [], ["SET app.other = 'x'"], ["SET ROLE staff"]:
        with noting.connect(user="clerk") as connection:
            for statement in statements:
                connection.execute(statement)
            now = compare(noting, connection)
            assert now["custom"] is None and now["other"] == ("x" if "app" in "".join(statements) else None)
    assert len(workers()) == 4 and first < workers()
