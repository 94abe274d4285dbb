"""--auth odoo: what clients share, and what they must not: grants, questions on their way, the public session."""
import asyncio
import json
import threading
import uuid

import pytest

from harness.client import HANDSHAKE, TEXT, RawClient
from harness.http_clients import TRANSPORTS

from odoo_auth_test import asked, client, gateway, send  # noqa: F401

pytestmark = pytest.mark.usefixtures("mydb")


def be_granted(gateway, database, channels, **headers):  # noqa: F811
    """Connects, subscribes, waits until it is served, and is cut off: what was granted to it may serve the next one."""
    payload = uuid.uuid4().hex
    headers = HANDSHAKE | {name.replace("_", "-"): value for name, value in headers.items()}
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.upgrade(headers=headers).send_event("subscribe", {"channels": channels, "last": 0})
        send(database, "broadcast", payload=payload)
        while True:
            opcode, data = raw.receive_frame()
            if opcode == TEXT and payload in (n["message"]["payload"] for n in json.loads(data)):
                return


def first_peeks(odoo):
    """Who is let in by a grant that is known is checked in the background, with peeks that are not first ones."""
    # One that has come a moment ago may not be read yet.
    return sum(request.params.get("is_first_poll", False) for request in odoo.log.requests("peek"))


def test_a_grant_serves_only_who_would_be_answered_the_same(odoo, mydb, start, database):
    """Each part of what decides Odoo's answer is part of the key."""
    # Checks in the background ask for visitors as if they were new.
    gateway = start(grant_ttl=600, recheck_rate=0.01)  # noqa: F811
    anna, guest = odoo.login(mydb.add_user("anna")), mydb.add_guest()
    own = {"Host": "one.example", "Origin": "https://one.example", "Cookie": anna.cookie}
    variants = {
        "itself": (["a"], own),
        "another channel": (["b"], own),
        "one channel more": (["a", "b"], own),
        "a channel whose name is two": (["a,b"], own),
        "no channel": ([], own),
        "another host": (["a"], own | {"Host": "two.example", "Origin": "https://two.example"}),
        "another forwarded host": (["a"], own | {"X-Forwarded-Host": "two.example", "Origin": "https://two.example"}),
        "another scheme": (["a"], own | {"X-Forwarded-Proto": "https"}),
        "another origin": (["a"], own | {"Origin": "https://two.example"}),
        "another session": (["a"], own | {"Cookie": odoo.login(mydb.add_user("bert")).cookie}),
        "another cookie beside it": (["a"], own | {"Cookie": f"{anna.cookie}; tz=UTC"}),
        "its value moved to its name": (["a"], own | {"Cookie": f"{anna.cookie}; tzU=TC"}),
        "a guest's cookie beside it": (["a"], own | {"Cookie": f"{anna.cookie}; {guest.cookie}"}),
        "the guest alone": (["a"], own | {"Cookie": guest.cookie}),
        "no cookie": (["a"], {"Host": "one.example", "Origin": "https://one.example"}),
    }
    for n, (channels, headers) in enumerate(variants.values()):
        be_granted(gateway, database, channels, **headers)
        assert first_peeks(odoo) == n + 1, list(variants)[n]
    for name, (channels, headers) in variants.items():
        be_granted(gateway, database, channels, **headers)
        assert first_peeks(odoo) == len(variants), name


async def test_first_subscribes_share_a_question_and_later_ones_never(odoo, mydb, start, database):
    """A page repeats its list because a membership changed: after a question that is on its way, maybe."""
    gateway = start(grant_ttl=0)  # noqa: F811
    anna, bert = odoo.login(mydb.add_user("anna")), odoo.login(mydb.add_user("bert"))
    async with client(gateway, anna, ["a"]) as old:
        await asked(odoo, 1, status=200)
        let_go = threading.Event()

        async def held(connection, answer):
            while not let_go.is_set():
                await asyncio.sleep(0.01)
            connection.send(answer())

        odoo.break_with(held, ["peek"])
        async with client(gateway, anna, ["a"]) as first:
            await asyncio.to_thread(odoo.wait_for, lambda log: log.count("peek") == 2)
            await old.subscribe(["a"])
            await asyncio.to_thread(odoo.wait_for, lambda log: log.count("peek") == 3)
            async with client(gateway, anna, ["a"]) as second:
                await second.subscribed()
                async with client(gateway, bert, ["a"]):  # the gateway has come to the second one when Odoo sees this
                    await asyncio.to_thread(odoo.wait_for, lambda log: log.count("peek") == 4)
                    let_go.set()
                    await asked(odoo, 4, status=200)
                    send(database, "a", payload="for all")
                    for each in (old, first, second):
                        await each.wait_payload("for all")
        assert [r.params["is_first_poll"] for r in odoo.log.requests("peek", session=anna)] == [True, True, False]


