"""A database whose owner attacks the gateway's role is served beside another one. Nothing of the owner's runs as that
role, and the other database's clients miss nothing.

Hostile code writes into the server's log as whom it runs: that needs no right, and no rollback takes it back.
"""
import asyncio
import re

import psycopg
import pytest

from harness.client import BusClient
from harness.cluster import Cluster
from harness.gateway import run_gateway
from harness.system import ROOT
from harness.tokens import Secret, claims
from harness.wait import until

OWNER, ROLE = "mallory", "hosting_gateway"
SECRET = Secret()
# It must be volatile for what it does, and is called by immutable ones, as the planner's are.
SPY = f"""
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.act(what text) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    RAISE LOG 'hostile: % as %', what, current_user;
    IF current_user = '{ROLE}' THEN
        PERFORM pg_catalog.set_config('default_transaction_read_only', 'off', false);
        EXECUTE 'ALTER ROLE CURRENT_USER PASSWORD ''stolen''';
        RAISE LOG 'hostile: the password of {ROLE} was set';
    END IF;
    RETURN true;
EXCEPTION WHEN OTHERS THEN
    RETURN true;
END $$;
CREATE FUNCTION evil.spy(what text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN RETURN evil.act(what); END $$;
CREATE FUNCTION evil.trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM evil.act('trigger'); RETURN coalesce(NEW, OLD); END $$;
"""
BUS = f"""
CREATE EXTENSION odoo_bus;
SELECT bus_create_table();
SELECT bus_create_presence_table();
CREATE TABLE res_users (id serial PRIMARY KEY, partner_id int, write_date timestamp);
GRANT SELECT, INSERT ON bus_bus TO {ROLE};
GRANT SELECT, USAGE ON SEQUENCE bus_bus_id_seq TO {ROLE};
GRANT SELECT, INSERT, DELETE ON bus_presence TO {ROLE};
GRANT SELECT, INSERT, UPDATE, DELETE ON bus_presence_gateway TO {ROLE};
GRANT SELECT (partner_id, write_date) ON res_users TO {ROLE};
"""


@pytest.fixture(scope="module")
def cluster():
    with Cluster(max_connections=100, track_functions="all") as private:
        private.execute(f"CREATE ROLE {OWNER} LOGIN")
        private.execute(f"CREATE ROLE {ROLE} LOGIN")
        yield private


# The settings of a session that is not the gateway's.
OWN_SETTINGS = "-c search_path=public " + " ".join(f"-c {name}" for name in (
    "default_transaction_read_only=off", "default_transaction_isolation=read\\ committed", "statement_timeout=0",
    "lock_timeout=0", "idle_in_transaction_session_timeout=0"))


class Tenant:
    """A database with the bus, of an owner without any other right."""

    def __init__(self, cluster, name, owner):
        self.cluster, self.name, self.owner = cluster, name, owner
        cluster.execute(f'CREATE DATABASE "{name}" OWNER {owner}')
        self.as_owner(BUS)

    def as_owner(self, statements):
        with self.cluster.connect(self.name, user=self.owner, options=OWN_SETTINGS) as connection:
            connection.execute(statements)

    def send(self, payload):
        with self.cluster.connect(self.name, user=self.owner, options=OWN_SETTINGS) as connection:
            connection.execute("SELECT bus_sendone('a', 't', to_jsonb(%s::text))", (payload,))

    def forget(self):
        """Makes every row older than a gateway's history; returns the first id."""
        self.as_owner("UPDATE bus_bus SET create_date = create_date - interval '1 hour'")
        return self.cluster.execute("SELECT min(id) FROM public.bus_bus", dbname=self.name)[0][0]

    def drop(self):
        self.cluster.drop_database(self.name)


@pytest.fixture
def tenants(cluster):
    """One that is hostile, and one that is not."""
    both = []
    try:
        for name, owner in (("t_hostile", OWNER), ("t_victim", "postgres")):
            both.append(Tenant(cluster, name, owner))
        both[0].as_owner(SPY)
        yield both
    finally:
        for tenant in both:
            tenant.drop()
        cluster.execute(f"ALTER ROLE {ROLE} RESET ALL")


