"""What Odoo's routes answer: the same questions to the stand-in, and to a real Odoo where $ODOO_HOME names one.

Each test holds for both, so the stand-in is as right as these tests are thorough. Where versions differ, the test says
how.
"""
import re

import pytest

VALID_SID = {"17.0": re.compile(r"[a-f0-9]{40}")}
VALID_SID_SINCE_18 = re.compile(r"[A-Za-z0-9_-]{84}")


def number(site):
    return float(site.version)


def is_sid(site, text):
    return VALID_SID.get(site.version, VALID_SID_SINCE_18).fullmatch(text) is not None


def channel(site, *parts):
    return [site.database, *parts]


@pytest.fixture(scope="module")
def anna(site):
    return site.add_user("anna")


@pytest.fixture
def sid(site, anna):
    """A fresh session of anna's."""
    return site.login(anna)


def cookie(sid, **others):
    return "; ".join(f"{name}={value}" for name, value in {"session_id": sid, **others}.items())


def marked(site, sid):
    site.peek(cookie=cookie(sid)).result
    return sid


# --- how it speaks ---

def test_one_request_a_connection_in_http_1_0(site):
    answer = site.peek()
    assert answer.http_version == 10
    assert answer.header("Connection") == "close"
    assert answer.header("Content-Type") == "application/json; charset=utf-8"
    assert int(answer.header("Content-Length")) == len(answer.body)


def test_the_id_of_the_call_comes_back(site):
    assert site.peek().document == {"jsonrpc": "2.0", "id": 7, "result": site.peek().result}


def test_what_is_no_json_rpc(site):
    path = "/websocket/peek_notifications"
    assert site.call(path, b"{nope").status == 400
    assert site.call(path, b"[]").status == 400
    assert site.get(path).status in (400, 415)


def test_an_unknown_path(site):
    for path in ["/websocket/nothing", "/bus/nothing"]:
        answer = site.call(path, {})
        assert answer.status == 404
        assert answer.header("Content-Type").startswith("text/html")


# --- which database ---

def test_a_host_that_selects_no_database(site):
    answer = site.peek(host="elsewhere.localhost")
    assert answer.status == 404
    assert answer.header("Content-Type").startswith("text/html")
    assert answer.set_sid is None


def test_the_last_forwarded_host_selects_the_database(site):
    answer = site.peek(host="odoochat", headers=[("X-Forwarded-Host", f"{site.host}:8069")])
    assert answer.result["channels"][0][0] == site.database
    answer = site.peek(host="odoochat", headers=[("X-Forwarded-Host", f"elsewhere.localhost, {site.host}")])
    assert answer.result["channels"][0][0] == site.database


def test_a_session_of_a_host_that_selects_no_database(site, sid):
    assert site.peek(cookie=cookie(sid), host="elsewhere.localhost").status == 404


# --- the public ---

def test_the_public_gets_a_session_with_each_first_peek(site):
    answer = site.peek(["a"])
    channels = answer.result["channels"]
    assert channel(site, "a") in channels and channel(site, "broadcast") in channels
    assert not [c for c in channels if c[1] == "res.partner"]
    assert is_sid(site, answer.set_sid)
    again = site.peek(["a"])
    assert again.set_sid != answer.set_sid
    kept = site.peek(["a"], cookie(answer.set_sid), first=False)
    assert kept.result["channels"] == channels
    assert kept.set_sid is None


def test_an_unknown_session_id_is_adopted(site):
    unknown = "a" * (40 if site.version == "17.0" else 84)
    answer = site.peek(cookie=cookie(unknown))
    assert answer.set_sid == unknown
    assert "result" in site.peek(cookie=cookie(unknown), first=False).document
    site.expire(unknown)


@pytest.mark.parametrize("broken", ["", "x", "../" * 28, "x" * 83 + "%"])
def test_what_cannot_be_a_session_id_is_replaced(site, broken):
    answer = site.peek(cookie=cookie(broken))
    assert is_sid(site, answer.set_sid)


