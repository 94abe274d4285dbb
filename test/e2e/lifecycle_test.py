"""Start, stop, reload; PostgreSQL that is absent, goes away and comes back."""
import asyncio
import json
import time
import urllib.request

import pytest

from harness.client import BusClient, RawClient
from harness.cluster import Cluster
from harness.deadline import scaled

pytestmark = pytest.mark.tsan

STOP_WITHIN = 3  # seconds that the gateway waits for clients


@pytest.fixture
def own_cluster():
    """A cluster that the test may stop."""
    with Cluster() as private:
        yield private


@pytest.fixture
def own_database(own_cluster):
    return own_cluster.create_database("own").install()


def test_health(gateway):
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}/websocket/health") as answer:
        assert answer.status == 200
        assert json.load(answer) == {"status": "pass"}
        assert answer.headers["Cache-Control"] == "no-store"


async def test_postgresql_absent_at_start(own_cluster, own_database, make_gateway):
    own_cluster.stop()
    gateway = make_gateway(own_database).start(healthy=False)
    status, body = gateway.health()
    assert status == 503
    assert body["status"] == "fail" and len(json.dumps(body)) > len('{"status": "fail"}'), "the reason is missing"
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        own_cluster.start()
        own_database.sendone("a", payload=1)
        await client.wait_payload(1)
        assert client.connections == 1
    gateway.wait_healthy()


async def test_database_created_later(cluster, make_database, make_gateway):
    gateway = make_gateway(cluster.conninfo("comes_later")).start(healthy=False)
    assert gateway.health()[0] == 503
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        database = make_database("comes_later")
        database.sendone("a", payload=1)
        await client.wait_payload(1)
    gateway.wait_healthy()


async def test_table_created_later(make_database, make_gateway):
    """Odoo creates its table when its bus module is installed."""
    database = make_database(extension=False)
    gateway = make_gateway(database).start(healthy=False)
    gateway.wait_for_line("bus_bus")
    database.install()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        database.sendone("a", payload=1)
        await client.wait_payload(1)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_postgresql_restarts(own_cluster, own_database, make_gateway, mode):
    gateway = make_gateway(own_database).start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        for n in range(3):
            own_database.sendone("a", payload=[n, "before"])
            own_cluster.restart(mode)
            own_database.sendone("a", payload=[n, "after"])
            await client.wait_payload([n, "after"])
        assert client.payloads == [[n, when] for n in range(3) for when in ("before", "after")]
        assert client.connections == 1, "clients are kept while PostgreSQL is away"


async def test_health_while_postgresql_is_away(own_cluster, own_database, make_gateway):
    gateway = make_gateway(own_database).start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        own_cluster.stop("immediate")
        gateway.wait_healthy(False)
        own_cluster.start()
        gateway.wait_healthy()
        own_database.sendone("a", payload=1)
        await client.wait_payload(1)
        assert client.connections == 1


async def test_terminated_backends(gateway, database, cluster):
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        for n in range(5):
            killed = cluster.execute("""SELECT pid FROM pg_stat_activity, pg_terminate_backend(pid)
                                        WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'""")
            assert killed, "the gateway has no connection that could be terminated"
            database.sendone("a", payload=n)
            await client.wait_payload(n)
        assert client.payloads == list(range(5))
        assert client.connections == 1


async def test_sigterm_closes_with_1001_and_exits_with_0(gateway, database):
    async with BusClient(gateway.url, ["a"], reconnect=False) as client:
        await client.subscribed()
        took = await asyncio.to_thread(gateway.terminate)
        assert (await client.wait_closed())[0] == 1001
    assert took < scaled(5)


def test_sigterm_does_not_wait_for_clients_that_do_not_read(gateway, database):
    with RawClient(("127.0.0.1", gateway.port)) as deaf, RawClient(("127.0.0.1", gateway.port)) as halfway:
        deaf.upgrade()
        deaf.send_event("subscribe", {"channels": ["a"], "last": 0})
        halfway.send(b"GET /websocket HTTP/1.1\r\n")
        for _ in range(20):
            database.sendone("a", payload="x" * 500_000)
        assert gateway.terminate() < STOP_WITHIN + scaled(5)


def test_sigterm_while_postgresql_is_away(own_cluster, own_database, make_gateway):
    own_cluster.stop()
    gateway = make_gateway(own_database).start(healthy=False)
    assert gateway.terminate() < scaled(5)


