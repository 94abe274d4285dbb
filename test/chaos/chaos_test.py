"""Everything that breaks in production, under load: nothing is lost, nothing comes twice, no effect before its cause.

CHAOS_SECONDS (60) is how long faults are injected, CHAOS_SEED what happens.
"""
import asyncio
import bisect
import collections
import json
import os
import random
import threading

import pytest

from harness.cluster import Cluster
from harness.gateway import Gateway
from harness.http_clients import TRANSPORTS

from faults import Faults
from writers import CHANNELS, finish_prepared, start_writers

SECONDS = float(os.environ.get("CHAOS_SECONDS", "60"))
SEED = int(os.environ.get("CHAOS_SEED", random.randrange(2**32)))
CLIENTS = 50
MARKER = "everything has been sent"


def make_client(number, gateways, choice):
    """Subscribed to some channels, over one of the three transports; every third of each is moved between gateways."""
    gateway = gateways[number % len(gateways)]
    make = list(TRANSPORTS.values())[number // 6 % len(TRANSPORTS)]
    client = make(gateway.url, choice.sample(CHANNELS, 4), delay_scale=0.02)
    client.moves = number % 3 == 0
    return client


@pytest.fixture
def cluster():
    with Cluster(fsync=True, max_prepared_transactions=50, wal_writer_delay="200ms") as private:
        yield private


async def test_chaos(cluster, make_database, tmp_path):
    print(f"CHAOS_SEED={SEED}")
    choice = random.Random(SEED)
    database = make_database("chaos")
    gateways = [Gateway(database, state_dir=tmp_path / name, log_level="info") for name in ("a", "b")]
    clients = []
    stopping = threading.Event()
    try:
        for gateway in gateways:
            gateway.start()
        clients = [make_client(number, gateways, choice).start() for number in range(CLIENTS)]
        for client in clients:
            await client.subscribed()
        hurried = threading.Event()
        writers = start_writers(database, SEED, stopping, hurried)
        faults = Faults(cluster, gateways, clients, choice, hurried)
        asyncio.get_running_loop().call_later(SECONDS, stopping.set)
        await faults.run(stopping)
        for writer in writers:
            await asyncio.to_thread(writer.join)
        expected = await settle(database, clients, choice)
        judge(clients, expected, faults.counts, faults.connections)
    finally:
        for gateway in gateways:
            (tmp_path / f"{gateway.port}.log").write_text("\n".join(gateway.lines))
        stopping.set()
        for client in clients:
            await client.stop()
        for gateway in gateways:
            await asyncio.to_thread(gateway.finish)


async def settle(database, clients, choice):
    """Waits until every client has got the last notification; returns what stayed committed, by channel."""
    with database.connect() as connection:
        finish_prepared(connection, choice)
    database.sendone("broadcast", "chaos", MARKER)
    for client in clients:
        await client.wait_payload(MARKER, timeout=120)
    expected = collections.defaultdict(list)
    for _, (_, channel), message in database.rows():
        if isinstance(message["payload"], dict):
            expected[channel].append(message["payload"])
    return expected


def judge(clients, expected, faults, cut=0):
    lost = missed = twice = twice_moved = twice_by_id = vanished = out_of_order = delivered = 0
    reused = ids_drawn_twice(clients)
    for client in clients:
        wanted = {key(payload): payload for channel in client.channels for payload in expected[channel]}
        got = [payload for payload in client.payloads if isinstance(payload, dict)]
        counts = collections.Counter(map(key, got))
        delivered += len(got)
        missing = wanted.keys() - counts.keys()
        if client.moves:  # a chosen id may be missed by who leaves a gateway that is far behind
            chosen = {number for number in missing if not wanted[number]["t"]}
            missed += len(chosen)
            missing -= chosen
        if missing:
            print(f"{client.url} {client.channels} lost {sorted(missing)[:10]}")
        lost += len(missing)
        # What a crash took from a writer that did not wait for the disk may have been delivered before.
        vanished += len(counts.keys() - wanted.keys())
        repeated = sum(count - 1 for count in counts.values())
        if client.moves:
            twice_moved += repeated
        elif client.resumed_from & reused:
            twice_by_id += repeated
        else:
            twice += repeated
        wrong = effects_before_causes(got, wanted)
        if wrong:
            print(f"{type(client).__name__} {client.url} moves={client.moves}: {len(wrong)} out of order, first {wrong[:3]}")
        out_of_order += len(wrong)
    committed = sum(map(len, expected.values()))
    for transport in TRANSPORTS.values():
        group = [client for client in clients if type(client) is transport]
        print(f"{transport.__name__}: {len(group)} clients, {sum(len(c.notifications) for c in group)} deliveries, "
              f"{sum(c.connections for c in group)} connections")
    print(f"faults: {sum(faults.values())} {dict(faults)}; they cut {cut} connections of clients\n"
          f"{committed} notifications committed, {delivered} deliveries to {len(clients)} clients, "
          f"{sum(client.connections for client in clients)} connections\n"
          f"lost {lost}, twice {twice}, out of causal order {out_of_order}; "
          f"lost by the server in a crash after delivery {vanished}, twice after a move {twice_moved}, "
          f"chosen ids missed by a move {missed}, "
          f"after coming back with an id that was drawn twice {twice_by_id}")
    assert committed and delivered and faults
    assert (lost, twice, out_of_order) == (0, 0, 0)


def ids_drawn_twice(clients):
    """Whoever comes back with one of them goes on after the first of the two, and may get some again."""
    payloads = collections.defaultdict(set)
    for client in clients:
        for notification in client.notifications:
            payloads[notification["id"]].add(json.dumps(notification["message"]))
    return {number for number, known in payloads.items() if len(known) > 1}


def key(payload):
    return payload["w"], payload["n"]


def effects_before_causes(got, wanted):
    """Which notifications came before one of their causes, or before an earlier one of their transaction."""
    arrival = {}
    for index, payload in enumerate(got):
        arrival.setdefault(key(payload), index)
    wrong = []
    newest = {}  # of each transaction
    for payload in sorted(wanted.values(), key=key):
        if key(payload) in arrival and payload["t"]:
            transaction = payload["w"], payload["t"]
            if arrival[key(payload)] < newest.get(transaction, -1):
                wrong.append((payload, "an earlier one of its transaction", newest[transaction]))
            newest[transaction] = max(arrival[key(payload)], newest.get(transaction, -1))
    # For each writer: its transactions, and the latest arrival among these up to each of them.
    causes = collections.defaultdict(lambda: ([], []))
    for payload in sorted(wanted.values(), key=lambda payload: payload["t"]):
        if key(payload) in arrival and payload["t"]:
            transactions, arrivals = causes[payload["w"]]
            transactions.append(payload["t"])
            arrivals.append(max([arrival[key(payload)], *arrivals[-1:]]))
    for payload in wanted.values():
        if key(payload) not in arrival:
            continue
        for writer, transaction in payload["after"].items():
            transactions, arrivals = causes[int(writer)]
            known = bisect.bisect_right(transactions, transaction)
            if known and arrivals[known - 1] > arrival[key(payload)]:
                wrong.append((payload, got[arrivals[known - 1]], arrival[key(payload)], arrivals[known - 1], len(got)))
                break
    return wrong
