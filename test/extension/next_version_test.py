"""A next version, made up here, is installed over this one: its library under this one's SQL objects, before and after
the server is restarted and the sessions end, and UPDATE from every published version."""
import pytest

from harness.cluster import Cluster
from harness.doorbell import Listener, stat, wait_for_worker
from harness.installation import Installation
from harness.next_version import NEXT, next_version

# What an extension consists of, with everything that a script can give it.
OBJECTS = """
SELECT pg_describe_object(classid, objid, 0),
    (SELECT pg_get_functiondef(oid) || coalesce(proacl::text, '') FROM pg_proc WHERE oid = objid AND classid = 'pg_proc'::regclass),
    (SELECT pg_get_viewdef(oid) || coalesce(relacl::text, '') FROM pg_class WHERE oid = objid AND classid = 'pg_class'::regclass),
    obj_description(objid, classid::regclass::text),
    (SELECT initprivs::text FROM pg_init_privs i WHERE i.objoid = objid AND i.classoid = classid AND objsubid = 0)
FROM pg_depend WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'odoo_bus')
ORDER BY 1"""


@pytest.fixture(scope="module")
def next_source(tmp_path_factory):
    return next_version(tmp_path_factory.mktemp("next"))


@pytest.fixture
def installation():
    with Installation() as private:
        yield private


@pytest.fixture(params=[False, True], ids=["notify", "doorbell"])
def server(request, installation):
    """Of this version."""
    preload = {"shared_preload_libraries": "odoo_bus"} if request.param else {}
    with Cluster(bin=installation.bin, **preload) as private:
        private.preloaded = request.param
        yield private


def versions(session):
    """Of the library and of the SQL objects."""
    return session.execute("SELECT bus_version(), extversion FROM pg_extension WHERE extname = 'odoo_bus'").fetchone()


def use(session, preloaded):
    """Everything that this version can do; returns the ids that it has sent."""
    def value(statement):
        return session.execute(statement).fetchone()[0]

    ids = [
        value("SELECT bus_sendone('c', 't', '1')"), value("SELECT bus_sendone('m', 1, 't', '1')"),
        value("SELECT bus_sendone('m', 1, 's', 't', '1')"),
        *value("""SELECT bus_sendmany('[["c", "t", 1]]')"""), *value("SELECT bus_sendmany(ARRAY['c'], 't', '1')"),
        *value("SELECT bus_sendmany('m', ARRAY[1::bigint], 't', '1')")]
    if preloaded:
        ids.append(value("SELECT bus_sendnow('c', 't', '1')"))
    session.execute("SELECT bus_notify('imbus', '[[\"mydb\",\"c\"]]')")
    session.execute("UPDATE sale_order SET name = name || '.'")
    ids.append(value("SELECT bus_last_id()"))
    assert [row[0] for row in session.execute(
        "SELECT id FROM bus_poll(ARRAY[bus_channel('c'), bus_channel('m', 1), bus_channel('m', 1, 's'), bus_channel('r_1')], %s)",
        (ids[0] - 1,))] == ids
    for statement in "SELECT bus_gc()", "CALL bus_gc_all()", *(["SELECT bus_stat_reset()"] if preloaded else []):
        session.execute(statement)
    return ids


def used_database(server):
    database = server.create_database().install()
    with database.connect() as session:
        session.execute("CREATE TABLE sale_order (id serial PRIMARY KEY, name varchar); INSERT INTO sale_order (name) VALUES ('S')")
        session.execute("CREATE TRIGGER live AFTER UPDATE ON sale_order FOR EACH ROW "
                        "EXECUTE FUNCTION bus_record_changed('r_%s', 't')")
    return database


def test_the_next_library_serves_the_sql_of_this_version(server, installation, next_source):
    database = used_database(server)
    with database.connect() as before:
        this, _ = versions(before)
        ids = use(before, server.preloaded)
        installation.install(next_source.directory)
        # Sessions that have loaded this version's library go on with it; a preloaded one is every session's.
        assert versions(before) == (this, this)
        ids += use(before, server.preloaded)
        with database.connect() as after:
            assert versions(after) == (this if server.preloaded else NEXT, this)
            ids += use(after, server.preloaded)
    if server.preloaded:
        # Too early: the library that is loaded has not what the next version's SQL needs. Nothing has changed then.
        done = database.psql(input="ALTER EXTENSION odoo_bus UPDATE", check=False)
        assert done.returncode != 0 and "odoo_bus_next" in done.stderr, done.stderr
    server.restart()
    with database.connect() as session:
        assert versions(session) == (NEXT, this)
        ids += use(session, server.preloaded)
        session.execute("ALTER EXTENSION odoo_bus UPDATE")
        assert versions(session) == (NEXT, NEXT)
        ids += use(session, server.preloaded)
        assert session.execute("SELECT bus_next()").fetchone() == ("next",)
    assert ids == list(range(1, len(ids) + 1)), "an id was left out or came twice"
    assert stat(database, "mode") == ("doorbell" if server.preloaded else "notify")
    if server.preloaded:
        wait_for_worker(server)
        with Listener(server) as listener:
            database.sendone("heard")
            listener.wait_for(database.name, "heard")


def test_update_from_every_published_version_is_a_new_installation(installation, next_source):
    with Cluster(bin=installation.bin) as server:
        def objects_after(*statements):
            database = server.create_database()
            with database.connect() as session:
                for statement in statements:
                    session.execute(statement)
                found = session.execute(OBJECTS).fetchall()
                assert session.execute("SELECT extversion FROM pg_extension WHERE extname = 'odoo_bus'").fetchone() == \
                    session.execute("SELECT default_version FROM pg_available_extensions WHERE name = 'odoo_bus'").fetchone()
            return found

        def check_every_version():
            published = {row[0] for row in server.execute(
                "SELECT version FROM pg_available_extension_versions WHERE name = 'odoo_bus'")}
            new = objects_after("CREATE EXTENSION odoo_bus")
            for version in published:
                assert objects_after(f"CREATE EXTENSION odoo_bus VERSION '{version}'", "ALTER EXTENSION odoo_bus UPDATE") == new, \
                    f"UPDATE from {version} ends with other objects than CREATE EXTENSION"
            return published, new

        published, objects = check_every_version()
        assert len(objects) > 20
        installation.install(next_source.directory)
        now_published, now_objects = check_every_version()
        assert now_published == published | {NEXT} and len(now_objects) == len(objects) + 1
