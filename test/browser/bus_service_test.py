"""bus_service.js in tabs of a real browser, through the shipped nginx site."""
import json
import re
import socket
import threading

import pytest

from chromium import HERE, Browser
from harness.deadline import scaled
from harness.hold import held
from harness.nginx import Nginx
from harness.tokens import Secret, claims
from harness.wait import until

RECEIVED = "received.map((n) => n.payload)"


@pytest.fixture
def gateway(browser, make_gateway, database, tmp_path):
    browser.order("forget cookies")  # of the gateway of the test before: one would come from another gateway
    return make_gateway(database, state_dir=tmp_path).start()


@pytest.fixture
def make_nginx(gateway):
    started = []

    def make(**options):
        started.append(Nginx(gateway.port, files=[HERE / "site"], **options).start())
        return started[-1]
    yield make
    for nginx in started:
        nginx.stop()


@pytest.fixture
def nginx(make_nginx):
    return make_nginx()


def open_page(browser, nginx, channels=("a",), tab="main", **options):
    browser.tab(tab)
    browser.goto(nginx.url("/bus.html"))
    browser.wait("window.ready")
    return browser.evaluate(f"start({json.dumps(list(channels))}, {json.dumps(options)})")


def wait_received(browser, payloads):
    browser.wait(f"{RECEIVED}.length >= {len(payloads)}")
    assert browser.evaluate(RECEIVED) == payloads


def test_two_tabs_share_one_connection(browser, nginx, gateway, database):
    open_page(browser, nginx, ["a", "b"])
    open_page(browser, nginx, ["b", "c"], tab="second")
    # That by which the page has loaded the script may take a moment to be closed.
    until(lambda: gateway.established() == 1, lambda: f"{gateway.established()} connections are open")
    for channel in ("a", "b", "c", "broadcast"):
        database.sendone(channel, payload=channel)
    wait_received(browser.tab("second"), ["b", "c", "broadcast"])
    wait_received(browser.tab("main"), ["a", "b", "broadcast"])
    assert len(browser.evaluate("perChannel")) == 2
    assert gateway.established() == 1
    browser.order("close", "second")


def test_a_reload_misses_nothing_and_doubles_nothing(browser, nginx, database):
    open_page(browser, nginx)
    database.sendone("a", payload=1)
    wait_received(browser, [1])
    database.sendone("a", payload=2)
    wait_received(browser, [1, 2])
    browser.goto("about:blank")
    database.sendone("a", payload=3)
    open_page(browser, nginx)
    database.sendone("a", payload=4)
    wait_received(browser, [3, 4])


def test_one_of_two_tabs_is_reloaded(browser, nginx, database):
    open_page(browser, nginx)
    open_page(browser, nginx, tab="second")
    database.sendone("a", payload=1)
    wait_received(browser, [1])
    browser.goto("about:blank")
    database.sendone("a", payload=2)
    wait_received(browser.tab("main"), [1, 2])
    open_page(browser, nginx, tab="second")
    database.sendone("a", payload=3)
    wait_received(browser, [2, 3])
    wait_received(browser.tab("main"), [1, 2, 3])
    browser.order("close", "second")


def test_a_page_is_closed_in_the_middle_of_everything(browser, nginx, database):
    open_page(browser, nginx)
    open_page(browser, nginx, tab="second")
    stop = threading.Event()
    sent = []

    def send():
        while not stop.is_set():
            database.sendone("a", payload=len(sent))
            sent.append(len(sent))
    thread = threading.Thread(target=send)
    thread.start()
    try:
        browser.wait("received.length > 20")
        browser.order("close", "second")
        browser.tab("main").wait("received.length > 60")
    finally:
        stop.set()
        thread.join()
    wait_received(browser, sent)


def test_a_tab_that_sleeps(browser, nginx, database):
    open_page(browser, nginx)
    browser.order("lifecycle", "frozen")
    for n in range(50):
        database.sendone("a", payload=n)
    browser.order("lifecycle", "active")
    wait_received(browser, list(range(50)))


