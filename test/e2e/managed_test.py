"""A server that is not ours: no superuser, no extension, and questions that it refuses to answer."""
import asyncio
import re
import urllib.request

import pytest

from harness import sql_only
from harness.client import BusClient
from harness.deadline import DEADLINE
from harness.ports import reserve_port
from harness.wait import until

OWNER, ROLE = "managed_owner", "managed_gateway"
LOCKS = "REVOKE EXECUTE ON FUNCTION pg_lock_status() FROM PUBLIC"
SNAPSHOTS = "REVOKE EXECUTE ON FUNCTION pg_current_snapshot() FROM PUBLIC"
# What is refused, and what the gateway says that it costs.
REFUSED = {
    "pg_control_system()": "another server at the same address",
    "pg_current_wal_lsn()": "as after a failover",
    "pg_walfile_name(pg_lsn)": "as after a failover",
    "pg_postmaster_start_time()": "as after a restart",
    "pg_is_in_recovery()": "a standby is noticed when it refuses LISTEN",
    "pg_lock_status()": "missing ids are decided by transaction ids",
    "pg_current_snapshot()": "a prepared transaction's notifications",
    "pg_snapshot_xip(pg_snapshot)": "a prepared transaction's notifications",
    "pg_visible_in_snapshot(xid8, pg_snapshot)": "a prepared transaction's notifications",
    "pg_advisory_lock_shared(int, int)": "other gateways do not see",
    "pg_notification_queue_usage()": None,
    "pg_stat_get_activity(int)": None,
    "pg_try_advisory_lock(int, int)": None,
}


@pytest.fixture
def managed(cluster, make_database):
    """A database of the customer's, with the functions in SQL by psql -f as the customer; privileges of its functions are
    its own."""
    if int(cluster.execute("SHOW server_version_num")[0][0]) < sql_only.LEAST_VERSION:
        pytest.skip("the functions without C need PostgreSQL 14")
    for role in (OWNER, ROLE):
        cluster.execute(f"CREATE ROLE {role} LOGIN NOSUPERUSER")
    database = make_database(extension=False, owner=OWNER)
    database.execute(f"ALTER SCHEMA public OWNER TO {OWNER}")
    sql_only.run(database, user=OWNER)
    with database.connect(user=OWNER) as owner:
        owner.execute("SELECT bus_create_table()")
        owner.execute(f"GRANT SELECT ON bus_bus TO {ROLE}; GRANT SELECT ON SEQUENCE bus_bus_id_seq TO {ROLE}")
    cluster.execute("REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
    yield database
    cluster.execute("GRANT CONNECT ON DATABASE postgres TO PUBLIC")
    database.drop()
    for role in (OWNER, ROLE):
        cluster.execute(f"DROP ROLE {role}")


@pytest.fixture
def start(make_gateway, managed):
    def start(**options):
        return make_gateway(managed.cluster.conninfo(managed.name, user=ROLE), **{"hub_database": "none"} | options).start()
    return start


def send(managed, payload):
    with managed.connect(user=OWNER) as owner:
        return owner.execute("SELECT bus_sendone('a', 'test', to_jsonb(%s::text))", (payload,)).fetchone()[0]


async def test_a_page_shows_what_bus_sendone_sent(managed, start):
    gateway = start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        send(managed, "from SQL")
        await client.wait_payload("from SQL")
        with managed.connect(user=OWNER, autocommit=False) as late:
            late.execute("SELECT bus_sendone('a', 'test', '\"late\"')")
            send(managed, "early")
            await client.wait_payload("early")
            late.commit()
        await client.wait_payload("late")
        assert client.payloads == ["from SQL", "early", "late"]
    assert not [line for line in gateway.lines if "does not tell everything" in line]


@pytest.mark.parametrize("refused", REFUSED)
async def test_what_is_refused_is_told_once_and_everything_is_delivered(managed, start, tmp_path, refused):
    managed.execute(f"REVOKE EXECUTE ON FUNCTION {refused} FROM PUBLIC")
    gateway = start(state_dir=tmp_path)
    without = REFUSED[refused]
    # It serves at once after it has said it, and may be found healthy before the line is read here.
    await asyncio.to_thread(gateway.wait_for_line, r"reading public\.bus_bus")
    said = [line for line in gateway.lines if "the server does not tell everything" in line]
    assert len(said) == (without is not None) and all(without in line for line in said), said
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        with managed.connect(user=OWNER, autocommit=False) as late, managed.connect(user=OWNER, autocommit=False) as failing:
            failing.execute("SELECT bus_sendone('a', 'test', '0')")
            late.execute("SELECT bus_sendone('a', 'test', '\"late\"')")
            send(managed, "early")
            await client.wait_payload("early")
            failing.rollback()
            late.commit()
        await client.wait_payload("late")
        # The connection is lost, which is no reason to say it again, nor to deliver anything twice.
        mark = len(gateway.lines)  # it may be back before the statement is
        managed.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'")
        await asyncio.to_thread(gateway.wait_for_line, r"reading public\.bus_bus", mark)
        send(managed, "after it")
        await client.wait_payload("after it")
        assert client.payloads == ["early", "late", "after it"]
    assert [line for line in gateway.lines if "the server does not tell everything" in line] == said
    mark = len(gateway.lines)
    gateway.terminate()
    gateway.start()
    await asyncio.to_thread(gateway.wait_for_line, "goes on after id", mark)


async def test_without_locks_and_without_snapshots_it_says_what_to_grant(managed, make_gateway):
    managed.execute(LOCKS)
    managed.execute(SNAPSHOTS)
    gateway = make_gateway(managed.cluster.conninfo(managed.name, user=ROLE), hub_database="none").start(healthy=False)
    await asyncio.to_thread(gateway.wait_for_line, r"may read neither locks nor snapshots.*GRANT EXECUTE")
    managed.execute(f"GRANT EXECUTE ON FUNCTION pg_lock_status() TO {ROLE}")
    await asyncio.to_thread(gateway.wait_healthy)


def test_a_gap_is_closed_by_transaction_ids(managed, start):
    """A row that was rolled back is waited for until its transaction must have written, and has ended."""
    managed.execute(LOCKS)
    port = reserve_port()
    start(metrics_listen=f"127.0.0.1:{port}")

    def gaps():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=DEADLINE) as answer:
            return float(re.search(r"^odoo_bus_ledger_gaps\{.*\} (\S+)$", answer.read().decode(), re.M).group(1))

    with managed.connect(user=OWNER, autocommit=False) as failing:
        failing.execute("SELECT bus_sendone('a', 'test', '0')")
        send(managed, "later")
        until(lambda: gaps() == 1, lambda: "the gap is not noticed")
        failing.rollback()
    until(lambda: gaps() == 0, lambda: "the gap stays open")
