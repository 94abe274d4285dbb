"""A database with the extension is dumped and restored, dropped, installed again and duplicated as any other."""
import pytest


@pytest.fixture
def used_database(database):
    with database.connect() as connection:
        connection.execute("CREATE TABLE sale_order (id serial PRIMARY KEY, name varchar)")
        connection.execute("CREATE TRIGGER live AFTER INSERT OR UPDATE OR DELETE ON sale_order FOR EACH ROW "
                           "EXECUTE FUNCTION bus_record_changed('record_%s', 'updated')")
        connection.execute("INSERT INTO sale_order (name) VALUES ('S1')")
        connection.execute("CREATE FUNCTION send() RETURNS bigint LANGUAGE sql AS $$ SELECT bus_sendone('f', 't', '1') $$")
        connection.execute("CREATE VIEW channels AS SELECT bus_channel('v') AS channel")
        connection.execute("SELECT bus_sendone('c', 't', '{\"a\": \"é😀\"}')")
    return database


@pytest.mark.parametrize("options", [(), ("--no-owner", "--no-privileges"), ("--inserts",)], ids=" ".join)
def test_restore_into_an_empty_database(cluster, make_database, used_database, options):
    dump = cluster.run("pg_dump", *options, dbname=used_database.name).stdout
    copy = make_database(extension=False)
    copy.psql(input=dump)
    # The rows are copied as they are; a restore sends nothing.
    assert copy.rows() == used_database.rows()
    copy.execute("UPDATE sale_order SET name = 'S2'")
    copy.execute("SELECT send()")
    assert [(id, channel) for id, channel, _ in copy.rows()[2:]] == [(3, [copy.name, "record_1"]), (4, [copy.name, "f"])]
    again = cluster.run("pg_dump", *options, dbname=copy.name).stdout
    assert again.count("CREATE EXTENSION") == 1


def test_the_owner_of_a_database_dumps_and_restores_it(cluster, make_database):
    cluster.execute("CREATE ROLE bus_owner LOGIN")
    try:
        databases = [make_database(extension=False, owner="bus_owner", template="template0") for _ in range(2)]
        for database in databases:
            database.execute("ALTER SCHEMA public OWNER TO bus_owner")
        databases[0].psql("-U", "bus_owner", input="CREATE EXTENSION odoo_bus; SELECT bus_create_table(); "
                          "SELECT bus_sendone('c', 't', '1'); GRANT INSERT ON bus_bus TO PUBLIC;")
        dump = cluster.run("pg_dump", "-U", "bus_owner", dbname=databases[0].name).stdout
        databases[1].psql("-U", "bus_owner", input=dump)
        assert databases[1].rows() == databases[0].rows()
        databases[1].psql("-U", "bus_owner", input="SELECT bus_sendone('c', 't', '2'); SELECT * FROM bus_stat;")
    finally:
        for database in databases:
            database.drop()
        cluster.execute("DROP ROLE bus_owner")


def test_custom_format_and_another_schema(cluster, make_database, tmp_path):
    original = make_database(extension=False)
    original.execute("CREATE SCHEMA odoo; CREATE EXTENSION odoo_bus SCHEMA odoo; SELECT odoo.bus_create_table()")
    original.execute("SELECT odoo.bus_sendone('c', 't', '1')")
    cluster.run("pg_dump", "-Fc", "-f", tmp_path / "dump", dbname=original.name)
    copy = make_database(extension=False)
    cluster.run("pg_restore", "--exit-on-error", "-d", copy.name, tmp_path / "dump")
    assert copy.value("SELECT odoo.bus_sendone('c', 't', '2')") == 2


def test_drop_and_create_again(used_database):
    rows = used_database.rows()
    used_database.execute("DROP EXTENSION odoo_bus CASCADE")
    assert used_database.rows() == rows
    used_database.execute("CREATE EXTENSION odoo_bus")
    assert used_database.sendone("again") == rows[-1][0] + 1


def test_create_before_odoo_makes_its_table(make_database):
    from harness.database import ODOO_TABLES
    database = make_database(extension=False)
    database.execute("CREATE EXTENSION odoo_bus")
    database.psql(input=ODOO_TABLES)
    assert database.sendone("c") == 1


def test_a_database_duplicated_as_a_template_sends_under_its_own_name(make_database, used_database):
    copy = make_database(extension=False, template=f'"{used_database.name}"')
    copy.sendone("c")
    assert copy.rows()[-1][1] == [copy.name, "c"]


def test_a_renamed_database_sends_under_its_new_name(cluster, make_database):
    database = make_database("before_rename")
    cluster.execute("ALTER DATABASE before_rename RENAME TO after_rename")
    try:
        assert cluster.execute("SELECT bus_channel('c')", dbname="after_rename") == [('["after_rename","c"]',)]
    finally:
        cluster.execute("ALTER DATABASE after_rename RENAME TO before_rename")
