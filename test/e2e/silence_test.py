"""Connections that stay open and say nothing any more: they are noticed, told of, and made anew.

A backend that hangs, a proxy that swallows what it is given, a network that drops packets: TCP alone notices none of them
in time, or none at all. Each connection of the gateway falls silent in each way with ODOO_BUS_TEST_SILENCE=all; by default
each connection does in one way, and each way comes.
"""
import asyncio
import contextlib
import os
import signal
import time

import pytest
from psycopg.conninfo import make_conninfo

from harness.client import BusClient
from harness.deadline import scaled
from harness.door import Door
from harness.doorbell import Listener
from harness.shared_library import compile_shared_library
from harness.system import ROOT
from standin import RemoteStandin

from metrics_test import Metrics, metrics  # noqa: F401
from presence_test import client as member_client
from presence_test import SECRET, told
from sql_auth_test import FUNCTION, cookie

# In seconds: until clients get what was sent meanwhile, and until health says it.
RESUMED, TOLD = 15, 5
# By this lock, which has this class id, a gateway's connection that reads a database is known.
PEER_LOCK = 1868850034


# --- ways to fall silent: each ends what it has stopped ---

@contextlib.contextmanager
def bytes_swallowed(door, sessions):
    door.mute([port for _, port in sessions])
    yield


@contextlib.contextmanager
def answers_swallowed(door, sessions):
    door.mute_answers([port for _, port in sessions])
    yield


@contextlib.contextmanager
def packets_dropped(door, sessions):
    door.stall([port for _, port in sessions])
    yield


@contextlib.contextmanager
def half_closed(door, sessions):
    """The server's side has ended, and the gateway does not hear of it."""
    door.leave([port for _, port in sessions])
    yield


@contextlib.contextmanager
def stopped(door, sessions):
    """The processes that should answer hang."""
    for pid, _ in sessions:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid, _ in sessions:
            os.kill(pid, signal.SIGCONT)


WAYS = [bytes_swallowed, answers_swallowed, packets_dropped, half_closed, stopped]


# --- connections ---

class Connection:
    """One kind of connection of a gateway, which leads through `door`, and what depends on it."""

    def __init__(self, cluster, database, make_gateway, metrics, directory):  # noqa: F811
        self.cluster, self.database, self.make_gateway = cluster, database, make_gateway
        self.metrics, self.directory = metrics, directory
        self.inner_port = cluster.port
        self.door = self.gateway = None

    async def start(self, database=None, **options):
        self.gateway = self.make_gateway(database or self.through, **{"hub_database": "none"} | self.metrics.options | options)
        await asyncio.to_thread(self.gateway.start)

    @property
    def through(self):
        return make_conninfo(self.cluster.conninfo(self.database.name, tcp=True), port=self.door.port)

    def sessions(self):
        """The process and the port of each one that is to fall silent."""
        return self.sessions_in(self.database.name, "NOT")

    def sessions_in(self, database, has_lock):
        found = self.cluster.execute(
            "SELECT pid, client_port FROM pg_stat_activity WHERE application_name = 'odoo-bus-gateway' AND datname = %s "
            f"AND {has_lock} pid IN (SELECT pid FROM pg_locks WHERE classid = {PEER_LOCK})", (database,))
        assert found
        return found

    async def use(self):
        """What needs the connection while it is silent."""

    def is_told(self, values):
        return values[f'odoo_bus_silent_connections{{purpose="{self.purpose}"}}'] > 0

    async def resumed(self):
        """Until what needs the connection has what it needs."""

    async def judge(self):
        """At the end nothing is lost, and nothing came twice."""

    async def metric(self, condition):
        while not condition(await asyncio.to_thread(self.metrics.values)):
            await asyncio.sleep(0.1)

    async def send(self, payload):
        await asyncio.to_thread(self.database.sendone, "a", payload=payload)


class OfDatabase(Connection):
    """It reads the notifications."""

    async def begin(self, stack):
        await self.start()
        self.client = await stack.enter_async_context(BusClient(self.gateway.url, ["a"]))
        await self.client.subscribed()
        await self.send("before")
        await self.client.wait_payload("before")
        self.age = f'odoo_bus_last_read_age_seconds{{database="{self.database.name}"}}'
        assert self.metrics.values()[self.age] < scaled(3)

    def sessions(self):
        return self.sessions_in(self.database.name, "")

    async def use(self):
        await self.send("meanwhile")

    def is_told(self, values):
        if values[f'odoo_bus_database_up{{database="{self.database.name}"}}']:
            return False
        assert values[self.age] > 3
        assert self.metrics.get("/ready")[0] == self.gateway.health()[0] == 503
        return True

    async def resumed(self):
        await self.client.wait_payload("meanwhile", timeout=RESUMED)
        await asyncio.to_thread(self.gateway.wait_healthy)

    async def judge(self):
        await self.send("after")
        await self.client.wait_payload("after")
        assert self.client.payloads == ["before", "meanwhile", "after"]
        assert self.client.connections == 1


