"""The doorbell and its workers under load and faults, with the gateway reading: nothing lost, nothing twice.

DOORBELL_FAULTS (40) is how many faults are injected, CHAOS_SEED what happens.
"""
import asyncio
import json
import os
import random
import re
import threading

import pytest

from harness.client import BusClient
from harness.doorbell import eventually, preloaded_cluster, stat, wait_for_worker
from harness.gateway import Gateway

from doorbell_faults import DoorbellFaults, can_connect
from verdict import judge, settle, watch
from writers import CHANNELS, Writer

FAULTS = int(os.environ.get("DOORBELL_FAULTS", "40"))
SEED = int(os.environ.get("CHAOS_SEED", random.randrange(2**32)))


class NamedWriter(Writer):
    def begin(self, connection):
        connection.execute("SET application_name = 'chaos writer'")


class SerializableWriter(NamedWriter):
    """Many of its transactions fail after their channels were reserved."""

    def begin(self, connection):
        super().begin(connection)
        connection.execute("SET default_transaction_isolation = serializable")

    def send_some(self, connection):
        connection.execute("SELECT count(*) FROM (SELECT FROM bus_bus ORDER BY id DESC LIMIT 5) AS newest")
        super().send_some(connection)


class LargeWriter(NamedWriter):
    """Its channels do not fit into the queue."""

    def send_some(self, connection):
        connection.execute("SELECT count(bus_sendone(rpad('other' || i, 200, 'x'), 't', '1')) FROM generate_series(1, 400) AS i")
        super().send_some(connection)


class NowWriter(NamedWriter):
    """Each call is a transaction of its own, whatever becomes of the one around it."""

    def one_transaction(self, connection):
        connection.execute("BEGIN")
        for _ in range(self.random.randint(1, 5)):
            self.transaction += 1
            connection.execute("SELECT bus_sendnow(%s, 'chaos', %s::jsonb)",
                               (self.random.choice(CHANNELS), json.dumps(self.payload())))
            self.acknowledged[self.number] = self.transaction
        connection.execute("ROLLBACK")
        self.stopping.wait(self.random.choice([0, 0.01, 0.1]))


@pytest.fixture
def cluster():
    with preloaded_cluster(fsync=True, **{"odoo_bus.queue_size": "64kB"}) as private:
        yield private


async def test_doorbell_chaos(cluster, make_database, tmp_path):
    print(f"CHAOS_SEED={SEED}")
    choice = random.Random(SEED)
    database = make_database("chaos")
    gateway = Gateway(database, state_dir=tmp_path / "state", log_level="info")
    clients = []
    stopping = threading.Event()
    try:
        gateway.start()
        clients = [watch(BusClient(gateway.url, choice.sample(CHANNELS, 4), delay_scale=0.02)).start() for _ in range(10)]
        for client in clients:
            client.moves = False
            await client.subscribed()
        acknowledged = {}
        kinds = [NamedWriter] * 3 + [SerializableWriter] * 2 + [LargeWriter, NowWriter, NowWriter]
        writers = [kind(number, database, acknowledged, SEED, stopping) for number, kind in enumerate(kinds)]
        for writer in writers:
            writer.start()
        faults = DoorbellFaults(cluster, gateway, choice)
        await faults.run(FAULTS)
        # On a machine that is busy some have hardly begun, or were always interrupted.
        await asyncio.to_thread(eventually, lambda: len(acknowledged) == len(writers))
        stopping.set()
        for writer in writers:
            await asyncio.to_thread(writer.join)
        await asyncio.to_thread(eventually, lambda: can_connect(cluster))
        await asyncio.to_thread(wait_for_worker, cluster)
        expected, _ = await settle(database, clients, choice)
        with_large_ones = {channel: payloads for channel, payloads in expected.items() if channel in CHANNELS}
        for channel in CHANNELS:
            with_large_ones.setdefault(channel, [])
        faults.counts = +faults.counts
        judge(clients, with_large_ones, faults.counts)
        await asyncio.to_thread(eventually, lambda: stat(database, "queue_used") == 0)
        judge_log(cluster.log_text(), faults)
    finally:
        (tmp_path / f"{gateway.port}.log").write_text("\n".join(gateway.lines))
        stopping.set()
        for client in clients:
            await client.stop()
        await asyncio.to_thread(gateway.finish)


def judge_log(log, faults):
    """The server went down only when it was killed or told to."""
    assert not re.search(r"PANIC|TRAP|terminated by signal (?!9\b)", log)
    assert len(re.findall(r"terminated by signal 9\b", log)) <= faults.killed
