"""What was committed arrives: all of it, unchanged, once, and in an order that respects cause and effect."""
import asyncio
import collections
import contextlib
import gzip
import json
import os
import random
import threading

import psycopg
import pytest

from harness.client import BusClient
from harness.system import ROOT

pytestmark = pytest.mark.tsan

NOTIFICATIONS = int(os.environ.get("ODOO_BUS_TEST_NOTIFICATIONS", "100000"))
SEED = int(os.environ.get("ODOO_BUS_TEST_SEED", random.randrange(2**32)))
WRITERS, CLIENTS, CHANNELS = 8, 50, 40
TRACE = os.environ.get("ODOO_BUS_TEST_TRACE", ROOT / "test" / "data" / "odoo19-bus-trace.jsonl.gz")


class Writer(threading.Thread):
    """Sends in transactions that commit or roll back, with savepoints that are released or rolled back to.

    A payload is [writer, number]; `committed` are the channels and payloads that must arrive.
    """

    def __init__(self, number, database, count, failed):
        super().__init__(daemon=True)
        self.number, self.database, self.count, self.failed = number, database, count, failed
        self.random = random.Random(f"{SEED}/{number}")
        self.next = 0
        self.committed = []

    def run(self):
        try:
            with self.database.connect(autocommit=False) as connection:
                while len(self.committed) < self.count:
                    sent = self.transaction(connection)
                    if self.random.random() < 0.2:
                        connection.rollback()
                    else:
                        connection.commit()
                        self.committed += sent
        except Exception as error:
            self.failed.append(error)

    def transaction(self, connection):
        kept = []
        for _ in range(self.random.randint(1, 5)):
            in_savepoint = self.random.random() < 0.3
            if in_savepoint:
                connection.execute("SAVEPOINT s")
            sent = self.send(connection)
            if in_savepoint and self.random.random() < 0.5:
                connection.execute("ROLLBACK TO s")
            else:
                kept += sent
        return kept

    def send(self, connection):
        batch = []
        for _ in range(self.random.choice([1, 1, 2, 5, 20])):
            batch.append((f"channel{self.random.randrange(CHANNELS)}", [self.number, self.next]))
            self.next += 1
        if len(batch) == 1:
            channel, payload = batch[0]
            connection.execute("SELECT bus_sendone(%s, 't', %s::jsonb)", (channel, json.dumps(payload)))
        else:
            connection.execute("SELECT bus_sendmany(%s::jsonb)", (json.dumps([[c, "t", p] for c, p in batch]),))
        return batch


async def test_concurrent_writers_with_rollbacks_and_savepoints(gateway, database):
    print(f"seed {SEED}")
    chooser = random.Random(SEED)
    clients = [BusClient(gateway.url, [f"channel{c}" for c in chooser.sample(range(CHANNELS), 3)])
               for _ in range(CLIENTS)]
    async with contextlib.AsyncExitStack() as stack:
        for client in clients:
            await stack.enter_async_context(client)
        await asyncio.gather(*(client.subscribed() for client in clients))
        committed = await asyncio.to_thread(run_writers, database)
        assert len(committed) >= NOTIFICATIONS
        assert database.value("SELECT count(*) FROM bus_bus") == len(committed)
        database.sendone("broadcast", payload="end")
        await asyncio.gather(*(client.wait_payload("end", 120) for client in clients))

    by_channel = collections.defaultdict(list)
    for channel, payload in committed:
        by_channel[channel].append(tuple(payload))
    for client in clients:
        assert client.payloads[-1] == "end"
        received = [tuple(payload) for payload in client.payloads[:-1]]
        assert sorted(received) == sorted(payload for channel in client.channels for payload in by_channel[channel])
        assert len(set(client.ids)) == len(client.ids)
        check_order(client, received)


