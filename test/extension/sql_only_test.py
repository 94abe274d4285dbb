"""The functions without C: the same regression tests, nothing looked up in the search_path, from them to the extension and
back.

    python3 test/extension/sql_only_test.py     writes the stated differences anew (test/extension/sql_only/*.diff)
"""
import difflib
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import hostile, sql_only  # noqa: E402
from harness.cluster import Cluster  # noqa: E402
from harness.doorbell import Listener  # noqa: E402
from harness.system import ROOT, clean_environment  # noqa: E402

REGRESS = ["channel", "errors", "install", "notify", "poll", "presence", "record_changed", "send", "table", "user"]  # all but sendnow
DIFFERENCES = Path(__file__).parent / "sql_only"

RETENTION_NOTICE = re.compile(r"NOTICE:  old rows of bus_bus are not deleted by themselves.*\nHINT:  .*\n")
CONTEXT = re.compile(r"^CONTEXT:  .*\n", re.M)
FUNCTIONS = re.compile(r"^ +oid +\| prosecdef .*?\(\d+ rows\)\n", re.M | re.S)  # test_every_function_... compares them


def as_extension(text):
    return re.sub(r"""(EXTENSION |extension "|')odoo_bus\b""", r"\1odoo_bus_sql", text)


def output_of(cluster, name):
    """What pg_regress would compare, without the lines of context: bodies in PL/pgSQL have other ones."""
    database = cluster.create_database("contrib_regression", encoding="'UTF8'", template="template0", locale="'C'")
    script = as_extension((ROOT / f"sql/{name}.sql").read_text())
    environment = clean_environment(PGHOST=cluster.host, PGPORT=str(cluster.port), PGUSER=cluster.user, PGDATABASE=database.name,
                                    PGTZ="America/Los_Angeles", PGDATESTYLE="Postgres, MDY")
    done = subprocess.run([cluster.bin / "psql", "-X", "-a", "-q", "-v", "SHOW_CONTEXT=never"], env=environment, input=script,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    database.drop()
    return FUNCTIONS.sub("", RETENTION_NOTICE.sub("", done.stdout))


def differences(cluster, name):
    expected = FUNCTIONS.sub("", CONTEXT.sub("", as_extension((ROOT / f"expected/{name}.out").read_text())))
    lines = difflib.unified_diff(expected.splitlines(), output_of(cluster, name).splitlines(), "the extension",
                                 "the functions without C", n=1, lineterm="")
    return "".join(re.sub(r"^@@.*@@$", "@@", line) + "\n" for line in lines)


@pytest.fixture(scope="module")
def cluster():
    with sql_only.WithExtension() as installation, \
            Cluster(bin=installation.bin, log_line_prefix="%b|%p|%u|%d|") as private:
        if int(private.execute("SHOW server_version_num")[0][0]) < sql_only.LEAST_VERSION:
            pytest.skip("bodies in standard SQL came with PostgreSQL 14")
        yield private


@pytest.fixture
def without_c(make_database):
    database = make_database(extension=False)
    sql_only.run(database)
    return database


@pytest.mark.parametrize("name", REGRESS)
def test_the_regression_tests_answer_as_stated(cluster, name):
    stated = DIFFERENCES / f"{name}.diff"
    assert differences(cluster, name) == (stated.read_text() if stated.exists() else "")


def test_every_function_of_the_extension_is_there(cluster, make_database):
    """With the same arguments, results and properties."""
    signatures = """SELECT concat(p.proname, '(', pg_get_function_arguments(p.oid), ') ', pg_get_function_result(p.oid), ' ', p.prosecdef,
            p.proisstrict, p.provolatile, CASE WHEN p.proname <> 'bus_poll' THEN p.proparallel END)
        FROM pg_proc AS p JOIN pg_depend AS d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
        JOIN pg_extension AS e ON e.oid = d.refobjid WHERE e.extname = %s"""
    database = make_database(extension=False)
    database.execute("CREATE SCHEMA c; CREATE EXTENSION odoo_bus SCHEMA c; CREATE SCHEMA s; CREATE EXTENSION odoo_bus_sql SCHEMA s")
    c, s = ({row[0] for row in database.execute(signatures, (name,))} for name in ("odoo_bus", "odoo_bus_sql"))
    assert {each.split("(")[0] for each in c - s} <= {"bus_gc_all"}, "which has one more, for its own use"
    assert all(each.startswith(("bus_sql_", "bus_gc_all(")) for each in s - c)


def test_they_are_installed_twice_and_follow_a_renamed_schema(without_c):
    without_c.execute("SELECT bus_create_table(); SELECT bus_sendone('c', 't', '1')")
    sql_only.run(without_c)  # of a newer version
    without_c.execute("ALTER SCHEMA public RENAME TO odoo; CREATE SCHEMA public")
    assert without_c.value("SELECT odoo.bus_sendone('c', 't', '1')") == 2
    without_c.execute("CALL odoo.bus_gc_all('0')")
    assert without_c.value("SELECT odoo.bus_last_id()") == 0


def test_a_dump_is_restored(without_c, make_database):
    without_c.execute("SELECT bus_create_table(); SELECT bus_sendone('c', 't', '1')")
    dump = without_c.cluster.run("pg_dump", dbname=without_c.name).stdout
    copy = make_database(extension=False)
    copy.psql(input=dump)
    assert copy.value("SELECT bus_sendone('c', 't', '1')") == 2
    copy.execute("CALL bus_gc_all('0')")


def test_they_look_nothing_up_in_the_search_path(make_database, cluster):
    """A superuser uses every function where Mallory's operators, functions, types and casts come first."""
    cluster.execute("CREATE ROLE mallory LOGIN")
    owned = make_database(extension=False, owner="mallory")
    owned.execute("ALTER SCHEMA public OWNER TO mallory; GRANT ALL ON SCHEMA public TO PUBLIC")
    sql_only.run(owned)
    with owned.connect(user="mallory") as mallory:
        mallory.execute(hostile.FUNCTIONS)
        mallory.execute("SELECT bus_create_table()")
        mallory.execute("INSERT INTO bus_bus (channel, message, create_date) VALUES ('old', '{}', '2000-01-01')")
        mallory.execute("CREATE TABLE ir_module_module (name varchar, latest_version varchar); "
                        "CREATE TABLE res_users (id int, partner_id int); "
                        "INSERT INTO ir_module_module VALUES ('base', 'saas~19.3.1.3'); INSERT INTO res_users VALUES (2, 3)")
        mallory.execute(hostile.IN_SEARCH_PATH.format(schema="public"))
    before = len(cluster.log_text())
    with owned.connect() as admin:
        admin.execute("SET search_path = public, pg_catalog")
        for statement in ("SELECT public.bus_sendone('c', 't', '1'::pg_catalog.jsonb)",
                          "SELECT public.bus_sendone('m', 3, 'é', '{\"é\": [1, 2]}'::pg_catalog.jsonb)",
                          "SELECT public.bus_sendmany('[[\"c\", \"t\", 1], [[\"m\", 2, \"s\"], \"t\", 1]]'::pg_catalog.jsonb)",
                          "SELECT public.bus_sendmany(ARRAY['a', 'b'], 't', '1'::pg_catalog.jsonb)",
                          "SELECT public.bus_sendmany('m', ARRAY[1, 2]::pg_catalog.int8[], 't', '1'::pg_catalog.jsonb)",
                          "SELECT public.bus_sendone_user(2, 't', '1'::pg_catalog.jsonb)", "SELECT public.bus_notify('c', 'p')",
                          "SELECT * FROM public.bus_poll(ARRAY[public.bus_channel('c'), 'a'], 0)",
                          "SELECT * FROM public.bus_poll(ARRAY[public.bus_channel('c')], 1)",
                          "SELECT public.bus_last_id()", "SELECT public.bus_gc()", "CALL public.bus_gc_all()",
                          "SELECT * FROM public.bus_stat", "SELECT public.bus_create_presence_table()",
                          "SELECT * FROM public.bus_online",
                          "CREATE TABLE watched (id int PRIMARY KEY, name text, at timestamp)",
                          "CREATE TRIGGER watch AFTER INSERT OR UPDATE OR DELETE ON watched FOR EACH ROW "
                          "EXECUTE FUNCTION public.bus_record_changed('w_%s', 't', 'id', 'name')",
                          "CREATE TRIGGER watch2 AFTER INSERT OR UPDATE OR DELETE ON watched FOR EACH ROW "
                          "EXECUTE FUNCTION public.bus_record_changed('w_%s', 't', 'at')",
                          "INSERT INTO watched VALUES (1, 'a', '2026-01-01')", "UPDATE watched SET id = 2, name = 'b'",
                          "DELETE FROM watched"):
            admin.execute(statement, prepare=False)
        assert admin.execute("SELECT pg_catalog.count(*) FROM public.bus_bus").fetchone()[0] == 16
        admin.execute("DROP TABLE bus_bus CASCADE")
        admin.execute("SELECT public.bus_create_table(true)")
    runs = hostile.runs(cluster.log_text()[before:])
    owned.drop()
    cluster.execute("DROP ROLE mallory")
    assert runs == []


def test_what_they_cannot_do_says_so(without_c):
    with without_c.connect() as connection:
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="needs a background worker") as raised:
            connection.execute("SELECT bus_sendnow('c', 't', '1')")
        assert "bus_sendone() sends when the transaction commits" in raised.value.diag.message_hint
        notices = []
        connection.add_notice_handler(lambda diag: notices.append((diag.message_primary, diag.message_hint)))
        connection.execute("SELECT bus_create_table()")
        [(notice, hint)] = notices
        assert notice == "old rows of bus_bus are not deleted by themselves: these functions have no background worker"
        assert "CALL public.bus_gc_all()" in hint
        connection.execute("BEGIN; SELECT bus_sendone('c', 't', '1')")
        with pytest.raises(psycopg.errors.FeatureNotSupported):  # PostgreSQL's own rule for NOTIFY
            connection.execute("PREPARE TRANSACTION 'p'")


