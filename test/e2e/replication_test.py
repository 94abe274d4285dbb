"""A subscriber of logical replication: rows come without the table's sequence, without a doorbell, and in the order of
commits. docs/delivery.md says what is guaranteed there."""
import asyncio
import json
import re
import time
import urllib.request

import pytest

from harness.client import BusClient
from harness.cluster import Cluster
from harness.deadline import DEADLINE
from harness.gateway import run_gateway
from harness.ports import reserve_port
from harness.wait import until

WARNING = "is filled by logical replication"
READER = "reader"


@pytest.fixture(scope="module")
def publishers():
    with Cluster(wal_level="logical") as cluster:
        yield cluster


@pytest.fixture
def publisher(publishers):
    database = publishers.create_database().install()
    database.execute("CREATE PUBLICATION bus FOR TABLE bus_bus")
    return database


@pytest.fixture
def subscriber(cluster, publisher, make_database):
    """With what the publisher has sent until then; read by an ordinary role."""
    database = make_database()
    database.execute(f"CREATE ROLE {READER} LOGIN")
    database.execute(f"GRANT SELECT ON bus_bus, bus_bus_id_seq TO {READER}")
    yield database
    database.execute("DROP SUBSCRIPTION IF EXISTS bus")
    database.execute(f"DROP OWNED BY {READER}")
    database.execute(f"DROP ROLE {READER}")


def subscribe(subscriber, publisher):
    subscriber.execute(f"CREATE SUBSCRIPTION bus CONNECTION '{publisher.conninfo}' PUBLICATION bus")
    until(lambda: subscriber.value("SELECT count(*) FROM pg_subscription_rel WHERE srsubstate = 'r'") == 1,
          lambda: "the subscription is not set up")


def reading(subscriber, make_gateway, **options):
    return make_gateway(subscriber.cluster.conninfo(subscriber.name, user=READER), **options).start()


def warnings(gateway):
    return sum(WARNING in line for line in gateway.lines)


async def in_thread(function, *arguments, **options):
    return await asyncio.to_thread(function, *arguments, **options)


def dead_gaps(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=DEADLINE) as answer:
        return int(re.search(r"^odoo_bus_ledger_dead_gaps_total\{.*\} (\d+)", answer.read().decode(), re.M).group(1))


def arrived(subscriber, id):
    until(lambda: subscriber.value("SELECT count(*) FROM bus_bus WHERE id = %s", (id,)) == 1, lambda: f"{id} is not there")


async def test_it_is_recognised_and_warned_of_once(subscriber, publisher, make_gateway):
    await in_thread(subscribe, subscriber, publisher)
    gateway = await in_thread(reading, subscriber, make_gateway)
    line = await in_thread(gateway.wait_for_line, WARNING)
    assert f'warning database "{subscriber.name}": public.bus_bus {WARNING}' in line
    mark = len(gateway.lines)
    await in_thread(subscriber.execute, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s AND "
                    "datname = current_database()", (READER,))
    await in_thread(gateway.wait_for_line, "reading public.bus_bus", mark)
    assert warnings(gateway) == 1
    checks = json.loads((await in_thread(run_gateway, "doctor", "--database", gateway.databases[0], "--auth", "open",
                                         "--json")).stdout)["checks"]
    found = [check for check in checks if check["name"] == "postgresql.bus_bus"]
    assert [check["state"] for check in found] == ["warning"] and WARNING in found[0]["found"]
    assert "delivery.md" in found[0]["cure"]


async def test_a_publisher_is_not_warned_of(publisher, make_gateway):
    gateway = make_gateway(publisher).start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        await in_thread(publisher.sendone, "a", payload=1)
        await client.wait_payload(1)
    assert warnings(gateway) == 0
    gateway.finish()


async def test_what_comes_in_the_order_of_ids_is_delivered_once(subscriber, publisher, make_gateway):
    """What was there before it subscribed, one by one, and in masses."""
    channel = f'["{subscriber.name}","a"]'
    send = "INSERT INTO bus_bus (channel, message) SELECT %s, jsonb_build_object('type', 't', 'payload', n)::text FROM " \
           "generate_series(%s::int, %s) n"
    gateway = await in_thread(reading, subscriber, make_gateway)
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        await in_thread(publisher.execute, send, (channel, 0, 999))
        await in_thread(subscribe, subscriber, publisher)
        for n in range(1000, 1010):
            await in_thread(publisher.execute, send, (channel, n, n))
        sent = 1010
        for _ in range(3):
            begin = time.monotonic()
            await in_thread(publisher.execute, send, (channel, sent, sent + 3999))
            sent += 4000
            await client.wait_for(sent)
            seconds = time.monotonic() - begin
            print(f"4,000 rows in {seconds:.2f} s")
            if seconds < 12:
                break
        assert seconds < 12, "256 rows at each look, one a second"
        client.drop()
        await in_thread(publisher.execute, send, (channel, sent, sent + 9))
        await client.wait_for(sent + 10)
        assert client.payloads == list(range(sent + 10))
    gateway.finish()


async def test_a_row_that_comes_after_a_greater_id_is_not_guaranteed(subscriber, publisher, make_gateway):
    """Committed later than the greater one, as of any two transactions at the same time: what the documentation says of
    it is what happens."""
    channel = f'["{subscriber.name}","a"]'
    send = "INSERT INTO bus_bus (channel, message) VALUES (%s, %s) RETURNING id"

    def message(payload):
        return json.dumps({"type": "t", "payload": payload})

    await in_thread(publisher.execute, send, (channel, message("first")))  # 1 is where the subscriber's sequence stands
    await in_thread(subscribe, subscriber, publisher)
    for sequence in ("where it was", "set forward"):
        if sequence == "set forward":  # as one does before the subscriber becomes the server
            await in_thread(subscriber.execute, "SELECT setval('bus_bus_id_seq', 1000)")
        port = reserve_port()
        gateway = await in_thread(reading, subscriber, make_gateway, metrics_listen=f"127.0.0.1:{port}")
        async with BusClient(gateway.url, ["a"]) as client:
            await client.subscribed()
            with publisher.connect(autocommit=False) as late:
                [low] = late.execute(send, (channel, message("late"))).fetchone()
                [[greater]] = await in_thread(publisher.execute, send, (channel, message("greater")))
                assert low < greater
                await client.wait_payload("greater")
                if sequence == "set forward":  # a missing id is one that the sequence has passed
                    await in_thread(until, lambda: dead_gaps(port) == 1, gateway.tail)
                late.commit()
            await in_thread(arrived, subscriber, low)
            await in_thread(publisher.execute, send, (channel, message("end")))
            await client.wait_payload("end")
            print(f"the sequence {sequence}: {client.payloads}")
            assert client.payloads[-2:] == ["greater", "end"]
        gateway.finish()