def test_offline(browser, nginx, database):
    open_page(browser, nginx)
    database.sendone("a", payload=1)
    wait_received(browser, [1])
    browser.order("offline", True)
    browser.wait("bus.state === 'offline'")
    database.sendone("a", payload=2)
    browser.order("offline", False)
    wait_received(browser, [1, 2])


@pytest.fixture
def timed_browser():
    """One whose clock may be stopped: that is the clock of every page that it ever opens."""
    browser = Browser()
    yield browser
    browser.close()


def test_an_offline_minute(timed_browser, make_gateway, database, tmp_path):
    """Longer than the gateway's history: the rows come from the table. The page's minute is a fast one."""
    browser = timed_browser
    gateway = make_gateway(database, state_dir=tmp_path, history_seconds=1, metrics_listen=f"unix:{tmp_path}/metrics").start()
    with Nginx(gateway.port, files=[HERE / "site"]) as nginx:
        browser.goto(nginx.url("/bus.html"))
        browser.wait("window.ready")
        browser.order("stop clock")
        subscribed = "subscribed = false; start(['a'], {worker: false}).then(() => (subscribed = true)); 0"
        browser.evaluate(subscribed)
        run_until(browser, "subscribed")
        database.sendone("a", payload=0)
        run_until(browser, "received.length === 1")
        browser.order("offline", True)
        run_until(browser, "bus.state === 'offline'")
        until(lambda: gateway.established() == 0, lambda: "the connection is still there")
        begin = browser.evaluate("Date.now()")
        for n in range(1, 61):
            browser.order("go on", 1000)
            database.sendone("a", payload=n)
        assert browser.evaluate("Date.now()") - begin >= 60_000
        assert browser.evaluate("bus.state") == "offline" and gateway.established() == 0
        until(lambda: kept_notifications(gateway) < 60, lambda: "the history is still there")
        browser.order("offline", False)
        run_until(browser, "received.length >= 61")
        assert browser.evaluate(RECEIVED) == list(range(61))
        names = browser.evaluate("events.map(([name]) => name)")
        assert names.count("disconnect") == 1 and names.count("reconnect") == 1 and "outdated" not in names


def run_until(browser, condition):
    """The page's time goes on until the condition is true there."""
    def look():
        browser.order("go on", 100)
        return browser.evaluate(condition)
    until(look, lambda: f"{condition} never became true; state {browser.evaluate('bus.state')}")


def kept_notifications(gateway):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(gateway.options["metrics_listen"].removeprefix("unix:"))
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    return float(re.search(r"^odoo_bus_history_notifications\{.*\} (.*)$", text, re.M).group(1))


@pytest.mark.parametrize("worker", [True, False])
def test_a_page_that_sleeps_in_the_cache_of_its_browser(browser, nginx, gateway, database, worker):
    """pagehide and pageshow with `persisted`: it lets go of its connection, and catches up when it is shown again."""
    open_page(browser, nginx, worker=worker)
    database.sendone("a", payload=1)
    wait_received(browser, [1])
    browser.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    until(lambda: gateway.established() == 0, lambda: "the connection of a page that sleeps is still there")
    for n in range(2, 30):
        database.sendone("a", payload=n)
    assert browser.evaluate(RECEIVED) == [1]
    browser.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    wait_received(browser, list(range(1, 30)))
    database.sendone("a", payload=30)
    wait_received(browser, list(range(1, 31)))


@pytest.mark.parametrize("worker", [True, False])
def test_back_to_a_page(browser, nginx, gateway, database, worker):
    """By the browser's own back: the page as it slept, or loaded anew, as the browser likes."""
    open_page(browser, nginx, worker=worker)
    browser.evaluate("sleeps = true; addEventListener('pageshow', ({ persisted }) => (woken = persisted)); 0")
    database.sendone("a", payload=1)
    wait_received(browser, [1])
    browser.goto(nginx.url("/"))
    until(lambda: gateway.established() == 0, lambda: "the connection of the page is still there")
    database.sendone("a", payload=2)
    browser.order("back")
    browser.wait("window.ready")
    slept = browser.evaluate("window.sleeps === true")
    if not slept:
        browser.evaluate("start(['a'], {worker: %s})" % json.dumps(worker))
    database.sendone("a", payload=3)
    wait_received(browser, [1, 2, 3] if slept else [2, 3])