def test_channels_are_announced_once_in_a_call(without_c):
    without_c.execute("SELECT bus_create_table()")
    names = ["b", "a", *(f"{i}{'x' * 3000}" for i in range(3))]
    with Listener(without_c.cluster, without_c.name) as listener:
        without_c.execute("SELECT bus_sendmany(%s, 't', '1')", ([*names, "b"],))
        listener.wait_for(without_c.name, names[-1])
    channels = [without_c.channel(name) for name in names]
    assert listener.payloads == [f"[{','.join(channels[:4])}]", f"[{channels[4]}]"]


GRANTS = """
CREATE ROLE {sender}; CREATE ROLE {reader};
GRANT INSERT, SELECT ON bus_bus TO {sender}; GRANT USAGE ON SEQUENCE bus_bus_id_seq TO {sender};
REVOKE ALL ON FUNCTION bus_sendone(text, text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bus_sendone(text, text, jsonb) TO {sender} WITH GRANT OPTION;
REVOKE ALL ON PROCEDURE bus_gc_all FROM PUBLIC; GRANT EXECUTE ON PROCEDURE bus_gc_all TO {sender};
REVOKE ALL ON bus_stat FROM PUBLIC; GRANT SELECT ON bus_stat TO {reader};
CREATE TABLE watched (id int PRIMARY KEY, name text);
CREATE TRIGGER watch AFTER INSERT OR UPDATE ON watched FOR EACH ROW EXECUTE FUNCTION bus_record_changed('w_%s', 't', 'id', 'name');
COMMENT ON TRIGGER watch ON watched IS 'tells';
CREATE TRIGGER off AFTER INSERT ON watched FOR EACH ROW EXECUTE FUNCTION bus_record_changed('off_%s', 't');
ALTER TABLE watched DISABLE TRIGGER off;
"""
WHO_MAY = """
SELECT p.proname || '(' || CASE WHEN p.proname <> 'bus_gc_all' THEN pg_get_function_identity_arguments(p.oid) ELSE '' END || ')',
    r.name, has_function_privilege(r.name, p.oid, 'EXECUTE'), has_function_privilege(r.name, p.oid, 'EXECUTE WITH GRANT OPTION')
FROM pg_proc AS p CROSS JOIN unnest(%s::text[]) AS r (name)
WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'bus\\_%%' AND p.proname NOT LIKE 'bus\\_sql\\_%%'
UNION ALL SELECT 'bus_stat', r.name, has_table_privilege(r.name, 'bus_stat', 'SELECT'), false FROM unnest(%s::text[]) AS r (name)
UNION ALL SELECT 'bus_bus', r.name, has_table_privilege(r.name, 'bus_bus', 'INSERT, SELECT'), false FROM unnest(%s::text[]) AS r (name)
ORDER BY 1, 2"""


