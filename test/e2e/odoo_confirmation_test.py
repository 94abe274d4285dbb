"""After a logout nothing of the user's own is delivered: a session that was not confirmed for long is asked about first."""
import asyncio
import json
import threading
import time

import pytest

from harness.database import stored_channel
from harness.deadline import scaled
from harness.http_clients import TRANSPORTS
from standin import Standin, faults

from metrics_test import metrics  # noqa: F401 (a fixture)
from odoo_auth_test import asked, client, send
from take_over_odoo_test import held
from take_over_test import drained, take_over

INTERVAL = 1
WITHIN = 1  # how long notifications wait for Odoo's answer

# Odoo as it is without the gateway's seeing its session files.
pytestmark = [pytest.mark.asan, pytest.mark.tsan]


def send_all(database, *notifications):
    """(channel, payload) of each, in one transaction."""
    with database.connect() as connection:
        for channel, payload in notifications:
            connection.execute("INSERT INTO bus_bus (channel, message) VALUES (%s, %s)",
                               (stored_channel(database.name, *channel), json.dumps({"type": "t", "payload": payload})))
        connection.execute("NOTIFY imbus, '[]'")


def page(gateway, transport, session, **options):
    """A page of Odoo's own, which subscribes to "a"."""
    origin = {} if transport == "websocket" else {"Origin": "http://127.0.0.1"}  # a BusClient has its own
    return TRANSPORTS[transport](gateway.url, ["a"], headers={"Cookie": session.cookie} | origin, **options)


def own(user):
    return "res.partner", user.partner_id


async def grow_old():
    """Until what was confirmed last is longer ago than the interval of re-checks: nothing comes that could be awaited."""
    await asyncio.sleep(INTERVAL + 0.3)


def checks(odoo, **attributes):
    # One that has come a moment ago may not be read yet.
    return sum(request.params.get("is_first_poll") is False for request in odoo.log.requests("peek", **attributes))


@pytest.fixture
def start_counting(start, metrics):  # noqa: F811
    """A gateway whose grants need a confirmation after INTERVAL."""
    def start_counting(**options):
        return start(**({"recheck_interval": INTERVAL, "recheck_rate": 100} | metrics.options | options))
    return start_counting


def unconfirmed(metrics):  # noqa: F811
    return metrics.values()["odoo_bus_delivered_unconfirmed_total"]


@pytest.mark.parametrize("transport", ["websocket", "events", "poll"])
async def test_after_a_logout_nothing_of_the_users_own_arrives(odoo, mydb, start_counting, database, metrics,  # noqa: F811
                                                               transport):
    gateway = start_counting()
    user = mydb.add_user("anna")
    session = odoo.login(user)
    async with page(gateway, transport, session, reconnect=transport == "poll") as anna:
        await asked(odoo, 1, status=200)
        await anna.subscribed()
        await grow_old()
        odoo.logout(session)
        send(database, *own(user), payload="a secret")
        if transport == "poll":
            await anna.until(lambda: 401 in anna.refusals, "it is told that the session has ended")
        else:
            assert (await anna.wait_closed())[0] == 4001
        assert anna.payloads == [] and unconfirmed(metrics) == 0
        if transport == "poll":  # it comes back as a visitor
            await grow_old()
            send(database, "broadcast", payload="for all")
            await anna.wait_payload("for all")
            assert anna.payloads == ["for all"]


@pytest.mark.parametrize("channel", ["group", "discuss", "members"])
async def test_every_channel_that_odoo_grants_to_the_user_waits(odoo, mydb, start_counting, database, channel):
    gateway = start_counting()
    user = mydb.add_user("anna")
    discuss = mydb.add_channel(user)
    names = {"group": ("res.groups", user.groups[0]), "discuss": ("discuss.channel", discuss.id),
             "members": ("discuss.channel", discuss.id, odoo.build.members_channel)}
    session = odoo.login(user)
    async with client(gateway, session, ["a"], reconnect=False) as anna:
        await asked(odoo, 1, status=200)
        await grow_old()
        odoo.logout(session)
        send_all(database, (names[channel], "a secret"))
        assert (await anna.wait_closed())[0] == 4001
        assert anna.payloads == []


async def test_what_is_for_everyone_or_was_named_by_the_page_arrives_at_once(
        odoo, mydb, start_counting, database, metrics):  # noqa: F811
    """While Odoo hangs, so that nothing that waits for it arrives."""
    gateway = start_counting(recheck_rate=1)
    users = [mydb.add_user(f"user{n}") for n in range(20)]
    pages = [client(gateway, odoo.login(user), ["a"], reconnect=False).start() for user in users]
    try:
        await asked(odoo, len(users), status=200)
        for page in pages:
            await page.settle()
        await grow_old()
        odoo.break_with(faults.hang(), ["peek"])
        before, begin = odoo.log.count("peek"), time.monotonic()
        send_all(database, (("broadcast",), "for all"), (("a",), "named"))
        for page in pages:
            await page.wait_payload("named")
            assert page.payloads == ["for all", "named"]
        values = metrics.values()
        assert values["odoo_bus_confirmation_wait_seconds_count"] == values["odoo_bus_delivered_unconfirmed_total"] == 0
        assert odoo.log.count("peek") - before <= 2 + time.monotonic() - begin, "the periodic checks"
    finally:
        odoo.mend()
        for page in pages:
            await page.stop()