@pytest.fixture
def serve(cluster, tenants, make_gateway, tmp_path):
    def serve(**options):
        options = {"auth": "token", "token_keys": SECRET.write(tmp_path / "keys"), "database_match": "^t_",
                   "presence": "*", "presence_notifications": True, "presence_heartbeat": 0.5,
                   "presence_grace": 0.5} | options
        gateway = make_gateway(cluster.conninfo("postgres", user=ROLE), **options).start()
        gateway.wait_for_line(f'info database "{tenants[1].name}": reading')
        return gateway
    return serve


def client_of(gateway, tenant, **options):
    token = SECRET.token(claims(["*"], seconds=600, sub="ann", db=tenant.name))
    return BusClient(gateway.url, ["a"], headers={"Authorization": f"Bearer {token}"}, **options)


async def delivered(tenant, client, payload):
    await asyncio.to_thread(tenant.send, payload)
    await client.wait_payload(payload)


def deeds(cluster):
    """What hostile code ran as the gateway's role."""
    return re.findall(rf"hostile: .*{ROLE}.*", cluster.log_text())


def assert_nothing_was_gained(cluster, tenants, gateway):
    """And the other database is read as if there were no hostile one."""
    assert not [line for line in gateway.lines if f'warning database "{tenants[1].name}"' in line]
    tenants[0].as_owner("SELECT evil.spy('by its owner')")
    assert f"hostile: by its owner as {OWNER}" in cluster.log_text(), "the audit sees what runs"
    assert deeds(cluster) == []
    assert cluster.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (ROLE,)) == [(None,)]


def present(tenant):
    return tenant.cluster.execute("SELECT count(*) FROM public.bus_presence", dbname=tenant.name)[0][0]


# --- names that our statements have ---

SOURCES = [path for room in ("postgres", "database", "presence", "auth/sql", "commands/doctor")
           for path in sorted((ROOT / "gateway" / room).glob("*.*"))]
TYPES = ["bool", "int2", "int4", "int8", "float8", "numeric", "oid", "text", "name", "varchar", "timestamp", "timestamptz",
         "interval", "jsonb", "regclass", "regtype", "xid", "xid8", "pg_lsn", "pg_snapshot", "bit"]
CATALOGUES = ["pg_class", "pg_namespace", "pg_locks", "pg_database", "pg_extension", "pg_index", "pg_attribute",
              "pg_sequence", "pg_settings", "pg_stat_activity", "pg_depend", "pg_constraint", "pg_statistic_ext",
              "pg_proc", "pg_trigger", "pg_inherits", "pg_attrdef", "pg_rewrite"]


def words_of_the_gateway():
    text = "".join(path.read_text() for path in SOURCES)
    return sorted(set(re.findall(r"\b([a-z_0-9]+)\(", text)))