@pytest.mark.parametrize("installed_by", ["psql", "pg_tle"])
def test_to_the_extension_and_back_no_row_and_no_grant_is_lost(cluster, make_database, installed_by):
    database = make_database(extension=False)
    if installed_by == "psql":
        sql_only.run(database)
    else:
        database.execute("CREATE EXTENSION odoo_bus_sql")
    sender, reader = f"sender_{database.name}", f"reader_{database.name}"
    database.execute("SELECT bus_create_table()")
    database.execute(GRANTS.format(sender=sender, reader=reader))

    def state():
        roles = [[sender, reader]] * 3
        return (database.execute(WHO_MAY, roles), database.execute("SELECT * FROM bus_bus ORDER BY id"),
                database.execute("SELECT pg_get_triggerdef(oid), tgenabled, obj_description(oid, 'pg_trigger') FROM pg_trigger "
                                 "WHERE tgrelid = 'watched'::regclass ORDER BY tgname"))

    database.execute("INSERT INTO watched VALUES (1, 'a')")
    before = state()
    for script, language in (("to_extension", "c"), ("to_sql", "sql"), ("to_extension", "c")):
        sql_only.run(database, sql_only.DIRECTORY / f"{script}.sql")
        assert state() == before
        assert database.value("SELECT lanname FROM pg_proc AS p JOIN pg_language AS l ON l.oid = p.prolang "
                              "WHERE p.oid = 'bus_sendone(text, text, jsonb)'::regprocedure") == language
        database.execute("UPDATE watched SET name = name || 'b'")
        database.execute("INSERT INTO watched SELECT max(id) + 1, 'c' FROM watched")
        before = state()
        assert len(before[1]) > 2
    channels = [message["payload"]["record_id"] for _, _, message in database.rows()]
    assert channels == [1, 1, 2, 1, 2, 3, 1, 2, 3, 4]
    database.drop()
    cluster.execute(f"DROP ROLE {sender}; DROP ROLE {reader}")


