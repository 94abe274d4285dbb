"""The page of the demo, in all its states, on a desk, on a phone, and in the dark."""
import contextlib
import re
import threading

import pytest

from harness.demo.scenario import Audit, Export, create_orders, keep_running, replay_trace, send
from harness.demo.server import DemoServer
from harness.demo.supervisor import Supervisor
from harness.nginx import Nginx
from harness.ports import reserve_port
from harness.system import ROOT

STATE = "document.getElementById('state').textContent"
SECTIONS = "[...document.querySelectorAll('main > section')].map((section) => section.getBoundingClientRect().toJSON())"
# What stands over something else, or out of its own place.
COVERING = """[...document.querySelectorAll('body *')].filter((each) => each.checkVisibility() && !each.closest('.unseen, .transports')
    && !['static', 'relative'].includes(getComputedStyle(each).position)).map((each) => each.outerHTML)"""


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
def nginx(cluster, gateway, database):
    create_orders(database)
    port = reserve_port()
    server = DemoServer(database, Supervisor(cluster, gateway, database), port)
    with Nginx(gateway.port, files=[ROOT / "client"], port=port, demo_port=server.port) as nginx:
        yield nginx
    server.stop()


@contextlib.contextmanager
def busy(database):
    """About 40 notifications a second."""
    stop = threading.Event()
    thread = threading.Thread(target=keep_running, args=(replay_trace, database, stop, 2.4))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def open_page(browser, nginx, width, height, dark=False):
    browser.order("viewport", [width, height])
    browser.order("dark", dark)
    browser.goto(nginx.url("/demo.html"))
    browser.wait(f"{STATE} === 'WebSocket'")


@pytest.mark.parametrize("width, height, dark", [(1280, 800, False), (390, 844, False), (1280, 800, True)])
def test_the_page_of_the_demo(browser, nginx, database, width, height, dark):
    open_page(browser, nginx, width, height, dark)
    assert browser.order("axe") == []
    audit = Audit()
    with database.connect() as connection:
        for _ in range(2):  # what is named from the third on is compared
            audit.tell(connection)

    database.execute("UPDATE demo_order SET state = 'done', amount = 12.5 WHERE id = 2")
    browser.wait("document.querySelector('tr.changed')?.textContent.includes('12.50')")

    # Half-way through a transaction that is rolled back in the end.
    Export()(database, Steps(14), 1)
    browser.wait("document.getElementById('bar').style.width === '52%'")

    places = browser.evaluate(SECTIONS)
    Export()(database, Steps(27), 1)
    browser.wait("document.querySelector('#messages a')?.textContent.includes('Open')")
    browser.wait("document.getElementById('export').textContent.includes('ready')")
    assert browser.evaluate("document.getElementById('bar').style.width") == "100%"
    report = browser.evaluate("fetch(document.querySelector('#messages a').href).then((answer) => answer.text())")
    assert report.startswith("order,customer,state,amount\n")
    with database.connect() as connection:
        send(connection, "broadcast", "demo.announcement", {"title": "To everybody", "message": "The warehouse closes at 18:00 today."})
    browser.wait("document.querySelector('#messages .announcement')")
    browser.wait("document.getElementById('total').textContent !== '0'")
    # Messages cover nothing, and move nothing.
    assert browser.evaluate(COVERING) == []
    assert browser.evaluate(SECTIONS) == places

    for transports, state in [("events", "event stream"), ("polling", "long polling"), ("websocket", "WebSocket")]:
        browser.order("click", f".transports label:has([value={transports}])")
        browser.wait(f"{STATE} === '{state}'")
        database.sendone("demo_toast", "demo.ping", {"over": transports})
        browser.wait(f"document.getElementById('feed').textContent.includes('\"over\":\"{transports}\"')")
    browser.order("click", "#offline")
    browser.wait(f"{STATE} === 'offline'")
    assert browser.order("axe") == []
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

    with database.connect() as connection:
        audit.tell(connection)
    browser.wait("account.audits === 3")
    assert browser.evaluate("document.querySelector('#verdict strong').textContent") == "0 missed, 0 doubled"
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.errors() == []


def test_the_feed_stays_readable_at_40_a_second(browser, nginx, database):
    open_page(browser, nginx, 1280, 800)
    browser.order("hover", "h1")
    with busy(database):
        browser.wait("document.getElementById('rate').textContent >= 20")
        browser.evaluate("""globalThis.changes = []; globalThis.ghosts = 0;
            new MutationObserver(() => {
                changes.push(performance.now());
                ghosts += document.getAnimations().filter(({ effect }) => effect.target.closest('#feed')).length;
                ghosts += [...document.querySelectorAll('#feed li')].filter((row) => getComputedStyle(row).opacity !== '1').length;
            }).observe(document.getElementById('feed'), {childList: true})""")
        browser.wait("changes.length === 4")
        assert browser.evaluate("changes[3] - changes[0]") > 2000 and browser.evaluate("ghosts") == 0
        assert browser.evaluate("[...document.querySelectorAll('#feed .count')].some(({ textContent }) => /^×\\d+$/.test(textContent))")

        # It stands still below the mouse, and while it is paused, and loses nothing.
        for stop, go in [(("hover", "#feed"), ("hover", "h1")), (("click", "#pause"), ("click", "#pause"))]:
            browser.order(*stop)
            shown = browser.evaluate("document.getElementById('feed').innerHTML")
            browser.wait("parseInt(document.getElementById('waiting').textContent.match(/paused, (\\d+)/)?.[1]) > 40")
            assert browser.evaluate("document.getElementById('feed').innerHTML") == shown
            browser.order(*go)
            browser.wait("document.getElementById('waiting').textContent === ''")
            assert browser.evaluate("document.getElementById('feed').innerHTML") != shown


def test_every_width_is_used_and_none_overflows(browser, nginx, database):
    open_page(browser, nginx, 320, 640)
    export = Export()
    export(database, Steps(27), 1)
    browser.wait("document.getElementById('export').textContent.includes('ready')")
    with busy(database):
        browser.wait("document.querySelectorAll('#feed li').length >= 20 && document.querySelectorAll('#messages li').length >= 1")
        for width, height in [(320, 640), (800, 600), (1920, 1080)]:
            browser.order("viewport", [width, height])
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            # Nothing is cut off, either.
            cut = """[...document.querySelectorAll('header *, .figures *, .try *, .export *')].filter((each) => {
                const { right, width } = each.getBoundingClientRect();
                return width > 1 && right > innerWidth; }).map((each) => each.outerHTML)"""
            assert browser.evaluate(cut) == []
            sections = browser.evaluate(SECTIONS)
            margin = 24
            assert max(section["right"] for section in sections) >= width - margin - 1
            assert min(section["left"] for section in sections) <= margin
            for one in sections:
                assert not any(one is not other and one["left"] < other["right"] and other["left"] < one["right"]
                               and one["top"] < other["bottom"] and other["top"] < one["bottom"] for other in sections)


@pytest.mark.parametrize("name", ["demo.html", "demo.css", "demo.js", "demo_account.js", "demo_feed.js"])
def test_no_asset_of_the_demo_is_of_another_host(name):
    text = (ROOT / "client" / name).read_text()
    assert not re.search(r"https?:|[\"'(]//\w|@import", text)