def hostile_names(connection):
    """Everything in pg_catalog that a statement of the gateway may name, once more in the schema evil."""
    statements = []
    functions = connection.execute(
        "SELECT p.proname, pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid) "
        "FROM pg_proc AS p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' "
        "AND p.proname = ANY (%s) AND NOT EXISTS (SELECT FROM unnest(p.proargtypes || p.prorettype) AS t (id) "
        "JOIN pg_type ON pg_type.oid = t.id WHERE typtype = 'p' AND typname NOT LIKE 'any%%' OR typname = 'any')",
        (words_of_the_gateway(),)).fetchall()
    for name, arguments, result in functions:
        end = "RETURN;" if result.startswith(("SETOF", "TABLE")) else "RETURN NULL;"
        statements.append(f'CREATE FUNCTION evil."{name}"({arguments}) RETURNS {result} LANGUAGE plpgsql AS $$ BEGIN '
                          f"PERFORM evil.act('function {name}'); {end} END $$")
    operators = connection.execute(
        "SELECT oprname, oprleft::regtype::text, oprright::regtype::text, oprresult::regtype::text FROM pg_operator "
        "WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprleft = ANY (%(types)s::regtype[]::oid[]) "
        "AND oprright = ANY (%(types)s::regtype[]::oid[])", {"types": TYPES}).fetchall()
    for number, (name, left, right, result) in enumerate(operators):
        statements.append(f"CREATE FUNCTION evil.operator_{number}({left}, {right}) RETURNS {result} LANGUAGE plpgsql AS "
                          f"$$ BEGIN PERFORM evil.act('operator {name}'); RETURN NULL; END $$")
        statements.append(f"CREATE OPERATOR evil.{name} (FUNCTION = evil.operator_{number}, LEFTARG = {left}, "
                          f"RIGHTARG = {right})")
    for name in TYPES:
        statements.append(f'CREATE DOMAIN evil."{name}" AS pg_catalog.text CHECK (evil.spy(\'type {name}\'))')
    for name in CATALOGUES:
        columns = "attrelid, attname, attnum, atttypid, attisdropped" if name == "pg_attribute" else "*"  # one is anyarray
        statements.append(f"CREATE VIEW evil.{name} AS SELECT {columns} FROM pg_catalog.{name} WHERE evil.act('view {name}')")
    statements.append("GRANT SELECT ON ALL TABLES IN SCHEMA evil TO PUBLIC")
    assert len(functions) > 60 and len(operators) > 200
    return statements


SETTINGS = {
    "role": OWNER, "session_authorization": OWNER, "row_security": "on", "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on", "default_transaction_read_only": "on", "statement_timeout": "20s",
    "lock_timeout": "1ms", "idle_in_transaction_session_timeout": "1ms", "idle_session_timeout": "100ms",
    "transaction_timeout": "20s", "exit_on_error": "on", "client_encoding": "LATIN1", "client_min_messages": "debug5",
    "standard_conforming_strings": "off", "backslash_quote": "on", "escape_string_warning": "on", "array_nulls": "off",
    "transform_null_equals": "on", "quote_all_identifiers": "on", "bytea_output": "escape", "extra_float_digits": "-15",
    "DateStyle": "Postgres, DMY", "IntervalStyle": "sql_standard", "TimeZone": "Asia/Kathmandu", "xmloption": "document",
    "constraint_exclusion": "on", "plan_cache_mode": "force_custom_plan", "jit": "on", "jit_above_cost": "0",
    "force_parallel_mode": "on", "debug_parallel_query": "on", "max_parallel_workers_per_gather": "8",
    "enable_indexscan": "off", "enable_indexonlyscan": "off", "enable_nestloop": "off", "enable_sort": "off",
    "enable_material": "off", "enable_hashagg": "off", "seq_page_cost": "0", "random_page_cost": "1000000",
    "cpu_index_tuple_cost": "1000000", "from_collapse_limit": "1", "join_collapse_limit": "1", "work_mem": "64kB",
    "debug_print_plan": "on", "trace_notify": "on", "default_text_search_config": "simple",
    "search_path": "evil, pg_catalog, public",
}


def set_all(tenant, target):
    """Every setting that this release has, as its owner could, or for the role; returns their number."""
    known = {name.lower() for name, in tenant.cluster.execute("SELECT name FROM pg_settings")}
    if int(tenant.cluster.execute("SHOW server_version_num")[0][0]) >= 190000:
        known.discard("standard_conforming_strings")  # which cannot be off any more
    chosen = {name: value for name, value in SETTINGS.items()
              if name.lower() in known and (target.startswith("DATABASE") or name not in ("role", "session_authorization"))}
    with tenant.cluster.connect("postgres") as connection:
        for name, value in chosen.items():
            values = value if name == "search_path" else f"'{value}'"
            connection.execute(f"ALTER {target} SET {name} = {values}")
    return len(chosen)


