"""--auth odoo: Odoo decides who may see what. Against the stand-in for Odoo's HTTP port."""
import asyncio
import json
import socket

import pytest

from harness.client import HANDSHAKE, BusClient, RawClient
from harness.database import stored_channel
from harness.shared_library import compile_shared_library
from harness.system import ROOT
from standin import faults


# Of those that were measured, this one alone changes the id of an old session when the gateway asks.
RENEWING_ODOO = pytest.mark.parametrize("odoo", ["19.0"], indirect=True)


@pytest.fixture
def gateway(start):
    return start()


def client(gateway, session=None, channels=(), cookie=None, headers=None, **options):
    cookie = session.cookie if session else cookie
    headers = dict(headers or {}) | ({"Cookie": cookie} if cookie else {})
    return BusClient(gateway.url, channels, headers=headers, **options)


def send(database, *channel, payload):
    """To the channel as Odoo stores it, without the extension."""
    database.execute("INSERT INTO bus_bus (channel, message) VALUES (%s, %s)",
                     (stored_channel(database.name, *channel), json.dumps({"type": "t", "payload": payload})))
    database.execute("NOTIFY imbus, '[]'")


async def asked(odoo, count, route="peek", **attributes):
    """Until so many requests were asked and answered."""
    await asyncio.to_thread(odoo.wait_for,
                            lambda log: sum(bool(r.ended) for r in log.requests(route, **attributes)) >= count)


@pytest.mark.tsan
@pytest.mark.parametrize("odoo", ["17.0", "18.0", "19.0", "20.0"], indirect=True)
async def test_a_user_gets_what_odoo_grants_and_nothing_else(odoo, mydb, gateway, database):
    anna, bert = mydb.add_user("anna"), mydb.add_user("bert")
    async with client(gateway, odoo.login(anna), ["mine"]) as a, client(gateway, odoo.login(bert)) as b:
        await asked(odoo, 2, status=200)
        await a.settle()
        send(database, "res.partner", anna.partner_id, payload="for anna")
        send(database, "mine", payload="a string channel")
        send(database, "res.partner", bert.partner_id, payload="for bert")
        send(database, "broadcast", payload="for all")
        await a.wait_payload("for all")
        await b.wait_payload("for all")
        assert a.payloads == ["for anna", "a string channel", "for all"]
        assert b.payloads == ["for bert", "for all"]


async def test_the_first_subscribe_is_marked_and_later_ones_are_asked_anew(odoo, mydb, gateway):
    async with client(gateway, odoo.login(mydb.add_user("anna")), ["a"]) as anna:
        await asked(odoo, 1)
        await anna.subscribe(["a", "b"])
        await asked(odoo, 2)
        await anna.subscribe(["a", "b"])
        await asked(odoo, 3)
        assert [r.params["is_first_poll"] for r in odoo.log.requests("peek")] == [True, False, False]
        assert [r.params["channels"] for r in odoo.log.requests("peek")] == [["a"], ["a", "b"], ["a", "b"]]


@pytest.mark.parametrize("odoo", ["18.0"], indirect=True)
async def test_a_page_that_shows_thousands_of_people(odoo, mydb, gateway, database):
    """18.0 names a presence channel for each of them."""
    names = [f"odoo-presence-res.partner_{number}-{'a' * 64}o0x{number:x}" for number in range(5000)]
    async with client(gateway, odoo.login(mydb.add_user("anna")), names) as page:
        await asked(odoo, 1, status=200)
        await page.settle()
        send(database, "res.partner", 4999, "presence", payload="online")
        await page.wait_payload("online")


async def test_an_identical_list_brings_a_new_membership(odoo, mydb, gateway, database):
    user = mydb.add_user("anna")
    async with client(gateway, odoo.login(user)) as anna:
        await asked(odoo, 1, status=200)
        channel = mydb.add_channel(user)
        await anna.subscribe([])
        await asked(odoo, 2, status=200)
        await anna.settle()
        send(database, "discuss.channel", channel.id, payload="in the new channel")
        await anna.wait_payload("in the new channel")


