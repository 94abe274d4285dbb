"""clients/python: what scripts and jobs receive, whatever happens to the gateway."""
import asyncio
import sys
import threading

import pytest

from harness.deadline import DEADLINE
from harness.ports import reserve_port
from harness.system import ROOT
from harness.tokens import Secret, claims

sys.path.insert(0, str(ROOT / "clients" / "python"))

import odoo_bus_client  # noqa: E402
from odoo_bus_client import Bus, Expired, Outdated, Refused, SyncBus  # noqa: E402

SECRET = Secret()


@pytest.fixture(autouse=True)
def short_delays(monkeypatch):
    for name in ("FIRST_DELAY", "JITTER", "MOST_DELAY"):
        monkeypatch.setattr(odoo_bus_client, name, 0.02)


@pytest.fixture
def token_gateway(make_gateway, database, tmp_path):
    keys = SECRET.write(tmp_path / "keys")
    return make_gateway(database, auth="token", token_keys=keys, state_dir=tmp_path / "state").start()


async def received(bus, count):
    async def take():
        return [await bus.next() for _ in range(count)]
    return await asyncio.wait_for(take(), DEADLINE)


async def test_notifications_of_named_channels(gateway, database):
    async with Bus(gateway.url, ["a", "b"]) as bus:
        first = database.sendone("a", "t", {"n": 1})
        database.sendone("other", "t", 0)
        second = database.sendone("b", "u", "é")
        assert await received(bus, 2) == [(first, "t", {"n": 1}, "a"), (second, "u", "é", "b")]
        assert bus.last == second
        await bus.set_channels(["c"])
        await bus.start()
        database.sendone("a", "t", 0)
        database.sendone("c", "t", 3)
        assert [n.payload for n in await received(bus, 1)] == [3]


async def test_it_resumes_where_it_was(gateway, database):
    async with Bus(gateway.url, ["a"]) as bus:
        for n in range(3):
            last = database.sendone("a", "t", n)
        await received(bus, 2)
    assert bus.last == last - 1, "what was received and not returned is not part of it"
    database.sendone("a", "t", 3)
    async with Bus(gateway.url, ["a"], last=bus.last) as bus:
        assert [n.payload for n in await received(bus, 2)] == [2, 3]


async def test_a_client_that_has_received_nothing_has_a_position(gateway, database):
    async with Bus(gateway.url, ["other"]) as other:
        before = database.sendone("other", "t", 0)
        await received(other, 1)  # so that the gateway has read it, too
    async with Bus(gateway.url, ["a"]) as bus:
        assert bus.last == before


async def test_the_gateway_is_killed_again_and_again(token_gateway, database):
    """Nothing is missed or doubled; a token is fetched for each connection."""
    fetched = []

    async def token():
        fetched.append(1)
        return SECRET.token(claims(["a"]))

    async with Bus(token_gateway.url, ["a"], token=token) as bus:
        for n in range(5):
            database.sendone("a", "t", 2 * n)
            await received(bus, 1)
            await asyncio.to_thread(token_gateway.kill9)
            database.sendone("a", "t", 2 * n + 1)
            restarted = asyncio.create_task(asyncio.to_thread(token_gateway.start))
            assert [each.payload for each in await received(bus, 1)] == [2 * n + 1]
            await restarted
        database.sendone("a", "t", "end")
        assert [each.payload for each in await received(bus, 1)] == ["end"]
    assert len(fetched) >= 6


@pytest.mark.parametrize("token", ["nonsense", None], ids=["wrong", "none"])
async def test_a_wrong_token_ends_it(token_gateway, token):
    with pytest.raises(Expired):
        await asyncio.wait_for(Bus(token_gateway.url, ["a"], token=token).start(), DEADLINE)


async def test_a_function_is_asked_for_another_token(token_gateway, database):
    tokens = iter(["nonsense", SECRET.token(claims(["a"]))])
    async with Bus(token_gateway.url, ["a"], token=lambda: next(tokens)) as bus:
        database.sendone("a", "t", 1)
        await received(bus, 1)


async def test_channels_that_are_refused_are_named(token_gateway):
    with pytest.raises(Refused) as refused:
        await asyncio.wait_for(Bus(token_gateway.url, ["a", "b"], token=SECRET.token(claims(["a"]))).start(), DEADLINE)
    assert refused.value.channels == ["b"]


async def test_what_was_missed_for_good_is_told_once(make_gateway, database):
    port = reserve_port()
    gateway = make_gateway(database, port=port, history_bytes=1 << 16).start()
    async with Bus(gateway.url, ["a"]) as bus:
        database.sendone("a", "t", 1)
        await received(bus, 1)
        await asyncio.to_thread(gateway.kill9)
        database.execute("DELETE FROM bus_bus")
        database.sendone("a", "t", 2)
        gateway.start()
        with pytest.raises(Outdated):
            await received(bus, 1)
        database.sendone("a", "t", 3)
        assert (await received(bus, 1))[-1].payload in (2, 3)


def test_without_asyncio(gateway, database):
    with SyncBus(f"http://127.0.0.1:{gateway.port}", ["a"]) as bus:
        with pytest.raises(TimeoutError):
            bus.next(timeout=0.05)
        sender = threading.Timer(0.05, lambda: [database.sendone("a", "t", n) for n in range(3)])
        sender.start()
        assert [bus.next(timeout=DEADLINE).payload for _ in range(3)] == [0, 1, 2]
        sender.join()


@pytest.mark.parametrize("url", ["example.com", "ftp://example.com", "http://", "/websocket"])
def test_a_wrong_url_is_refused(url):
    with pytest.raises(ValueError, match="is not the URL of a server"):
        Bus(url)


async def test_another_server_is_refused(gateway):
    with pytest.raises(Refused, match="404"):
        await asyncio.wait_for(Bus(f"http://127.0.0.1:{gateway.port}/nothing").start(), DEADLINE)