@pytest.mark.parametrize("target", ["DATABASE t_hostile", f"ROLE {ROLE} IN DATABASE t_hostile"])
async def test_no_name_operator_or_setting_bends_a_statement(cluster, tenants, serve, target):
    hostile, victim = tenants
    with cluster.connect(hostile.name, user=OWNER) as connection:
        for statement in hostile_names(cluster.connect(hostile.name)):
            connection.execute(statement)
    assert set_all(hostile, target) >= 30
    gateway = serve()
    async with client_of(gateway, hostile) as one, client_of(gateway, victim) as other:
        await one.subscribed()
        await other.subscribed()
        await delivered(hostile, one, "his own")
        await delivered(victim, other, "of the other")
        until(lambda: present(hostile) == present(victim) == 1, lambda: gateway.tail())
        with cluster.connect(hostile.name, user=OWNER, options=OWN_SETTINGS, autocommit=False) as late:
            late.execute("SELECT bus_sendone('a', 't', '1')")
            late.rollback()  # leaves a gap, which is probed
        await delivered(hostile, one, "after a gap")
        assert [n["message"]["payload"] for n in other.notifications if n["message"]["type"] == "t"] == ["of the other"]
    gateway.finish()
    first = hostile.forget()
    again = serve()
    async with client_of(again, hostile, last=first) as back:  # answered from the table
        await back.wait_payload("after a gap")
    for each in (gateway, again):
        assert_nothing_was_gained(cluster, tenants, each)


# --- objects in the place of those that are read ---

READ = {
    "view": ("not an ordinary table", f"""ALTER TABLE bus_bus RENAME TO bus_kept;
        CREATE VIEW bus_bus AS SELECT * FROM bus_kept WHERE evil.act('view');
        GRANT SELECT ON bus_bus TO {ROLE}""",
        "DROP VIEW bus_bus; ALTER TABLE bus_kept RENAME TO bus_bus"),
    "partitioned table": ("not an ordinary table", f"""ALTER TABLE bus_bus RENAME TO bus_kept;
        CREATE TABLE bus_bus (LIKE bus_kept) PARTITION BY LIST ((evil.spy(channel)));
        GRANT SELECT ON bus_bus TO {ROLE}""",
        "DROP TABLE bus_bus; ALTER TABLE bus_kept RENAME TO bus_bus"),
    "swapped schemas": ("index .*hostile.* uses function evil.spy", f"""ALTER SCHEMA public RENAME TO kept;
        CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO {ROLE};
        CREATE TABLE public.bus_bus (id serial, channel text, message text, create_date timestamp);
        GRANT SELECT ON public.bus_bus, public.bus_bus_id_seq TO {ROLE};
        CREATE INDEX hostile ON public.bus_bus (channel) WHERE evil.spy('index')""",
        "DROP SCHEMA public CASCADE; ALTER SCHEMA kept RENAME TO public"),
    "type of a column": ("in the columns channel", """ALTER TABLE bus_bus RENAME COLUMN channel TO kept;
        CREATE DOMAIN evil.channel AS varchar CHECK (evil.spy('domain'));
        ALTER TABLE bus_bus ADD channel evil.channel""",
        "ALTER TABLE bus_bus DROP channel; ALTER TABLE bus_bus RENAME COLUMN kept TO channel"),
    "cast": ("in the columns create_date", """ALTER TABLE bus_bus RENAME COLUMN create_date TO kept;
        CREATE TYPE evil.moment AS (at timestamp);
        CREATE FUNCTION evil.moment_at(evil.moment) RETURNS timestamp LANGUAGE plpgsql AS
            $$ BEGIN PERFORM evil.act('cast'); RETURN $1.at; END $$;
        CREATE CAST (evil.moment AS timestamp) WITH FUNCTION evil.moment_at AS IMPLICIT;
        ALTER TABLE bus_bus ADD create_date evil.moment DEFAULT row(localtimestamp)::evil.moment""",
        "ALTER TABLE bus_bus DROP create_date; ALTER TABLE bus_bus RENAME COLUMN kept TO create_date"),
    "row-level security": ("row-level security hides rows", f"""ALTER TABLE bus_bus ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON bus_bus TO {ROLE} USING (evil.act('policy'))""",
        "ALTER TABLE bus_bus DISABLE ROW LEVEL SECURITY"),
    "row-level security without a policy": ("row-level security hides rows",
        "ALTER TABLE bus_bus ENABLE ROW LEVEL SECURITY", "ALTER TABLE bus_bus DISABLE ROW LEVEL SECURITY"),
    "index predicate": ("index .*hostile.* uses function evil.spy",
        "CREATE INDEX hostile ON bus_bus (channel) WHERE evil.spy('index predicate')", "DROP INDEX hostile"),
    "index expression": ("index .*hostile.* uses function evil.spy",
        "CREATE INDEX hostile ON bus_bus ((evil.spy('index expression')))", "DROP INDEX hostile"),
    "check constraint": ("constraint hostile on table .* uses function evil.spy",
        "ALTER TABLE bus_bus ADD CONSTRAINT hostile CHECK (evil.spy('check'))", "ALTER TABLE bus_bus DROP CONSTRAINT hostile"),
    "extended statistics": ("statistics object .*hostile uses function evil.spy",
        "CREATE STATISTICS hostile ON (evil.spy('statistics')), channel FROM bus_bus", "DROP STATISTICS hostile"),
    "operator in an index": ("index .*hostile.* uses operator", """
        CREATE FUNCTION evil.same(text, text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS
            $$ BEGIN RETURN evil.act('operator'); END $$;
        CREATE OPERATOR evil.=== (FUNCTION = evil.same, LEFTARG = text, RIGHTARG = text);
        CREATE INDEX hostile ON bus_bus (channel) WHERE 'x'::text OPERATOR(evil.===) 'y'::text""", "DROP INDEX hostile"),
}


