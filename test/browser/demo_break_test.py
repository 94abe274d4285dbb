"""The demo as somebody runs and breaks it: by the buttons of its page, and by hand from another terminal."""
import itertools
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import psycopg
import pytest

from harness.demo_process import DemoProcess
from harness.system import clean_environment, postgresql_bin, server_user
from harness.wait import until

DESK = [1280, 940]
IS_CONNECTED = "document.getElementById('state').dataset.state === 'connected'"
SECOND = re.compile(r"\d\d:\d\d:\d\d +\d+/s  (median +[\d.]+ ms, 99 % +[\d.]+ ms| {35})  0 missed, 0 doubled(  not connected)?")


@pytest.fixture(scope="module")
def demo():
    with DemoProcess(SPEED="2") as demo:
        yield demo


@pytest.fixture(scope="module")
def page(browser, demo):
    browser.order("viewport", DESK)
    browser.goto(demo.page)
    browser.wait(IS_CONNECTED)
    # The first two audits are not compared with anything.
    browser.wait("account.audits > 2")
    # Every text that these have shown, however shortly.
    browser.evaluate("""globalThis.shown = {};
        for (const id of ['countdown', 'export', 'happened', 'postgresql']) {
            const element = document.getElementById(id);
            shown[id] = [];
            new MutationObserver(() => shown[id].push(element.textContent)).observe(element, {childList: true});
        }""")
    return browser


def picture(page, name, width=DESK[0], height=DESK[1], dark=False, messages=0):
    """`make screenshots` has DEMO_SCREENSHOTS=docs/demo, for pictures of what these tests see."""
    if directory := os.environ.get("DEMO_SCREENSHOTS"):
        page.order("viewport", [width, height])
        page.order("dark", dark)
        page.wait(f"document.getElementById('bar').getAnimations().length === 0 && document.querySelectorAll('#messages li').length >= {messages}")
        page.order("screenshot", [str(Path(directory) / f"{name}.png"), width < 500])
        page.order("viewport", DESK)
        page.order("dark", False)


def assert_complete(page):
    """What was committed until now, by those who have connected again, has arrived."""
    audits = page.evaluate("account.audits")
    page.wait(f"{IS_CONNECTED} && account.audits > {audits + 1}")
    assert page.evaluate("document.querySelector('#verdict strong').textContent") == "0 missed, 0 doubled"
    assert page.evaluate("account.isRight") is True


def wait_for_both(page):
    page.wait("document.getElementById('gateway').className === 'up' && document.getElementById('postgresql').className === 'up'")


