"""Sessions under --auth odoo: ended, renewed, checked again; presence; and what is passed on to Odoo."""
import asyncio
import json
import time
import urllib.error
import urllib.request

import pytest

from harness.adapted import adapted
from harness.client import RawClient
from harness.database import stored_channel
from harness.doorbell import Listener
from harness.deadline import DEADLINE
from harness.http_clients import TRANSPORTS
from harness.nginx import Nginx
from harness.system import ROOT
from standin import Standin, faults

from metrics_test import metrics  # noqa: F401
from odoo_auth_test import RENEWING_ODOO, asked, client, send

HOUR = 3600


async def reached(odoo, condition, what):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        await asyncio.sleep(0.05)


class UsersWatched:
    """Made before the gateway is started: knows from PostgreSQL's log when the gateway has looked at the users."""

    def __init__(self, database):
        database.execute(f"ALTER DATABASE \"{database.name}\" SET log_statement = 'all'")
        self.cluster = database.cluster
        self.mark = len(self.cluster.log_text())

    async def once(self, odoo):
        """The second look is logged when the first has ended."""
        await reached(odoo, lambda: self.cluster.log_text()[self.mark:].count("ORDER BY write_date DESC") >= 2,
                      "the gateway looks at the users")


# --- ended ---

@pytest.mark.tsan
async def test_a_logout_ends_all_connections_of_the_session_at_the_next_check(odoo, mydb, start, database):
    gateway = start(recheck_interval=0.5, recheck_rate=100)
    user = mydb.add_user("anna")
    session, other = odoo.login(user), odoo.login(user)
    async with client(gateway, session, ["a"], reconnect=False) as one, \
            client(gateway, session, ["b"], reconnect=False) as two, client(gateway, other, ["a"]) as stays:
        await asked(odoo, 3, status=200)
        odoo.logout(session)
        send(database, "broadcast", payload="one more may slip out")
        assert await one.wait_closed() == (4001, "SESSION_EXPIRED")
        assert await two.wait_closed() == (4001, "SESSION_EXPIRED")
        send(database, "broadcast", payload="after")
        await stays.wait_payload("after")
        assert "after" not in one.payloads + two.payloads and stays.closes == []


async def test_a_session_that_receives_nothing_is_not_asked_about(odoo, mydb, start, database):
    gateway = start(recheck_interval=0.2, recheck_rate=100)
    async with client(gateway, odoo.login(mydb.add_user("anna")), ["a"]) as quiet, \
            client(gateway, odoo.login(mydb.add_user("bert")), ["b"]) as busy:
        await asked(odoo, 2, status=200)
        for n in range(8):
            send(database, "b", payload=n)
            await busy.wait_payload(n)
            await asyncio.sleep(0.3)  # time itself passes: several intervals
        assert odoo.log.count("peek", login="bert") >= 3
        assert odoo.log.count("peek", login="anna") == 1
        assert quiet.closes == []


async def test_who_was_let_in_by_the_cache_is_checked_first(odoo, mydb, start, database, metrics):  # noqa: F811
    gateway = start(recheck_interval=1000, **metrics.options)
    session = odoo.login(mydb.add_user("anna"))
    async with client(gateway, session, ["a"]) as anna:
        await asked(odoo, 1, status=200)
        await anna.settle()
        anna.drop()
    # While she is there, the session counts as checked.
    metrics.wait_for('odoo_bus_connections{transport="websocket"}', 0)
    odoo.logout(session)
    async with client(gateway, session, ["a"], reconnect=False) as anna:
        await anna.subscribed()
        send(database, "broadcast", payload="one more may slip out")
        assert (await anna.wait_closed())[0] == 4001
    assert odoo.log.count("peek") == 2


async def test_a_channel_that_odoo_takes_back_is_not_delivered_any_more(odoo, mydb, start, database):
    gateway = start(recheck_interval=0.3, recheck_rate=100)
    user = mydb.add_user("anna")
    channel = mydb.add_channel(user)
    async with client(gateway, odoo.login(user)) as anna:
        await asked(odoo, 1, status=200)
        await anna.settle()
        send(database, "discuss.channel", channel.id, payload="a member")
        await anna.wait_payload("a member")
        channel.members.clear()
        checked = odoo.log.count("peek")
        send(database, "broadcast", payload="something")
        await asked(odoo, checked + 1)
        await anna.settle()
        send(database, "discuss.channel", channel.id, payload="no member")
        send(database, "broadcast", payload="end")
        await anna.wait_payload("end")
        assert "no member" not in anna.payloads and anna.closes == []