def skip_what_the_release_lacks(cluster, kind):
    version = int(cluster.execute("SHOW server_version_num")[0][0])
    if kind == "extended statistics" and version < 140000:
        pytest.skip("statistics on expressions are of PostgreSQL 14")
    if kind == "swapped schemas" and version < 150000:
        pytest.skip("the schema public is a superuser's before PostgreSQL 15")


@pytest.mark.parametrize("when", ["before", "meanwhile"])
@pytest.mark.parametrize("kind", READ)
async def test_a_table_that_would_run_its_owners_code_is_refused(cluster, tenants, serve, kind, when):
    skip_what_the_release_lacks(cluster, kind)
    words, attack, mend = READ[kind]
    hostile, victim = tenants
    if when == "before":
        hostile.as_owner(attack)
    gateway = serve(presence=[], presence_notifications=False)
    async with client_of(gateway, victim) as other:
        await other.subscribed()
        if when == "meanwhile":
            await asyncio.to_thread(gateway.wait_for_line, f'info database "{hostile.name}": reading')
            async with client_of(gateway, hostile) as one:
                await one.subscribed()
                await delivered(hostile, one, "his own")
            hostile.as_owner(attack)
        await asyncio.to_thread(gateway.wait_for_line, f'warning database "{hostile.name}": .*{words}')
        await delivered(victim, other, "of the other")
        hostile.as_owner(mend)
        await asyncio.to_thread(gateway.wait_for_line, f'info database "{hostile.name}": reading public.bus_bus',
                                since=next(i for i, line in enumerate(gateway.lines) if re.search(words, line)))
        async with client_of(gateway, hostile) as one:
            await one.subscribed()
            await delivered(hostile, one, "mended")
        await delivered(victim, other, "of the other again")
    assert_nothing_was_gained(cluster, tenants, gateway)


async def test_the_users_are_not_watched_where_that_would_run_their_owners_code(cluster, tenants, serve):
    hostile, victim = tenants
    hostile.as_owner("CREATE INDEX ON res_users (id) WHERE evil.spy('index of res_users')")
    gateway = serve(presence=[], presence_notifications=False)
    async with client_of(gateway, hostile) as one:
        await one.subscribed()
        await delivered(hostile, one, "served all the same")
        gateway.wait_for_line("res_users cannot be read")
    assert_nothing_was_gained(cluster, tenants, gateway)


# --- objects that a write would run ---