def test_what_depends_on_a_function_keeps_everything_as_it_is(without_c):
    without_c.execute("SELECT bus_create_table()")
    without_c.execute("CREATE VIEW mine AS SELECT bus_channel('c')")
    done = sql_only.run(without_c, sql_only.DIRECTORY / "to_extension.sql", check=False)
    assert done.returncode != 0 and "view mine depends on function bus_channel(text)" in done.stderr
    assert without_c.value("SELECT bus_sendone('c', 't', '1')") == 1


def test_pg_tle_is_given_the_same_script(make_database):
    """By a stand-in for it, which keeps what it is given."""
    database = make_database(extension=False)
    database.execute("CREATE SCHEMA pgtle; CREATE TABLE given (name text, version text, description text, script text); "
                     "CREATE FUNCTION pgtle.install_extension(text, text, text, text) RETURNS boolean LANGUAGE sql AS "
                     "'INSERT INTO public.given VALUES ($1, $2, $3, $4) RETURNING true'")
    database.psql(input=subprocess.run([sql_only.DIRECTORY / "pgtle"], check=True, capture_output=True, text=True).stdout)
    [(name, version, _, script)] = database.execute("SELECT * FROM given")
    assert (name, version, script.strip()) == ("odoo_bus_sql", "1.0", sql_only.SCRIPT.read_text().strip())


if __name__ == "__main__":
    with sql_only.WithExtension() as installation, Cluster(bin=installation.bin) as server:
        for each in REGRESS:
            (DIFFERENCES / f"{each}.diff").unlink(missing_ok=True)
            if text := differences(server, each):
                (DIFFERENCES / f"{each}.diff").write_text(text)