async def test_a_changed_user_is_checked_within_seconds(odoo, mydb, start, database):
    database.execute("ALTER TABLE res_users ADD partner_id int, ADD write_date timestamp")
    user, other = mydb.add_user("anna"), mydb.add_user("bert")
    for each in (user, other):
        database.execute("INSERT INTO res_users (login, partner_id, write_date) VALUES (%s, %s, now() - interval '1 day')",
                         (each.login, each.partner_id))
    watched = UsersWatched(database)
    gateway = start(recheck_interval=1000)
    async with client(gateway, odoo.login(user), reconnect=False) as anna, client(gateway, odoo.login(other)) as bert:
        await asked(odoo, 2, status=200)
        await watched.once(odoo)
        user.password = "another"
        begin = time.monotonic()
        database.execute("UPDATE res_users SET write_date = now() AT TIME ZONE 'UTC' WHERE login = 'anna'")
        assert (await anna.wait_closed())[0] == 4001
        print("closed after", time.monotonic() - begin)
        assert odoo.log.count("peek", login="bert") == 1 and bert.closes == []


async def test_while_odoo_cannot_be_asked_clients_go_on_for_max_unverified(odoo, mydb, start, database):
    gateway = start(recheck_interval=0.2, recheck_rate=100, max_unverified=3, odoo_timeout=0.5)
    async with client(gateway, odoo.login(mydb.add_user("anna")), reconnect=False) as anna:
        await asked(odoo, 1, status=200)
        odoo.refuse_connections()
        begin = time.monotonic()
        send(database, "broadcast", payload="goes on")
        await anna.wait_payload("goes on")
        assert (await anna.wait_closed())[0] == 1013
        assert time.monotonic() - begin >= 3
        odoo.listen()


async def test_a_logout_is_seen_by_its_session_file(database, make_gateway, tmp_path):
    with Standin(data_dir=tmp_path) as odoo:
        mydb = odoo.add_database(database.name)
        user = mydb.add_user("anna")
        early, other = odoo.login(user), odoo.login(user)
        gateway = make_gateway(database, auth="odoo", odoo_url=odoo.url, recheck_interval=1000,
                               odoo_data_dir=tmp_path).start()
        await asyncio.to_thread(gateway.wait_for_line, "watching session files")
        late = odoo.login(user)  # its directory may be new
        async with client(gateway, early, ["a"], reconnect=False) as one, \
                client(gateway, late, ["a"], reconnect=False) as two, client(gateway, other, ["a"]) as stays:
            await asked(odoo, 3, status=200)
            for page, session in ((one, early), (two, late)):
                begin = time.monotonic()
                odoo.logout(session)
                assert (await page.wait_closed())[0] == 4001
                print("closed after", time.monotonic() - begin)
            send(database, "broadcast", payload="after")
            await stays.wait_payload("after")
            assert stays.closes == [] and odoo.log.count("peek", session=other) == 1


# --- renewed ---

@pytest.mark.tsan
@RENEWING_ODOO
async def test_a_session_that_odoo_renews_is_handed_to_the_browser(odoo, mydb, start, database):
    gateway = start()
    session = odoo.login(mydb.add_user("anna"), age=4 * HOUR)
    async with client(gateway, session, ["a"]) as anna:
        await anna.until(lambda: "session_id" in anna.cookies, "the new cookie comes")
        assert anna.closes[0][0] == 4002
        new = anna.cookies["session_id"]
        assert new != session.sid and new[:42] == session.sid[:42]
        await asked(odoo, 1, login="anna", set_sid="")
        odoo.clock.advance(hours=1)  # the old one has ended
        await anna.subscribe(["a", "b"])
        await asked(odoo, 1, sid=new, error="")
        send(database, "b", payload="still logged in")
        await anna.wait_payload("still logged in")


@RENEWING_ODOO
async def test_a_check_that_renews_a_session_logs_nobody_out(odoo, mydb, start, database):
    gateway = start(recheck_interval=0.3, recheck_rate=100)
    user = mydb.add_user("anna")
    session = odoo.login(user)
    async with client(gateway, session, ["a"]) as anna:
        await asked(odoo, 1, status=200)
        odoo.age(session, 4 * HOUR)
        send(database, "broadcast", payload="something")
        assert (await anna.wait_closed())[0] == 4002
        await anna.until(lambda: anna.cookies.get("session_id", session.sid) != session.sid, "the new cookie comes")
        odoo.clock.advance(hours=1)
        send(database, "res.partner", user.partner_id, payload="still anna")
        await anna.wait_payload("still anna")


