"""What a page of another origin can reach with somebody's cookies: nothing; and with a live chat's token: its chat."""
import json

import pytest

from chromium import Browser
from harness.database import stored_channel
from harness.nginx import Nginx
from harness.system import ROOT
from standin import Standin

SITE = ROOT / "test" / "browser" / "site"

# As Odoo's live chat does it: a worker of a data: URL, whose origin is null.
WORKER = """
const socket = new WebSocket(%(url)s);
socket.onopen = () => { socket.send(JSON.stringify(
    { event_name: "subscribe", data: { channels: %(channels)s, last: 0 } })); postMessage("open"); };
socket.onmessage = ({ data }) => postMessage(JSON.parse(data));
socket.onclose = ({ code }) => postMessage("closed " + code);
"""


@pytest.fixture
def odoo(database):
    with Standin(version="19.0") as odoo:
        odoo.add_database(database.name)
        yield odoo


@pytest.fixture
def mydb(odoo, database):
    return odoo.databases[database.name]


@pytest.fixture(params=[False])
def nginx(request, make_gateway, database, odoo):
    """The parameter: whether the gateway takes the other origin for the site's own."""
    gateway = make_gateway(database, auth="odoo", odoo_url=odoo.url, trusted_proxy="127.0.0.1")
    with Nginx(gateway.port, files=[SITE]) as nginx:
        if request.param:
            gateway.options["allowed_origin"] = f"http://shop.bus.localhost:{nginx.odoo_port}"
        gateway.start()
        yield nginx


@pytest.fixture
def browser():
    browser = Browser()
    yield browser
    browser.close()


def send(database, *channel, payload):
    database.execute("INSERT INTO bus_bus (channel, message) VALUES (%s, %s)",
                     (stored_channel(database.name, *channel), json.dumps({"type": "t", "payload": payload})))
    database.execute("NOTIFY imbus, '[]'")


@pytest.fixture
def anna(mydb, odoo, nginx, browser):
    """She is logged in at http://bus.localhost with this browser, and her cookie is sent to all that asks that host."""
    anna = mydb.add_user("anna")
    browser.goto(f"http://bus.localhost:{nginx.port}/index.html")
    browser.evaluate(f"void (document.cookie = {json.dumps(odoo.login(anna).cookie + '; path=/')})")
    browser.evaluate("connect(['page'])")
    odoo.wait_for(lambda log: log.count("peek", login="anna", status=200) == 1)
    return anna


def test_her_own_page_gets_what_is_hers(anna, browser, database):
    send(database, "res.partner", anna.partner_id, payload="for anna")
    browser.wait_payload("for anna")


@pytest.mark.parametrize("kind", ["page", "worker"])
def test_another_origin_gets_nothing_of_hers(anna, browser, nginx, database, odoo, kind):
    """The page is of the same site, so that the browser does send the cookie: the gateway alone is in the way."""
    browser.goto(f"http://shop.bus.localhost:{nginx.odoo_port}/index.html")
    odoo.log.clear()
    open_from_elsewhere(browser, nginx, kind, ["page"])
    odoo.wait_for(lambda log: any(request.ended for request in log.requests("peek")))
    send(database, "res.partner", anna.partner_id, payload="for anna")
    send(database, "broadcast", payload="for all")
    browser.wait("received.some((n) => n.message.payload === 'for all')")
    assert browser.payloads() == ["for all"]
    assert [request.login for request in odoo.log.requests("peek")] == [""]
    assert not [request for request in odoo.log if "session_id" in request.cookies and request.login]


@pytest.mark.parametrize("nginx", [True], indirect=True)
def test_an_origin_that_is_allowed_gets_what_is_hers(anna, browser, nginx, database, odoo):
    """And so the browser does send her cookie from there."""
    browser.goto(f"http://shop.bus.localhost:{nginx.odoo_port}/index.html")
    odoo.log.clear()
    open_from_elsewhere(browser, nginx, "page", ["shop"])
    odoo.wait_for(lambda log: log.count("peek", login="anna", status=200) == 1)
    send(database, "res.partner", anna.partner_id, payload="for anna")
    browser.wait_payload("for anna")


@pytest.mark.parametrize("kind", ["page", "worker"])
def test_an_embedded_live_chat_gets_its_chat(anna, mydb, browser, nginx, database, odoo, kind):
    guest = mydb.add_guest()
    chat = mydb.add_channel(guest, anna)
    browser.goto(f"http://shop.bus.localhost:{nginx.odoo_port}/index.html")
    odoo.log.clear()
    open_from_elsewhere(browser, nginx, kind, [guest.channel])
    odoo.wait_for(lambda log: any(request.ended for request in log.requests("peek")))
    send(database, "res.partner", anna.partner_id, payload="for anna")
    send(database, "discuss.channel", chat.id, payload="how can I help?")
    browser.wait("received.some((n) => n.message.payload === 'how can I help?')")
    assert browser.payloads() == ["how can I help?"]


def open_from_elsewhere(browser, nginx, kind, channels):
    url = f"ws://bus.localhost:{nginx.port}/websocket?version=19.0-2"
    source = WORKER % {"url": json.dumps(url), "channels": json.dumps(channels)}
    if kind == "worker":
        worker = f"new Worker('data:text/javascript,' + encodeURIComponent({json.dumps(source)}))"
        browser.evaluate(f"void (window.worker = {worker})")
        browser.evaluate("void (worker.onmessage = ({ data }) => Array.isArray(data) && received.push(...data))")
    else:
        inside = source.replace("postMessage", "take")
        browser.evaluate(f"void ((take) => {{ {inside} }})((data) => Array.isArray(data) && received.push(...data))")