async def test_a_refused_subscribe_keeps_the_former_grant_and_the_connection(odoo, mydb, gateway, database):
    async with client(gateway, odoo.login(mydb.add_user("anna")), ["a"]) as anna:
        await asked(odoo, 1, status=200)
        mydb.refusal = "odoo.exceptions.AccessDenied"
        await anna.subscribe(["b"])
        await asyncio.to_thread(gateway.wait_for_line, "AccessDenied")
        send(database, "b", payload="not granted")
        send(database, "a", payload="as before")
        await anna.wait_payload("as before")
        assert anna.payloads == ["as before"] and not anna.closes


async def test_only_the_name_of_an_error_is_logged(odoo, mydb, gateway):
    session = odoo.login(mydb.add_user("anna"))
    mydb.refusal = "odoo.exceptions.AccessDenied"
    async with client(gateway, session, ["a-channel-not-to-be-logged"], cookie=session.cookie):
        await asyncio.to_thread(gateway.wait_for_line, "AccessDenied")
    log = "\n".join(gateway.lines)
    for secret in (session.sid, "not-to-be-logged", "Traceback", "SELECT"):
        assert secret not in log


async def test_an_ended_session_is_closed_with_4001(odoo, mydb, gateway):
    session = odoo.login(mydb.add_user("anna"))
    async with client(gateway, session, ["a"], reconnect=False) as anna:
        await asked(odoo, 1, status=200)
        odoo.logout(session)
        await anna.subscribe(["b"])
        assert await anna.wait_closed() == (4001, "SESSION_EXPIRED")


async def test_a_database_that_is_not_read_is_refused(odoo, gateway):
    other = odoo.add_database("another")
    async with client(gateway, odoo.login(other.add_user("anna")), ["a"], delay_scale=1) as anna:
        await anna.until(lambda: len(anna.closes) == 3, "it comes back again and again")
        assert {code for code, _ in anna.closes} == {1013}
    assert "another" in gateway.wait_for_line("does not serve")
    assert sum("does not serve" in line for line in gateway.lines) == 1


async def test_channels_of_another_database_are_dropped(odoo, mydb, gateway, database):
    odoo.break_with(faults.result({"channels": [[database.name, "a"], ["other", "b"], [database.name, ["c"]], "d",
                                                [database.name, 1.5]], "notifications": []}))
    async with client(gateway, odoo.login(mydb.add_user("anna")), ["a"]) as anna:
        await asyncio.to_thread(gateway.wait_for_line, "4 channels of another database or shape")
        send(database, "b", payload="b")
        send(database, "a", payload="a")
        await anna.wait_payload("a")
        assert anna.payloads == ["a"]


# --- what goes to Odoo ---

async def test_only_listed_headers_go_to_odoo(odoo, mydb, gateway):
    session = odoo.login(mydb.add_user("anna"))
    headers = {"User-Agent": "Firefox", "Accept-Language": "de", "X-Forwarded-Host": "shop.example",
               "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9, 192.0.2.7", "X-Real-IP": "192.0.2.7",
               "Authorization": "Bearer secret-token", "X-Odoo-Database": "other", "Referer": "https://x.example"}
    async with client(gateway, headers=headers, cookie=f"{session.cookie}; x=1; session_id=second",
                      origin="https://shop.example"):
        await asked(odoo, 1)
    request, = odoo.log.requests("peek")
    assert {name.lower() for name, _ in request.headers} == {
        "host", "user-agent", "accept-language", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-for",
        "x-real-ip", "cookie", "connection", "content-type", "content-length"}
    assert request.header("cookie") == f"{session.cookie}; x=1"
    assert request.header("x-forwarded-for") == "203.0.113.9, 192.0.2.7"
    assert request.header("connection") == "close"
    assert request.trailing == b""
    log = "\n".join(gateway.lines)
    assert session.sid not in log and "secret-token" not in log


