"""Rows of every kind and size: what cannot be delivered is left out, and holds back nothing else."""
import asyncio
import contextlib
import json
import re
from pathlib import Path

import pytest

from harness.client import BusClient
from harness.cluster import Cluster
from harness.wait import until

from metrics_test import Metrics, metrics  # noqa: F401

KIB, MIB = 1024, 1024 * 1024
DATE = "now() AT TIME ZONE 'UTC'"


def insert(database, channel, message, rows=1, date=DATE):
    """Rows with this message, an expression in SQL, as another program may write them."""
    database.execute(f"INSERT INTO bus_bus (channel, message, create_date) SELECT %s, {message}, {date} "
                     f"FROM generate_series(1, {rows})", (database.channel(channel),))


def large(size):
    """A notification of this many bytes."""
    return f"""'{{"type":"t","payload":"' || repeat('x', {size - len('{"type":"t","payload":""}')}) || '"}}'"""


def left_out(gateway):
    return [re.search(r"row (\d+) of bus_bus cannot be delivered: (.*)", line).groups()
            for line in gateway.lines if "cannot be delivered" in line]


def peak_memory(gateway):
    """In bytes, since it began."""
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * KIB


@pytest.mark.parametrize("bound", [64 * KIB, 16 * MIB])
async def test_a_row_above_the_bound_is_left_out_and_named_once(database, make_gateway, bound):
    options = {} if bound == 16 * MIB else {"max_row_bytes": bound}
    gateway = make_gateway(database, max_queue_bytes=64 * MIB, **options).start()
    channel_bytes = len(database.channel("a"))
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        database.sendone("a", payload="before")
        insert(database, "a", large(bound - channel_bytes))
        insert(database, "a", large(bound - channel_bytes + 1))
        insert(database, "a", large(3 * bound))
        database.sendone("a", payload="after")
        await client.wait_payload("after")
        assert [n["id"] for n in client.notifications] == [1, 2, 5]
    # A client that comes back is given the same, and nothing is said again.
    async with BusClient(gateway.url, ["a"], last=1) as client:
        await client.wait_payload("after")
        assert [n["id"] for n in client.notifications] == [2, 5]
    wanted = [(str(id), f"it has {size} bytes, and --max-row-bytes is {bound}")
              for id, size in [(3, bound + 1), (4, 3 * bound + channel_bytes)]]
    await asyncio.to_thread(until, lambda: left_out(gateway) == wanted, lambda: f"{left_out(gateway)}")


@pytest.mark.unsanitized  # which need memory of their own
def test_many_large_rows_are_read_in_portions(database, make_gateway, metrics):  # noqa: F811
    """Also by a gateway that finds them when it starts."""
    insert(database, "quiet", large(MIB), rows=200)
    gateway = make_gateway(database, history_bytes=8 * MIB, **metrics.options).start()
    counted = f'odoo_bus_notifications_total{{database="{database.name}"}}'
    for round in range(1, 4):
        insert(database, "quiet", large(MIB), rows=200)
        until(lambda: metrics.values()[counted] == 200 * round, lambda: f"read {metrics.values()[counted]}")
    assert peak_memory(gateway) < 128 * MIB


@pytest.mark.parametrize("date", ["'infinity'", "'-infinity'", "NULL", "'294276-12-31'", "'4713-01-01 BC'"])
async def test_a_date_of_any_kind_stops_nothing(database, make_gateway, tmp_path, date):
    insert(database, "a", """'{"type":"t","payload":"found at the start"}'""", date=date)
    gateway = make_gateway(database, state_dir=tmp_path).start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        insert(database, "a", """'{"type":"t","payload":"odd"}'""", date=date)
        database.sendone("a", payload="after")
        await client.wait_payload("after")
        assert client.payloads[-2:] == ["odd", "after"]
    gateway.finish()
    gateway.start()
    async with BusClient(gateway.url, ["a"], last=1) as client:
        await client.wait_payload("after")
        assert client.payloads == ["odd", "after"]


# A byte or two that this encoding has, and UTF-8 has not.
ENCODINGS = {"SQL_ASCII": [r"\377", r"\303\050"], "EUC_JP": [r"\217\242\241"], "WIN1252": [r"\201"], "EUC_KR": [r"\376\376"]}
# And text that is converted.
READABLE = {"SQL_ASCII": (r"\303\244", "ä"), "EUC_JP": (r"\244\242", "あ"), "WIN1252": (r"\200", "€"), "LATIN1": (r"\351", "é")}


