"""The shared library under the SQL objects of an older version of the extension, and UPDATE."""
import re

from harness.doorbell import eventually
from harness.cluster import Cluster
from harness.system import ROOT

# What a version that was in use declares. A library must go on to serve it, so nothing is ever taken out of here.
OLDER_STAT = """CREATE FUNCTION older_stat(
    OUT mode text, OUT last_id bigint, OUT ids_left bigint, OUT sent bigint, OUT doorbells bigint, OUT notifies bigint,
    OUT coalesced bigint, OUT fallbacks bigint, OUT queue_used bigint, OUT queue_size bigint, OUT worker_pid int,
    OUT last_error text, OUT last_error_at timestamptz, OUT stats_reset timestamptz)
    LANGUAGE c VOLATILE AS '$libdir/odoo_bus', 'odoo_bus_stat'"""
SYMBOLS = """bus_stat_reset channel channel_record channel_subchannel create_presence_table create_table gc gc_all last_id notify poll record_changed
    sendmany sendmany_channels sendmany_channels_json sendmany_records sendmany_records_json sendnow sendnow_json sendnow_record
    sendnow_record_json sendnow_subchannel sendnow_subchannel_json sendone sendone_json sendone_record sendone_record_json
    sendone_subchannel sendone_subchannel_json sendone_user sendone_user_json stat version""".replace("bus_", "").split()


def test_the_library_serves_the_view_of_an_older_version(database):
    database.execute("CREATE SCHEMA older; SET search_path = older; " + OLDER_STAT)
    database.sendone("c")
    row = database.execute("SELECT * FROM older.older_stat()")[0]
    assert len(row) == 14 and row[0] == "notify"
    with Cluster(shared_preload_libraries="odoo_bus") as preloaded:
        other = preloaded.create_database().install()
        other.execute(OLDER_STAT)
        other.sendone("c")
        assert eventually(lambda: other.execute("SELECT * FROM older_stat()")[0])[:4] == ("doorbell", 1, 2**31 - 2, 1)


def test_every_function_that_was_ever_declared_is_there(database):
    for symbol in SYMBOLS:
        database.execute(f"CREATE FUNCTION check_{symbol}() RETURNS void LANGUAGE c AS '$libdir/odoo_bus', 'odoo_bus_{symbol}'")
    script = (ROOT / "extension/odoo_bus--1.0.sql").read_text()
    assert set(re.findall(r"'odoo_bus_(\w+)'", script)) == set(SYMBOLS), "add new ones above"


def test_update_of_what_is_up_to_date(database):
    database.execute("ALTER EXTENSION odoo_bus UPDATE")
    for source, target, path in database.execute("SELECT * FROM pg_extension_update_paths('odoo_bus')"):
        assert path, f"there is no way from {source} to {target}"
    assert database.sendone("c") == 1


def test_nobody_of_ours_is_in_the_servers_that_pg_upgrade_starts():
    """It drops and makes the database in which the doorbell's worker would be, and copies what a worker could write."""
    with Cluster(shared_preload_libraries="odoo_bus") as preloaded:
        preloaded.create_database("used").install()
        assert preloaded.execute("SELECT mode FROM bus_stat", dbname="used") == [("doorbell",)]
        preloaded.stop()
        preloaded.start("-b")
        assert preloaded.execute("SELECT mode FROM bus_stat", dbname="used") == [("notify",)]
        assert preloaded.execute("SELECT backend_type FROM pg_stat_activity WHERE backend_type LIKE 'odoo_bus%'") == []
        # What pg_upgrade does to the new cluster.
        preloaded.execute("DROP DATABASE postgres", dbname="template1")