@pytest.mark.parametrize("transport", ["websocket", "events", "polling"])
def test_a_page_is_closed_in_the_middle_of_a_message(browser, nginx, database, transport):
    """Large ones, so that one is always on its way. The page that follows in the tab goes on where this one was."""
    stop = threading.Event()
    sent = []

    def send():
        while not stop.is_set():
            database.sendone("a", payload=[len(sent), "x" * 100_000])
            sent.append(len(sent))
            stop.wait(0.1)
    thread = threading.Thread(target=send)
    keep = """addEventListener('pagehide', () => (sessionStorage.heard = JSON.stringify(
        JSON.parse(sessionStorage.heard ?? '[]').concat(received.map((n) => n.payload[0]))))); 0"""
    options = {"transports": [transport], "worker": False}
    open_page(browser, nginx, tab="closed", **options)
    browser.evaluate(keep)
    thread.start()
    try:
        for _ in range(3):
            browser.wait("received.length >= 4")
            open_page(browser, nginx, tab="closed", **options)
            browser.evaluate(keep)
        browser.wait("received.length >= 4")
    finally:
        stop.set()
        thread.join()
    heard = "JSON.parse(sessionStorage.heard).concat(received.map((n) => n.payload[0]))"
    browser.wait(f"{heard}.length >= {len(sent)}")
    assert browser.evaluate(heard) == sent
    browser.order("close", "closed")


@pytest.mark.parametrize("worker", [True, False])
def test_a_page_that_loads_itself_anew_when_it_is_outdated(browser, make_gateway, database, worker):
    """As docs/client.md says: once, and not again and again."""
    gateway = make_gateway(database, history_seconds=1).start()
    with Nginx(gateway.port, files=[HERE / "site"]) as nginx:
        open_page(browser, nginx, worker=worker)
        database.sendone("a", payload=1)
        wait_received(browser, [1])
        browser.goto("about:blank")
        database.sendone("other", payload=2)
        database.execute("DELETE FROM bus_bus WHERE id = (SELECT min(id) FROM bus_bus)")
        gateway.terminate()
        gateway.start()
        browser.goto(nginx.url("/bus.html"))
        browser.wait("window.ready")
        browser.evaluate("sessionStorage.loads = 0; 0")
        anew = "sessionStorage.loads = 1 + Number(sessionStorage.loads), start(['a'], {worker: %s}), " \
               "bus.addEventListener('outdated', () => location.reload()); 0" % json.dumps(worker)
        browser.evaluate("window.old = true; " + anew)
        browser.wait("!window.old && window.ready")
        # What the page loads anew does the same.
        browser.evaluate("window.second = true; " + anew)
        browser.wait("bus.state === 'connected'")
        database.sendone("a", payload=3)
        wait_received(browser, [3])
        assert browser.evaluate("[window.second, sessionStorage.loads]") == [True, "2"]
        assert browser.evaluate("events.filter(([name]) => name === 'outdated').length") == 0


def test_a_gateway_that_is_killed(browser, nginx, gateway, database):
    open_page(browser, nginx)
    database.sendone("a", payload=1)
    wait_received(browser, [1])
    gateway.kill9()
    database.sendone("a", payload=2)
    browser.wait("events.some(([name]) => name === 'reconnecting')")
    gateway.start()
    database.sendone("a", payload=3)
    wait_received(browser, [1, 2, 3])
    assert browser.evaluate("events.filter(([name]) => name === 'reconnect').length") >= 1


@pytest.mark.parametrize("worker", [True, False])
def test_what_is_blocked_is_gone_round(browser, make_nginx, database, worker):
    nginx = make_nginx(blocked=("/websocket", "/bus/events"))
    assert open_page(browser, nginx, worker=worker) == "polling"
    database.sendone("a", payload=1)
    wait_received(browser, [1])
    nginx.block("/websocket")
    browser.wait("bus.transport === 'events'")
    database.sendone("a", payload=2)
    wait_received(browser, [1, 2])
    nginx.block()
    browser.wait("bus.transport === 'websocket'")
    database.sendone("a", payload=3)
    wait_received(browser, [1, 2, 3])
    names = browser.evaluate("events.map(([name]) => name)")
    assert names.count("upgrade") == 2 and "disconnect" not in names


