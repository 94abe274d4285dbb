"""A hot standby: the gateway waits until it is promoted, or refuses to start, as --standby says."""
import asyncio
import re

import pytest

from harness.client import BusClient
from harness.standby import Standby

CANNOT_START = 1  # exit code
IS_A_STANDBY = "the server is a standby, where notifications cannot be heard: point --database at the primary"


@pytest.fixture
def standby(cluster, database):
    """Of a cluster with a database that the extension is in."""
    with Standby(cluster) as made:
        yield made


def gateway_at(server, database, make_gateway, found, **options):
    if not found:
        return make_gateway(server.conninfo(database.name), **options)
    return make_gateway(server.conninfo("postgres"), database_match=f"{database.name}$", **options)


async def in_thread(function, *arguments, **options):
    return await asyncio.to_thread(function, *arguments, **options)


async def delivered(server, database, client, payload):
    await in_thread(server.execute, "SELECT bus_sendone('a', 't', to_jsonb(%s::text))", (payload,), dbname=database.name)
    await client.wait_payload(payload)


@pytest.mark.parametrize("found", [False, True], ids=["named", "found"])
async def test_the_gateway_waits_and_serves_when_it_is_promoted(standby, database, make_gateway, found):
    gateway = gateway_at(standby, database, make_gateway, found).start(healthy=False)
    line = await in_thread(gateway.wait_for_line, f'warning database "{database.name}"')
    assert IS_A_STANDBY in line
    assert "the server is a standby" in await in_thread(gateway.wait_for_line, "warning hub database")
    assert gateway.health()[0] == 503
    await in_thread(standby.promote)
    await in_thread(gateway.wait_healthy)
    async with BusClient(gateway.url + f"?db={database.name}", ["a"]) as client:
        await client.subscribed()
        await delivered(standby, database, client, "promoted")
    assert sum(IS_A_STANDBY in line for line in gateway.lines) == 1
    gateway.finish()


@pytest.mark.parametrize("found", [False, True], ids=["named", "found"])
def test_the_gateway_refuses_to_start(standby, database, make_gateway, found):
    gateway = gateway_at(standby, database, make_gateway, found, standby="refuse")
    gateway.spawn()
    assert gateway.wait() == CANNOT_START, gateway.tail()
    last = [line for line in gateway.lines if " error " in line]
    assert len(last) == 1 and f'"{database.name}": the server is a standby (--standby refuse)' in last[0], gateway.tail()


async def test_what_was_primary_and_is_a_standby_now_is_waited_for(standby, database, make_gateway):
    """Also by a gateway that would not have started: its clients stay, and miss nothing."""
    await in_thread(standby.promote)
    gateway = make_gateway(standby.conninfo(database.name), standby="refuse").start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        await delivered(standby, database, client, "before")
        await in_thread(standby.demote)
        await in_thread(gateway.wait_for_line, re.escape(IS_A_STANDBY))
        assert gateway.health()[0] == 503
        await in_thread(standby.promote)
        await delivered(standby, database, client, "after")
        assert client.payloads == ["before", "after"]
        assert client.connections == 1
    gateway.finish()


async def test_of_several_hosts_the_primary_is_read(cluster, standby, database, make_gateway):
    conninfo = (f"host={standby.host},{cluster.host} port={standby.port},{cluster.port} user=postgres "
                f"dbname={database.name} target_session_attrs=read-write")
    gateway = make_gateway(conninfo, standby="refuse").start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        await delivered(cluster, database, client, "of the primary")
    gateway.finish()
