"""SIGUSR2 and Odoo's own servers, which listen in the hub database: what SQL notifies in an Odoo database reaches them."""
import asyncio
import contextlib

import pytest

from harness.client import BusClient
from harness.cluster import Cluster
from harness.database import stored_channel
from harness.doorbell import Listener

from take_over_test import drained, take_over

PASSES_ON = "passing on what is notified"


class Notifier:
    """Notifies in a database of Odoo as SQL does, with a channel of its own each time."""

    def __init__(self, database):
        self.database, self.sent = database, []

    def __call__(self):
        self.sent.append([self.database.name, f"n{len(self.sent)}"])
        self.database.execute("SELECT pg_notify('imbus', %s)", (f"[{stored_channel(*self.sent[-1])}]",))

    async def until_cancelled(self):
        while True:
            await asyncio.to_thread(self)


@pytest.mark.sanitized
async def test_what_is_notified_meanwhile_is_passed_on(database, make_gateway, cluster):
    gateway = make_gateway(database, relay="auto", drain_seconds=1).start()
    await asyncio.to_thread(gateway.wait_for_line, PASSES_ON)
    with Listener(cluster) as hub:
        notify = Notifier(database)
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


@pytest.mark.parametrize("then", ["off", "auto"])
async def test_a_new_process_that_is_not_to_pass_on_does_not(make_gateway, tmp_path, then):
    """--relay as the file says when the new process starts; with auto, a preloaded odoo_bus tells the hub by itself."""
    config = tmp_path / "gateway.conf"
    config.write_text("relay = on\n")
    with Cluster(shared_preload_libraries="odoo_bus") as cluster, Listener(cluster) as hub:
        database = cluster.create_database("own").install()
        notify = Notifier(database)
        gateway = make_gateway(database, config=config, drain_seconds=0).start()
        await asyncio.to_thread(gateway.wait_for_line, PASSES_ON)
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