def run_writers(database):
    failed = []
    writers = [Writer(n, database, NOTIFICATIONS // WRITERS, failed) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failed, failed
    return [sent for writer in writers for sent in writer.committed]


def check_order(client, received):
    """What one session sent later may be an effect of what it sent before."""
    newest = [(-1, 0)] * WRITERS
    for (writer, number), row in zip(received, client.ids):
        assert number > newest[writer][0], (
            f"writer {writer} sent {number} (row {row}) before {newest[writer][0]} (row {newest[writer][1]}), "
            f"and it came after; connections: {client.connections}")
        newest[writer] = (number, row)


def read_trace():
    opener = gzip.open if str(TRACE).endswith(".gz") else open
    with opener(TRACE, "rt") as lines:
        return [json.loads(line) for line in lines]


def pipeline(connection):
    """One statement after the other where libpq is older than pipelines."""
    return connection.pipeline() if psycopg.pq.version() >= 140000 else contextlib.nullcontext()


async def test_the_trace_of_a_real_odoo_arrives_unchanged(gateway, database):
    """Open mode serves string channels, so that each channel of the trace is sent under a string that names it."""
    rows = read_trace()
    names = {row["channel"]: "/".join(map(str, json.loads(row["channel"])[1:])) for row in rows}
    messages = [json.loads(row["message"]) for row in rows]
    async with BusClient(gateway.url, sorted(names.values())) as client:
        await client.subscribed()

        def replay():
            with database.connect() as connection, pipeline(connection):
                for row, message in zip(rows, messages):
                    connection.execute("SELECT bus_sendone(%s, %s, %s::jsonb)",
                                       (names[row["channel"]], message["type"], json.dumps(message["payload"])))
        await asyncio.to_thread(replay)
        await client.wait_for(len(rows))
        assert [n["message"] for n in client.notifications] == messages
        assert client.ids == sorted(client.ids)


async def test_the_trace_as_odoo_wrote_it_arrives_unchanged(make_gateway, make_database):
    """The rows' own text, inserted as Odoo inserts it, for the string channels that the trace has."""
    database = make_database("odoo19")
    gateway = make_gateway(database).start()
    rows = read_trace()
    names = {row["channel"]: json.loads(row["channel"])[1] for row in rows if len(json.loads(row["channel"])) == 2}
    async with BusClient(gateway.url, sorted(names.values())) as client:
        await client.subscribed()
        with database.connect(autocommit=False) as connection:
            cursor = connection.cursor()
            cursor.executemany("INSERT INTO bus_bus (channel, message, create_date) VALUES (%s, %s, now())",
                               [(row["channel"], row["message"]) for row in rows])
            connection.commit()
        expected = [json.loads(row["message"]) for row in rows if row["channel"] in names]
        assert len(expected) > 20
        await client.wait_for(len(expected))
        assert [n["message"] for n in client.notifications] == expected


@pytest.mark.parametrize("size", [20_000, 1_000_000])
async def test_large_payloads(gateway, database, size):
    texts = ["x" * size, "é" * (size // 8), "\\\"\n" * (size // 8)]
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        for text in texts:
            database.sendone("a", payload={"text": text})
        await client.wait_for(len(texts))
        assert client.payloads == [{"text": text} for text in texts]
        assert client.connections == 1


async def only_what_is_committed_arrives(client, database):
    """At a client of the channel "a"."""
    await client.subscribed()
    with database.connect(autocommit=False) as connection:
        connection.execute("SELECT bus_sendone('a', 't', '\"kept\"')")
        connection.execute("SAVEPOINT s")
        connection.execute("SELECT bus_sendone('a', 't', '\"rolled back to\"')")
        connection.execute("ROLLBACK TO s")
        # Committed later than the above was sent, and arrives before it.
        database.sendone("a", payload="meanwhile")
        await client.wait_payload("meanwhile")
        assert client.payloads == ["meanwhile"]
        connection.commit()
    await client.wait_payload("kept")
    with database.connect(autocommit=False) as connection:
        connection.execute("SELECT bus_sendone('a', 't', '\"rolled back\"')")
        connection.rollback()
    database.sendone("a", payload="end")
    await client.wait_payload("end")
    assert client.payloads == ["meanwhile", "kept", "end"]


async def test_nothing_before_commit_and_nothing_after_rollback(gateway, database):
    async with BusClient(gateway.url, ["a"]) as client:
        await only_what_is_committed_arrives(client, database)


async def test_a_record_change_sends_what_changed(gateway, database):
    with database.connect() as connection:
        connection.execute("CREATE TABLE sale_order (id serial PRIMARY KEY, name text, state text)")
        connection.execute("INSERT INTO sale_order (name, state) VALUES ('S1', 'draft')")
        connection.execute("""CREATE TRIGGER live AFTER INSERT OR UPDATE OR DELETE ON sale_order FOR EACH ROW
                              EXECUTE FUNCTION bus_record_changed('sale_%s', 'sale.updated')""")
    async with BusClient(gateway.url, ["sale_1"]) as client:
        await client.subscribed()
        database.execute("UPDATE sale_order SET state = 'sale'")
        database.execute("UPDATE sale_order SET state = 'sale'")
        database.execute("DELETE FROM sale_order")
        await client.wait_for(2)
        assert client.payloads[0] == {"record_id": 1, "operation": "update", "fields": ["state"]}
        assert client.payloads[1]["operation"] == "delete"


async def test_two_transactions_in_the_opposite_order_of_their_ids(gateway, database):
    """A lower id that is committed last arrives, whatever has been read in between."""
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        with database.connect(autocommit=False) as slow:
            slow.execute("SELECT bus_sendone('a', 't', '\"slow\"')")
            for n in range(200):
                database.sendone("a", payload=n)
            await client.wait_payload(199)
            slow.commit()
        await client.wait_payload("slow")
        assert client.payloads == [*range(200), "slow"]
