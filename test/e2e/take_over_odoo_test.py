"""SIGUSR2 under --auth odoo and with --presence: nobody is logged out, let in or said to have gone by a take-over."""
import asyncio
import threading

import pytest

from harness.client import BusClient

from odoo_auth_test import RENEWING_ODOO, asked, client, send
from odoo_session_test import HOUR, UsersWatched, reached
from presence_test import make_presence_gateway, member, online, presence_database, wait_online_async  # noqa: F401
from take_over_test import drained, take_over

pytestmark = [pytest.mark.asan, pytest.mark.tsan]


def held(event):
    """Does its work at once, and says so when the event has come."""
    async def fault(connection, answer):
        right = answer()
        await asyncio.to_thread(event.wait, 60)
        connection.send(right)
    return fault


@RENEWING_ODOO
async def test_a_session_that_was_renewed_just_before_is_known(odoo, mydb, start, database):
    gateway = start(drain_seconds=0)
    session = odoo.login(mydb.add_user("anna"), age=4 * HOUR)
    async with client(gateway, session, ["a"], reconnect=False) as anna:
        assert (await anna.wait_closed())[0] == 4002
        await drained(gateway, await take_over(gateway))
    async with client(gateway, session, ["a"]) as anna:
        await anna.until(lambda: "session_id" in anna.cookies, "the new cookie comes")
        assert anna.cookies["session_id"] != session.sid
        odoo.clock.advance(hours=1)  # the old one has ended
        await anna.subscribe(["a", "b"])
        await asked(odoo, 1, sid=anna.cookies["session_id"], error="")
        send(database, "b", payload="still logged in")
        await anna.wait_payload("still logged in")


@RENEWING_ODOO
async def test_a_session_that_is_renewed_by_the_old_process_afterwards(odoo, mydb, start, database):
    """What the old process had asked when it was taken over is answered later."""
    gateway = start(drain_seconds=3600, odoo_timeout=60)
    user = mydb.add_user("anna")
    session = odoo.login(user, age=4 * HOUR)
    answered = threading.Event()
    odoo.break_with(held(answered), routes=["peek"], times=1)
    async with client(gateway, session, ["a"], reconnect=False) as anna:
        await reached(odoo, lambda: odoo.log.count("peek") == 1, "Odoo is asked")
        former = await take_over(gateway)
        assert anna.closes == [], "the answer has not come yet"
        answered.set()
        assert (await anna.wait_closed())[0] == 4002
        await drained(gateway, former)
    async with client(gateway, session, ["a"]) as anna:
        await anna.until(lambda: "session_id" in anna.cookies, "the new cookie comes")
        odoo.clock.advance(hours=1)
        send(database, "res.partner", user.partner_id, payload="still anna")
        await anna.wait_payload("still anna")


async def test_what_the_old_process_was_granted_and_what_was_taken_back(odoo, mydb, start, database, tmp_path):
    gateway = start(drain_seconds=0, recheck_interval=0.3, recheck_rate=100, state_dir=tmp_path / "state")
    stays, goes = odoo.login(mydb.add_user("anna")), odoo.login(mydb.add_user("bert"))
    async with client(gateway, stays, ["a"], reconnect=False) as anna, client(gateway, goes, ["a"], reconnect=False) as bert:
        await asked(odoo, 2, status=200)
        odoo.logout(goes)
        send(database, "broadcast", payload="something")
        assert (await bert.wait_closed())[0] == 4001
        former = await take_over(gateway)
        assert (await anna.wait_closed())[0] == 4002
        await drained(gateway, former)
    peeks = odoo.log.count("peek", login="anna")
    async with client(gateway, stays, ["a"]) as anna:
        await anna.subscribed()
        assert odoo.log.count("peek", login="anna") <= peeks + 1  # let in at once, and checked then
    peeks = odoo.log.count("peek", sid=goes.sid)
    async with client(gateway, goes, ["a"], reconnect=False) as bert:
        await asked(odoo, peeks + 1, sid=goes.sid)  # not let in by what it was granted once


async def test_a_user_who_changes_at_that_moment_is_checked_in_the_old_process_too(odoo, mydb, start, database):
    database.execute("ALTER TABLE res_users ADD partner_id int, ADD write_date timestamp")
    anna, bert = mydb.add_user("anna"), mydb.add_user("bert")
    for user in (anna, bert):
        database.execute("INSERT INTO res_users (login, partner_id, write_date) VALUES (%s, %s, now() - interval '1 day')",
                         (user.login, user.partner_id))
    watched = UsersWatched(database)
    gateway = start(recheck_interval=1000, drain_seconds=3600)
    async with client(gateway, odoo.login(anna), ["a"], reconnect=False) as changed, \
            client(gateway, odoo.login(bert), ["a"], reconnect=False) as other:
        await asked(odoo, 2, status=200)
        await asyncio.to_thread(gateway.wait_for_line, '": reading')
        await watched.once(odoo)
        anna.password = "another"
        database.execute("UPDATE res_users SET write_date = now() AT TIME ZONE 'UTC' WHERE login = 'anna'")
        former = await take_over(gateway)
        assert (await changed.wait_closed())[0] in (4001, 4002)  # by the one that saw it
        assert other.closes == []
    await drained(gateway, former)


async def test_members_that_are_still_there_are_said_to_be(make_presence_gateway, presence_database):  # noqa: F811
    gateway = make_presence_gateway(presence_grace=2, presence_heartbeat=2, drain_seconds=10, max_connections=100)
    stay = [BusClient(gateway.url, ["a"], headers=member(name)) for name in ("ann", "bob")]
    try:
        for each in stay:
            each.start()
        await wait_online_async(presence_database, "ann", "bob")
        seen = set()
        former = await take_over(gateway)
        while former.poll() is None:
            seen.add(tuple(online(presence_database)))
            await asyncio.sleep(0.05)
        await drained(gateway, former)
        for each in stay:
            await each.until(lambda each=each: each.connections == 2, "it comes back")
        assert seen == {("ann", "bob")}
        await stay.pop().stop()
        await wait_online_async(presence_database, "ann")
    finally:
        for each in stay:
            await each.stop()
