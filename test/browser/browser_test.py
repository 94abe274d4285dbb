"""Headless Chromium behind the shipped nginx configuration: what SQL sends arrives in a page."""
import json
import os
import subprocess
from pathlib import Path

import pytest

from harness.demo_scenario import Orders, export
from harness.gateway import BINARY
from harness.nginx import Nginx
from harness.system import ROOT

HERE = Path(__file__).resolve().parent
PAYLOADS = "received.map((n) => n.message.payload)"


class Browser:
    def __init__(self):
        environment = {**os.environ, "NODE_PATH": str(ROOT / "build" / "browser" / "node_modules")}
        self.process = subprocess.Popen(["node", HERE / "driver.js"], env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def order(self, name, argument=None):
        self.process.stdin.write(json.dumps([name, argument]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "Chromium or its driver ended"
        answer = json.loads(line)
        assert "error" not in answer, f"{name} {argument}: {answer['error']}"
        return answer.get("value")

    def goto(self, url):
        return self.order("goto", url)

    def evaluate(self, expression):
        return self.order("evaluate", expression)

    def wait(self, expression):
        return self.order("wait", expression)

    def wait_payload(self, payload):
        text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
        self.wait(f"{PAYLOADS}.some((p) => JSON.stringify(p) === {json.dumps(text)})")

    def payloads(self):
        return self.evaluate(PAYLOADS)

    def errors(self):
        return self.order("errors")

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0


@pytest.fixture(scope="module")
def browser():
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def nginx(gateway):
    with Nginx(gateway.port, files=[HERE / "site"]) as nginx:
        yield nginx


@pytest.fixture
def page(browser, nginx):
    """A page that is subscribed to the channel `page`."""
    browser.goto(nginx.url("/index.html"))
    browser.evaluate("connect(['page'])")
    browser.wait("socket.readyState === WebSocket.OPEN")
    return browser


def test_a_notification_arrives_after_commit_and_not_before(page, database):
    with database.connect(autocommit=False) as connection:
        connection.execute("SELECT bus_sendone('page', 'my_module.update', '{\"text\": \"é ☃ 𝄞\"}')")
        # Sent later and committed earlier: once it is there, the other one would be there too, had it been sent.
        database.sendone("page", payload="meanwhile")
        page.wait_payload("meanwhile")
        assert page.payloads() == ["meanwhile"]
        connection.commit()
    page.wait_payload({"text": "é ☃ 𝄞"})
    assert page.payloads() == ["meanwhile", {"text": "é ☃ 𝄞"}]
    assert page.errors() == []


def test_what_is_rolled_back_never_arrives(page, database):
    with database.connect(autocommit=False) as connection:
        connection.execute("SELECT bus_sendone('page', 't', '\"kept\"')")
        connection.execute("SAVEPOINT s")
        connection.execute("SELECT bus_sendone('page', 't', '\"rolled back to\"')")
        connection.execute("ROLLBACK TO s")
        connection.commit()
        connection.execute("SELECT bus_sendone('page', 't', '\"rolled back\"')")
        connection.rollback()
    database.sendone("page", payload="end")
    page.wait_payload("end")
    assert page.payloads() == ["kept", "end"]


def test_a_large_payload(page, database):
    text = "é\"\\" * 100_000
    database.sendone("page", payload={"text": text})
    page.wait("received.length === 1")
    assert page.payloads() == [{"text": text}]


def test_a_page_comes_back_and_resumes(page, database, gateway):
    database.sendone("page", payload=1)
    page.wait_payload(1)
    gateway.terminate()
    database.sendone("page", payload=2)
    gateway.start()
    page.wait_payload(2)
    database.sendone("page", payload=3)
    page.wait_payload(3)
    assert set(page.payloads()) == {1, 2, 3}
    assert page.evaluate("closes.length") >= 1


def test_a_page_and_tail_receive_the_same(page, nginx, database):
    with subprocess.Popen([BINARY, "tail", nginx.websocket_url, "page", "--count", "2", "--json"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as tail:
        database.sendone("page", payload="first")
        with database.connect(autocommit=False) as connection:
            connection.execute("SELECT bus_sendone('page', 't', '\"rolled back\"')")
            connection.rollback()
        database.sendone("page", payload="second")
        printed = [json.loads(line) for line in tail.stdout]
    page.wait_payload("second")
    assert [line["message"]["payload"] for line in printed] == page.payloads() == ["first", "second"]
    assert [line["id"] for line in printed] == page.evaluate("received.map((n) => n.id)")


@pytest.mark.parametrize("width, height", [(1280, 800), (390, 844)])
def test_the_page_of_the_demo(browser, gateway, database, width, height):
    class Once:
        """Lets one export run to its end."""

        @staticmethod
        def wait(seconds):
            return seconds == 2

    orders = Orders(database)
    try:
        with Nginx(gateway.port, files=[ROOT / "client"], demo_port=orders.port) as nginx:
            browser.order("viewport", [width, height])
            browser.goto(nginx.url("/demo.html"))
            browser.wait("document.getElementById('state').textContent === 'connected'")
            database.execute("UPDATE demo_order SET state = 'done', amount = 12.5 WHERE id = 2")
            browser.wait("document.querySelector('tr.changed')?.textContent.includes('12.50')")
            export(database, Once, 1)
            browser.wait("document.querySelector('.toast')?.textContent.includes('sales-1.xlsx')")
            assert browser.evaluate("document.getElementById('bar').style.width") == "100%"
            assert browser.evaluate("document.getElementById('feed').children.length") > 20
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            assert browser.errors() == []
    finally:
        orders.stop()
