"""The machine's clock is set, forward and back, while the gateway serves: only tokens, cookies and rows follow it.

The gateway runs with libfaketime, which moves its wall clock and leaves its monotonic clock alone.
"""
import asyncio
import time

import pytest

from harness.client import BusClient
from harness.http_clients import EventsClient
from harness.machine_clock import MachineClock
from harness.tokens import Secret, claims
from harness.wait import until

HOUR = 3600
SECRET = Secret()
# Forward, back, and back and forth.
MOVES = [2 * HOUR, -1 * HOUR] + [2 * HOUR, -1 * HOUR] * 5


@pytest.fixture
def clock(tmp_path):
    return MachineClock(tmp_path)


@pytest.fixture
def make_token_gateway(make_gateway, database, tmp_path, clock):
    def make(**options):
        return make_gateway(database, auth="token", token_keys=SECRET.write(tmp_path / "keys"), token_skew=0,
                            environment=clock.environment, **options).start()
    return make


def bearer(seconds=24 * HOUR, **more):
    return {"Authorization": f"Bearer {SECRET.token(claims(['a'], seconds=seconds, **more))}"}


async def send_and_receive(database, clients, payload):
    await asyncio.to_thread(database.sendone, "a", payload=payload)
    for client in clients:
        await client.wait_payload(payload)


async def test_no_connection_closes_and_no_limit_refuses(make_token_gateway, database, clock):
    database.execute("SELECT bus_create_presence_table()")
    gateway = make_token_gateway(presence="*", presence_heartbeat=0.5, ping_interval=0.5, heartbeat=0.5,
                                 rate_limit_burst=20, max_handshakes=5)

    def expires():
        return database.execute("SELECT max(expires) FROM bus_presence_gateway")[0][0]

    async with BusClient(gateway.url, ["a"], headers=bearer(sub="anna")) as one, \
            BusClient(gateway.url, ["a"], headers=bearer(sub="bert"), check_outdated=True) as two, \
            EventsClient(gateway.url, ["a"], headers=bearer(sub="carl")) as stream:
        clients = [one, two, stream]
        for client in (one, two):
            await client.subscribed()
        await stream.until(lambda: stream.is_subscribed, "the stream")
        await send_and_receive(database, clients, "begin")
        await asyncio.to_thread(until, lambda: expires() is not None, lambda: "presence did not begin")
        for n, move in enumerate(MOVES):
            clock.set(move)
            for load in range(10):
                await asyncio.to_thread(database.sendone, "a", payload=f"{n}.{load}")
            seen, beats = await asyncio.to_thread(expires), stream.heartbeats
            await asyncio.to_thread(until, lambda: expires() > seen, lambda: "no presence heartbeat")
            await stream.until(lambda: stream.heartbeats > beats, "a heartbeat of the stream")
            await one.subscribe()  # messages are not too many
            async with BusClient(gateway.url, ["a"], headers=bearer(sub="dora"), reconnect=False) as late:
                await late.subscribed()  # nor are handshakes
                await send_and_receive(database, [*clients, late], f"after {n}")
                assert late.closes == late.refusals == []
        online = {name for name, in database.execute("SELECT member FROM bus_online")}
        assert {"anna", "bert", "carl"} <= online
    wanted = ["begin"]
    for n in range(len(MOVES)):
        wanted += [f"{n}.{load}" for load in range(10)] + [f"after {n}"]
    for client in clients:
        assert client.payloads == wanted
        assert client.connections == 1 and client.refusals == [] and client.internal == [] or client is stream


async def test_periodic_checks_go_on(odoo, mydb, make_gateway, database, clock):
    gateway = make_gateway(database, auth="odoo", odoo_url=odoo.url, recheck_interval=0.3, recheck_rate=100,
                           environment=clock.environment).start()
    session = odoo.login(mydb.add_user("anna"))
    async with BusClient(gateway.url, ["a"], headers={"Cookie": f"session_id={session}"}) as anna:
        await anna.subscribed()
        for move in (2 * HOUR, -1 * HOUR):
            clock.set(move)
            for n in range(2):
                checked = odoo.log.count("peek")
                await asyncio.to_thread(database.sendone, "broadcast", payload=f"{move} {n}")
                await asyncio.to_thread(until, lambda: odoo.log.count("peek") > checked, lambda: "no check")
        assert anna.closes == []


async def test_keep_alive_keeps_its_time(make_token_gateway, clock):
    gateway = make_token_gateway(keep_alive=4)
    async with BusClient(gateway.url, ["a"], headers=bearer(), reconnect=False) as client:
        begin = time.monotonic()
        await client.subscribed()
        clock.set(2 * HOUR)
        await client.settle()
        clock.set(-1 * HOUR)
        assert (await client.wait_closed())[0] == 4002
        assert time.monotonic() - begin > 3.9


async def test_a_token_expires_by_the_machines_clock(make_token_gateway, clock):
    gateway = make_token_gateway()
    headers = bearer(seconds=HOUR)
    async with BusClient(gateway.url, ["a"], headers=headers, reconnect=False) as client:
        await client.subscribed()
        clock.set(2 * HOUR)
        assert (await client.wait_closed())[0] == 4001
    async with BusClient(gateway.url, ["a"], headers=headers, reconnect=False) as late:
        assert (await late.wait_closed())[0] == 4001
    clock.set(0)
    async with BusClient(gateway.url, ["a"], headers=headers, reconnect=False) as client:
        await client.subscribed()
        assert client.closes == []
