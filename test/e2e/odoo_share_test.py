"""--auth odoo: addresses have equal shares of Odoo, whatever cookies their clients make up."""
import contextlib
import secrets

import pytest

from harness.client import HANDSHAKE, PING, PONG, BusClient, RawClient
from odoo_auth_test import send
from standin import faults

GREEDY, OTHER = {"X-Forwarded-For": "192.0.2.1"}, {"X-Forwarded-For": "192.0.2.2"}
MANY = 120


@pytest.fixture
def gateway(start, mydb):
    return start(odoo_concurrency=4, odoo_timeout=20, worker_version="off")


def settle(client):
    """Until the gateway has read what was sent."""
    client.send_frame(PING, b"read")
    while client.receive_frame()[0] != PONG:
        pass


async def test_made_up_cookies_give_no_second_share(gateway, odoo, database):
    odoo.break_with(faults.delay(1))
    with contextlib.ExitStack() as stack:
        for n in range(MANY):
            client = stack.enter_context(RawClient(("127.0.0.1", gateway.port)))
            client.upgrade(headers=HANDSHAKE | GREEDY | {"Cookie": f"session_id={secrets.token_hex(32)}"})
            client.send_event("subscribe", {"channels": [f"{n}"], "last": 0})
            settle(client)
        before = odoo.log.count("peek")
        async with BusClient(gateway.url, ["a"], headers=OTHER) as other:
            await other.subscribed()
            send(database, "a", payload="granted")
            await other.wait_payload("granted")
            place = [request.params.get("channels") for request in odoo.log.requests("peek")].index(["a"])
            assert place - before < MANY / 4, "it has waited for many of them"
            assert before < MANY * 3 / 4, "as many are still to be asked"


async def test_what_nobody_waits_for_is_not_asked(gateway, odoo, database):
    """Clients that subscribe and go leave no questions behind."""
    odoo.break_with(faults.delay(1))
    for n in range(MANY):
        with RawClient(("127.0.0.1", gateway.port)) as client:
            client.upgrade(headers=HANDSHAKE | GREEDY | {"Cookie": f"session_id={secrets.token_hex(32)}"})
            client.send_event("subscribe", {"channels": [f"{n}"], "last": 0})
            settle(client)
    async with BusClient(gateway.url, ["a"], headers=GREEDY) as other:
        await other.subscribed()
        send(database, "a", payload="granted")
        await other.wait_payload("granted")
    assert odoo.log.count("peek") < MANY * 3 / 4  # not more than could be asked at once meanwhile


def test_passed_on_requests_have_a_share_for_each_address(gateway, odoo):
    odoo.break_with(faults.delay(2))

    def ask(stack, headers):
        client = stack.enter_context(RawClient(("127.0.0.1", gateway.port)))
        return client.request("GET", "/bus/anything", {"Host": "x"} | headers)

    with contextlib.ExitStack() as stack:
        greedy = [ask(stack, GREEDY) for _ in range(150)]
        odoo.wait_for(lambda log: len(log) >= 10)
        status, _, _ = ask(stack, OTHER).response()
        assert status == 404
        assert len(odoo.log) < 120, "it has waited for most of them"
        assert {client.response()[0] for client in greedy} == {404}
