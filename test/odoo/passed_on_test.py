"""What only Odoo's own bus server understands, told to a real one: the module odoo_bus_witness (addons/) writes down what it was
told, by a box, a kiosk and an ordinary page, behind Odoo's own server and behind the gateway."""
import asyncio
import json
import os
from pathlib import Path

import pytest
from harness.gateway import Gateway
from harness.wait import until

from session_test import connect, current_version, localhost, site  # noqa: F401
from site_nginx import SiteNginx

pytestmark = pytest.mark.skipif(not os.environ.get("ODOO_HOME"), reason="ODOO_HOME names no Odoo")
BOX = {"identifier": "box"}
KIOSK = "self_device_update_presence"


def serves_events():
    """Whether modules can serve events of their own. 17.0 knows its own alone, and tells a module of a subscribe once, not twice."""
    home = os.environ.get("ODOO_HOME")
    return bool(home) and "def _serve_ir_websocket" in Path(home, "addons/bus/models/ir_websocket.py").read_text()


SERVES_EVENTS = serves_events()
OF_A_SUBSCRIBE = 2 if SERVES_EVENTS else 1  # hooks that are told


@pytest.fixture(scope="module")
def gateway(odoo_server):
    odoo_server.cluster.execute("CREATE EXTENSION IF NOT EXISTS odoo_bus", dbname=odoo_server.name)
    gateway = Gateway(odoo_server.cluster.conninfo(odoo_server.name), auth="odoo", odoo_url=odoo_server.url,
                      odoo_websocket=f"ws://127.0.0.1:{odoo_server.gevent_port}", trusted_proxy="127.0.0.1",
                      drain_seconds=0).start()
    yield gateway
    gateway.finish()


@pytest.fixture(scope="module")
def ways(odoo_server, gateway):
    """nginx before Odoo's own server, and before the gateway."""
    with SiteNginx(odoo_server, odoo_server.gevent_port) as stock, SiteNginx(odoo_server, gateway.port) as ours:
        yield {"stock": stock, "ours": ours}


class Witness:
    """What the module has written down of one user, but for what every page tells: that goes by HTTP."""

    def __init__(self, site, user):  # noqa: F811
        self.site, self.login = site, user.login
        self.seen = 0

    def told(self):
        rows = self.site.sql("SELECT hook, told FROM odoo_bus_witness ORDER BY id")
        return [(hook, told) for hook, (login, told) in ((hook, json.loads(text)) for hook, text in rows)
                if login == self.login and not self.is_ordinary(hook, told)]

    @staticmethod
    def is_ordinary(hook, told):
        data = told[1] if hook == "event" else told
        name = told[0] if hook == "event" else hook
        return (name == "update_presence" or
                (name == "subscribe" and not set(data) - {"channels", "last", "check_outdated"}))

    async def wait_for(self, count):
        await asyncio.to_thread(until, lambda: len(self.told()) >= self.seen + count,
                                lambda: f"{self.told()[self.seen:]} instead of {count}")
        self.seen, new = self.seen + count, self.told()[self.seen:]
        return new


def connect_device(site, nginx, sid, channels, **options):  # noqa: F811
    return connect(nginx, sid, channels, query=current_version(site), **options)


async def box(nginx, sid, witness):
    """Told so far: its subscribe, an event, its end."""
    async with connect_device(witness.site, nginx, sid, ["box"], extensions=BOX) as client:
        told = await witness.wait_for(OF_A_SUBSCRIBE)
        if SERVES_EVENTS:
            await client.send("box_says", {"n": 1})
            told += await witness.wait_for(1)
    return told + await witness.wait_for(1)


async def kiosk(nginx, sid, witness):
    async with connect_device(witness.site, nginx, sid, ["orders"]) as client:
        await client.subscribed()
        await client.send(KIOSK, {})
        told = await witness.wait_for(1)
        await client.send(KIOSK, {"n": 2})
        told += await witness.wait_for(1)
    return told + await witness.wait_for(1)


def without_last(told):
    """A client that comes back names another `last`."""
    return json.loads(json.dumps(told), object_hook=lambda data: {key: data[key] for key in data if key != "last"})


@pytest.mark.parametrize("device", [box, pytest.param(kiosk, marks=pytest.mark.skipif(
    not SERVES_EVENTS, reason="no module of this release serves events"))])
async def test_odoo_is_told_the_same(site, ways, gateway, device):  # noqa: F811
    told = {}
    for way, nginx in ways.items():
        user = site.add_user(device.__name__)
        told[way] = without_last(await device(nginx, site.login(user), Witness(site, user)))
    assert told["stock"] == told["ours"]
    assert told["ours"][-1][0] == "closed"


async def test_notifications_of_a_box_come_from_odoo_itself(site, ways):  # noqa: F811
    user = site.add_user("box")
    async with connect_device(site, ways["ours"], site.login(user), ["box"], extensions=BOX) as client:
        await Witness(site, user).wait_for(OF_A_SUBSCRIBE)
        site.send(["box"], "iot_action", "do")
        site.server.cluster.execute("SELECT pg_notify('imbus', %s)", (json.dumps([[site.database, "box"]]),), dbname="postgres")
        await client.wait_payload("do")


async def test_an_ordinary_page_is_told_of_by_http_alone(site, ways):  # noqa: F811
    user = site.add_user("page")
    async with connect_device(site, ways["ours"], site.login(user), ["a"]) as page:
        await page.subscribed()
        await page.send("update_presence", {"inactivity_period": 0, "im_status_ids_by_model": {}})
        await page.settle()
        site.send(["a"], "t", 1)
        site.sql("NOTIFY imbus, '[]'")
        await page.wait_payload(1)
    assert Witness(site, user).told() == []


@pytest.mark.parametrize("what", ["a take-over", "kill -9", "a restart of Odoo"])
async def test_odoo_is_told_again_after(site, ways, gateway, odoo_server, what):  # noqa: F811
    user = site.add_user("box")
    sid, witness = site.login(user), Witness(site, user)
    async with connect_device(site, ways["ours"], sid, ["box"], extensions=BOX) as client:
        first = await witness.wait_for(OF_A_SUBSCRIBE)
        if what == "a take-over":
            await asyncio.to_thread(gateway.take_over)
        elif what == "kill -9":
            await asyncio.to_thread(gateway.kill9)
            await asyncio.to_thread(gateway.start)
        else:
            await asyncio.to_thread(odoo_server.restart)
        await client.wait_closed()
    # A server that is killed, or stopped, tells nobody.
    ended = [] if what == "a restart of Odoo" else await witness.wait_for(1)
    witness.seen = len(witness.told())
    async with connect_device(site, ways["ours"], sid, ["box"], extensions=BOX):
        again = await witness.wait_for(OF_A_SUBSCRIBE)
    assert without_last(again) == without_last(first)
    assert [hook for hook, _ in ended] == ["closed"] * len(ended)
