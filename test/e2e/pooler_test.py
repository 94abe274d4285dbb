"""Behind pgbouncer: senders work in every pool mode; the gateway works in session mode, and says why it does not in
the others."""
import asyncio
import concurrent.futures
import json
import time

import psycopg
import pytest

from harness.client import BusClient
from harness.cluster import Cluster
from harness.doorbell import preloaded_cluster
from harness.gateway import run_gateway
from harness.pgbouncer import PgBouncer
from harness.tokens import Secret

ROLE = "postgres"
GIVEN_AWAY = r"a pooler in between gives the server's processes away .* LISTEN hears nothing: .*pool_mode = session"


@pytest.fixture(scope="module", params=[False, True], ids=["notify", "preloaded"])
def preload(request):
    return request.param


@pytest.fixture(scope="module")
def senders_cluster(preload):
    with preloaded_cluster() if preload else Cluster() as cluster:
        yield cluster


def send_all(pooler, dbname, sender, preload, transactions):
    """What one sender commits: through as many connections as there are senders, and fewer processes."""
    sent = []
    with psycopg.connect(pooler.conninfo(dbname), autocommit=True, prepare_threshold=None) as connection:
        for n in range(10):
            connection.execute("SELECT bus_sendone('a', 't', %s::jsonb)", (json.dumps([sender, n, "one"]),))
            connection.execute("SELECT bus_sendmany(ARRAY['a'], 't', %s::jsonb)", (json.dumps([sender, n, "many"]),))
            sent += [[sender, n, "one"], [sender, n, "many"]]
            if preload:
                connection.execute("SELECT bus_sendnow('a', 't', %s::jsonb)", (json.dumps([sender, n, "now"]),))
                sent.append([sender, n, "now"])
            if not transactions:
                continue
            connection.execute("BEGIN")
            connection.execute("SELECT bus_sendone('a', 't', %s::jsonb)", (json.dumps([sender, n, "within"]),))
            connection.execute("SAVEPOINT s")
            connection.execute("SELECT bus_sendone('a', 't', '\"undone\"')")
            connection.execute("ROLLBACK TO s")
            connection.execute("COMMIT")
            sent.append([sender, n, "within"])
            connection.execute("BEGIN")
            connection.execute("SELECT bus_sendone('a', 't', '\"undone\"')")
            connection.execute("ROLLBACK")
    return sent


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
async def test_senders_work_through_it(senders_cluster, preload, mode, make_gateway):
    database = senders_cluster.create_database().install()
    gateway = make_gateway(database).start()
    senders = 8
    processes = senders if mode == "session" else 3
    try:
        with PgBouncer(senders_cluster, mode, ROLE, default_pool_size=processes) as pooler, \
                concurrent.futures.ThreadPoolExecutor(senders) as pool:
            async with BusClient(gateway.url, ["a"]) as client:
                await client.subscribed()
                loop = asyncio.get_running_loop()
                sent = sum(await asyncio.gather(*[
                    loop.run_in_executor(pool, send_all, pooler, database.name, sender, preload, mode != "statement")
                    for sender in range(senders)]), [])
                await client.wait_for(len(sent))
                await asyncio.to_thread(database.sendone, "a", "t", "end")
                await client.wait_payload("end")
                assert sorted(client.payloads[:-1]) == sorted(sent)
                for sender in range(senders):
                    mine = [payload for payload in client.payloads[:-1] if payload[0] == sender]
                    assert [payload[1] for payload in mine] == sorted(payload[1] for payload in mine)
        # Nothing of it stays with a process that others are given.
        assert database.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid NOT IN (SELECT pid FROM "
                              "pg_stat_activity WHERE application_name = 'odoo-bus-gateway')") == 0
        gateway.finish()
    finally:
        database.drop()


def busy(pooler, dbname, stop):
    """As Odoo's workers: one short transaction after the other."""
    with psycopg.connect(pooler.conninfo(dbname), prepare_threshold=None) as connection:
        while not stop.is_set():
            connection.execute("SELECT count(*) FROM pg_class")
            connection.commit()


@pytest.mark.parametrize("mode, settings", [
    ("transaction", {}), ("statement", {}), ("transaction", {"default_pool_size": 1}),
    ("transaction", {"server_round_robin": 1, "min_pool_size": 2})],
    ids=["transaction", "statement", "one process", "in turn"])
