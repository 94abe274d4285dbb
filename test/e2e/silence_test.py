"""Connections that stay open and say nothing any more: they are noticed, told of, and made anew.

A backend that hangs, a proxy that swallows what it is given, a network that drops packets: TCP alone notices none of them
in time, or none at all.
"""
import asyncio
import contextlib
import os
import signal
import time

import pytest
from psycopg.conninfo import make_conninfo

from harness.client import BusClient
from harness.deadline import scaled
from harness.door import Door
from harness.shared_library import compile_shared_library
from harness.system import ROOT

from metrics_test import Metrics, metrics  # noqa: F401

# In seconds: until clients get what was sent meanwhile, and until health says it.
RESUMED, TOLD = 15, 5


@contextlib.asynccontextmanager
async def mute(door, cluster, database):
    door.mute()
    yield


def backends_of_the_gateway(cluster, database):
    pids = [pid for pid, in cluster.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'odoo-bus-gateway' AND datname = %s", (database.name,))]
    assert pids
    return pids


@contextlib.asynccontextmanager
async def half_closed(door, cluster, database):
    """The server's side has ended, and the gateway does not hear of it."""
    door.mute()
    for pid in backends_of_the_gateway(cluster, database):
        cluster.execute("SELECT pg_terminate_backend(%s)", (pid,))
    yield


@contextlib.asynccontextmanager
async def stopped(door, cluster, database):
    """The backends hang."""
    backends = backends_of_the_gateway(cluster, database)
    for pid in backends:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in backends:
            os.kill(pid, signal.SIGCONT)


def through(door, cluster, database):
    return make_conninfo(cluster.conninfo(database.name, tcp=True), port=door.port)


@pytest.mark.parametrize("silence", [mute, half_closed, stopped])
async def test_a_database_that_falls_silent_is_told_of_and_read_again(silence, cluster, database, make_gateway, metrics):  # noqa: F811
    async with Door(cluster.port) as door:
        gateway = make_gateway(through(door, cluster, database), hub_database="none", **metrics.options)
        await asyncio.to_thread(gateway.start)
        age = f'odoo_bus_last_read_age_seconds{{database="{database.name}"}}'
        async with BusClient(gateway.url, ["a"]) as client:
            await client.subscribed()
            await asyncio.to_thread(database.sendone, "a", payload="before")
            await client.wait_payload("before")
            assert metrics.values()[age] < scaled(3)
            begin = time.monotonic()
            async with silence(door, cluster, database):
                await asyncio.to_thread(database.sendone, "a", payload="meanwhile")
                told = await asyncio.to_thread(gateway.wait_healthy, False)
                assert time.monotonic() - begin < scaled(TOLD), told
                assert metrics.get("/ready")[0] == 503
                assert metrics.values()[f'odoo_bus_database_up{{database="{database.name}"}}'] == 0
                assert metrics.values()[age] > 3
                await client.wait_payload("meanwhile", timeout=RESUMED)
                assert time.monotonic() - begin < scaled(RESUMED)
                await asyncio.to_thread(gateway.wait_healthy)
            await asyncio.to_thread(database.sendone, "a", payload="after")
            await client.wait_payload("after")
            assert client.payloads == ["before", "meanwhile", "after"]
            assert client.connections == 1
        await asyncio.to_thread(gateway.finish)


async def test_a_silent_hub_is_left_and_heard_again(cluster, database, make_gateway, metrics):  # noqa: F811
    async with Door(cluster.port) as door:
        gateway = make_gateway(database, hub_database=make_conninfo(cluster.conninfo(tcp=True), port=door.port), relay="off",
                               **metrics.options)
        await asyncio.to_thread(gateway.start)
        await asyncio.to_thread(gateway.wait_for_line, "listening to Odoo's notifications")
        await asyncio.to_thread(metrics.wait_for, "odoo_bus_hub_up", 1)
        mark = len(gateway.lines)
        door.mute()
        await asyncio.to_thread(metrics.wait_for, "odoo_bus_hub_up", 0)
        await asyncio.to_thread(gateway.wait_for_line, "hub database: no answer in time", mark)
        await asyncio.to_thread(gateway.wait_for_line, "listening to Odoo's notifications", mark)
        await asyncio.to_thread(metrics.wait_for, "odoo_bus_hub_up", 1)
        await asyncio.to_thread(gateway.finish)


async def test_a_silent_replay_is_asked_anew(cluster, database, make_gateway):
    """What a client has missed is read from the table on a connection of its own."""
    for n in range(1, 4):
        database.sendone("a", payload=n)
    database.execute("UPDATE bus_bus SET create_date = create_date - interval '1 hour'")
    async with Door(cluster.port) as door:
        gateway = make_gateway(through(door, cluster, database), hub_database="none", history_seconds=1)
        await asyncio.to_thread(gateway.start)
        async with BusClient(gateway.url, ["a"], last=1) as client:
            await client.wait_payload(3)
        door.mute()
        async with BusClient(gateway.url, ["a"], last=1) as client:
            await client.wait_payload(3, timeout=90)
            assert client.payloads == [2, 3]
        await asyncio.to_thread(gateway.finish)


async def test_one_database_whose_name_is_not_resolved_delays_no_other(cluster, database, make_gateway, tmp_path):
    """The name server does not answer: libpq waits for it, on a thread of its own."""
    library = compile_shared_library(ROOT / "test/e2e/no_name_server.c", tmp_path)
    gateway = make_gateway(database, "host=nowhere.invalid dbname=other connect_timeout=5",
                           environment={"LD_PRELOAD": str(library)}, hub_database="none")
    await asyncio.to_thread(gateway.start)
    async with BusClient(f"{gateway.url}?db={database.name}", ["a"]) as client:
        await client.subscribed()
        begin = time.monotonic()
        for n in range(20):
            await asyncio.to_thread(database.sendone, "a", payload=n)
            await client.wait_payload(n)
        assert time.monotonic() - begin < scaled(5)
    await asyncio.to_thread(gateway.finish)
