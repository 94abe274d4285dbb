"""The page /status at --metrics-listen."""
import asyncio
import json
import os
import socket
from pathlib import Path

import pytest

from harness.client import BusClient, RawClient
from harness.ports import reserve_port
from harness.wait import until

TOKEN = "0123456789abcdef0123456789abcdef"
HOSTILE = "<img src=x onerror=window.attacked=1>\x1b[2J\u202e"
STATE = "document.getElementById('state').textContent"
# STATUS_SCREENSHOTS=DIR writes pictures of what the tests see.
SCREENSHOTS = os.environ.get("STATUS_SCREENSHOTS")


@pytest.fixture
def start(make_gateway, database):
    def start(**options):
        port = reserve_port()
        gateway = make_gateway(database, **{"metrics_listen": f"127.0.0.1:{port}"} | options).start()
        gateway.status_page = f"http://127.0.0.1:{port}/status"
        return gateway
    return start


def table(browser, name):
    """The rows of a table, by column."""
    rows = browser.evaluate(f"[...document.querySelectorAll('#{name} tr')].map((row) => [...row.cells].map((cell) => cell.textContent))")
    return [dict(zip(rows[0], row)) for row in rows[1:]]


def wait_rows(browser, name, column, expected, what=str):
    def found():
        return [what(row[column]) for row in table(browser, name)]
    until(lambda: found() == expected, lambda: f"{name}: {column} is {found()}, not {expected}")


def wait(browser, expression):
    """The page's policy admits no eval(), by which Playwright would wait."""
    until(lambda: browser.evaluate(expression), lambda: f"never: {expression}; {browser.evaluate('document.body.innerText')}")


def figure(name):
    return f"[...document.querySelectorAll('#figures dt')].find((each) => each.textContent === {json.dumps(name)})?.nextSibling.textContent"


@pytest.mark.parametrize("name, width, dark", [("desk", 1280, False), ("phone", 320, False), ("dark", 320, True)])
def test_what_it_shows(browser, start, database, name, width, dark):
    gateway = start()
    browser.order("viewport", [width, 800])
    browser.order("dark", dark)
    clients = [RawClient(("127.0.0.1", gateway.port)) for _ in range(2)]
    for client in clients:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.upgrade().send_event("subscribe", {"channels": [HOSTILE, "orders"], "last": 0})
    browser.goto(gateway.status_page)
    wait(browser, f"{STATE} === 'ready' && {figure('Clients')} === 'websocket 2'")
    wait(browser, "document.querySelectorAll('#channels tr').length === 4")
    wait_rows(browser, "channels", "Subscribers", ["2"] * 3)
    assert [(row["Database"], row["State"]) for row in table(browser, "databases")] == [(database.name, "being read")]
    assert {row["Address"] for row in table(browser, "clients")} == {"not known"}, "their proxy does not tell it"
    assert browser.order("axe") == []
    # One of them reads, the other does not.
    for number in range(40):
        database.sendone("orders", payload="x" * 50_000)
        clients[1].receive_frame()
    wait(browser, f"{figure('Deliveries')} !== '0.0/s' && {figure('Latency, median')} !== '–'")
    wait(browser, "document.querySelector('#clients tr:nth-child(2) td:nth-child(2)')?.textContent.includes('MiB')")
    # It is looked at once a second, perhaps while something was on its way to the other.
    wait_rows(browser, "clients", "Waiting", [False, True], lambda text: text == "–")
    # Names are text, whatever they hold, and no script but the page's own runs.
    assert any("<img src=x" in row["Channel"] for row in table(browser, "channels"))
    assert browser.evaluate("document.querySelectorAll('img').length") == 0
    for channel, found in (("orders", "2 subscribers"), ("nobody", "0 subscribers"), (HOSTILE, "2 subscribers")):
        browser.evaluate(f"document.getElementById('channel').value = {json.dumps(channel)}")
        browser.order("click", "#find button")
        wait(browser, f"document.getElementById('found').textContent === {json.dumps(found)}")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    if SCREENSHOTS:
        browser.order("screenshot", [str(Path(SCREENSHOTS) / f"status-{name}.png"), True])
    assert browser.errors() == []
    browser.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.attacked = 1'}))")
    browser.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.attacked = 1\">')")
    assert browser.evaluate("fetch('http://127.0.0.1:9/').then(() => 1, (error) => error.name)") == "TypeError"
    assert browser.evaluate("window.attacked === undefined")
    assert any("Content Security Policy" in error for error in browser.errors())
    for client in clients:
        client.socket.close()


def test_it_asks_for_the_token(browser, start, tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    gateway = start(metrics_token_file=file)
    browser.goto(gateway.status_page)
    wait(browser, f"{STATE} === 'a token is required' && document.activeElement.id === 'token'")
    assert browser.evaluate("document.getElementById('all').hidden")
    for token, shown in (("wrong", "This token is not accepted."), (TOKEN, "")):
        browser.evaluate(f"document.getElementById('token').value = {token!r}")
        browser.order("click", "#ask button")
        wait(browser, f"document.getElementById('wrong').textContent === {shown!r}")
    wait(browser, f"{STATE} === 'ready' && document.getElementById('ask').hidden")
    # It is kept in memory only.
    assert browser.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
    assert browser.evaluate(f"!document.documentElement.outerHTML.includes({TOKEN!r}) && !document.getElementById('token').value")
    browser.order("reload")
    wait(browser, f"{STATE} === 'a token is required'")


def test_a_gateway_that_does_not_answer(browser, start):
    gateway = start()
    browser.goto(gateway.status_page)
    wait(browser, f"{STATE} === 'ready'")
    gateway.finish()
    wait(browser, f"{STATE}.startsWith('the gateway does not answer since') && document.getElementById('all').className === 'stale'")
    gateway.start()
    wait(browser, f"{STATE} === 'ready' && document.getElementById('all').className === ''")


async def test_it_says_why_it_is_not_ready(browser, start):
    gateway = start(max_connections=1)
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        await asyncio.to_thread(browser.goto, gateway.status_page)
        await asyncio.to_thread(wait, browser, f"{STATE} === 'not ready: --max-connections is reached'")


def test_clients_are_left_out_where_others_may_not_be_told(browser, start):
    port = reserve_port()
    gateway = start(metrics_listen=f"0.0.0.0:{port}")
    browser.goto(f"http://127.0.0.1:{port}/status")
    wait(browser, f"{STATE} === 'ready' && document.getElementById('clients-note').textContent.includes('--metrics-token-file')")
    assert table(browser, "databases") and gateway.process.poll() is None
