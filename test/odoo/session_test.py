"""What a long-lived connection needs of a real Odoo: revocation, rotation, presence, restarts, a mixed fleet.

The connections are those of test/harness/client.py where what the page shows adds nothing; what must not happen to a
user (being logged out) is looked at in Chromium.
"""
import asyncio
import contextlib
import json
import os
import socket
import time

import pytest
from harness.client import BusClient
from harness.deadline import DEADLINE
from harness.gateway import Gateway
from harness.wait import until

from site_nginx import SiteNginx
from sites import RealSite
from web_client import WebClient

pytestmark = pytest.mark.skipif(not os.environ.get("ODOO_HOME"), reason="ODOO_HOME names no Odoo")
RECHECK_INTERVAL = 2
TALKS = 8  # at a time
TAKE_OVERS = 20  # what only their moment can lose is lost once in many


@pytest.fixture(scope="module")
def site(odoo_server):
    return RealSite(odoo_server)


@pytest.fixture(scope="module")
def gateway(odoo_server):
    odoo_server.cluster.execute("CREATE EXTENSION IF NOT EXISTS odoo_bus", dbname=odoo_server.name)
    gateway = Gateway(odoo_server.cluster.conninfo(odoo_server.name), auth="odoo", odoo_url=odoo_server.url,
                      trusted_proxy="127.0.0.1", recheck_interval=RECHECK_INTERVAL, drain_seconds=0).start()
    yield gateway
    gateway.finish()


@pytest.fixture(scope="module")
def nginx(odoo_server, gateway):
    with SiteNginx(odoo_server, gateway.port) as nginx:
        yield nginx


@pytest.fixture(scope="module")
def gevent_nginx(odoo_server):
    """Another server of the fleet, which still has Odoo's own bus server."""
    with SiteNginx(odoo_server, odoo_server.gevent_port) as nginx:
        yield nginx


@pytest.fixture(autouse=True)
def localhost(monkeypatch):
    """Browsers know that every name below localhost is this machine."""
    ask = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *arguments, **options: ask(
        "127.0.0.1" if str(host).endswith(".localhost") else host, *arguments, **options))


def connect(nginx, sid=None, channels=(), **options):
    """A page's connection, through nginx."""
    headers = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}
    if sid:
        headers["Cookie"] = f"session_id={sid}"
    query = options.pop("query", "")
    return BusClient(f"ws://{nginx.odoo.host}:{nginx.port}/websocket{query}", channels, headers=headers,
                     origin=f"http://{nginx.odoo.host}:{nginx.port}", reconnect=False, **options)


def toast(site, user, text):
    site.sql("SELECT bus_sendone('res.partner', %s, 'simple_notification', jsonb_build_object('message', %s::text))",
             user.partner_id, text)


async def granted(site, client, user):
    """Until the connection gets what is for the user alone."""
    await client.subscribed()
    toast(site, user, "are you there?")
    await client.wait_payload({"message": "are you there?"})


def current_version(site):
    """As pages of this Odoo name it; its own server closes connections of others."""
    page = site.get("/web/login").body.decode()
    return "?version=" + page.partition('worker_version": "')[2].partition('"')[0]


# --- an end of a session ends its connections ---

async def test_logout_in_another_tab_closes(site, nginx):
    user = site.add_user()
    sid = site.login(user)
    async with connect(nginx, sid) as client:
        await granted(site, client, user)
        await asyncio.to_thread(site.logout, sid)
        begin = time.monotonic()
        code, _ = await client.wait_closed()
        assert code == 4001
        print(f"closed {time.monotonic() - begin:.2f} s after the logout")