async def test_forwarded_headers_of_a_stranger_are_not_believed(odoo, mydb, start):
    gateway = start(trusted_proxy="none")
    headers = {"X-Forwarded-Host": "shop.example", "X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9"}
    async with client(gateway, odoo.login(mydb.add_user("anna")), headers=headers):
        await asked(odoo, 1)
    request, = odoo.log.requests("peek")
    assert not [name for name, _ in request.headers if name.lower().startswith("x-")]


POISON = ["a\rX-Evil: 1", "a\nX-Evil: 1", "a\r\nX-Evil: 1", "a\r\n\r\nGET /evil HTTP/1.1", "a\0b", "a\x7fb", "\x0bx"]


@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP",
                                  "User-Agent", "Accept-Language", "Cookie"])
def test_no_header_can_split_a_request(odoo, gateway, name):
    for poison in POISON:
        headers = {k: v for k, v in HANDSHAKE.items() if k != name} | {name: poison}
        with RawClient(("127.0.0.1", gateway.port)) as raw:
            raw.request(headers=headers)
            try:
                status, _, _ = raw.response()
            except (ConnectionError, IndexError, ValueError):
                status = 400
            ends_the_head = "\r\n\r\n" in poison  # what follows is no frame: nothing more can be said
            if status == 101 and not ends_the_head:
                asked = len(odoo.log)
                raw.send_event("subscribe", {"channels": [poison], "last": 0})
                odoo.wait_for(lambda log: len(log) > asked)
    for request in odoo.log:
        assert b"X-Evil" not in request.head and request.trailing == b""
        assert request.method == "POST" and request.route == "peek"


SPELLINGS = [
    '["{db}","res.partner",{id}]', '[\\"{db}\\",\\"res.partner\\",{id}]', 'res.partner",{id}', 'res.partner,{id}',
    '"],["{db}","res.partner",{id}', "RES.PARTNER", "res.partner", "res.partner/{id}", "\\u0072es.partner",
    '{db}","res.partner",{id}],["x', '["other","res.partner",{id}]', "res.partner({id},)"]


async def test_no_spelling_names_anothers_channel(odoo, mydb, gateway, database):
    anna, bert = mydb.add_user("anna"), mydb.add_user("bert")
    session = odoo.login(anna)
    for n, spelling in enumerate(SPELLINGS):
        named = spelling.replace("{db}", database.name).replace("{id}", str(bert.partner_id))
        async with client(gateway, session, [named]) as thief:
            await asked(odoo, n + 1, status=200)
            await thief.settle()
            send(database, "res.partner", bert.partner_id, payload="for bert alone")
            send(database, "res.partner", anna.partner_id, payload=n)
            await thief.wait_payload(n)
            assert "for bert alone" not in thief.payloads, spelling


# --- public visitors, guests, origins ---

async def test_visitors_share_one_public_session(odoo, mydb, start, database):
    gateway = start(grant_ttl=0)
    clients = [client(gateway, channels=[f"c{n}"]).start() for n in range(6)]
    await asked(odoo, 6, status=200)
    sids = [r.sid for r in odoo.log.requests("peek")]
    assert sids.count("") == 1 and len(set(sids)) == 2
    assert len(odoo.sessions) == 1
    assert all(r.public and r.params["is_first_poll"] for r in odoo.log.requests("peek"))
    send(database, "broadcast", payload="for all")
    for each in clients:
        await each.wait_payload("for all")
        assert "session_id" not in each.cookies  # the gateway's session is passed on to nobody
        await each.stop()


async def test_a_guest_is_named_by_cookie_and_channel(odoo, mydb, gateway, database):
    guest = mydb.add_guest()
    channel = mydb.add_channel(guest)
    async with client(gateway, cookie=guest.cookie) as visitor:
        await asked(odoo, 1, status=200)
        await visitor.settle()
        send(database, "discuss.channel", channel.id, payload="to the guest")
        await visitor.wait_payload("to the guest")
    request, = odoo.log.requests("peek")
    assert request.params["channels"] == [guest.channel]
    assert request.cookies["dgid"] == guest.token