@pytest.mark.parametrize("headers", [{"Origin": "http://127.0.0.1"}, {"Sec-Fetch-Site": "same-origin"}],
                         ids=["origin", "same origin"])
@pytest.mark.parametrize("transport", ["events", "poll"])
@RENEWING_ODOO
async def test_a_renewed_session_is_handed_to_pages_without_a_websocket(odoo, mydb, start, database, transport, headers):
    gateway = start(heartbeat=0.5)
    user = mydb.add_user("anna")
    session = odoo.login(user, age=4 * HOUR)
    async with TRANSPORTS[transport](gateway.url, ["a"], headers={"Cookie": session.cookie} | headers) as anna:
        await anna.until(lambda: "session_id" in anna.cookies, "the new cookie comes")
        assert anna.cookies["session_id"] != session.sid and anna.cookies["session_id"][:42] == session.sid[:42]
        odoo.clock.advance(hours=1)  # the old one has ended
        send(database, "res.partner", user.partner_id, payload="still anna")
        await anna.wait_payload("still anna")
    # Who shows the old one from elsewhere is given nothing.
    session = odoo.login(user, age=4 * HOUR)
    foreign = {"Origin": "http://elsewhere.example"} if "Origin" in headers else {"Sec-Fetch-Site": "cross-site"}
    async with TRANSPORTS[transport](gateway.url, ["a"], headers={"Cookie": session.cookie} | headers) as anna, \
            TRANSPORTS[transport](gateway.url, ["a"], headers={"Cookie": session.cookie} | foreign) as page:
        await anna.until(lambda: "session_id" in anna.cookies, "the new cookie comes")
        page.drop()
        await page.subscribed()
        assert "session_id" not in page.cookies


@RENEWING_ODOO
async def test_a_page_of_another_host_is_given_no_session(odoo, mydb, start):
    gateway = start(allowed_origin="https://www.example.com")
    session = odoo.login(mydb.add_user("anna"), age=4 * HOUR)
    async with client(gateway, session, ["a"], origin="https://www.example.com") as page:
        assert (await page.wait_closed())[0] == 4002
        await page.until(lambda: page.connections == 2, "it comes back")
        assert "session_id" not in page.cookies


async def test_the_public_session_of_a_dead_cookie_is_passed_on_to_nobody(odoo, mydb, start, database):
    gateway = start()
    session = odoo.login(mydb.add_user("anna"))
    odoo.logout(session)
    async with client(gateway, session, ["a"]) as anna:
        await asked(odoo, 1, status=200)
        await anna.settle()
        send(database, "broadcast", payload="public")
        await anna.wait_payload("public")
        assert "session_id" not in anna.cookies and anna.closes == []


# --- presence ---

@pytest.mark.parametrize("odoo", ["17.0", "19.0"], indirect=True)
async def test_presence_goes_to_odoo_with_both_keys(odoo, mydb, start):
    gateway = start()
    user = mydb.add_user("anna")
    async with client(gateway, odoo.login(user), ["a"]) as anna:
        await anna.subscribed()
        await anna.send("update_presence", {"inactivity_period": 4000, "im_status_ids_by_model": {"res.partner": [3]}})
        await asked(odoo, 1, "presence")
        request, = odoo.log.requests("presence")
        assert request.params == {"inactivity_period": 4000, "im_status_ids_by_model": {"res.partner": [3]}}
        assert mydb.presence["user", user.id] == "online"
        await anna.send("update_presence", {"inactivity_period": 3600 * 1000})
        await asked(odoo, 2, "presence")
        assert mydb.presence["user", user.id] == "away"
        for wrong in (-1, 2**31 + 1, 2**60, "x"):
            await anna.send("update_presence", {"inactivity_period": wrong})
        await anna.settle()
        assert odoo.log.count("presence") == 2 and anna.closes == []


async def test_presence_waits_for_the_first_grant(odoo, mydb, start):
    gateway = start()
    async with client(gateway, odoo.login(mydb.add_user("anna")), ["a"], reconnect=False) as anna:
        await anna.until(lambda: anna.socket is not None and anna.socket.open, "it opens")
        await anna.send("update_presence", {"inactivity_period": 0})
        await asked(odoo, 1, "presence")
        assert [r.route for r in odoo.log] == ["peek", "presence"] and anna.closes == []
        assert odoo.log.requests("presence")[0].error == ""


