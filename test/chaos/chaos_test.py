"""Everything that breaks in production, under load: nothing is lost, nothing comes twice, no effect before its cause.

CHAOS_SEED is what happens. Faults are injected for CHAOS_SECONDS (60) or, with CHAOS_FAULTS or CHAOS_NOTIFICATIONS, until
there were at least so many of them, and at least so many notifications were sent.
"""
import asyncio
import os
import random
import threading
import time

import pytest
from psycopg.conninfo import make_conninfo

from harness.cluster import Cluster
from harness.door import Door
from harness.gateway import Gateway
from harness.http_clients import TRANSPORTS
from harness.machine_clock import MachineClock

from faults import Faults
from verdict import judge, settle, watch
from writers import CHANNELS, start_writers

FAULTS = int(os.environ.get("CHAOS_FAULTS", "0"))
NOTIFICATIONS = int(os.environ.get("CHAOS_NOTIFICATIONS", "0"))
SECONDS = 0 if FAULTS or NOTIFICATIONS else float(os.environ.get("CHAOS_SECONDS", "60"))
SEED = int(os.environ.get("CHAOS_SEED", random.randrange(2**32)))
CLIENTS = 50
MAX_ROW_BYTES = 1 << 20


def make_client(number, gateways, choice):
    """Subscribed to some channels, over one of the three transports; every third of each is moved between gateways."""
    gateway = gateways[number % len(gateways)]
    make = list(TRANSPORTS.values())[number // 6 % len(TRANSPORTS)]
    client = watch(make(gateway.url, choice.sample(CHANNELS, 4), delay_scale=0.02))
    client.moves = number % 3 == 0
    return client


@pytest.fixture
def cluster():
    with Cluster(fsync=True, max_prepared_transactions=50, wal_writer_delay="200ms") as private:
        yield private


async def test_chaos(cluster, make_database, tmp_path):
    print(f"CHAOS_SEED={SEED}")
    choice = random.Random(SEED)
    database = make_database("chaos")
    clock = MachineClock(tmp_path)
    clients = []
    stopping = threading.Event()
    async with Door(cluster.port) as door:
        # One reaches its database through the door, the other one at its socket.
        ways = {"a": make_conninfo(cluster.conninfo(database.name, tcp=True), port=door.port), "b": database.conninfo}
        gateways = [Gateway(way, state_dir=tmp_path / name, log_level="info", max_row_bytes=MAX_ROW_BYTES,
                            environment=clock.environment) for name, way in ways.items()]
        try:
            for gateway in gateways:
                await asyncio.to_thread(gateway.start)
            clients = [make_client(number, gateways, choice).start() for number in range(CLIENTS)]
            for client in clients:
                await client.subscribed()
            hurried = threading.Event()
            writers = start_writers(database, SEED, stopping, hurried)
            faults = Faults(cluster, database, gateways, clients, choice, hurried, door, clock)
            begin = time.monotonic()
            await faults.run(lambda: time.monotonic() - begin >= SECONDS and sum(faults.counts.values()) >= FAULTS
                             and sum(writer.sent for writer in writers) >= NOTIFICATIONS)
            print(f"{time.monotonic() - begin:.0f} s of faults")
            stopping.set()
            for writer in writers:
                await asyncio.to_thread(writer.join)
            expected, too_large = await settle(database, clients, choice, MAX_ROW_BYTES)
            judge(clients, expected, faults.counts, faults.connections, too_large)
        finally:
            for gateway in gateways:
                (tmp_path / f"{gateway.port}.log").write_text("\n".join(gateway.lines))
            stopping.set()
            for client in clients:
                await client.stop()
            for gateway in gateways:
                await asyncio.to_thread(gateway.finish)