@pytest.mark.parametrize("transport", ["events", "poll"])
async def test_streams_and_polls_come_back_for_nothing(odoo, mydb, gateway, database, transport):  # noqa: F811
    session = odoo.login(mydb.add_user("anna"))
    headers = {"Cookie": session.cookie, "Origin": "http://127.0.0.1"}
    async with TRANSPORTS[transport](gateway.url, ["a"], headers=headers) as anna:
        for n in range(4):
            await asyncio.to_thread(send, database, "a", payload=n)
            await anna.wait_payload(n)
            anna.drop()
    assert anna.connections > 1 or len(anna.statuses) > 1
    assert first_peeks(odoo) == 1


@pytest.mark.parametrize("foreign", [{"Origin": "https://evil.example"}, {"Origin": "null"},
                                     {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
                         ids=["other", "null", "cross-site", "same-site"])
@pytest.mark.parametrize("transport", ["events", "poll"])
async def test_a_foreign_page_reads_nothing_for_cookies_without_a_websocket(
        odoo, mydb, gateway, database, transport, foreign):  # noqa: F811
    user = mydb.add_user("anna")
    session = odoo.login(user)
    own = {"Cookie": session.cookie, "Origin": "http://127.0.0.1"}
    async with TRANSPORTS[transport](gateway.url, ["a"], headers=own) as anna, \
            TRANSPORTS[transport](gateway.url, ["a"], headers={"Cookie": session.cookie} | foreign) as page:
        await asked(odoo, 2, status=200)
        send(database, "res.partner", user.partner_id, payload="for anna alone")
        send(database, "broadcast", payload="for all")
        await anna.wait_payload("for all")
        await page.wait_payload("for all")
        assert anna.payloads == ["for anna alone", "for all"] and page.payloads == ["for all"]
    assert {r.login for r in odoo.log.requests("peek")} == {"anna", ""}


def test_each_host_has_a_public_session_of_its_own(odoo, mydb, start, database):
    gateway = start(grant_ttl=0)  # noqa: F811
    hosts = ["one.example", "two.example", "one.example:8069"]
    for n in range(3):
        for host in hosts:
            be_granted(gateway, database, [f"c{n}"], Host=host, Origin=f"https://{host}")
    sids = {host: {r.sid for r in odoo.log.requests("peek") if r.header("host") == host} - {""} for host in hosts}
    assert all(len(each) == 1 for each in sids.values())
    assert sids["one.example"] == sids["one.example:8069"] != sids["two.example"]
    assert len(odoo.sessions) == 2


async def test_a_database_that_is_found_while_it_runs(odoo, make_database, make_gateway, cluster):
    """Odoo's database manager makes one, and its pages are served."""
    prefix = f"o{uuid.uuid4().hex[:8]}_"
    gateway = make_gateway(cluster.conninfo("postgres"), auth="odoo", odoo_url=odoo.url,  # noqa: F811
                           database_match=f"^{prefix}").start(healthy=False)
    database = await asyncio.to_thread(make_database, prefix + "new")
    user = odoo.add_database(database.name).add_user("anna")
    await asyncio.to_thread(gateway.wait_for_line, f'"{database.name}": reading')
    async with client(gateway, odoo.login(user), ["a"]) as anna:
        await asked(odoo, 1, login="anna", status=200)
        await anna.settle()
        send(database, "res.partner", user.partner_id, payload="for anna")
        await anna.wait_payload("for anna")