WRITTEN = {
    "row trigger": ("trigger", "CREATE TRIGGER hostile BEFORE INSERT ON bus_presence FOR EACH ROW "
                    "EXECUTE FUNCTION evil.trigger()", "DROP TRIGGER hostile ON bus_presence"),
    "statement trigger": ("trigger", "CREATE TRIGGER hostile AFTER INSERT OR UPDATE ON bus_presence_gateway "
                          "EXECUTE FUNCTION evil.trigger()", "DROP TRIGGER hostile ON bus_presence_gateway"),
    "trigger of bus_bus": ("trigger", "CREATE TRIGGER hostile BEFORE INSERT ON bus_bus FOR EACH ROW WHEN "
                           "(current_user <> 'mallory') EXECUTE FUNCTION evil.trigger()", "DROP TRIGGER hostile ON bus_bus"),
    "rule": ("rule", "CREATE RULE hostile AS ON INSERT TO bus_presence DO ALSO SELECT evil.act('rule')",
             "DROP RULE hostile ON bus_presence"),
    "default": ("default value", "ALTER TABLE bus_presence ADD hostile bool DEFAULT evil.act('default')",
                "ALTER TABLE bus_presence DROP hostile"),
    "domain": ("type evil.checked", "CREATE DOMAIN evil.checked AS text CHECK (evil.spy('domain'));"
               "ALTER TABLE bus_presence ADD hostile evil.checked", "ALTER TABLE bus_presence DROP hostile"),
    "check": ("constraint", "ALTER TABLE bus_presence ADD CONSTRAINT hostile CHECK (evil.spy('check') OR member IS NULL)",
              "ALTER TABLE bus_presence DROP CONSTRAINT hostile"),
    "index": ("index", "CREATE INDEX hostile ON bus_presence (member) WHERE evil.spy('index')", "DROP INDEX hostile"),
    "cascade": ("constraint", """CREATE UNLOGGED TABLE hostile (gateway text REFERENCES bus_presence_gateway ON DELETE CASCADE);
        CREATE TRIGGER hostile AFTER DELETE ON hostile EXECUTE FUNCTION evil.trigger()""", "DROP TABLE hostile"),
    "child": ("inherits", """CREATE TABLE hostile () INHERITS (bus_presence);
        CREATE INDEX ON hostile (member) WHERE evil.spy('index of a child')""", "DROP TABLE hostile"),
    "policy": ("row-level security", f"""ALTER TABLE bus_presence ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON bus_presence TO {ROLE} USING (evil.act('policy')) WITH CHECK (evil.act('policy'))""",
        "ALTER TABLE bus_presence DISABLE ROW LEVEL SECURITY"),
}


@pytest.mark.parametrize("when", ["before", "meanwhile"])
@pytest.mark.parametrize("kind", WRITTEN)
async def test_presence_is_not_written_where_that_would_run_the_owners_code(cluster, tenants, serve, kind, when):
    words, attack, mend = WRITTEN[kind]
    hostile, victim = tenants
    if when == "before":
        hostile.as_owner(attack)
    gateway = serve()
    async with client_of(gateway, hostile) as one, client_of(gateway, victim) as other:
        await one.subscribed()
        await other.subscribed()
        if when == "meanwhile":
            until(lambda: present(hostile) == 1, lambda: gateway.tail())
            hostile.as_owner(attack)
        await asyncio.to_thread(gateway.wait_for_line, f'"{hostile.name}": who is present cannot be written: .*{words}')
        await delivered(hostile, one, "his own")  # the table of notifications is only read
        await delivered(victim, other, "of the other")
        until(lambda: present(victim) == 1, lambda: gateway.tail())
        hostile.as_owner(mend)
        until(lambda: present(hostile) == 1, lambda: gateway.tail())
    assert_nothing_was_gained(cluster, tenants, gateway)


# --- the one function that is called by its name ---

AUTHORIZE = """
CREATE FUNCTION public.app_authorize(request jsonb, channels text[]) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
    RAISE LOG 'authorizes with %', current_setting('search_path');
    RETURN ARRAY[bus_channel('a')];
END $$;
CREATE FUNCTION evil.app_authorize(request jsonb, channels text[]) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN PERFORM evil.act('another function of the name'); RETURN NULL; END $$;
"""