@pytest.mark.parametrize("transport", ["websocket", "events", "polling"])
def test_each_transport(browser, nginx, database, transport):
    assert open_page(browser, nginx, ["a", "b"], transports=[transport], worker=False) == transport
    for n in range(10):
        database.sendone("ab"[n % 2], payload=n)
        browser.wait(f"received.length === {n + 1}")
    assert browser.evaluate(RECEIVED) == list(range(10))
    browser.evaluate("bus.deleteChannel('b'), bus.addChannel('c')")
    browser.evaluate("bus.addChannel('d')")
    for channel in "abcd":
        database.sendone(channel, payload=channel)
    browser.wait("received.length === 13")
    assert browser.evaluate(RECEIVED)[10:] == ["a", "c", "d"]


def test_an_expired_token_is_replaced(browser, make_gateway, database, tmp_path):
    secret = Secret()
    gateway = make_gateway(database, auth="token", token_keys=secret.write(tmp_path / "keys"), token_skew=0,
                           state_dir=tmp_path / "state").start()
    with Nginx(gateway.port, files=[HERE / "site"]) as nginx:
        browser.tab("main").goto(nginx.url("/bus.html"))
        browser.wait("window.ready")
        browser.evaluate(f"token = {json.dumps(secret.token(claims(['a'], seconds=round(scaled(5)))))}")
        browser.evaluate("start(['a'])")
        database.sendone("a", payload=1)
        wait_received(browser, [1])
        browser.evaluate(f"token = {json.dumps(secret.token(claims(['a'], seconds=600)))}; 0")
        browser.wait("events.some(([name]) => name === 'expired')")
        database.sendone("a", payload=2)
        wait_received(browser, [1, 2])
        refused = browser.evaluate("bus.addChannel('b').then(() => 'granted', (error) => error.message)")
        assert "refused" in refused


def test_event_source(browser, nginx, database):
    browser.tab("main").goto(nginx.url("/bus.html"))
    browser.evaluate("""new Promise((opened) => {
        window.source = new EventSource("/bus/events?channels=a");
        source.onopen = opened;
        // What comes in quick succession is one event; its id is that of the last.
        source.onmessage = ({ data, lastEventId }) => {
            const notifications = JSON.parse(data);
            window.ids_differ ||= String(notifications.at(-1).id) !== lastEventId;
            received.push(...notifications);
        };
    }).then(() => true)""")
    for n in range(5):
        database.sendone("a", payload=n)
    browser.wait("received.length === 5")
    assert browser.evaluate("received.map((n) => n.message.payload)") == list(range(5))
    assert browser.evaluate("window.ids_differ") is False
    browser.evaluate("source.close()")


def test_event_source_comes_back_by_itself(browser, nginx, gateway, database):
    """The browser's own EventSource, without a line of ours: where it was it tells with Last-Event-ID."""
    browser.tab("main").goto(nginx.url("/bus.html"))
    browser.evaluate("""new Promise((opened) => {
        window.opens = 0;
        window.source = new EventSource("/bus/events?channels=a");
        source.onopen = () => { opens += 1; opened(); };
        source.onmessage = ({ data }) => received.push(...JSON.parse(data).map((n) => n.message));
    }).then(() => true)""")
    database.sendone("a", payload=1)
    wait_received(browser, [1])
    # The browser waits two seconds, and gives up for good at the first answer that is none of a stream. Until the gateway is
    # back, however long that takes, nginx answers nothing.
    with held(nginx.worker_pid):
        gateway.kill9()
        database.sendone("a", payload=2)
        gateway.start()
    database.sendone("a", payload=3)
    wait_received(browser, [1, 2, 3])
    assert browser.evaluate("opens") == 2
    browser.evaluate("source.close()")
