"""A real Odoo's traffic to many users who were idle for longer than --recheck-interval: what the confirmations before deliveries
cost Odoo and the users, and that each gets everything once and in order.

The trace of 13 users (test/data) is spread over groups of 13 at the pace at which it was recorded. ODOO_BUS_TRACE_USERS,
ODOO_BUS_TRACE_SECONDS and ODOO_BUS_TRACE_INTERVAL say how much and how long.
"""
import asyncio
import gzip
import itertools
import json
import os
import random
import time

import pytest

from harness.client import BusClient
from harness.database import stored_channel
from harness.deadline import SLOWNESS
from harness.system import ROOT
from standin import RemoteStandin

from metrics_test import metrics  # noqa: F401 (a fixture)
from odoo_load_test import many_descriptors, sender  # noqa: F401

GROUP = 13
USERS = int(os.environ.get("ODOO_BUS_TRACE_USERS", "130"))
LASTS = float(os.environ.get("ODOO_BUS_TRACE_SECONDS", "15"))
INTERVAL = float(os.environ.get("ODOO_BUS_TRACE_INTERVAL", "10"))
RATE = 10


@pytest.fixture
def odoo(database):
    """Two workers, and what a peek costs a real one."""
    with RemoteStandin(version="19.0", workers=2, cost=0.007) as odoo:
        odoo.run(f"d = odoo.add_database({database.name!r})")
        yield odoo


def read_trace():
    """[(seconds, [(channel's parts, message), ...])], one for each transaction."""
    with gzip.open(ROOT / "test" / "data" / "odoo19-bus-trace.jsonl.gz", "rt") as lines:
        rows = [row for row in map(json.loads, lines) if len(json.loads(row["channel"])) < 4]  # not presence
    return [(at, [(json.loads(row["channel"])[1:], json.loads(row["message"])) for row in group])
            for at, group in itertools.groupby(sorted(rows, key=lambda row: row["t"]), key=lambda row: row["t"])]


class Company:
    """Groups of users, each with the discuss channels of the trace."""

    def __init__(self, odoo, trace):
        parts = [channel for _, rows in trace for channel, _ in rows]
        self.records = {model: sorted({channel[1] for channel in parts if channel[0] == model and len(channel) == 2})
                        for model in ("res.partner", "discuss.channel")}
        self.groups = odoo.run(f"""
def group(g):
    users = [d.add_user(f"u{{g}}-{{n}}") for n in range({GROUP})]
    channels = [d.add_channel(*users, public=False) for _ in range({len(self.records["discuss.channel"])})]
    return [[(odoo.login(user).cookie, user.partner_id) for user in users], [channel.id for channel in channels]]
[group(g) for g in range({USERS // GROUP})]""")
        self.strings = sorted({channel[0] for channel in parts if len(channel) == 1 and channel[0] != "broadcast"})

    def names(self, group):
        """That a page of the group asks for."""
        return [f"{name}-{group}" for name in self.strings]

    def place(self, group, channel):
        """Where a row of the trace goes in this group, and who gets it."""
        users, channels = self.groups[group]
        if channel == ["broadcast"]:
            return channel, [(g, n) for g in range(len(self.groups)) for n in range(GROUP)]
        everyone = [(group, n) for n in range(GROUP)]
        if len(channel) == 1:
            return [f"{channel[0]}-{group}"], everyone
        model, record = channel
        if model == "discuss.channel":
            return [model, channels[self.records[model].index(record)]], everyone
        n = self.records["res.partner"].index(record) % GROUP
        return ["res.partner", users[n][1]], [(group, n)]


def quantile(values, part):
    """The upper bound of the bucket of the histogram in which it is."""
    buckets = [(float(name.partition('le="')[2].partition('"')[0]), count) for name, count in values.items()
               if name.startswith("odoo_bus_confirmation_wait_seconds_bucket")]
    total = values["odoo_bus_confirmation_wait_seconds_count"]
    return next((bound for bound, count in sorted(buckets) if count >= part * total), None) if total else None


async def test_the_trace_of_a_real_odoo_after_a_quiet_time(odoo, database, sender, make_gateway, metrics):  # noqa: F811
    trace, chooser = read_trace(), random.Random(1)
    company = Company(odoo, trace)
    gateway = make_gateway(database, auth="odoo", odoo_url=odoo.url, odoo_timeout=60, max_connections_per_address=0,
                           max_handshakes_per_address=0, recheck_interval=INTERVAL, recheck_rate=RATE, log_level="info",
                           **metrics.options).start()
    pages = {(g, n): BusClient(gateway.url, company.names(g), headers={"Cookie": cookie})
             for g, (users, _) in enumerate(company.groups) for n, (cookie, _) in enumerate(users)}
    expected = {page: [] for page in pages}
    try:
        for number, page in enumerate(pages.values()):
            page.start()
            if number % 100 == 99:
                await page.subscribed()
        await asyncio.to_thread(lambda: wait_for(odoo, len(pages)))
        await asyncio.sleep(INTERVAL + 1)  # the quiet time
        odoo.run("odoo.log.clear()")
        begin, count = time.monotonic(), 0
        for at, rows in trace:
            if at > LASTS:
                break
            await asyncio.sleep(max(0, begin + at - time.monotonic()))
            group = chooser.randrange(len(company.groups))
            values = []
            for channel, message in rows:
                place, receivers = company.place(group, channel)
                for receiver in receivers:
                    expected[receiver].append(count)
                values.append((stored_channel(database.name, *place),
                               json.dumps({"type": message["type"], "payload": [count, message["payload"]]})))
                count += 1
            await asyncio.to_thread(insert, sender, values)
        for page, numbers in expected.items():
            if numbers:
                await pages[page].until(lambda p=pages[page], n=numbers: len(p.notifications) >= len(n), "the end", 120)
        lasted = time.monotonic() - begin
        questions = odoo.run("odoo.log.count('peek')")
        values = metrics.values()
        deliveries = sum(len(numbers) for numbers in expected.values())
        unconfirmed = values["odoo_bus_delivered_unconfirmed_total"]
        waited = values["odoo_bus_confirmation_wait_seconds_count"]
        print(f"{len(pages)} users, {count} notifications and {deliveries} deliveries in {lasted:.0f} s after {INTERVAL:.0f} s of "
              f"quiet: Odoo was asked {questions} times, {questions / lasted:.1f} a second of {RATE} allowed; {waited:.0f} waits "
              f"({100 * waited / deliveries:.1f} % of the deliveries), of which 50, 90 and 99 % took at most "
              f"{[quantile(values, part) for part in (0.5, 0.9, 0.99)]} s; {unconfirmed:.0f} delivered unconfirmed")
        assert questions <= RATE * (lasted + 2)
        assert 0 < waited
        for page, numbers in expected.items():
            assert [payload[0] for payload in pages[page].payloads] == numbers
            assert pages[page].closes == []
        assert (quantile(values, 0.99) or 0) <= 1 * SLOWNESS + 1.5
    finally:
        await asyncio.gather(*(page.stop() for page in pages.values()))


def wait_for(odoo, count):
    deadline = time.monotonic() + 120 * SLOWNESS
    while odoo.run("odoo.log.count('peek', status=200)") < count:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def insert(sender, values):  # noqa: F811
    sender.execute("INSERT INTO bus_bus (channel, message) SELECT c, m FROM unnest(%s::text[], %s::text[]) AS t (c, m)",
                   ([channel for channel, _ in values], [message for _, message in values]))
    sender.execute("NOTIFY imbus, '[]'")