async def test_sighup_reads_what_can_change(tmp_path, database, make_gateway):
    config = tmp_path / "gateway.conf"
    config.write_text("rate-limit-burst = 10\nmax-channels = 2\n")
    gateway = make_gateway(database, config=config).start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        mark = len(gateway.lines)
        config.write_text("rate-limit-burst = 1000\nmax-channels = 5\n")
        gateway.reload()
        gateway.wait_for_line("max-channels.*5", since=mark)
        await client.subscribe(["a", "b", "c", "d"])
        for _ in range(50):
            await client.socket.send("{}")
        await client.settle()
        database.sendone("d", payload=1)
        await client.wait_payload(1)
        assert client.connections == 1

        mark = len(gateway.lines)
        config.write_text("rate-limit-burst = many\n")
        gateway.reload()
        gateway.wait_for_line("rate-limit-burst", since=mark)
        database.sendone("d", payload=2)
        await client.wait_payload(2)
        assert client.connections == 1


async def test_two_databases(make_database, make_gateway):
    first, second = make_database("first_db"), make_database("second_db")
    gateway = make_gateway(first, second).start()
    async with BusClient(gateway.url, ["a"]) as default, BusClient(gateway.url + "?db=second_db", ["a"]) as chosen:
        await default.subscribed()
        await chosen.subscribed()
        first.sendone("a", payload="from first")
        second.sendone("a", payload="from second")
        await default.wait_payload("from first")
        await chosen.wait_payload("from second")
        first.sendone("a", payload="end")
        second.sendone("a", payload="end")
        await default.wait_payload("end")
        await chosen.wait_payload("end")
        assert default.payloads == ["from first", "end"]
        assert chosen.payloads == ["from second", "end"]


async def test_one_database_that_is_down_does_not_delay_the_others(own_cluster, own_database, database, make_gateway):
    own_cluster.stop()
    gateway = make_gateway(own_database, database).start(healthy=False)
    gateway.wait_healthy()
    async with BusClient(f"{gateway.url}?db={database.name}", ["a"]) as client:
        await client.subscribed()
        database.sendone("a", payload=1)
        await client.wait_payload(1)


def test_a_database_that_is_not_served(gateway):
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        status, _, _ = raw.request(path="/websocket?db=nonesuch").response()
        if status == 101:
            raw.send_event("subscribe", {"channels": ["a"], "last": 0})
            assert raw.receive_close()[0] == 1013
        else:
            assert status in (400, 404)


def test_unix_socket(tmp_path, database, make_gateway):
    path = str(tmp_path / "gateway.sock")
    gateway = make_gateway(database)
    gateway.options["listen"] = [f"127.0.0.1:{gateway.port}", f"unix:{path}"]
    gateway.start()
    with RawClient(path) as raw:
        raw.upgrade()
        raw.send_event("subscribe", {"channels": ["a"], "last": 0})
        database.sendone("a", payload="through a file")
        assert b"through a file" in raw.receive_frame()[1]
    # What a killed gateway left behind does not keep the next one from starting.
    gateway.kill9()
    gateway.start()
    with RawClient(path) as raw:
        raw.upgrade()


async def test_kill_and_restart_with_a_state_directory(tmp_path, database, make_gateway):
    gateway = make_gateway(database, state_dir=tmp_path).start()
    async with BusClient(gateway.url, ["a"], delay_scale=0.02) as client:
        await client.subscribed()
        for n in range(5):
            database.sendone("a", payload=[n, "before"])
            await client.wait_payload([n, "before"])
            gateway.kill9()
            database.sendone("a", payload=[n, "while it is dead"])
            gateway.start()
            await client.wait_payload([n, "while it is dead"])
        assert client.payloads == [[n, when] for n in range(5) for when in ("before", "while it is dead")]
        assert client.connections >= 6


async def test_a_dropped_database_is_an_event_not_a_crash(make_database, make_gateway):
    first, second = make_database("goes_away"), make_database("stays")
    gateway = make_gateway(first, second).start()
    async with BusClient(gateway.url + "?db=stays", ["a"]) as client:
        await client.subscribed()
        first.drop()
        second.sendone("a", payload=1)
        await client.wait_payload(1)
    assert gateway.running


def test_an_idle_gateway_is_idle(gateway):
    """No busy wait: 2 seconds of silence cost less than a tenth of a second of processor time."""
    def cpu_seconds():
        with open(f"/proc/{gateway.process.pid}/stat") as stat:
            fields = stat.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def cost_of_silence():
        before = cpu_seconds()
        time.sleep(2)
        return cpu_seconds() - before
    # A processor that others share does less in a second; who waits busily is never quiet.
    assert any(cost_of_silence() < 0.1 for _ in range(3))