async def test_malformed_guest_tokens_are_dropped(odoo, mydb, gateway):
    tokens = ["x", "1", "a|b", "1|", "|x", "1|x|y", "1|x y", "9" * 40 + "|x", "1|" + "x" * 200]
    for n, token in enumerate(tokens):
        async with client(gateway, cookie=f"dgid={token}", channels=[f"c{n}"]):
            await asked(odoo, n + 1, status=200)
    for n, request in enumerate(odoo.log.requests("peek")):
        assert request.params["channels"] == [f"c{n}"] and "dgid" not in request.cookies
        assert request.error == ""


@pytest.mark.parametrize("origin", ["null", "https://evil.example", "http://127.0.0.1.evil.example"])
async def test_a_page_of_another_origin_gets_nothing_for_cookies(odoo, mydb, gateway, database, origin):
    user, guest = mydb.add_user("anna"), mydb.add_guest()
    session = odoo.login(user)
    channel = mydb.add_channel(guest)
    async with client(gateway, session, [guest.channel], origin=origin) as page:
        await asked(odoo, 1, status=200)
        await page.settle()
        send(database, "res.partner", user.partner_id, payload="for anna alone")
        send(database, "discuss.channel", channel.id, payload="embedded live chat")
        await page.wait_payload("embedded live chat")
        assert page.payloads == ["embedded live chat"]
    request, = odoo.log.requests("peek")
    assert request.sid == "" and request.public and request.params["channels"] == [guest.channel]


async def test_an_allowed_origin_is_served_as_ones_own(odoo, mydb, start):
    gateway = start(allowed_origin="https://www.example.com")
    async with client(gateway, odoo.login(mydb.add_user("anna")), origin="https://www.example.com"):
        await asked(odoo, 1, login="anna")


async def test_the_forwarded_host_of_odoos_own_nginx_configuration_counts(odoo, mydb, gateway):
    headers = {"Host": "odoochat", "X-Forwarded-Host": "shop.example"}
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        session = odoo.login(mydb.add_user("anna"))
        raw.upgrade(headers=HANDSHAKE | headers | {"Origin": "https://shop.example", "Cookie": session.cookie})
        raw.send_event("subscribe", {"channels": [], "last": 0})
        await asked(odoo, 1, login="anna")
    request, = odoo.log.requests("peek")
    assert request.header("host") == "odoochat" and request.header("x-forwarded-host") == "shop.example"


