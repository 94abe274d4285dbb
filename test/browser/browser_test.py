"""Headless Chromium behind the shipped nginx configuration: what SQL sends arrives in a page."""
import json
import subprocess

import pytest

from chromium import HERE
from harness.gateway import BINARY
from harness.nginx import Nginx


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
