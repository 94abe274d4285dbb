"""pg_upgrade of a cluster in which the extension is used, and a gateway that goes on with the new one."""
import asyncio

import pytest
import used_cluster
from conftest import pg_upgrade, take_the_place

from harness.client import BusClient
from harness.database import Database
from harness.next_version import NEXT, next_version


def upgrade(old, new):
    """As docs/upgrading.md says."""
    pg_upgrade(old, new, "--check")
    said = pg_upgrade(old, new, "--retain")
    assert "Upgrade Complete" in said
    assert "odoo_bus doorbell" not in said, f"the doorbell's worker was in a server that pg_upgrade has started:\n{said}"
    return take_the_place(new, old)


@pytest.mark.parametrize("restarted", [False, True], ids=["the gateway runs on", "the gateway is restarted"])
async def test_pg_upgrade(old, make_new, settings, restarted, make_gateway, tmp_path):
    """docs/delivery.md, "Another table", is what a gateway promises here."""
    odoo = used_cluster.fill(old)
    gateway = make_gateway(old.conninfo("odoo", user=used_cluster.GATEWAY), state_dir=tmp_path / "state").start()
    async with BusClient(gateway.url, ["a"], check_outdated=True) as asks, BusClient(gateway.url, ["a"]) as stays:
        async with BusClient(gateway.url, ["a"]) as gone:
            for client in asks, stays, gone:
                await client.subscribed()
            odoo.sendmany([["a", "test", n] for n in range(3)])
            await gone.wait_for(3)
        with odoo.connect(autocommit=False) as session:
            session.execute("SELECT bus_sendone('a', 'test', '\"rolled back\"')")
            session.rollback()
        odoo.sendmany([["a", "test", n] for n in (3, 4)])
        for client in asks, stays:
            await client.wait_for(5)
        # What is more than 10 seconds older than a client's last may not come again.
        odoo.execute("UPDATE bus_bus SET create_date = create_date - interval '1 minute' WHERE id <= 3")
        if restarted:
            await asyncio.to_thread(gateway.terminate)
        before = used_cluster.seen(old)
        mark = len(gateway.lines)
        await asyncio.to_thread(old.stop)

        new = await asyncio.to_thread(upgrade, old, make_new())
        used_cluster.check_that_all_is_there(new, before)
        last = before["odoo"]["sequence"][0][0]
        odoo = Database(new, "odoo")
        missed = []
        if restarted:  # nobody listens yet
            odoo.sendone("a", payload="missed")
            missed = ["missed"]
            await asyncio.to_thread(gateway.start)
        await asyncio.to_thread(gateway.wait_for_line, f"begins after id {last + len(missed)} ", mark)
        ids = await asyncio.to_thread(used_cluster.use_odoo, odoo, bool(settings))
        assert ids == list(range(last + 1 + len(missed), last + 1 + len(missed) + len(ids))), "an id came twice or was left out"
        sent = ["sent", "many", "now"] if settings else ["sent", "many"]
        async with BusClient(gateway.url, ["a"], last=gone.last, headers=gone.headers) as returned:
            for client in asks, stays, returned:
                await client.wait_payload(sent[-1])
            for client in asks, stays:
                # For who comes back the gateway may begin 10 seconds before the client's last: here at 3, and for `returned` at 0.
                assert client.payloads[:5] == [0, 1, 2, 3, 4]
                assert client.payloads[5:] in [[*missed, *sent], *([[3, 4, *missed, *sent]] if restarted else [])]
                assert [code for code, _ in client.closes] == ([1001] if restarted else [])
            assert returned.payloads in [[3, 4, *missed, *sent], [0, 1, 2, 3, 4, *missed, *sent]]
            assert [n["type"] for n in asks.internal] == ([] if restarted else ["bus/subscription_outdated"])
            assert stays.internal == []
    assert await asyncio.to_thread(used_cluster.use_plain, new, bool(settings)) == before["plain"]["sequence"][0][0] + 1


def test_pg_upgrade_to_a_newer_version_of_the_extension_at_once(old, installation, make_new, settings, tmp_path):
    this = used_cluster.fill(old).value("SELECT bus_version()")
    before = used_cluster.seen(old)
    old.stop()
    installation.install(next_version(tmp_path).directory)
    new = upgrade(old, make_new(installation.bin))
    odoo = Database(new, "odoo")
    used_cluster.check_that_all_is_there(new, before)
    assert odoo.execute("SELECT bus_version(), extversion FROM pg_extension WHERE extname = 'odoo_bus'") == [(NEXT, this)]
    used_cluster.use_odoo(odoo, bool(settings))
    odoo.execute("ALTER EXTENSION odoo_bus UPDATE")
    assert odoo.value("SELECT bus_next()") == "next"
    used_cluster.use_odoo(odoo, bool(settings))


@pytest.mark.parametrize("settings", [{"shared_preload_libraries": "odoo_bus"}], ids=["doorbell"])
@pytest.mark.parametrize("preloaded", ["in the old server only", "in the new server only"])
def test_pg_upgrade_with_the_library_preloaded(old, make_new, settings, preloaded):
    used_cluster.fill(old)
    before = used_cluster.seen(old)
    new = make_new()
    (new if "old" in preloaded else old).configure(shared_preload_libraries="")
    old.stop()
    upgrade(old, new)
    for things in before.values():
        del things["retention"]  # it is the worker's, where there is one
    used_cluster.check_that_all_is_there(new, before)
    used_cluster.use_odoo(Database(new, "odoo"), "new" in preloaded)


@pytest.mark.parametrize("settings", [{}], ids=["notify"])
def test_pg_upgrade_says_that_the_extension_is_not_installed_for_the_new_server(old, installation, make_new, settings):
    used_cluster.fill(old)
    old.stop()
    (installation.lib / "odoo_bus.so").unlink()
    with pytest.raises(AssertionError, match=r'could not load library "\$libdir/odoo_bus"'):
        pg_upgrade(old, make_new(installation.bin), "--check")
