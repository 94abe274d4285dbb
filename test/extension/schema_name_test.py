"""The script of the extension, in schemas whose names try to leave quotes: installed by an ordinary owner of a database, as
a superuser would run it. Where PostgreSQL refuses the name (CVE-2023-39417), that is what is asserted."""
import re

import psycopg
import pytest

from harness.system import ROOT

SCRIPTS = sorted((ROOT / "extension").glob("odoo_bus--*.sql"))
# In a script with @extschema@: refused since 11.21, 12.16, 13.12, 14.9 and 15.4.
REFUSED = set("\"$'\\")
# Refused by some releases, since November 2026.
MAY_BE_REFUSED = re.compile("@extschema|--|/\\*|\\*/|[\n\r]")
NAMES = [
    "$$;ALTER ROLE dbo SUPERUSER;SELECT $$", "';ALTER ROLE dbo SUPERUSER;--", "\";ALTER ROLE dbo SUPERUSER;--", "\"'$$", "a\\'b", "$1",
    "$body$", "@extschema@", "two words", "Größe 😀", "semi;colon", "--", "/*", "*/", "%s %I", "a.b", "(", "ALTER", "\t",
    "\n;ALTER ROLE dbo SUPERUSER;", "x" * 63,
]


@pytest.fixture(scope="module")
def preloaded(preloaded):
    preloaded.execute("CREATE ROLE dbo LOGIN")
    return preloaded


@pytest.fixture
def cluster(preloaded):
    yield preloaded
    assert preloaded.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'dbo'") == [(False,)]


@pytest.fixture
def owned(make_database):
    """A database whose owner is no superuser, and the owner's connection."""
    database = make_database(extension=False, owner="dbo")
    with database.connect(user="dbo") as connection:
        yield database, connection


def quoted(name):
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def use_everything(connection, schema):
    def rows(statement):
        return connection.execute(statement).fetchall()

    connection.execute(f"SELECT {schema}.bus_create_table()")
    assert rows(f"SELECT {schema}.bus_sendone('c', 't', '1')") == [(1,)]
    assert rows(f"SELECT {schema}.bus_sendnow('c', 't', '1')") == [(2,)]
    assert [id for id, _ in rows(f"SELECT * FROM {schema}.bus_poll(ARRAY[{schema}.bus_channel('c')], 0)")] == [1, 2]
    connection.execute(f"SELECT {schema}.bus_create_presence_table()")
    assert rows(f"SELECT * FROM {schema}.bus_online") == [] and rows(f"SELECT last_id FROM {schema}.bus_stat") == [(2,)]
    connection.execute(f"CALL {schema}.bus_gc_all('0 seconds', 1)")
    assert rows(f"SELECT count(*) FROM {schema}.bus_bus") == [(0,)]


def test_it_is_installed_and_works_or_postgresql_refuses_the_name(owned):
    _, connection = owned
    for name in NAMES:
        connection.execute(f"CREATE SCHEMA {quoted(name)}")
        install = f"CREATE EXTENSION odoo_bus SCHEMA {quoted(name)}"
        if REFUSED & set(name):
            with pytest.raises(psycopg.errors.DataError, match="invalid character in extension"):
                connection.execute(install)
            continue
        try:
            connection.execute(install)
        except psycopg.errors.DataError as error:
            assert MAY_BE_REFUSED.search(name) and "invalid string in extension" in str(error), name
            continue
        use_everything(connection, quoted(name))
        connection.execute("DROP EXTENSION odoo_bus")


def substituted(script, name):
    """As releases before the mend do: by the quoted name, wherever it stands."""
    lines = [line for line in script.splitlines() if not line.startswith("\\echo")]
    return "\n".join(lines).replace("@extschema@", quoted(name)).replace("MODULE_PATHNAME", "$libdir/odoo_bus")


def test_the_script_is_harmless_where_postgresql_substitutes_any_name(owned):
    """A superuser runs it as an old release would, without the check of the name."""
    database, connection = owned
    for name in NAMES:
        connection.execute(f"CREATE SCHEMA {quoted(name)}")
        with database.connect() as admin:
            admin.execute("SET check_function_bodies = off")
            for path in SCRIPTS:
                if path.stem.count("--") == 1:  # of a whole version
                    admin.execute(substituted(path.read_text(), name))
            made = admin.execute("SELECT count(*) FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace "
                                 "WHERE nspname = %s AND probin = '$libdir/odoo_bus'", (name,)).fetchone()[0]
            assert made > 20, f"the functions are not in the schema {name!r}"
            assert admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'dbo'").fetchone() == (False,), name


def outside_quotes(script):
    """The rest without comments, strings, dollar-quoted bodies and quoted names."""
    return re.sub(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|(\$\w*\$).*?\1", " ", script, flags=re.DOTALL)


def test_nothing_is_substituted_within_quotes():
    assert SCRIPTS
    for path in SCRIPTS:
        script = re.sub(r"^--[^\n]*", "", path.read_text(), flags=re.MULTILINE)
        assert script.count("@extschema@") == outside_quotes(script).count("@extschema@") > 0, path.name
        # No object that is there already is taken over, and every name is qualified.
        assert not re.search(r"\bOR\s+REPLACE\b|\bIF\s+NOT\s+EXISTS\b", script, re.IGNORECASE), path.name
        for kind, name in re.findall(r"\b(?:CREATE|ON)\s+(FUNCTION|PROCEDURE|VIEW|TABLE)\s+(\S+)", outside_quotes(script)):
            assert name.startswith("@extschema@."), f"{path.name}: {kind} {name}"