async def test_a_presence_of_an_ended_session_ends_it(odoo, mydb, start):
    gateway = start(recheck_interval=1000)
    session = odoo.login(mydb.add_user("anna"))
    async with client(gateway, session, ["a"], reconnect=False) as anna, \
            client(gateway, session, ["b"], reconnect=False) as second:
        await asked(odoo, 2, status=200)
        odoo.logout(session)
        await anna.send("update_presence", {"inactivity_period": 0})
        assert await anna.wait_closed() == await second.wait_closed() == (4001, "SESSION_EXPIRED")


async def test_the_public_has_no_presence_but_guests_have(odoo, mydb, start):
    gateway = start()
    guest = mydb.add_guest()
    async with client(gateway, channels=["a"]) as visitor, client(gateway, cookie=guest.cookie) as chatting:
        await asked(odoo, 2, status=200)
        for each in (visitor, chatting):
            await each.send("update_presence", {"inactivity_period": 0})
        await asked(odoo, 1, "presence")
        await visitor.settle()
        assert odoo.log.count("presence") == 1 and mydb.presence["guest", guest.id] == "online"


@pytest.mark.parametrize("odoo", ["17.0"], indirect=True)
async def test_who_has_really_gone_is_offline(odoo, mydb, start):
    gateway = start()
    user, leaving = mydb.add_user("anna"), mydb.add_user("bert")
    gateway.url_of_17 = gateway.url + "?version=17.0-1"
    def page(session):
        one = client(gateway, session, ["a"])
        one.url = gateway.url_of_17
        return one
    session = odoo.login(user)
    async with page(session):
        await asked(odoo, 1, status=200)
        async with page(odoo.login(leaving)) as bert:
            await asked(odoo, 2, status=200)
            await bert.settle()
    async with page(session) as anna:  # a page that is loaded anew
        await asked(odoo, 1, "closed")
        await anna.settle()
        assert [r.login for r in odoo.log.requests("closed")] == ["bert"]
        assert mydb.presence == {("user", leaving.id): "offline"}
    gateway.terminate()
    assert odoo.log.count("closed") == 1  # a gateway that stops is nobody's leaving


@pytest.mark.parametrize("odoo", ["17.0"], indirect=True)
async def test_who_has_gone_before_the_answer_is_offline(odoo, mydb, start):
    gateway = start()
    user = mydb.add_user("anna")
    odoo.break_with(faults.late(1), ["peek"])
    one = client(gateway, odoo.login(user), ["a"])
    one.url += "?version=17.0-1"
    async with one:
        await asyncio.to_thread(odoo.wait_for, lambda log: log.count("peek") == 1)
    await asked(odoo, 1, "closed")
    assert mydb.presence == {("user", user.id): "offline"}


async def test_where_a_call_could_renew_a_session_nobody_is_told_to_be_gone(odoo, mydb, start):
    gateway = start()
    one = client(gateway, odoo.login(mydb.add_user("anna")), ["a"])
    one.url += "?version=19.0-2"
    async with one:
        await asked(odoo, 1, status=200)
    await asyncio.sleep(6)  # longer than the time of grace: nothing comes that could be awaited
    assert odoo.log.count("closed") == 0


# --- what is passed on ---