def test_what_the_page_proposes_to_type_arrives(page, demo):
    command, sql = (page.evaluate(f"document.getElementById('{name}').textContent") for name in ("psql", "sql"))
    assert command.split() == demo.psql and any(sql in line for line in demo.lines)
    subprocess.run([*command.split(), "-c", sql], check=True, env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    page.wait("document.querySelector('#arrived strong')")
    assert re.fullmatch(r'#\d+ greeting {"text":"from SQL"}', page.evaluate("document.querySelector('#arrived').textContent"))
    demo.wait_for_line(r'#\d+ +greeting +\{"text": "from SQL"\}')
    for name, width, height, dark in [("desk", *DESK, False), ("dark", *DESK, True), ("wide", 1920, 1080, False), ("phone", 390, 844, False),
                                      ("narrow", 320, 640, False)]:
        picture(page, f"{name}-live", width, height, dark, messages=2)


def test_kill_9_of_the_gateway(page, demo):
    gateway, _ = demo.pids()
    since = len(demo.lines)
    page.order("click", "button[data-break=gateway]")
    page.wait("shown.happened.some((text) => text.endsWith('The gateway was killed with -9.')) && shown.countdown.filter(Boolean).length > 5")
    picture(page, "desk-killed")
    demo.wait_for_line(r"The gateway has ended \(SIGKILL\)", since)
    page.wait(IS_CONNECTED)
    # Until the first attempt: it may fail, and the next countdown is a longer one.
    texts = itertools.takewhile(bool, itertools.dropwhile(lambda text: not text, page.evaluate("shown.countdown")))
    seconds = [float(re.search(r"[\d.]+", text)[0]) for text in texts]
    assert seconds == sorted(seconds, reverse=True) and seconds[-1] < seconds[0] <= 2.5, seconds
    assert page.evaluate("document.getElementById('countdown').textContent") == ""
    # It serves before it is told of, and the page asks once a second.
    page.wait("document.getElementById('happened').textContent.includes('The gateway is back')")
    wait_for_both(page)
    assert_complete(page)
    until(lambda: demo.pids()[0] != gateway, lambda: demo.text)


def test_postgresql_is_stopped_for_five_seconds(page, demo):
    page.order("click", "button[data-break=postgresql]")
    page.wait("shown.postgresql.some((text) => /^PostgreSQL is down, back in [1-5] s$/.test(text))")
    assert page.evaluate("document.querySelector('button[data-break=postgresql]').disabled") is True
    picture(page, "desk-stopped")
    assert page.order("axe") == []
    wait_for_both(page)
    assert_complete(page)


def test_a_sender_is_killed_in_its_transaction(page, demo):
    before = page.evaluate("shown.export.length")
    page.order("click", "button[data-break=sender]")
    page.wait(f"shown.export.slice({before}).some((text) => text.includes('was rolled back'))")
    picture(page, "desk-rolled-back")
    job = int(page.evaluate(f"shown.export.slice({before}).join().match(/job (\\d+) was rolled back/)[1]"))
    # The next one commits.
    page.wait(f"shown.export.includes('sales-{job + 1}.csv is ready: committed')")
    assert_complete(page)
    with psycopg.connect(host=demo.psql[2], port=demo.psql[4], user="postgres", dbname="demo") as connection:
        rows = connection.execute("SELECT (message::jsonb->'payload'->>'job')::int FROM bus_bus "
                                  "WHERE message::jsonb->>'type' = 'export_job/committed'").fetchall()
    assert (job,) not in rows and (job + 1,) in rows


def test_both_are_ended_by_hand(page, demo):
    gateway, postmaster = demo.pids()
    # It succeeds: nobody starts the server while pg_ctl waits for its end.
    subprocess.run([postgresql_bin() / "pg_ctl", "-D", demo.data, "-s", "-w", "stop"], check=True, env=clean_environment(),
                   cwd="/", stdin=subprocess.DEVNULL, **server_user())
    os.kill(gateway, signal.SIGKILL)
    until(lambda: gateway not in demo.pids() and postmaster not in demo.pids(), lambda: demo.text)
    wait_for_both(page)
    assert_complete(page)


def post(demo, path, method="POST", **headers):
    request = urllib.request.Request(demo.page.replace("/demo.html", path), method=method,
                                     headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_only_the_page_itself_may_break_anything(demo):
    origin = demo.page.removesuffix("/demo.html")
    port = origin.rpartition(":")[2]
    before = demo.pids()
    path = "/demo/break/gateway"
    assert post(demo, path) == 403
    for foreign in ("http://example.com", "http://127.0.0.1", f"https://127.0.0.1:{port}", f"http://[::ffff:{port}", "null"):
        assert post(demo, path, Origin=foreign) == 403
    # A name that was made to resolve to this machine.
    assert post(demo, path, Origin=f"http://example.com:{port}", Host=f"example.com:{port}") == 403
    assert post(demo, path, Origin=f"http://localhost:{port}") == 403
    assert post(demo, path, Origin=origin, X_Forwarded_For="192.0.2.1") == 403
    assert post(demo, path, "GET", Origin=origin) == 404
    assert post(demo, path, "PUT", Origin=origin) == 501
    for other in ("1", f"{before[0]}", "../gateway", "gateway/1", ""):
        assert post(demo, f"/demo/break/{other}", Origin=origin) == 404
    assert demo.pids() == before and os.kill(before[0], 0) is None
    # What the page itself may do.
    since = len(demo.lines)
    assert post(demo, path, Origin=origin) == 200
    demo.wait_for_line(r"The gateway has ended \(SIGKILL\)", since)
    until(lambda: demo.pids()[0] != before[0], lambda: demo.text)  # what ends next begins whole


def test_the_end(page, demo):
    demo.wait_for_line(SECOND.pattern, len(demo.lines))
    assert demo.end() == 0, demo.text
    page.wait("document.getElementById('happened').textContent === 'The demo has ended.'")
    assert "Traceback" not in demo.text
    assert re.search(r"^\d+ notifications of \d+ types through nginx, 0 missed, 0 doubled", demo.lines[-1])
    # A line a second, and none for each notification.
    seconds = [line for line in demo.lines if "/s " in line]
    assert len(seconds) > 1 and all(SECOND.fullmatch(line) for line in seconds)
    assert not any("record_updated" in line for line in demo.lines)


def test_what_does_not_come_back_is_told_by_the_exit_code():
    with DemoProcess(VERBOSE="1") as demo:
        demo.wait_for_line(r"\d\d:\d\d:\d\d\.\d{3} #\d+ +[\d.]+ ms \S+ +\{")
        Path(demo.data, "postgresql.conf").write_text("this is no setting\n")
        os.kill(demo.pids()[1], signal.SIGINT)
        assert demo.wait() == 1, demo.text
        assert "the demo failed: pg_ctl failed" in demo.text and "syntax error in file" in demo.text
        assert "Traceback" not in demo.text