# What a trusted proxy tells, the origin of a page, and whether it is served with its cookies.
TOLD = {"Host": "odoochat", "X-Forwarded-Host": "shop.example", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize("options, headers, origin, own", [
    ({}, TOLD, "https://shop.example", True),
    ({}, TOLD, "http://shop.example", False),
    ({}, TOLD, "https://shop.example:8443", False),
    ({}, TOLD | {"X-Forwarded-Port": "8443"}, "https://shop.example:8443", True),
    ({}, TOLD | {"X-Forwarded-Host": "shop.example:8443"}, "https://shop.example:8443", True),
    ({}, TOLD | {"X-Forwarded-Host": "shop.example:8443"}, "https://shop.example", False),
    ({}, {"Host": "shop.example:8073"}, "http://shop.example:8069", True),  # without a proxy's headers
    ({"trusted_proxy": "none"}, {"Host": "shop.example", "X-Forwarded-Proto": "https"}, "http://shop.example", True),
    ({"origin_match": "host"}, TOLD, "http://shop.example:81", True),
    ({"origin_match": "host"}, TOLD, "https://evil.example", False),
    ({"allowed_origin": "http://shop.example"}, TOLD, "http://shop.example", True),
])
async def test_scheme_and_port_of_an_origin_count_as_far_as_the_proxy_tells_them(odoo, mydb, start, options, headers, origin, own):
    gateway = start(**options)
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        session = odoo.login(mydb.add_user("anna"))
        raw.upgrade(headers=HANDSHAKE | headers | {"Origin": origin, "Cookie": session.cookie})
        raw.send_event("subscribe", {"channels": ["a"], "last": 0})
        await asked(odoo, 1)
    request, = odoo.log.requests("peek")
    assert request.public != own and (request.sid == session.sid) == own
    if not own and "evil" not in origin:
        gateway.wait_for_line(f"a page of {origin} is served as a visitor")
    warned = [line for line in gateway.lines if f"a page of {origin} is served as a visitor" in line]
    assert len(warned) == (0 if own or "evil" in origin else 1), gateway.tail()


# --- the cache ---

async def test_who_comes_back_within_the_ttl_costs_odoo_nothing(odoo, mydb, start, database):
    gateway = start(recheck_rate=0.01)  # who is let in so is checked within a second, if there is time for that
    session = odoo.login(mydb.add_user("anna"))
    for n in range(3):
        async with client(gateway, session, ["a"]) as anna:
            await anna.subscribed()
            send(database, "a", payload=n)
            await anna.wait_payload(n)
            anna.drop()
    assert odoo.log.count("peek") == 1


@pytest.mark.parametrize("odoo", ["17.0", "19.0"], indirect=True)
async def test_a_page_that_is_loaded_anew_has_the_channels_of_now(odoo, mydb, gateway, database):
    """17.0 loads its page anew when the user has joined a channel elsewhere."""
    user = mydb.add_user("anna")
    session = odoo.login(user)
    before = client(gateway, session, ["a"]).start()
    await asked(odoo, 1, status=200)
    await before.settle()
    channel = mydb.add_channel(user)
    await before.stop(1001)
    async with client(gateway, session, ["a"]) as after:
        await asked(odoo, 2, status=200)
        await after.settle()
        send(database, "discuss.channel", channel.id, payload="a member")
        await after.wait_payload("a member")


async def test_a_page_that_is_left_is_no_reason_to_ask_about_others(odoo, mydb, start, database):
    gateway = start(recheck_rate=0.01)  # see above
    anna, bert = odoo.login(mydb.add_user("anna")), odoo.login(mydb.add_user("bert"))
    for session in (anna, bert):
        page = client(gateway, session, ["a"]).start()
        await asked(odoo, 1, session=session, status=200)
        await page.settle()
        page.drop()
        await page.stop()
    leaves = client(gateway, anna, ["a"]).start()
    await leaves.subscribed()
    await leaves.stop()
    async with client(gateway, bert, ["a"]) as stays:
        send(database, "a", payload=1)
        await stays.wait_payload(1)
        assert odoo.log.count("peek", session=bert) == 1


async def test_after_the_ttl_odoo_is_asked_again(odoo, mydb, start):
    gateway = start(grant_ttl=0.2)
    session = odoo.login(mydb.add_user("anna"))
    async with client(gateway, session, ["a"]) as anna:
        await asked(odoo, 1, status=200)
        anna.drop()
    await asyncio.sleep(0.3)  # there is nothing to await: time itself passes
    async with client(gateway, session, ["a"]):
        await asked(odoo, 2, status=200)


async def test_nobody_rides_on_anothers_grant(odoo, mydb, gateway, database):
    anna, bert = mydb.add_user("anna"), mydb.add_user("bert")
    session, other = odoo.login(anna), odoo.login(bert)
    async with client(gateway, session, ["a"]):
        await asked(odoo, 1, status=200)
    thieves = [
        dict(cookie=other.cookie), dict(cookie=session.cookie.upper()), dict(cookie=session.cookie[:-1]),
        dict(cookie=f"session_id=x; {session.cookie}"), dict(), dict(session=session, origin="https://evil.example"),
        dict(cookie=f"x={session.cookie}")]
    for n, options in enumerate(thieves):
        async with client(gateway, channels=["a"], **options) as thief:
            await thief.subscribed()
            send(database, "res.partner", anna.partner_id, payload="for anna")
            send(database, "broadcast", payload=n)
            await thief.wait_payload(n)
            assert "for anna" not in thief.payloads


async def test_grants_survive_a_kill_and_hold_no_cookie(odoo, mydb, start, database, tmp_path):
    gateway = start(state_dir=tmp_path)
    sessions = [odoo.login(mydb.add_user(f"u{n}")) for n in range(20)]
    guest = mydb.add_guest()
    clients = [client(gateway, session, ["a"]).start() for session in sessions]
    await asked(odoo, 20, status=200)
    async with client(gateway, channels=["a"], cookie=guest.cookie):
        await asked(odoo, 21, status=200)
    secrets = {sid for request in odoo.log for sid in (request.sid, request.set_sid) if sid} | {guest.token}
    assert len(secrets) >= 22  # and the public session's
    odoo.log.clear()
    send(database, "a", payload="before")
    for each in clients:
        await each.wait_payload("before")
    gateway.kill9()
    assert (tmp_path / "grants").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "grants").stat().st_size > 0
    for file in tmp_path.iterdir():
        assert not [secret for secret in secrets if secret.encode() in file.read_bytes()], file
    gateway.start()
    for each in clients:
        await each.until(lambda c=each: c.connections == 2, "it comes back")
    send(database, "a", payload="after")
    for each in clients:
        await each.wait_payload("after")
        assert each.payloads == ["before", "after"]
        await each.stop()
    assert odoo.log.peeks_per_session(first=True) == {}