def test_groups_are_channels_from_18_on(site):
    groups = [c for c in site.peek().result["channels"] if c[1] == "res.groups"]
    assert bool(groups) == (number(site) >= 18)


# --- users ---

def test_a_user_has_the_channel_of_the_partner(site, anna, sid):
    channels = site.peek(["a"], cookie(sid)).result["channels"]
    assert channel(site, "res.partner", anna.partner_id) in channels
    assert channel(site, "broadcast") in channels
    assert channel(site, "a") in channels
    assert (channel(site, "res.users", anna.id) in channels) == (number(site) >= 19.4)


def test_the_first_of_two_cookies_of_one_name_counts(site, anna, sid):
    other = site.login(site.add_user())
    channels = site.peek(cookie=f"session_id={sid}; session_id={other}").result["channels"]
    assert channel(site, "res.partner", anna.partner_id) in channels
    assert {c[2] for c in channels if c[1] == "res.partner"} == {anna.partner_id}


@pytest.mark.parametrize("spelling", [
    '["{0}","res.partner",{1}]', '["{0}", "res.partner", {1}]', "res.partner_{1}", "res.partner", '"res.partner",{1}',
    'x","res.partner",{1}]', "[\"{0}\",\"res.partn\\u0065r\",{1}]"])
def test_a_record_that_is_named_by_a_string_stays_a_string(site, anna, spelling):
    name = spelling.replace("{0}", site.database).replace("{1}", str(anna.partner_id))
    channels = site.peek([name]).result["channels"]
    assert channel(site, name) in channels
    assert not [c for c in channels if c[1] == "res.partner" and len(c) > 2]


def test_members_get_their_discuss_channels(site, anna, sid):
    group = site.add_channel(anna, public=False)
    marked(site, sid)
    assert channel(site, "discuss.channel", group) in site.peek(cookie=cookie(sid), first=False).result["channels"]
    second = "internal_users" if number(site) >= 19 else "members"
    assert channel(site, "discuss.channel", group, second) in \
        site.peek(cookie=cookie(sid), first=False).result["channels"]
    named = [f"discuss.channel_{group}"]
    channels = site.peek(named).result["channels"]
    assert channel(site, "discuss.channel", group) not in channels
    assert channel(site, *named) not in channels


# --- refusals ---

@pytest.mark.parametrize("channels", [["a", 1], [None], [["mydb", "a"]], [{"a": 1}]])
def test_channels_that_are_no_strings_are_refused(site, channels):
    answer = site.peek(channels)
    code, name = answer.error
    assert code == (0 if number(site) >= 19 else 200)
    assert name == "builtins.ValueError"
    assert answer.set_sid is None


@pytest.mark.parametrize("parameters", [{}, {"channels": ["a"]}, {"channels": ["a"], "last": "7"},
                                        {"channels": 3, "last": 0}])
def test_missing_and_wrong_parameters_are_refused(site, parameters):
    answer = site.call("/websocket/peek_notifications", parameters | {"is_first_poll": True})
    code, name = answer.error
    assert code == (0 if number(site) >= 19 else 200)
    assert name == "builtins.TypeError"


def test_a_traceback_shows_what_must_not_be_logged(site):
    error = site.peek(["mail.guest_secret|token"]).document["error"]
    assert set(error) == {"code", "message", "data"}
    assert set(error["data"]) == {"name", "debug", "message", "arguments", "context"}
    assert "secret" in error["data"]["debug"] and "Traceback" in error["data"]["debug"]


# --- sessions ---

def test_a_first_peek_marks_the_session(site, sid):
    assert site.peek(cookie=cookie(sid), first=False).error == (100, "odoo.http.SessionExpiredException")
    answer = site.peek(cookie=cookie(sid))
    assert answer.set_sid == sid
    assert "result" in site.peek(cookie=cookie(sid), first=False).document