async def test_a_toast_long_after_a_logout_in_another_tab_does_not_arrive(site, nginx):
    """In between nothing was sent, so that nobody had a reason to ask Odoo."""
    user = site.add_user()
    sid, elsewhere = site.login(user), site.login(user)
    async with connect(nginx, sid, ["a"]) as client, connect(nginx, elsewhere, ["a"]) as stays:
        for each in (client, stays):
            await each.subscribed()
        site.sql("SELECT bus_sendone('a', 't', '1')")
        for each in (client, stays):
            await each.wait_payload(1)
        await asyncio.sleep(3 * RECHECK_INTERVAL)  # the check of those who have received something
        await asyncio.to_thread(site.logout, sid)
        await asyncio.sleep(25)
        assert client.closes == []
        received = list(client.payloads)  # Odoo itself tells new users something
        toast(site, user, "not for whoever sits there now")
        assert (await client.wait_closed())[0] == 4001
        await stays.wait_payload({"message": "not for whoever sits there now"})
        assert client.payloads == received and stays.closes == []


@pytest.mark.parametrize("revoke", ["change_password", "archive"])
async def test_a_user_whose_row_changed_is_closed_within_seconds(site, nginx, revoke):
    user, other = site.add_user(), site.add_user()
    sid, others = site.login(user), site.login(other)
    async with connect(nginx, sid) as client, connect(nginx, others) as neighbour:
        await granted(site, client, user)
        await granted(site, neighbour, other)
        await asyncio.to_thread(getattr(site, revoke), user)
        begin = time.monotonic()
        code, _ = await client.wait_closed()
        assert code == 4001
        print(f"closed {time.monotonic() - begin:.2f} s after {revoke}")
        toast(site, user, "no longer")
        toast(site, other, "goes on")
        await neighbour.wait_payload({"message": "goes on"})
        assert {"message": "no longer"} not in client.payloads
        assert neighbour.closes == []


async def test_a_session_that_has_gone_connects_as_the_public(site, nginx):
    user = site.add_user()
    sid = site.login(user)
    site.expire(sid)
    async with connect(nginx, sid) as client:
        await client.subscribed()
        toast(site, user, "not for the public")
        site.sql("SELECT bus_sendone('broadcast', 't', '1')")
        await client.wait_payload(1)
        assert {"message": "not for the public"} not in client.payloads


# --- rotation ---

def test_an_old_session_is_not_logged_out(site, nginx, browsers, gateway):
    """The gateway's calls make 19.0 change the session id, which must reach the browser before the old one ends."""
    user = site.add_user("rosa")
    page = WebClient(browsers.page("rosa"), nginx, site).log_in(user).open_discuss()
    former = page.page.cookie("session_id")
    if float(site.version) < 18:
        pytest.skip("sessions of 17.0 do not rotate")
    site.age(former, 4 * 3600)
    # A re-check of a session that received something.
    toast(site, user, "look at me")
    page.see_toast("look at me")
    deadline = time.monotonic() + 2 * DEADLINE
    while "next_sid" not in json.loads(site.server.session_file(former).read_text()):
        assert time.monotonic() < deadline, "the session was never asked about"
        toast(site, user, "again")
        time.sleep(0.5)
    while page.page.cookie("session_id") == former:
        assert time.monotonic() < deadline, "the browser was never given the new id"
        time.sleep(0.2)
    site.pass_deletion_timer(former)
    page.page.reload()
    page.page.see(".o-mail-DiscussSidebar")
    toast(site, user, "still here")
    page.see_toast("still here")
    assert "/login" not in page.page.url
    page.page.forget()


# --- presence ---

def test_presence_online_away_offline(site, nginx, browsers):
    user = site.add_user("paul")
    page = WebClient(browsers.page("paul"), nginx, site).log_in(user).open_discuss()
    site.wait_status(user, "online")
    # The page, whose user is there in truth, says so when it connects, and at once when it hears that he is away.
    until(lambda: page.send_presence(31 * 60 * 1000) or site.was_told(user, "away"), lambda: "nobody heard that he is away",
          interval=1)
    page.send_presence(0)
    site.wait_status(user, "online")
    page.page.reload()
    page.page.see(".o-mail-DiscussSidebar")
    page.page.forget()
    if float(site.version) < 19:
        site.wait_status(user, "offline", timeout=90)
    # Where on_closed could change the id of an old session, which nobody would tell the browser, it is not called.


