"""What administrators have when they upgrade: an Odoo database and one without Odoo, with roles, grants and rows."""
from harness.database import ODOO_TABLES
from harness.doorbell import Listener, eventually, stat, wait_for_worker

GATEWAY, SENDER, OWNER = "odoo-bus-gateway", "sender", "plain_owner"  # roles
OBJECTS = """
SELECT pg_describe_object(classid, objid, 0), obj_description(objid, classid::regclass::text), p.proacl::text, p.prosrc, p.probin,
    p.prorettype::regtype::text, p.proargnames, p.proargmodes::text, pg_get_expr(p.proargdefaults, 0), p.provolatile, p.proparallel
FROM pg_depend LEFT JOIN pg_proc p ON p.oid = objid AND classid = 'pg_proc'::regclass
WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass AND classid <> 'pg_type'::regclass -- of the view, in newer releases
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'odoo_bus')
ORDER BY 1"""


def fill(cluster):
    """Makes both databases; returns that of Odoo."""
    cluster.psql(input=f'CREATE ROLE "{GATEWAY}" LOGIN; GRANT pg_read_all_stats TO "{GATEWAY}"; '
                       f"CREATE ROLE {SENDER} LOGIN; CREATE ROLE {OWNER} LOGIN;")
    odoo = cluster.create_database("odoo")
    odoo.psql(input=ODOO_TABLES + f"""
        CREATE EXTENSION odoo_bus;
        GRANT SELECT ON bus_bus, bus_bus_id_seq TO "{GATEWAY}";
        GRANT INSERT ON bus_bus TO {SENDER};
        GRANT USAGE ON SEQUENCE bus_bus_id_seq TO {SENDER};
        CREATE TABLE sale_order (id serial PRIMARY KEY, name varchar);
        INSERT INTO sale_order (name) VALUES ('S1');
        GRANT SELECT, UPDATE ON sale_order TO {SENDER};
        CREATE TRIGGER live AFTER UPDATE ON sale_order FOR EACH ROW EXECUTE FUNCTION bus_record_changed('record_%s', 'updated');
        CREATE VIEW channels AS SELECT bus_channel('v') AS channel;""")
    plain = cluster.create_database("plain", owner=OWNER)
    plain.psql("-U", OWNER, input=f"""
        CREATE SCHEMA bus;
        CREATE EXTENSION odoo_bus SCHEMA bus;
        SELECT bus.bus_create_table(bigint_ids => true);
        SELECT bus.bus_create_presence_table();
        SELECT bus.bus_sendone('c', 't', '{{"a": "é😀"}}');
        BEGIN; SELECT bus.bus_sendone('c', 't', '"rolled back"'); ROLLBACK;""")
    return odoo


def seen(cluster):
    """What must be the same after the upgrade."""
    found = {}
    for name, schema in ("odoo", "public"), ("plain", "bus"):
        with cluster.connect(name) as session:
            found[name] = {what: session.execute(query.replace("SCHEMA", schema)).fetchall() for what, query in {
                "objects": OBJECTS,
                "version": "SELECT extversion FROM pg_extension WHERE extname = 'odoo_bus'",
                "rows": "SELECT * FROM SCHEMA.bus_bus ORDER BY id",
                "sequence": "SELECT last_value, is_called FROM SCHEMA.bus_bus_id_seq",
                "table": "SELECT obj_description('SCHEMA.bus_bus'::regclass, 'pg_class'), relowner::regrole::text FROM pg_class "
                         "WHERE oid = 'SCHEMA.bus_bus'::regclass",
                "retention": "SELECT retention FROM SCHEMA.bus_stat"}.items()}
            assert len(found[name]["objects"]) > 20
    return found


def check_that_all_is_there(cluster, before):
    after = seen(cluster)
    for name, things in before.items():
        for what, rows in things.items():
            others = [row for row in after[name][what] if row not in rows]
            assert after[name][what] == rows, f"the {what} of {name} are others than before: {others}"


def use_odoo(database, preloaded):
    """Sends by every way, with the rights that were granted; returns the ids."""
    with database.connect(user=SENDER) as session:
        ids = [session.execute("SELECT bus_sendone('a', 'test', '\"sent\"')").fetchone()[0],
               *session.execute("""SELECT bus_sendmany('[["a", "test", "many"]]')""").fetchone()[0]]
        if preloaded:
            ids.append(session.execute("SELECT bus_sendnow('a', 'test', '\"now\"')").fetchone()[0])
        session.execute("UPDATE sale_order SET name = name || '.'")
        ids.append(session.execute("SELECT last_id FROM bus_stat").fetchone()[0])
    assert database.rows()[-1][1] == [database.name, "record_1"]
    assert database.value("SELECT channel FROM channels") == database.channel("v")
    with database.connect(user=GATEWAY) as session:
        assert session.execute("SELECT id FROM bus_poll(ARRAY[bus_channel('a')], %s)", (ids[0] - 1,)).fetchall() == \
            [(id,) for id in ids[:-1]]
    assert stat(database, "mode") == ("doorbell" if preloaded else "notify")
    if preloaded:  # stock Odoo servers hear it, too
        wait_for_worker(database.cluster)
        with Listener(database.cluster) as listener:
            with database.connect(user=SENDER) as session:
                ids.append(session.execute("SELECT bus_sendone('heard', 'test', 'null')").fetchone()[0])
            listener.wait_for(database.name, "heard")
    return ids


def use_plain(cluster, preloaded):
    """As its owner; returns the id. Old rows are deleted where the extension is preloaded."""
    with cluster.connect("plain", user=OWNER) as session:
        id, = session.execute("SELECT bus.bus_sendone('c', 't', '2')").fetchone()
        assert session.execute("SELECT count(*) FROM bus.bus_online").fetchone() == (0,)
        if preloaded:
            session.execute("INSERT INTO bus.bus_bus (create_date, channel, message) "
                            "VALUES (now() AT TIME ZONE 'UTC' - interval '25 hours', 'old', 'old')")
            session.execute("SELECT bus.bus_sendone('c', 't', '3')")
            eventually(lambda: session.execute("SELECT count(*) FROM bus.bus_bus WHERE channel = 'old'").fetchone() == (0,), 90)
    return id