def test_a_peek_without_a_session_is_expired(site):
    answer = site.peek(first=False)
    assert answer.error == (100, "odoo.http.SessionExpiredException")
    assert answer.document["error"]["message"] == "Odoo Session Expired"
    assert answer.set_sid is None


def end_by_logout(site, user, sid):
    site.logout(sid)


def end_by_password(site, user, sid):
    site.change_password(user)


def end_by_archiving(site, user, sid):
    site.archive(user)


def end_by_expiry(site, user, sid):
    site.expire(sid)


@pytest.mark.parametrize("end", [end_by_logout, end_by_password, end_by_archiving, end_by_expiry])
def test_an_ended_session_is_expired_for_later_peeks_and_public_for_first_ones(site, end):
    user = site.add_user()
    sid = marked(site, site.login(user))
    end(site, user, sid)
    later = site.peek(cookie=cookie(sid), first=False)
    assert later.error == (100, "odoo.http.SessionExpiredException")
    assert later.set_sid is None
    assert site.presence(0, cookie(sid)).error[0] == 100
    first = site.peek(cookie=cookie(sid))
    assert not [c for c in first.result["channels"] if c[1] == "res.partner"]
    # A file that is gone is written anew under the id that was shown; one that is there is replaced.
    assert (first.set_sid == sid) == (end in (end_by_logout, end_by_expiry))


# --- rotation ---

def rotates(site):
    return 19 <= number(site) < 19.4


def test_no_route_rotates_a_young_session(site, sid):
    marked(site, sid)
    assert site.peek(cookie=cookie(sid), first=False).set_sid in (None, sid)


@pytest.mark.parametrize("route", ["peek", "presence", "closed", "missed"])
def test_rotation_after_three_hours(site, sid, route):
    marked(site, sid)
    if number(site) < 18:
        pytest.skip("17.0 does not know how old a session is")
    site.age(sid, 4 * 3600)
    ask = {
        "peek": lambda: site.peek(cookie=cookie(sid), first=False),
        "presence": lambda: site.presence(0, cookie(sid)),
        "closed": lambda: site.call("/websocket/on_closed", {}, cookie(sid)),
        "missed": lambda: site.call("/bus/has_missed_notifications", {"last_notification_id": 1}, cookie(sid)),
    }[route]
    answer = ask()
    if not rotates(site) and not (number(site) >= 19.4 and route == "missed"):
        assert answer.set_sid in (None, sid)
        return
    new = answer.set_sid
    assert new != sid and new[:42] == sid[:42]
    assert ask().set_sid == new  # the same for all who show the old one
    both = [site.peek(cookie=cookie(one), first=False).result["channels"] for one in (sid, new)]
    assert both[0] == both[1] and [c for c in both[0] if c[1] == "res.partner"]
    site.pass_deletion_timer(sid)
    assert site.peek(cookie=cookie(sid), first=False).error[0] == 100
    assert "result" in site.peek(cookie=cookie(new), first=False).document


# --- last and notifications ---

def test_notifications_after_last(site):
    ids = [site.send(["contract"], "t", n) for n in range(3)]
    assert [n["id"] for n in site.peek(["contract"], last=ids[0]).result["notifications"]] == ids[1:]
    assert site.peek(["contract"], last=ids[1]).result["notifications"] == [
        {"id": ids[2], "message": {"type": "t", "payload": 2}}]
    assert site.peek(["other"], last=ids[0]).result["notifications"] == []


def test_last_0_and_last_above_the_newest_give_50_seconds(site):
    site.send(["recent"], "t", "old", age=60)
    new = site.send(["recent"], "t", "new", age=20)
    for last in (0, site.last_id() + 1000):
        assert [n["id"] for n in site.peek(["recent"], last=last).result["notifications"]] == [new]


