"""--auth odoo while Odoo hangs: what clients that are connected notice. ODOO_BUS_HANG_SECONDS says for how long."""
import asyncio
import os
import statistics
import time

import pytest

from harness.client import BusClient
from harness.deadline import scaled
from metrics_test import Metrics
from odoo_auth_test import send
from standin import RemoteStandin

HANG_SECONDS = float(os.environ.get("ODOO_BUS_HANG_SECONDS", "3"))


@pytest.fixture
def odoo(database):
    with RemoteStandin(version="19.0") as odoo:
        odoo.run(f"d = odoo.add_database({database.name!r})")
        yield odoo


def cookies_of(odoo, count):
    return odoo.run(f"[odoo.login(d.add_user(f'u{{n}}')).cookie for n in range({count})]")


async def connect_all(clients):
    for each in clients:
        each.start()
    for each in clients:
        await each.until(lambda c=each: c.connections and c.socket.open, "it connects")


async def test_delivery_does_not_notice_that_odoo_hangs(make_gateway, database, odoo):
    gateway = make_gateway(database, auth="odoo", odoo_url=odoo.url, odoo_timeout=1, log_level="info").start()
    cookies = cookies_of(odoo, 60)
    clients = [BusClient(gateway.url, ["a"], headers={"Cookie": cookie}) for cookie in cookies[:20]]
    await connect_all(clients)

    async def latency(count=60):
        taken = []
        for n in range(count):
            begin = time.perf_counter()
            send(database, "a", payload=f"{count} {begin}")
            for each in clients:
                await each.wait_payload(f"{count} {begin}")
            taken.append(time.perf_counter() - begin)
        return statistics.median(taken)

    send(database, "a", payload="warm")
    for each in clients:
        await each.wait_payload("warm")
    before = await latency()
    odoo.run("odoo.break_with(faults.hang())")
    waiting = [BusClient(gateway.url, ["a"], headers={"Cookie": cookie}).start() for cookie in cookies[20:]]
    await asyncio.to_thread(gateway.wait_for_line, "Odoo does not answer: new clients are refused")
    begin, measured = time.monotonic(), []
    while not measured or time.monotonic() - begin < HANG_SECONDS:
        measured.append(await latency())
        await asyncio.sleep(0.5)  # time itself passes
    during = statistics.median(measured)
    print(f"median of delivery to 20 clients: {before * 1000:.2f} ms before, {during * 1000:.2f} ms in the "
          f"{time.monotonic() - begin:.0f} s in which Odoo hangs, "
          f"ratio {during / before:.2f}")
    assert during < before * 5 + scaled(0.05)
    assert all(each.closes == [] for each in clients)
    odoo.run("odoo.mend()")
    await asyncio.to_thread(gateway.wait_for_line, "Odoo answers again")
    send(database, "a", payload="end")
    for each in waiting:
        await each.wait_payload("end", timeout=120)
    await asyncio.gather(*(each.stop() for each in clients + waiting))


async def test_who_waits_for_odoo_is_counted(make_gateway, database, odoo):
    metrics = Metrics()
    gateway = make_gateway(database, auth="odoo", odoo_url=odoo.url, odoo_concurrency=1, **metrics.options).start()
    odoo.run("odoo.break_with(faults.hang())")
    clients = [BusClient(gateway.url, ["a"], headers={"Cookie": cookie}).start() for cookie in cookies_of(odoo, 3)]
    await asyncio.to_thread(metrics.wait_for, "odoo_bus_odoo_requests_running", 1)
    await asyncio.to_thread(metrics.wait_for, "odoo_bus_odoo_requests_waiting", 2)
    for each in clients:
        await each.stop()
