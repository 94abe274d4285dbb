"""SIGUSR2 and Odoo's own servers, which listen in the hub database: what SQL notifies in an Odoo database reaches them."""
import asyncio
import contextlib

import pytest
from psycopg.conninfo import make_conninfo

from harness.client import BusClient
from harness.cluster import Cluster
from harness.database import stored_channel
from harness.door import Door
from harness.doorbell import Listener
from harness.shared_library import compile_shared_library
from harness.system import ROOT
from harness.wait import until

from take_over_test import drained, take_over

PASSES_ON = "passing on what is notified"


class Notifier:
    """Notifies in a database of Odoo as SQL does, with a channel of its own each time."""

    def __init__(self, database):
        self.database, self.connection, self.sent = database, database.connect(), []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def __call__(self):
        self.sent.append([self.database.name, f"n{len(self.sent)}"])
        self.connection.execute("SELECT pg_notify('imbus', %s)", (f"[{stored_channel(*self.sent[-1])}]",))

    async def until_cancelled(self):
        while True:
            await asyncio.to_thread(self)


@pytest.mark.tsan
async def test_what_is_notified_meanwhile_is_passed_on(database, make_gateway, cluster):
    gateway = make_gateway(database, relay="auto", drain_seconds=1).start()
    await asyncio.to_thread(gateway.wait_for_line, PASSES_ON)
    with Listener(cluster) as hub, Notifier(database) as notify:
        going_on = asyncio.create_task(notify.until_cancelled())
        former = await take_over(gateway)
        count = len(notify.sent)
        while len(notify.sent) < count + 20:
            await asyncio.sleep(0.01)
        going_on.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await going_on
        # Nothing is left out, also while the lock changes hands.
        for channel in notify.sent:
            await asyncio.to_thread(hub.wait_for, *channel)
    await drained(gateway, former)


async def test_nobody_takes_over_before_it_listens(database, make_gateway, cluster):
    async with Door(cluster.port) as door:
        gateway = make_gateway(make_conninfo(cluster.conninfo(database.name, tcp=True), port=door.port),
                               hub_database=cluster.conninfo(), drain_seconds=0)
        await asyncio.to_thread(gateway.start)
        await asyncio.to_thread(gateway.wait_for_line, PASSES_ON)
        with Listener(cluster) as hub, Notifier(database) as notify:
            door.hold(b"LISTEN imbus")
            taking_over = asyncio.create_task(take_over(gateway))
            await door.knocked.wait()
            await asyncio.wait([taking_over], timeout=1)  # in vain: that nothing happens cannot be awaited
            notify()
            await asyncio.to_thread(hub.wait_for, *notify.sent[0])
            assert not taking_over.done()
            door.open()
            former = await taking_over
        await drained(gateway, former)
        await asyncio.to_thread(gateway.finish)


async def test_the_former_process_stays_until_all_was_passed_on(database, make_gateway, cluster):
    async with Door(cluster.port) as door:
        gateway = make_gateway(database, hub_database=make_conninfo(cluster.conninfo(tcp=True), port=door.port), drain_seconds=0)
        await asyncio.to_thread(gateway.start)
        await asyncio.to_thread(gateway.wait_for_line, PASSES_ON)
        with Listener(cluster) as hub, Notifier(database) as notify:
            door.hold(b"pg_notify")
            notify()
            await door.knocked.wait()
            former = await take_over(gateway)
            await asyncio.sleep(1)  # that it does not end cannot be awaited
            assert former.poll() is None
            door.open()
            await asyncio.to_thread(hub.wait_for, *notify.sent[0])
        await drained(gateway, former)
        await asyncio.to_thread(gateway.finish)


@pytest.fixture
def holding_cluster():
    """A cluster in which the file "held" keeps a process from telling listeners what it has notified: signals_held.c."""
    cluster = Cluster()
    library = compile_shared_library(ROOT / "test/e2e/signals_held.c", cluster.directory)
    cluster.postgres = cluster.directory / "postgres"
    cluster.postgres.write_text(f'#!/bin/sh\nHELD_SIGNALS={cluster.directory}/held LD_PRELOAD={library} '
                                f'exec {cluster.bin}/postgres "$@"\n')
    cluster.postgres.chmod(0o755)
    with cluster:
        yield cluster


async def test_what_was_committed_and_not_signalled_yet_is_passed_on(holding_cluster, make_gateway):
    database = holding_cluster.create_database().install()
    gateway = make_gateway(database, drain_seconds=0).start()
    await asyncio.to_thread(gateway.wait_for_line, PASSES_ON)
    with Listener(holding_cluster) as hub, database.connect() as sender:
        held = holding_cluster.directory / "held"
        held.write_text(f"{sender.info.backend_pid}.")
        payload = f"[{stored_channel(database.name, 'late')}]"
        notifying = asyncio.create_task(asyncio.to_thread(sender.execute, "SELECT pg_notify('imbus', %s)", (payload,)))
        await asyncio.to_thread(until, held.with_suffix(".held").exists, lambda: "nobody was to be signalled")
        # It is committed before the new process listens; listeners are signalled when the former one has left.
        former = await take_over(gateway)
        held.unlink()
        await notifying
        await asyncio.to_thread(hub.wait_for, database.name, "late")
    await drained(gateway, former)


@pytest.mark.parametrize("then", ["off", "auto"])
async def test_a_new_process_that_is_not_to_pass_on_does_not(make_gateway, tmp_path, then):
    """--relay as the file says when the new process starts; with auto, a preloaded odoo_bus tells the hub by itself."""
    config = tmp_path / "gateway.conf"
    config.write_text("relay = on\n")
    with Cluster(shared_preload_libraries="odoo_bus") as cluster, Listener(cluster) as hub, contextlib.ExitStack() as stack:
        database = cluster.create_database("own").install()
        gateway = make_gateway(database, config=config, drain_seconds=0).start()
        await asyncio.to_thread(gateway.wait_for_line, PASSES_ON)
        notify = stack.enter_context(Notifier(database))
        await asyncio.to_thread(notify)
        await asyncio.to_thread(hub.wait_for, *notify.sent[0])
        config.write_text(f"relay = {then}\n")
        await drained(gateway, await take_over(gateway))
        async with BusClient(gateway.url, ["a"]) as client:
            await client.subscribed()
            for n in range(3):
                await asyncio.to_thread(notify)
                database.sendone("a", payload=n)
                await client.wait_payload(n)
        await asyncio.sleep(1)  # nothing comes that could be awaited
        await asyncio.to_thread(hub.finish_local)
        assert [each for each in notify.sent if each in hub.channels] == notify.sent[:1]
        gateway.finish()