async def test_what_comes_behind_keeps_its_place(odoo, mydb, start_counting, database):
    gateway = start_counting()
    user = mydb.add_user("anna")
    async with client(gateway, odoo.login(user), ["a"], reconnect=False) as anna:
        await asked(odoo, 1, status=200)
        await anna.settle()
        await grow_old()
        answered = threading.Event()
        odoo.break_with(held(answered), ["peek"], times=1)
        begin = time.monotonic()
        send_all(database, (("broadcast",), "0"), (own(user), "1"), (("broadcast",), "2"))
        await anna.wait_payload("0")
        send_all(database, (("a",), "3"), (own(user), "4"))
        await asyncio.to_thread(odoo.wait_for, lambda log: log.count("peek") == 2)
        await anna.settle()
        assert anna.payloads == ["0"] or time.monotonic() - begin > 0.9 * WITHIN
        answered.set()
        await anna.wait_payload("4")
        assert anna.payloads == ["0", "1", "2", "3", "4"] and anna.ids == sorted(anna.ids)


@pytest.mark.parametrize("fault", [faults.hang(), faults.status(500), faults.close()], ids=["hangs", "fails", "closes"])
async def test_while_odoo_does_not_answer_it_is_delivered_after_a_second_and_counted(
        odoo, mydb, start_counting, database, metrics, fault):  # noqa: F811
    gateway = start_counting()
    user = mydb.add_user("anna")
    async with client(gateway, odoo.login(user), ["a"], reconnect=False) as anna:
        await asked(odoo, 1, status=200)
        await anna.settle()
        await grow_old()
        odoo.break_with(fault, ["peek"])
        begin = time.monotonic()
        send(database, *own(user), payload="late")
        send(database, "broadcast", payload="behind it")
        await anna.wait_payload("behind it")
        took = time.monotonic() - begin
        assert 0.9 * WITHIN < took < WITHIN + scaled(1)
        assert anna.payloads == ["late", "behind it"] and anna.closes == []
        assert unconfirmed(metrics) == 1
        odoo.mend()


async def test_more_than_the_rate_are_delivered_within_a_second_and_counted(
        odoo, mydb, start_counting, database, metrics):  # noqa: F811
    rate = 2
    gateway = start_counting(recheck_rate=rate)
    users = [mydb.add_user(f"user{n}") for n in range(20)]
    pages = [client(gateway, odoo.login(user), ["a"], reconnect=False).start() for user in users]
    try:
        await asked(odoo, len(users), status=200)
        for page in pages:
            await page.settle()
        await grow_old()
        begin = time.monotonic()
        send_all(database, *((own(user), user.login) for user in users))
        for page, user in zip(pages, users):
            await page.wait_payload(user.login)
        asked_about = checks(odoo)
        took = time.monotonic() - begin  # it may be asked about more after that
        assert took < WITHIN + scaled(1)
        assert 1 <= asked_about <= rate + rate * took + 1
        assert len(users) - asked_about <= unconfirmed(metrics) < len(users)
        assert all(page.payloads == [user.login] for page, user in zip(pages, users))
    finally:
        for page in pages:
            await page.stop()


async def test_all_connections_of_a_session_are_one_question(odoo, mydb, start_counting, database, metrics):  # noqa: F811
    gateway = start_counting(threads=2)
    user = mydb.add_user("anna")
    session = odoo.login(user)
    pages = [client(gateway, session, names, reconnect=False) for names in (["a"], ["a"], ["b"], ["a", "b"])]
    other = client(gateway, odoo.login(user), ["a"], reconnect=False)
    for page in [*pages, other]:
        page.start()
    try:
        await asked(odoo, 4, status=200)
        for page in [*pages, other]:
            await page.settle()
        await grow_old()
        answered = threading.Event()
        odoo.break_with(held(answered), ["peek"], times=2)
        send(database, *own(user), payload="for anna")
        await asyncio.to_thread(odoo.wait_for, lambda log: log.count("peek") == 6)
        for page in [*pages, other]:
            await page.settle()  # all of them wait
        answered.set()
        for page in [*pages, other]:
            await page.wait_payload("for anna")
        assert checks(odoo) == 2, "one for each session"
        assert unconfirmed(metrics) == 0
        await grow_old()
        odoo.logout(session)
        send(database, *own(user), payload="a secret")
        for page in pages:
            assert (await page.wait_closed())[0] == 4001
        await other.wait_payload("a secret")
        assert all(page.payloads == ["for anna"] for page in pages)
        assert checks(odoo) == 4 and unconfirmed(metrics) == 0
    finally:
        for page in [*pages, other]:
            await page.stop()