async def test_only_the_function_that_authorizes_runs_as_the_role(cluster, tenants, serve):
    """It is the one on the search_path; what is said about it is found in pg_catalog."""
    hostile, victim = tenants
    for tenant in tenants:
        tenant.as_owner(AUTHORIZE if tenant is hostile else AUTHORIZE.split("CREATE FUNCTION evil")[0])
    with cluster.connect(hostile.name, user=OWNER) as connection:
        for statement in hostile_names(cluster.connect(hostile.name)):
            connection.execute(statement)
    cluster.execute("ALTER DATABASE t_hostile SET search_path = public, evil")
    gateway = serve(auth="sql", auth_sql_function="app_authorize", token_keys=None, presence=[], presence_notifications=False)
    for tenant in tenants:
        async with BusClient(f"{gateway.url}?db={tenant.name}", ["a"]) as client:
            await client.subscribed()
            await delivered(tenant, client, "granted")
    assert "authorizes with pg_catalog, public, pg_temp" in cluster.log_text()
    assert_nothing_was_gained(cluster, tenants, gateway)


# --- what is sent to the server ---

def statements_by_session(cluster):
    """The messages of each session of the role, as the server logs them: further lines are indented."""
    sessions = {}
    for session, message in re.findall(rf"\[(\d+)\] {ROLE}@\w+ LOG:  (?:statement|execute [^:]+): (.*(?:\n\t.*)*)", cluster.log_text()):
        sessions.setdefault(session, []).append(message)
    return sessions.values()


async def test_every_session_begins_with_its_settings_and_reads_in_guarded_transactions(cluster, tenants, serve):
    hostile = tenants[0]
    for tenant in tenants:
        tenant.as_owner(AUTHORIZE.split("CREATE FUNCTION evil")[0])
    cluster.execute(f"ALTER ROLE {ROLE} SET log_statement = 'all'")
    first = serve()
    async with client_of(first, hostile) as one:
        await one.subscribed()
        await delivered(hostile, one, "first")
        await delivered(hostile, one, "a notification")
        until(lambda: present(hostile) == 1, lambda: first.tail())
    first.finish()
    known = hostile.forget()
    second = serve(auth="sql", auth_sql_function="app_authorize", token_keys=None, presence=[], presence_notifications=False)
    async with BusClient(f"{second.url}?db={hostile.name}", ["a"], last=known) as client:  # answered from the table
        await client.wait_payload("a notification")
        doctor = await asyncio.to_thread(run_gateway, "doctor", "--database", cluster.conninfo(hostile.name, user=ROLE),
                                         "--listen", f"127.0.0.1:{second.port}", "--auth", "open")
        assert "public.bus_bus of t_hostile can be read" in doctor.stdout
    sessions = statements_by_session(cluster)
    assert len(sessions) >= 10
    for messages in sessions:
        assert "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp'," in messages[0]
    messages = [message for session in sessions for message in session]
    reads = [message for message in messages if re.search(r"EXECUTE (read|adopt|\"check\")", message)]
    assert len(reads) > 6
    guarded = (r"(SET TRANSACTION|BEGIN ISOLATION LEVEL REPEATABLE READ,) READ ONLY; "
               r"LOCK TABLE ONLY public\.bus_bus IN ACCESS SHARE MODE; EXECUTE guard; EXECUTE ")
    assert [message for message in reads if not re.match(guarded, message)] == []
    replays = [session for session in sessions if any("channel = ANY" in message for message in session)]
    # The former session of a connection is ended first.
    assert replays and all("pg_terminate_backend(former.pid)" in session[1] for session in replays)
    assert all(re.match("BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY; LOCK TABLE ONLY", session[2]) for session in replays)


def test_an_owner_makes_no_event_trigger(tenants):
    """Those of logins would run in every session; PostgreSQL reserves them to superusers."""
    tenants[0].as_owner("CREATE FUNCTION evil.event() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        tenants[0].as_owner("CREATE EVENT TRIGGER hostile ON ddl_command_start EXECUTE FUNCTION evil.event()")