@pytest.mark.parametrize("encoding", sorted(ENCODINGS.keys() | READABLE.keys()))
async def test_text_of_another_encoding_is_one_row_at_most(make_database, make_gateway, encoding, tmp_path):
    database = make_database(encoding=f"'{encoding}'", template="template0", locale="'C'")

    def insert_bytes(escaped, into="payload"):
        parts = {"channel": "a", "payload": ""} | {into: "@"}
        row = f"""["{database.name}","{parts['channel']}"]|{{"type":"t","payload":"{parts['payload']}"}}"""
        before, _, after = row.partition("@")
        with database.connect(client_encoding=encoding if encoding != "SQL_ASCII" else "SQL_ASCII") as connection:
            connection.execute(f"INSERT INTO bus_bus (channel, message, create_date) SELECT split_part(row, '|', 1), "
                               f"split_part(row, '|', 2), {DATE} "
                               f"FROM (SELECT '{before}' || E'{escaped}' || '{after}') AS made (row)")

    gateway = make_gateway(database, state_dir=tmp_path).start()
    wanted = ["before"]
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        database.sendone("a", payload="before")
        for escaped in ENCODINGS.get(encoding, []):
            insert_bytes(escaped)
            insert_bytes(escaped, into="channel")
        if encoding in READABLE:
            escaped, text = READABLE[encoding]
            insert_bytes(escaped)
            wanted.append(text)
        database.sendone("a", payload="after")
        wanted.append("after")
        await client.wait_payload("after")
        assert client.payloads == wanted
    await asyncio.to_thread(until, lambda: len(left_out(gateway)) == 2 * len(ENCODINGS.get(encoding, [])),
                            lambda: f"{left_out(gateway)}")
    # The same for what is read again, and for what is found: of that, the latest is given twice.
    for state_dir in (tmp_path, tmp_path / "other"):
        gateway.finish()
        state_dir.mkdir(exist_ok=True)
        gateway.options["state_dir"] = state_dir
        gateway.start()
        async with BusClient(gateway.url, ["a"], last=1) as client:
            await client.wait_payload("after")
            assert [each for each in client.payloads if each != "before"] == wanted[1:]


REWRITES = {
    "nothing": "SELECT",
    "a wider id": "ALTER TABLE bus_bus ALTER id TYPE bigint; ALTER SEQUENCE bus_bus_id_seq AS bigint",
    "a text message": "ALTER TABLE bus_bus ALTER message TYPE text",
    "another tablespace or file": "VACUUM FULL bus_bus",
    "clustered": "CLUSTER bus_bus USING bus_bus_pkey",
    "frozen": "VACUUM FREEZE bus_bus",
    "unlogged and logged": "ALTER TABLE bus_bus SET UNLOGGED; ALTER TABLE bus_bus SET LOGGED",
    "a volatile default": "ALTER TABLE bus_bus ADD COLUMN drawn float8 DEFAULT random()",
    "other columns updated": "UPDATE bus_bus SET write_uid = 1, write_date = now()",
}


@pytest.mark.parametrize("restarted", ["gateway", "postgresql", "both"])
async def test_a_rewritten_table_is_the_same(make_gateway, tmp_path, restarted):
    """A database for each way of rewriting, all of them behind one gateway."""
    with Cluster() as cluster:
        databases = {what: cluster.create_database(f"own{n}").install() for n, what in enumerate(REWRITES)}
        gateway = make_gateway(*databases.values(), state_dir=tmp_path).start()

        def client_of(database, **options):
            return BusClient(f"{gateway.url}?db={database.name}", ["a"], **options)

        async def send_to_each(payload):
            for what, database in databases.items():
                await asyncio.to_thread(database.sendone, "a", payload=payload)
                await clients[what].wait_payload(payload)

        async with contextlib.AsyncExitStack() as stack:
            clients = {what: await stack.enter_async_context(client_of(database)) for what, database in databases.items()}
            for client in clients.values():
                await client.subscribed()
            for n in range(1, 6):
                await send_to_each(n)
            for what, database in databases.items():
                with database.connect() as connection:
                    for statement in REWRITES[what].split("; "):
                        connection.execute(statement)
            mark = len(gateway.lines)
            if restarted != "postgresql":
                gateway.finish()
            if restarted != "gateway":
                await asyncio.to_thread(cluster.restart)
            if restarted != "postgresql":
                await asyncio.to_thread(gateway.start)
            for database in databases.values():
                await asyncio.to_thread(gateway.wait_for_line, f'"{database.name}": reading', since=mark)
            await send_to_each(6)
            for what, database in databases.items():
                assert clients[what].payloads == [1, 2, 3, 4, 5, 6], what
                async with client_of(database, last=2, check_outdated=True) as late:
                    await late.wait_payload(6)
                    assert late.payloads == [3, 4, 5, 6] and not late.internal, what
        gateway.finish()


async def test_other_content_under_a_known_id_is_another_row(make_gateway, tmp_path):
    """What a rewritten table must not hide: rows that a crash took, whose ids are drawn again."""
    with Cluster() as cluster:
        database = cluster.create_database("own").install()
        gateway = make_gateway(database, state_dir=tmp_path).start()
        async with BusClient(gateway.url, ["a"]) as client:
            await client.subscribed()
            for n in range(1, 4):
                database.sendone("a", payload=n)
            await client.wait_payload(3)
            gateway.finish()
            database.execute("UPDATE bus_bus SET message = %s WHERE id = 3", (json.dumps({"type": "t", "payload": "other"}),))
            await asyncio.to_thread(cluster.restart)
            await asyncio.to_thread(gateway.start)
            await client.wait_payload("other")
            assert client.payloads == [1, 2, 3, "other"]
        gateway.finish()
