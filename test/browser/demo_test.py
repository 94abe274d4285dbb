"""The page of the demo, in all its states, on a desk and on a phone."""
import os
import re
from pathlib import Path

import pytest

from harness.demo_scenario import Orders, export, send
from harness.nginx import Nginx
from harness.system import ROOT

# DEMO_SCREENSHOTS=docs/demo writes pictures of what the tests see.
SCREENSHOTS = os.environ.get("DEMO_SCREENSHOTS")
STATE = "document.getElementById('state').textContent"


class Steps:
    """Lets a task of the demo run, and stops it after so many waits."""

    def __init__(self, count):
        self.count = count

    def wait(self, seconds):
        self.count -= 1
        return self.count <= 0


@pytest.fixture(scope="module")
def cluster(preloaded):
    return preloaded


@pytest.fixture
def nginx(gateway, database):
    orders = Orders(database)
    with Nginx(gateway.port, files=[ROOT / "client"], demo_port=orders.port) as nginx:
        yield nginx
    orders.stop()


def picture(browser, name):
    if SCREENSHOTS:
        browser.order("screenshot", [str(Path(SCREENSHOTS) / f"{name}.png"), name.startswith("phone")])


@pytest.mark.parametrize("name, width, height, dark", [("desk", 1280, 800, False), ("phone", 390, 844, False), ("dark", 1280, 800, True)])
def test_the_page_of_the_demo(browser, nginx, database, name, width, height, dark):
    browser.order("viewport", [width, height])
    browser.order("dark", dark)
    browser.goto(nginx.url("/demo.html"))
    browser.wait(f"{STATE} === 'WebSocket'")
    picture(browser, f"{name}-begin")

    database.execute("UPDATE demo_order SET state = 'done', amount = 12.5 WHERE id = 2")
    browser.wait("document.querySelector('tr.changed')?.textContent.includes('12.50')")

    # Half-way through a transaction that is rolled back in the end.
    export(database, Steps(14), 1)
    browser.wait("document.getElementById('bar').style.width === '52%'")
    picture(browser, f"{name}-progress")

    export(database, Steps(27), 1)
    browser.wait("document.querySelector('.toast a')?.textContent.includes('Open')")
    browser.wait("document.getElementById('export').textContent.includes('ready')")
    assert browser.evaluate("document.getElementById('bar').style.width") == "100%"
    report = browser.evaluate("fetch(document.querySelector('.toast a').href).then((answer) => answer.text())")
    assert report.startswith("order,customer,state,amount\n")
    with database.connect() as connection:
        send(connection, "broadcast", "demo.announcement", {"title": "To everybody", "message": "The warehouse closes at 18:00 today."})
    browser.wait("!document.getElementById('banner').hidden")
    browser.wait("document.getElementById('total').textContent !== '0'")
    picture(browser, f"{name}-ready")

    for transports, state in [("events", "event stream"), ("polling", "long polling"), ("websocket", "WebSocket")]:
        browser.order("click", f"button[data-transports={transports}]")
        browser.wait(f"{STATE} === '{state}'")
        database.sendone("demo_toast", "demo.ping", {"over": transports})
        browser.wait(f"document.getElementById('feed').textContent.includes('\"over\":\"{transports}\"')")
        picture(browser, f"{name}-{transports}")
    browser.order("click", "#offline")
    browser.wait(f"{STATE} === 'offline'")
    picture(browser, f"{name}-offline")
    database.sendone("demo_toast", "demo.ping", {"while": "offline"})
    browser.order("click", "#offline")
    browser.wait("document.getElementById('feed').textContent.includes('offline')")

    # The chart: a column for each bound, the tallest over the whole height, and labels below.
    browser.wait("document.querySelectorAll('#chart rect').length === 12")
    heights = browser.evaluate("[...document.querySelectorAll('#chart rect')].map((column) => column.height.baseVal.value)")
    assert max(heights) == 50 and min(heights) == 0
    assert browser.evaluate("[...document.querySelectorAll('#chart text')].map((label) => label.textContent)")[-1] == "more"
    assert browser.evaluate("document.getElementById('chart').getBoundingClientRect().height") > 20
    assert browser.evaluate("document.getElementById('latency').textContent") != "–"
    # Everything comes from this server.
    loaded = "performance.getEntriesByType('resource').map(({ name }) => name)"
    assert browser.evaluate(f"{loaded}.filter((name) => !name.startsWith(location.origin + '/'))") == []
    assert any(name.endswith("/demo.js") for name in browser.evaluate(loaded))

    assert browser.evaluate("document.getElementById('missed').textContent") == "0"
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.errors() == []


@pytest.mark.parametrize("name", ["demo.html", "demo.css", "demo.js"])
def test_no_asset_of_the_demo_is_of_another_host(name):
    text = (ROOT / "client" / name).read_text()
    assert not re.search(r"https?:|[\"'(]//\w|@import", text)