# --- Odoo in trouble ---

BROKEN = {
    "hang": faults.hang(), "close": faults.close(), "reset": faults.reset(), "half": faults.half(),
    "half head": faults.half_head(), "garbage": faults.garbage(), "endless head": faults.endless_head(),
    "huge": faults.huge(), "deep": faults.deep(), "html": faults.html(), "404": faults.status(404),
    "500": faults.status(500), "503": faults.status(503), "redirect": faults.status(303),
    "no object": faults.http(200, "[]"), "no result": faults.http(200, "{}"), "empty": faults.http(200, ""),
    "null": faults.result(None), "a number": faults.result(1), "no channels": faults.result({}),
    "channels of numbers": faults.result({"channels": [1, 2]}), "no channel": faults.result({"channels": []}),
    "unknown error": faults.http(200, '{"error":{"code":"100"}}'), "an empty part": faults.result({"channels": [[]]}),
}


@pytest.mark.asan
@pytest.mark.parametrize("fault", BROKEN)
async def test_a_broken_answer_grants_nothing_and_harms_nobody(odoo, mydb, start, database, fault):
    gateway = start(odoo_timeout=1)
    anna, bert = mydb.add_user("anna"), mydb.add_user("bert")
    async with client(gateway, odoo.login(anna)) as granted:
        await asked(odoo, 1, status=200)
        odoo.break_with(BROKEN[fault], ["peek"])
        async with client(gateway, odoo.login(bert), reconnect=False) as new:
            await asked(odoo, 2) if fault != "hang" else None
            if fault != "unknown error":  # a refusal keeps the connection
                assert (await new.wait_closed())[0] == 1013
            send(database, "res.partner", bert.partner_id, payload="for bert")
            send(database, "broadcast", payload="goes on")
            await granted.wait_payload("goes on")
            assert granted.payloads == ["goes on"] and new.payloads == []
        odoo.mend()
        async with client(gateway, odoo.login(bert)) as again:
            await again.until(lambda: again.connections, "it is let in")
            await asked(odoo, 1, login="bert", status=200)
            await again.settle()
            send(database, "res.partner", bert.partner_id, payload="for bert, again")
            await again.wait_payload("for bert, again")