def get(gateway, path, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{gateway.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def test_what_is_odoos_is_passed_on(odoo, mydb, start, database):
    gateway = start()
    status, headers, body = get(gateway, "/bus/websocket_worker_bundle?v=19.0-2", Cookie="a=b")
    assert status == 200 and b"websocket_worker_assets" in body
    assert headers["Content-Type"].startswith("application/javascript")
    request, = odoo.log.requests("bundle")
    assert request.target == "/bus/websocket_worker_bundle?v=19.0-2" and request.header("cookie") == "a=b"
    assert request.header("connection") == "close"
    session = odoo.login(mydb.add_user("anna"), marked=True)
    data = json.dumps({"jsonrpc": "2.0", "method": "call", "params": {"inactivity_period": 1, "im_status_ids_by_model": {}}, "id": 7}).encode()
    post = urllib.request.Request(f"http://127.0.0.1:{gateway.port}/websocket/update_bus_presence", data,
                                  {"Content-Type": "application/json", "Cookie": session.cookie})
    with urllib.request.urlopen(post, timeout=DEADLINE) as answer:
        assert json.load(answer) == {"jsonrpc": "2.0", "id": 7, "result": {}}
    assert get(gateway, "/bus/nothing")[0] == 404
    assert get(gateway, "/web/login")[0] == 404 and odoo.log.count("login") == 0


@pytest.mark.parametrize("path", [
    "/websocket/../web/login", "/bus/..%2fweb/login", "/bus/%2e%2e/web", "/bus/%2E./web", "/bus//web", "/bus/./x",
    "/bus/..", "/bus/a\\b", "/bus/%5cweb", "/bus/x;y", "/bus/%00"])
def test_no_path_leads_elsewhere(odoo, mydb, start, path, request):
    gateway = start()
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        assert raw.request(path=path, headers={"Host": "a"}).response()[0] == 400
    assert len(odoo.log) == 0


def test_nothing_is_smuggled_to_odoo(odoo, mydb, start):
    gateway = start()
    evil = b"GET /bus/evil HTTP/1.1\r\nHost: a\r\n\r\n"
    for headers, body in [
        ({"Content-Length": "0"}, evil), ({"Transfer-Encoding": "chunked"}, b"0\r\n\r\n" + evil),
        ({"Content-Length": "5", "Transfer-Encoding": "chunked"}, b"0\r\n\r\n" + evil),
        ({"Content-Length": "+5"}, evil), ({"Content-Length": "5, 5"}, evil),
        ({"Connection": "keep-alive, X-Forwarded-Host", "Upgrade": "h2c", "Content-Length": "0"}, evil),
        ({"X": "a\nContent-Length: 100"}, evil)]:
        with RawClient(("127.0.0.1", gateway.port)) as raw:
            raw.request("POST", "/bus/x", {"Host": "a"} | headers, body)
            raw.response()
    assert len(odoo.log) > 0  # the first, at least, is a right request
    for one in odoo.log:
        assert one.target == "/bus/x" and one.trailing == b"" and b"evil" not in one.head
        assert {name.lower() for name, _ in one.headers} <= {"host", "connection", "content-length"}


def test_odoo_in_trouble_is_told_as_such(odoo, mydb, start):
    gateway = start()
    for fault in (faults.close(), faults.half(), faults.garbage(), faults.endless_head(), faults.reset()):
        odoo.break_with(fault, times=1)
        assert get(gateway, "/bus/websocket_worker_bundle")[0] == 502
    odoo.break_with(faults.http(200, b"x" * 3_000_000), times=1)
    assert get(gateway, "/bus/websocket_worker_bundle")[2] == b"x" * 3_000_000
    odoo.break_with(faults.http(200, b"x" * 9_000_000), times=1)
    assert get(gateway, "/bus/websocket_worker_bundle")[0] == 502
    asked_before = len(odoo.log)
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        assert raw.request("POST", "/bus/x", {"Host": "a", "Content-Length": str(1 << 21)}).response()[0] == 413
    assert len(odoo.log) == asked_before
    odoo.refuse_connections()
    assert get(gateway, "/bus/websocket_worker_bundle")[0] == 502
    odoo.listen()


class OdooNginx(Nginx):
    """The real nginx with deploy/nginx-odoo.conf."""

    def __init__(self, gateway_port, odoo_port):
        super().__init__(gateway_port)
        self.real_odoo_port = odoo_port

    def site(self):
        return adapted((ROOT / "deploy" / "nginx-odoo.conf").read_text(), {
            "listen 80;": f"listen 127.0.0.1:{self.port};",
            "server 127.0.0.1:8069;": f"server 127.0.0.1:{self.real_odoo_port};",
            "server 127.0.0.1:8073;": f"server 127.0.0.1:{self.gateway_port};",
        })


async def test_odoos_own_nginx_configuration_with_one_line_changed(odoo, mydb, start, database):
    gateway = start()
    user = mydb.add_user("anna")
    session = odoo.login(user, marked=True)
    with OdooNginx(gateway.port, odoo.port) as nginx:
        page = client(gateway, session, ["a"], origin=nginx.url(""))
        page.url = nginx.websocket_url
        async with page as anna:
            await asked(odoo, 1, login="anna")
            send(database, "res.partner", user.partner_id, payload="for anna")
            await anna.wait_payload("for anna")
        request, = odoo.log.requests("peek")
        assert request.host == f"127.0.0.1:{nginx.port}" and request.header("host") == "odoochat"
        with urllib.request.urlopen(nginx.url("/websocket/health"), timeout=DEADLINE) as answer:
            assert json.load(answer) == {"status": "pass"}
        data = json.dumps({"jsonrpc": "2.0", "method": "call", "params": {}, "id": 7}).encode()
        closed = urllib.request.Request(nginx.url("/websocket/on_closed"), data,
                                        {"Content-Type": "application/json", "Cookie": session.cookie})
        urllib.request.urlopen(closed, timeout=DEADLINE).close()
        request, = odoo.log.requests("closed")
        assert request.host == f"127.0.0.1:{nginx.port}" and request.login == "anna"


# --- the version of the page ---

def page_of(gateway, session, version, **options):
    page = client(gateway, session, ["a"], headers={"User-Agent": "Firefox"}, **options)
    page.url += f"?version={version}"
    return page


async def test_a_page_older_than_odoo_is_told_and_a_current_one_never(odoo, mydb, start):
    gateway = start()
    session = odoo.login(mydb.add_user("anna"))
    version = odoo.worker_version
    async with page_of(gateway, session, version) as current:
        await asked(odoo, 1, "login")
        odoo.worker_version += "1"  # Odoo is upgraded; what the gateway knows is out of date
        async with page_of(gateway, session, odoo.worker_version) as new:
            await asked(odoo, 2, "login")
            async with page_of(gateway, session, version) as old:
                assert await old.wait_closed() == (1000, "OUTDATED_VERSION")
            assert new.closes == [] and current.closes == []
    assert all(not request.cookies for request in odoo.log.requests("login"))


async def test_while_the_version_cannot_be_learnt_nobody_is_told(odoo, mydb, start):
    gateway = start()
    odoo.break_with(faults.status(500), ["login"])
    async with page_of(gateway, odoo.login(mydb.add_user("anna")), "1.0") as page:
        await asked(odoo, 1, "login")
        await asked(odoo, 1, "peek", status=200)
        await page.settle()
        assert page.closes == []


async def test_a_version_that_is_configured_needs_no_question(odoo, mydb, start):
    gateway = start(worker_version="19.0-2")
    session = odoo.login(mydb.add_user("anna"))
    async with page_of(gateway, session, "19.0-2") as current, page_of(gateway, session, "1.0") as old:
        assert await old.wait_closed() == (1000, "OUTDATED_VERSION")
        await current.subscribed()
        assert current.closes == []
    gateway = start(worker_version="off")
    async with page_of(gateway, session, "1.0") as old:
        await old.subscribed()
        assert old.closes == []
    assert odoo.log.count("login") == 0


# --- Odoo's own servers beside it ---

def test_what_is_notified_in_an_odoo_database_reaches_the_hub_once(odoo, mydb, start, database, cluster):
    gateways = [start(relay="on") for _ in range(2)]
    assert sum(any("passing on what is notified" in line for line in each.lines) for each in gateways) <= 1
    deadline = time.monotonic() + DEADLINE
    with cluster.connect("postgres", autocommit=True) as hub:
        hub.execute("LISTEN imbus")
        while not any("passing on what is notified" in line for each in gateways for line in each.lines):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        stored = stored_channel(database.name, "a")
        for payload in (f"[{stored}]", "no json", "[]", '[["x",["nested"]]]', "{}", f'[{stored},["{database.name}","b"]]'):
            database.execute("SELECT pg_notify('imbus', %s)", (payload,))
        heard = []
        for notify in hub.notifies():
            heard.append(notify.payload)
            if '"b"' in notify.payload:
                break
        assert [each for each in heard if database.name in each] == [
            f"[{stored}]", f'[{stored},["{database.name}","b"]]']


def test_what_the_hub_cannot_take_takes_nothing_along(make_database, make_gateway, database, cluster):
    hub = make_database(extension=False, encoding="'LATIN1'", template="template0", lc_collate="'C'", lc_ctype="'C'")
    gateway = make_gateway(database, hub_database=hub.conninfo, relay="on").start()
    gateway.wait_for_line("passing on what is notified")
    with Listener(cluster, hub.name) as listener:
        names = ["a", "b", "\N{CYRILLIC SMALL LETTER YA}", "c", "d"]
        database.execute("SELECT pg_notify('imbus', jsonb_build_array(jsonb_build_array(%s::text, name))::text) "
                         "FROM unnest(%s::text[]) WITH ORDINALITY AS names (name, place) ORDER BY place", (database.name, names))
        listener.wait_for(database.name, "d")
        assert listener.channels == [[database.name, name] for name in "abcd"]