async def test_what_waits_on_a_channel_that_is_taken_back_does_not_arrive(odoo, mydb, start_counting, database):
    gateway = start_counting()
    user = mydb.add_user("anna")
    left, stays = mydb.add_channel(user, public=False), mydb.add_channel(user, public=False)
    async with client(gateway, odoo.login(user), ["a"], reconnect=False) as anna:
        await asked(odoo, 1, status=200)
        await anna.settle()
        await grow_old()
        left.members.clear()
        send_all(database, (("discuss.channel", left.id), "left"), (("discuss.channel", stays.id), "stays"),
                 (("discuss.channel", left.id), "left"), (("broadcast",), "end"))
        await anna.wait_payload("end")
        assert anna.payloads == ["stays", "end"] and anna.closes == []


@pytest.mark.parametrize("transport", ["websocket", "events", "poll"])
async def test_who_comes_back_while_something_waits_gets_each_once(odoo, mydb, start_counting, database, transport):
    gateway = start_counting()
    user = mydb.add_user("anna")
    async with page(gateway, transport, odoo.login(user)) as anna:
        await asked(odoo, 1, status=200)
        await anna.subscribed()
        for n in range(4):
            await grow_old()
            answered = threading.Event()
            odoo.break_with(held(answered), ["peek"], times=1)
            peeks = odoo.log.count("peek")
            send_all(database, (("broadcast",), f"{n} for all"), (own(user), f"{n} own"), (("a",), f"{n} named"))
            await anna.wait_payload(f"{n} for all")
            await asyncio.to_thread(odoo.wait_for, lambda log, peeks=peeks: log.count("peek") > peeks)
            anna.drop()
            answered.set()
            await anna.wait_payload(f"{n} named")
        assert anna.payloads == [f"{n} {which}" for n in range(4) for which in ("for all", "own", "named")]
        assert len(anna.ids) == len(set(anna.ids))


@pytest.mark.parametrize("drain_seconds", [0, 3600], ids=["sent away", "stays"])
@pytest.mark.parametrize("logged_out", [False, True], ids=["logged in", "logged out"])
async def test_a_take_over_while_something_waits(odoo, mydb, start_counting, database, metrics,  # noqa: F811
                                                drain_seconds, logged_out):
    gateway = start_counting(drain_seconds=drain_seconds, odoo_timeout=60)
    user = mydb.add_user("anna")
    session = odoo.login(user)
    async with client(gateway, session, ["a"]) as anna:
        await asked(odoo, 1, status=200)
        await anna.settle()
        await grow_old()
        if logged_out:
            odoo.logout(session)
        answered = threading.Event()
        odoo.break_with(held(answered), ["peek"], times=1)
        send_all(database, (own(user), "own"), (("broadcast",), "for all"))
        await asyncio.to_thread(odoo.wait_for, lambda log: log.count("peek") == 2)
        taken_over = asyncio.create_task(take_over(gateway))
        answered.set()
        former = await taken_over
        await anna.wait_payload("for all")
        anna.drop()
        await drained(gateway, former)
        send(database, "broadcast", payload="end")
        await anna.wait_payload("end")
        assert anna.payloads == (["for all", "end"] if logged_out else ["own", "for all", "end"])


async def test_where_session_files_are_watched_nothing_waits(database, make_gateway, metrics, tmp_path):  # noqa: F811
    with Standin(data_dir=tmp_path) as odoo:
        user = odoo.add_database(database.name).add_user("anna")
        session = odoo.login(user)
        gateway = make_gateway(database, auth="odoo", odoo_url=odoo.url, recheck_interval=INTERVAL, recheck_rate=100,
                               odoo_data_dir=tmp_path, **metrics.options).start()
        await asyncio.to_thread(gateway.wait_for_line, "watching session files")
        async with client(gateway, session, ["a"], reconnect=False) as anna:
            await asked(odoo, 1, status=200)
            await anna.settle()
            await grow_old()
            odoo.break_with(faults.hang(), ["peek"])
            send(database, *own(user), payload="at once")
            await anna.wait_payload("at once")
            values = metrics.values()
            assert values["odoo_bus_confirmation_wait_seconds_count"] == 0 == values["odoo_bus_delivered_unconfirmed_total"]
            odoo.mend()


async def test_where_they_cannot_be_watched_it_does(database, make_gateway, odoo, mydb, metrics, tmp_path):  # noqa: F811
    gateway = make_gateway(database, auth="odoo", odoo_url=odoo.url, recheck_interval=INTERVAL, recheck_rate=100,
                           odoo_data_dir=tmp_path / "nothing", **metrics.options).start()
    user = mydb.add_user("anna")
    session = odoo.login(user)
    async with client(gateway, session, ["a"], reconnect=False) as anna:
        await asked(odoo, 1, status=200)
        await anna.settle()
        await grow_old()
        odoo.logout(session)
        send(database, *own(user), payload="a secret")
        assert (await anna.wait_closed())[0] == 4001
        assert anna.payloads == []