async def test_while_odoo_hangs_new_clients_are_refused_and_come_back(odoo, mydb, start, database):
    gateway = start(odoo_timeout=0.5)
    old = odoo.login(mydb.add_user("old"))
    async with client(gateway, old) as granted:
        await asked(odoo, 1, status=200)
        odoo.break_with(faults.hang())
        new = [client(gateway, odoo.login(mydb.add_user(f"new{n}"))).start() for n in range(6)]
        await asyncio.to_thread(gateway.wait_for_line, "Odoo does not answer: new clients are refused")
        with RawClient(("127.0.0.1", gateway.port)) as raw:
            status, headers, _ = raw.request().response()
            assert status == 503 and int(headers["retry-after"]) >= 1
        async with client(gateway, old) as known:  # within the ttl Odoo is not needed
            await known.subscribed()
            send(database, "broadcast", payload="meanwhile")
            await granted.wait_payload("meanwhile")
            await known.wait_payload("meanwhile")
        odoo.mend()
        await asyncio.to_thread(gateway.wait_for_line, "Odoo answers again")
        for n, each in enumerate(new):
            await asked(odoo, 1, login=f"new{n}", status=200)
            await each.stop()


async def test_a_later_subscribe_waits_for_odoo_and_costs_no_connection(odoo, mydb, start, database):
    gateway = start(odoo_timeout=0.5)
    async with client(gateway, odoo.login(mydb.add_user("anna")), ["a"]) as anna:
        await asked(odoo, 1, status=200)
        odoo.break_with(faults.reset(), times=2)
        await anna.subscribe(["a", "b"])
        await asked(odoo, 2)
        send(database, "a", payload="meanwhile")
        await anna.wait_payload("meanwhile")
        await asked(odoo, 2, status=200)
        await anna.settle()
        send(database, "b", payload="in the end")
        await anna.wait_payload("in the end")
        assert anna.closes == []


@pytest.fixture(params=["refuses", "is silent"])
def first_address(request, odoo):
    """127.0.0.2 at Odoo's port."""
    if request.param == "refuses":
        yield request.param
        return
    with socket.socket() as listening, socket.socket() as accepted:
        listening.bind(("127.0.0.2", odoo.port))
        listening.listen(0)
        accepted.connect(listening.getsockname())  # the one that waits to be accepted; Linux answers no other
        yield request.param


@pytest.mark.asan
async def test_all_addresses_of_odoo_are_tried(odoo, mydb, make_gateway, database, first_address, tmp_path):
    library = compile_shared_library(ROOT / "test/e2e/two_addresses.c", tmp_path)
    gateway = make_gateway(database, auth="odoo", odoo_url=f"http://odoo.test:{odoo.port}", odoo_timeout=4, environment={
        "LD_PRELOAD": str(library), "ASAN_OPTIONS": "verify_asan_link_order=0"}).start()
    async with client(gateway, odoo.login(mydb.add_user("anna")), ["a"]) as anna:
        await anna.subscribed()
        send(database, "a", payload="granted")
        await anna.wait_payload("granted")
        assert anna.closes == []


async def test_odoo_is_never_asked_more_at_once_than_the_limit(odoo, mydb, start):
    gateway = start(odoo_concurrency=3)
    odoo.break_with(faults.delay(0.05))
    clients = [client(gateway, odoo.login(mydb.add_user(f"u{n}"))).start() for n in range(40)]
    await asked(odoo, 40, status=200)
    assert odoo.log.high_water <= 3
    for each in clients:
        await each.stop()


async def test_a_notification_that_no_strict_parser_reads_comes_with_a_peek(odoo, mydb, gateway, database):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {
        "channels": [[database.name, "a"]], "notifications": [{"id": 1, "message": "MESSAGE"}]}})
    odoo.break_with(faults.http(200, body.replace('"MESSAGE"', '{"x":"\\ud800","n":123456789012345678901234567890}')))
    async with client(gateway, odoo.login(mydb.add_user("anna")), ["a"]) as anna:
        await asked(odoo, 1)
        await anna.settle()
        send(database, "a", payload="granted")
        await anna.wait_payload("granted")