# --- Odoo itself ---

def test_odoo_restarts(site, nginx, browsers, odoo_server):
    one, two = site.add_user("olga"), site.add_user("otto")
    room = site.add_channel(one, two)
    olga = WebClient(browsers.page("olga"), nginx, site).log_in(one).open_discuss(room)
    otto = WebClient(browsers.page("otto"), nginx, site).log_in(two).open_discuss(room)
    olga.write("before")
    otto.see_message("before")
    odoo_server.stop()
    toast(site, two, "Odoo is down")
    otto.see_toast("Odoo is down")
    odoo_server.start()
    olga.write("after")
    otto.see_message("after")
    otto.write("indeed")
    olga.see_message("indeed")
    olga.page.forget()
    otto.page.forget()


async def test_a_tab_older_than_an_upgrade_is_told_and_a_current_one_is_not(site, nginx):
    user = site.add_user()
    sid = site.login(user)
    async with connect(nginx, sid, query=current_version(site)) as client, \
            connect(nginx, sid, query="?version=16.0-1") as old:
        await granted(site, client, user)
        assert await old.wait_closed() == (1000, "OUTDATED_VERSION")
        assert client.closes == []


# --- a mixed fleet ---

def test_gevent_and_gateway_side_by_side(site, nginx, gevent_nginx, browsers):
    new, old = site.add_user("nina"), site.add_user("emil")
    room = site.add_channel(new, old)
    nina = WebClient(browsers.page("nina"), nginx, site).log_in(new).open_discuss(room)
    emil = WebClient(browsers.page("emil"), gevent_nginx, site).log_in(old).open_discuss(room)
    nina.write("from the gateway's side")
    emil.see_message("from the gateway's side")
    emil.write("from gevent's side")
    nina.see_message("from gevent's side")
    toast(site, old, "SQL to gevent")
    emil.see_toast("SQL to gevent")
    toast(site, new, "SQL to the gateway")
    nina.see_toast("SQL to the gateway")
    assert emil.page.count('.o_notification:has-text("SQL to gevent")') == 1
    nina.page.forget()
    emil.page.forget()


async def test_gevent_misses_nothing_while_another_process_takes_over(site, gateway, gevent_nginx):
    """In each channel the next notification waits for the one before, so that none can bring another along."""
    if os.environ.get("ODOO_NOTIFY_FUNCTION") != "bus_notify":  # where the extension is preloaded, it passes on by itself
        await asyncio.to_thread(gateway.wait_for_line, "passing on what is notified")
    over = asyncio.Event()
    sent = {f"channel {number}": [] for number in range(TALKS)}

    async def talk(client, channel):
        while not over.is_set():
            sent[channel].append(len(sent[channel]))
            await asyncio.to_thread(site.sql, "SELECT bus_sendone(%s, 'talk', %s)", channel, str(sent[channel][-1]))
            await client.wait_payload(sent[channel][-1])

    async with contextlib.AsyncExitStack() as stack, asyncio.TaskGroup() as talks:
        clients = {}
        for channel in sent:
            clients[channel] = await stack.enter_async_context(
                connect(gevent_nginx, channels=[channel], query=current_version(site)))
            await clients[channel].subscribed()
            talks.create_task(talk(clients[channel], channel))
        try:
            for _ in range(TAKE_OVERS):
                mark = len(gateway.lines)
                former = await asyncio.to_thread(gateway.take_over)
                assert await asyncio.to_thread(former.wait, DEADLINE) == 0
                await asyncio.to_thread(gateway.wait_for_line, "the former process has ended", since=mark)
        finally:
            over.set()
    # Everyone is also told of what Odoo, and the tests before, have sent to all.
    assert {channel: [n["message"]["payload"] for n in client.notifications if n["message"]["type"] == "talk"]
            for channel, client in clients.items()} == sent