class OfHub(Connection):
    """It hears Odoo's notifications, and passes on what is notified in the database, for which it holds a lock."""

    purpose = "hub"

    async def begin(self, stack):
        self.listener = stack.enter_context(Listener(self.cluster))
        await self.start(self.database, relay="on",
                         hub_database=make_conninfo(self.cluster.conninfo(tcp=True), port=self.door.port))
        await asyncio.to_thread(self.gateway.wait_for_line, "passing on what is notified")
        self.mark = len(self.gateway.lines)

    def sessions(self):
        return self.sessions_in("postgres", "NOT")

    def is_told(self, values):
        return super().is_told(values) and values["odoo_bus_hub_up"] == 0

    async def resumed(self):
        await asyncio.to_thread(self.gateway.wait_for_line, "listening to Odoo's notifications", self.mark)
        await self.metric(lambda values: values["odoo_bus_hub_up"] == 1)
        if not self.is_stopped():  # as long as it is, it holds the lock
            await self.passes_on()

    def is_stopped(self):
        return any(b"State:\tT" in open(f"/proc/{pid}/status", "rb").read() for pid, in self.cluster.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'odoo-bus-gateway'"))

    async def passes_on(self):
        await asyncio.to_thread(self.gateway.wait_for_line, "passing on what is notified", self.mark)
        channel = f"c{len(self.listener.channels)}"
        await asyncio.to_thread(self.database.sendone, channel)
        await asyncio.to_thread(self.listener.wait_for, self.database.name, channel)

    async def judge(self):
        await self.passes_on()


class OfPresence(Connection):
    """It writes who is there."""

    purpose = "presence"

    async def begin(self, stack):
        self.database.execute("SELECT bus_create_presence_table()")
        self.stack = stack
        await self.start(auth="token", token_keys=SECRET.write(self.directory / "keys"), presence="*", presence_notifications=True,
                         presence_grace=0.5)
        self.watcher = await stack.enter_async_context(member_client(self.gateway, "watcher"))
        await self.watcher.wait_for(1)
        await self.metric(self.is_up)

    def is_up(self, values):
        return values[f'odoo_bus_presence_up{{database="{self.database.name}"}}'] == 1

    async def use(self):
        self.ann = await self.stack.enter_async_context(member_client(self.gateway, "ann"))

    def is_told(self, values):
        return super().is_told(values) and not self.is_up(values)

    async def resumed(self):
        await self.watcher.wait_payload({"event": "join", "member": "ann"})
        await self.metric(self.is_up)

    async def judge(self):
        await self.ann.stop()
        await self.watcher.wait_payload({"event": "leave", "member": "ann"})
        assert told(self.database) == ["join watcher", "join ann", "leave ann"]
        assert [(p["event"], p["member"]) for p in self.watcher.payloads] == \
            [("join", "watcher"), ("join", "ann"), ("leave", "ann")]


class OfReplay(Connection):
    """It reads what a client has missed."""

    purpose = "replay"

    async def begin(self, stack):
        self.stack = stack
        for n in range(1, 4):
            await self.send(n)
        self.database.execute("UPDATE bus_bus SET create_date = create_date - interval '1 hour'")
        await self.start(history_seconds=1)
        async with BusClient(self.gateway.url, ["a"], last=1) as client:
            await client.wait_payload(3)

    async def use(self):
        self.client = await self.stack.enter_async_context(BusClient(self.gateway.url, ["a"], last=1))

    async def resumed(self):
        await self.client.wait_payload(3)

    async def judge(self):
        await self.send("after")
        await self.client.wait_payload("after")
        assert self.client.payloads == [2, 3, "after"]


class OfSql(Connection):
    """It asks the function of --auth sql."""

    purpose = "sql"

    async def begin(self, stack):
        self.stack = stack
        with self.database.connect() as connection:
            connection.execute(FUNCTION)
        await self.start(auth="sql", auth_sql_function="app_authorize", sql_pass="cookie:sid", sql_cache=0, sql_timeout=5)
        async with self.make_client() as client:
            await self.send("before")
            await client.wait_payload("before")

    def make_client(self, last=0):
        return BusClient(self.gateway.url, ["a"], last=last, headers=cookie("ann"),
                         origin=f"http://127.0.0.1:{self.gateway.port}")

    async def use(self):
        self.client = await self.stack.enter_async_context(self.make_client(last=1))
        await self.send("meanwhile")

    async def resumed(self):
        await self.client.wait_payload("meanwhile")

    async def judge(self):
        await self.send("after")
        await self.client.wait_payload("after")
        assert self.client.payloads == ["meanwhile", "after"]


class OfOdoo(Connection):
    """A request to Odoo, which has a connection of its own."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.odoo = RemoteStandin(version="19.0").__enter__()
        self.inner_port = self.odoo.port

    async def begin(self, stack):
        self.stack = stack
        stack.callback(self.odoo.__exit__)
        self.odoo.run(f"d = odoo.add_database({self.database.name!r})")
        self.cookie = self.odoo.run("odoo.login(d.add_user('ann')).cookie")
        await self.start(self.database, auth="odoo", odoo_url=f"http://127.0.0.1:{self.door.port}")
        async with self.make_client() as client:
            await self.send("before")
            await client.wait_payload("before")
        self.door.hold(b"/websocket/peek_notifications")
        self.client = await stack.enter_async_context(self.make_client(last=1))
        await self.door.knocked.wait()

    def make_client(self, last=0):
        return BusClient(self.gateway.url, ["a"], last=last, headers={"Cookie": self.cookie},
                         origin=f"http://127.0.0.1:{self.gateway.port}")

    def sessions(self):
        return [(self.odoo.pid, port) for port in self.door.ports]

    async def use(self):
        self.door.open()
        await self.send("meanwhile")

    def is_told(self, values):
        return values["odoo_bus_odoo_up"] == 0

    async def resumed(self):
        await self.client.wait_payload("meanwhile")

    async def judge(self):
        await self.send("after")
        await self.client.wait_payload("after")
        assert self.client.payloads == ["meanwhile", "after"]


CONNECTIONS = [OfDatabase, OfHub, OfPresence, OfReplay, OfSql, OfOdoo]
SOME = {(OfDatabase, bytes_swallowed), (OfDatabase, stopped), (OfHub, half_closed), (OfPresence, answers_swallowed),
        (OfReplay, packets_dropped), (OfSql, stopped), (OfOdoo, bytes_swallowed)}
CASES = [pytest.param(connection, way, id=f"{connection.__name__}-{way.__name__}") for connection in CONNECTIONS for way in WAYS
         if (connection, way) in SOME or os.environ.get("ODOO_BUS_TEST_SILENCE") == "all"]


@pytest.mark.parametrize("connection,way", CASES)
async def test_a_connection_that_falls_silent_is_told_of_and_made_anew(connection, way, cluster, database, make_gateway,
                                                                       metrics, tmp_path):  # noqa: F811
    async with contextlib.AsyncExitStack() as stack:
        silent = connection(cluster, database, make_gateway, metrics, tmp_path)
        silent.door = await stack.enter_async_context(Door(silent.inner_port))
        await silent.begin(stack)
        with way(silent.door, silent.sessions()):
            begin = time.monotonic()
            await silent.use()
            await asyncio.wait_for(silent.metric(silent.is_told), scaled(TOLD))
            if (connection, way) != (OfOdoo, stopped):  # which is all of Odoo
                await asyncio.wait_for(silent.resumed(), scaled(RESUMED))
                assert time.monotonic() - begin < scaled(RESUMED)
        await asyncio.wait_for(silent.resumed(), scaled(RESUMED))
        await silent.judge()
        await asyncio.to_thread(silent.gateway.finish)


async def test_one_database_whose_name_is_not_resolved_delays_no_other(cluster, database, make_gateway, tmp_path):
    """The name server does not answer: libpq waits for it, on a thread of its own."""
    library = compile_shared_library(ROOT / "test/e2e/no_name_server.c", tmp_path)
    gateway = make_gateway(database, "host=nowhere.invalid dbname=other connect_timeout=5",
                           environment={"LD_PRELOAD": str(library)}, hub_database="none")
    await asyncio.to_thread(gateway.start)
    async with BusClient(f"{gateway.url}?db={database.name}", ["a"]) as client:
        await client.subscribed()
        begin = time.monotonic()
        for n in range(20):
            await asyncio.to_thread(database.sendone, "a", payload=n)
            await client.wait_payload(n)
        assert time.monotonic() - begin < min(scaled(20), 60), "the look-up takes 60 s"
    await asyncio.to_thread(gateway.finish)


async def test_a_session_that_was_left_does_not_stay(cluster, database, make_gateway):
    """As long as it does, it has its locks and its transaction, and is in the way of who drops the database: for hours, since
    nothing tells the server that nobody is there any more."""
    async with Door(cluster.port) as door:
        gateway = make_gateway(make_conninfo(cluster.conninfo(database.name, tcp=True), port=door.port), hub_database="none")
        await asyncio.to_thread(gateway.start)
        left = ("SELECT pid FROM pg_stat_activity WHERE application_name = 'odoo-bus-gateway' AND datname = %s", (database.name,))
        former = cluster.execute(*left)
        mark = len(gateway.lines)
        door.mute()
        await asyncio.to_thread(gateway.wait_for_line, ": reading ", mark)
        deadline = time.monotonic() + scaled(10)
        while set(former) & set(cluster.execute(*left)):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        await asyncio.to_thread(gateway.finish)