async def test_a_gateway_that_is_pointed_at_it_says_what_is_wrong(cluster, database, make_gateway, tmp_path, mode,
                                                                    settings):
    with PgBouncer(cluster, mode, ROLE, **settings) as pooler:
        gateway = make_gateway(pooler.conninfo(database.name), presence="*", auth="token",
                               token_keys=Secret().write(tmp_path / "key"))
        gateway.start(healthy=False)
        await asyncio.to_thread(gateway.wait_for_line, f'warning database "{database.name}": {GIVEN_AWAY}')
        await asyncio.to_thread(gateway.wait_for_line, f"warning hub database: {GIVEN_AWAY}")
        assert gateway.health()[0] == 503
        # It has left nothing with the processes, which others are given.
        with psycopg.connect(pooler.conninfo(database.name), autocommit=True, prepare_threshold=None) as connection:
            for _ in range(5):
                assert connection.execute("SELECT current_setting('enable_seqscan'), current_setting('statement_timeout'), "
                                          "(SELECT count(*) FROM pg_listening_channels()), "
                                          "(SELECT count(*) FROM pg_prepared_statements)").fetchone() == ("on", "0", 0, 0)
        assert database.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    # Mended as the line says.
    with PgBouncer(cluster, "session", ROLE, port=pooler.port):
        await asyncio.to_thread(gateway.wait_healthy)
        for who in (f'warning database "{database.name}"', "warning hub database"):
            assert sum(f"{who}: a pooler in between" in line for line in gateway.lines) == 1, "it is said once"
        gateway.finish()


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_it_is_seen_while_others_use_the_pool(cluster, database, make_gateway, mode):
    stop = asyncio.Event()
    with PgBouncer(cluster, mode, ROLE, default_pool_size=6) as pooler, concurrent.futures.ThreadPoolExecutor(8) as pool:
        loop = asyncio.get_running_loop()
        try:
            work = [] if mode == "statement" else [
                loop.run_in_executor(pool, busy, pooler, database.name, stop) for _ in range(8)]
            for _ in range(5):
                gateway = make_gateway(pooler.conninfo(database.name), hub_database="none").start(healthy=False)
                await asyncio.to_thread(gateway.wait_for_line, f'database "{database.name}": .*')
                assert any("gives the server's processes away" in line for line in gateway.lines), gateway.tail()
                gateway.finish()
        finally:
            stop.set()
            await asyncio.gather(*work)


async def test_in_session_mode_it_works(cluster, database, make_gateway):
    with PgBouncer(cluster, "session", ROLE) as pooler:
        gateway = make_gateway(pooler.conninfo(database.name)).start()
        await asyncio.to_thread(gateway.wait_for_line, "hub database: listening")
        async with BusClient(gateway.url, ["a"]) as client:
            await client.subscribed()
            for attempt in range(3):
                begin = time.monotonic()
                for n in range(12 * attempt, 12 * (attempt + 1)):
                    await asyncio.to_thread(database.sendone, "a", payload=n)
                    await client.wait_payload(n)
                assert client.payloads == list(range(12 * (attempt + 1)))
                # Without the doorbell each of them waits for the next look, a second after the one before.
                if in_time := time.monotonic() - begin < 8:
                    break
            assert in_time
        gateway.finish()


async def test_a_session_pool_that_is_too_small_is_told(cluster, database, make_gateway):
    with PgBouncer(cluster, "session", ROLE, default_pool_size=1) as pooler:
        gateway = make_gateway(pooler.conninfo(database.name), hub_database="none").start(healthy=False)
        await asyncio.to_thread(gateway.wait_for_line, f'"{database.name}": a pooler in between lets no second connection '
                                "in .*make its pool larger")
        gateway.finish()


@pytest.mark.parametrize("mode, state", [("session", "ok"), ("transaction", "failed"), ("statement", "failed")])
def test_doctor_says_it_too(cluster, database, mode, state):
    with PgBouncer(cluster, mode, ROLE) as pooler:
        done = run_gateway("doctor", "--database", pooler.conninfo(database.name), "--auth", "open", "--json")
        found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
        assert found["postgresql.pooler"]["state"] == state, done.stdout
        assert state == "ok" or "pool_mode = session" in found["postgresql.pooler"]["cure"]
        assert state == "ok" or "postgresql.bus_bus" not in found, "what depends on it is not looked at"
