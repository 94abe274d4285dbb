"""Many sessions at once: how much of it reaches Odoo. The stand-in runs in a process of its own."""
import asyncio
import json
import resource
import time

import pytest

from harness.client import BusClient
from harness.database import stored_channel
from harness.deadline import scaled
from standin import RemoteStandin

LIMIT = 8


@pytest.fixture(scope="module", autouse=True)
def many_descriptors():
    """For the test's own connections, and for those of the gateway, which inherits it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    assert most >= 4096, "the limit on open files is too low for two thousand connections"


@pytest.fixture
def odoo(database):
    with RemoteStandin(version="19.0") as odoo:
        odoo.run(f"d = odoo.add_database({database.name!r})")
        yield odoo


def sessions(odoo, count):
    """[(cookie, partner)]"""
    return odoo.run(f"""
users = [d.add_user(f"u{{n}}") for n in range({count})]
[(odoo.login(user).cookie, user.partner_id) for user in users]""")


@pytest.fixture
def sender(database):
    """A connection from before there are thousands: psycopg waits with select(), which knows 1,024 descriptors."""
    with database.connect() as connection:
        yield connection


def send_to_each(database, sender, partners, payload):
    """One row for each of them, in one transaction."""
    sender.execute("""INSERT INTO bus_bus (channel, message) SELECT c, m
                        FROM unnest(%s::text[], %s::text[]) AS t (c, m)""",
                     ([stored_channel(database.name, "res.partner", partner) for partner in partners],
                      [json.dumps({"type": "t", "payload": [payload, partner]}) for partner in partners]))
    sender.execute("NOTIFY imbus, '[]'")


class Crowd:
    """One connection for each session."""

    def __init__(self, gateway, people):
        self.partners = [partner for _, partner in people]
        self.clients = [BusClient(gateway.url, ["mine"], headers={"Cookie": cookie}) for cookie, _ in people]

    async def __aenter__(self):
        # A few hundred handshakes at a time, as a listening socket's queue takes them.
        for n, client in enumerate(self.clients):
            client.start()
            if n % 200 == 199:
                await asyncio.sleep(0.05)
        return self

    async def __aexit__(self, *_):
        await asyncio.gather(*(client.stop() for client in self.clients))

    async def everyone_gets(self, payload, timeout=120):
        await asyncio.gather(*(client.wait_payload([payload, partner], timeout)
                               for client, partner in zip(self.clients, self.partners)))


@pytest.mark.parametrize("kept", [True, False], ids=["state kept", "state lost"])
async def test_two_thousand_sessions_connect_and_come_back(odoo, database, sender, make_gateway, tmp_path,
                                                             kept):
    count = 2000
    people = sessions(odoo, count)
    gateway = make_gateway(database, auth="odoo", odoo_url=odoo.url, odoo_concurrency=LIMIT, odoo_timeout=60,
                           state_dir=str(tmp_path) if kept else None, log_level="info").start()
    async with Crowd(gateway, people) as crowd:
        # Kept for those who connect later: the last 50 seconds are replayed to a new client.
        deadline = time.monotonic() + scaled(120)
        while odoo.run("odoo.log.count('peek', status=200)") < count:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)
        asked = odoo.run("odoo.log.peeks_per_session()")
        assert set(asked.values()) == {1} and len(asked) == count
        assert odoo.run("odoo.log.high_water") <= LIMIT
        await asyncio.to_thread(send_to_each, database, sender, crowd.partners, "before")
        await crowd.everyone_gets("before")

        odoo.run("odoo.log.clear()")
        await asyncio.to_thread(gateway.kill9)
        await asyncio.to_thread(send_to_each, database, sender, crowd.partners, "meanwhile")
        await asyncio.to_thread(gateway.start)
        await crowd.everyone_gets("meanwhile")
        await asyncio.to_thread(send_to_each, database, sender, crowd.partners, "after")
        await crowd.everyone_gets("after")

        # Whoever is let in by what is kept is checked later, slowly: those peeks are not first ones.
        asked = odoo.run("odoo.log.peeks_per_session(first=True)")
        if kept:
            assert asked == {}
        else:
            assert set(asked.values()) == {1} and len(asked) == count
        assert odoo.run("odoo.log.high_water") <= LIMIT
        for client, partner in zip(crowd.clients, crowd.partners):
            assert client.payloads == [["before", partner], ["meanwhile", partner], ["after", partner]]
