"""The doorbell's worker, a superuser's process, in a hub and with channels that others have made to have it execute something."""
import pytest

from harness.doorbell import HUB, Listener, eventually, stat, worker_pid

CHANNELS = ["'); DROP TABLE bus_bus; --", "$$ || pg_notify('a', 'b') || $$", '"]], [["postgres", "x"]', "\\", "%s %n {0}", "a\nNOTIFY x;\n",
            "\u2028\u202e", "'" * 2000]
# Whatever the worker might use by its name alone.
HOSTILE = """
CREATE SCHEMA hostile;
CREATE TABLE hostile.executed (by text);
CREATE FUNCTION hostile.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'INSERT INTO hostile.executed VALUES (''pg_notify'')';
CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE sql AS $$ INSERT INTO hostile.executed VALUES ('now'); SELECT current_timestamp $$;
CREATE FUNCTION hostile.equal(text, text) RETURNS bool LANGUAGE sql AS $$ INSERT INTO hostile.executed VALUES ('='); SELECT true $$;
CREATE OPERATOR hostile.= (LEFTARG = text, RIGHTARG = text, FUNCTION = hostile.equal);
CREATE VIEW hostile.pg_database AS SELECT 'x'::name AS datname;
"""


@pytest.fixture
def cluster(restored):
    return restored


@pytest.fixture(name="hostile_hub")
def a_hostile_hub(cluster, database):
    """With a worker that has begun in it. Nothing of ours is asked there, since `=` is a trap."""
    before = worker_pid(cluster)
    cluster.execute(HOSTILE, dbname=HUB)
    cluster.execute(f"ALTER DATABASE {HUB} SET search_path = hostile, pg_catalog")
    database.execute("SELECT pg_terminate_backend(%s)", (before,))
    eventually(lambda: database.execute("""SELECT pid FROM pg_stat_activity WHERE backend_type = 'odoo_bus doorbell'
                                           AND query LIKE 'odoo_bus: waiting%%' AND pid <> %s""", (before,)))
    yield
    cluster.execute(f"ALTER DATABASE {HUB} RESET ALL")
    cluster.execute("DROP SCHEMA hostile CASCADE", dbname=HUB)


def test_what_it_announces_is_data(database, hub):
    for channel in CHANNELS:
        database.sendone(channel)
    assert hub.finish(database) == [[database.name, channel] for channel in CHANNELS]
    assert database.value("SELECT count(*) FROM bus_bus") == len(CHANNELS) + 1


@pytest.mark.usefixtures("hostile_hub")
def test_it_executes_nothing_that_others_have_made_in_the_hub(database, cluster):
    executed = "SELECT * FROM hostile.executed"
    # The trap works for sessions of the hub.
    assert cluster.execute("SELECT 'a'::text = 'b'::text", dbname=HUB) == [(True,)]
    assert cluster.execute(executed, dbname=HUB) == [("=",)]
    cluster.execute("TRUNCATE hostile.executed", dbname=HUB)
    with Listener(cluster) as hub:
        database.sendone("c")
        assert hub.finish(database) == [[database.name, "c"]]
    assert stat(database, "fallbacks") == 0, "it was the worker that has notified"
    assert cluster.execute(executed, dbname=HUB) == []