def test_the_newest_id_as_last_gives_none(site):
    site.send(["contract"], "t", "x")
    assert site.peek(["contract"], last=site.last_id()).result["notifications"] == []


def test_missed_notifications(site, sid):
    path = "/bus/has_missed_notifications"
    row = site.send(["contract"], "t", "x")
    if number(site) < 18:
        assert site.call(path, {"last_notification_id": row}, cookie(sid)).status == 404
        return
    assert site.call(path, {"last_notification_id": row}, cookie(sid)).result is False
    assert site.call(path, {"last_notification_id": row + 1000}, cookie(sid)).result is True


# --- guests ---

def test_a_guest_that_is_named_by_a_string_channel(site):
    guest = site.add_guest()
    chat = site.add_channel(guest)
    channels = site.peek([f"mail.guest_{guest.token}"]).result["channels"]
    assert channel(site, "mail.guest", guest.id) in channels
    assert channel(site, "discuss.channel", chat) in channels
    assert not [c for c in channels if guest.token in str(c)]


def test_a_guest_that_is_named_by_a_cookie(site):
    guest = site.add_guest()
    channels = site.peek(cookie=f"dgid={guest.token}").result["channels"]
    assert (channel(site, "mail.guest", guest.id) in channels) == (number(site) < 19)


@pytest.mark.parametrize("token", ["0|x", "1|wrong", "1", "1|2|3", ""])
def test_a_guest_that_is_not_is_left_out(site, token):
    site.add_guest()
    channels = site.peek([f"mail.guest_{token}", "a"]).result["channels"]
    assert channel(site, "a") in channels
    assert not [c for c in channels if c[1] == "mail.guest"]


def test_a_malformed_guest_token_refuses_the_whole_subscribe(site):
    assert site.peek(["mail.guest_abc|x", "a"]).error[1] == "builtins.ValueError"


# --- presence ---

def test_presence_of_a_user(site):
    user = site.add_user()
    sid = marked(site, site.login(user))
    assert site.presence(0, cookie(sid)).result == {}
    assert site.status(user) == "online"
    assert site.presence(31 * 60 * 1000, cookie(sid)).result == {}
    assert site.status(user) == "away"
    closed = site.call("/websocket/on_closed", {}, cookie(sid))
    assert closed.document == {"jsonrpc": "2.0", "id": 7}
    assert site.status(user) == "offline"


def test_presence_of_a_guest_by_cookie(site):
    guest = site.add_guest()
    sid = site.peek().set_sid
    assert site.presence(0, cookie(sid, dgid=guest.token)).result == {}
    assert site.status(guest) == "online"
    site.call("/websocket/on_closed", {}, cookie(sid, dgid=guest.token)).result
    assert site.status(guest) == "offline"


def test_presence_of_the_public_is_nobodys(site):
    sid = site.peek().set_sid
    assert site.presence(0, cookie(sid)).result == {}


def test_presence_needs_a_marked_session(site, sid):
    assert site.presence(0, cookie(sid)).error[0] == 100


def test_whether_presence_needs_the_ids(site, sid):
    marked(site, sid)
    answer = site.call("/websocket/update_bus_presence", {"inactivity_period": 0}, cookie(sid))
    if number(site) < 19:
        assert answer.error[1] == "builtins.TypeError"
    else:
        assert answer.result == {}


def test_presence_that_is_no_number(site, sid):
    marked(site, sid)
    assert site.presence("soon", cookie(sid)).error[1] == "builtins.ValueError"


# --- the login page ---

def test_the_login_page_tells_the_version_of_the_worker(site):
    answer = site.get("/web/login")
    assert answer.status == 200
    found = re.search(r'"(?:websocket_)?worker_version": "([^"]+)"', answer.body.decode())
    assert found and found[1].removeprefix("saas-").startswith(site.version.split(".")[0])
    assert site.get("/bus/websocket_worker_bundle").header("Content-Type").startswith("application/javascript")
