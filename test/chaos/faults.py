"""Faults, one after the other, counted by kind.

What is done at once is one fault, however many connections it breaks; those are counted apart.
"""
import asyncio
import collections
import contextlib
import json
import os
import resource
import signal

import psycopg

HOUR = 3600

# Each gives the rows other places, and other transactions; most give the table another file.
REWRITES = [
    "ALTER TABLE bus_bus ALTER COLUMN message TYPE text",
    "ALTER TABLE bus_bus ALTER COLUMN message TYPE varchar",
    # In one transaction: a crash empties a table that is not logged.
    "BEGIN; ALTER TABLE bus_bus SET UNLOGGED; ALTER TABLE bus_bus SET LOGGED; COMMIT",
    "ALTER TABLE bus_bus ADD COLUMN chaos timestamptz DEFAULT clock_timestamp(); ALTER TABLE bus_bus DROP COLUMN chaos",
    "CLUSTER bus_bus USING bus_bus_pkey",
    "VACUUM FULL bus_bus",
    "UPDATE bus_bus SET write_date = now() WHERE id IN (SELECT id FROM bus_bus WHERE id < 1000000000 ORDER BY id DESC LIMIT 500)",
]
# A larger table is rewritten in a time in which nobody is served.
MOST_REWRITTEN = 50 << 20


class Faults:
    # How long before a crash nobody waits for the disk: what is committed meanwhile is lost, and its ids are drawn again.
    HURRY_SECONDS = 0.3
    # The writer of the rows that faults send, beside those of start_writers().
    WRITER = 100

    def __init__(self, cluster, database, gateways, clients, choice, hurried, door, clock):
        self.cluster, self.database, self.gateways, self.clients = cluster, database, gateways, clients
        self.random = choice
        self.hurried = hurried  # set while writers do not wait for the disk
        self.door, self.clock = door, clock
        self.counts = collections.Counter()
        self.connections = 0  # of clients, that were cut
        self.stopped = set()  # backends, that hang
        self.sent = self.transactions = 0
        self.kinds = {
            self.cut_connections: 10,
            self.move_clients: 4,
            self.terminate_backends: 5,
            self.kill_gateway: 3,
            self.restart_server: 1,
            self.crash_server: 2,
            self.rewrite_table: 3,
            self.silence_connections: 3,
            self.stop_backends: 2,
            self.set_clock: 3,
            self.send_large_rows: 3,
            self.use_up_descriptors: 2,
        }

    async def run(self, is_enough):
        try:
            while not is_enough():
                kind, = self.random.choices(list(self.kinds), weights=self.kinds.values())
                if await kind() is not False:
                    self.counts[kind.__name__] += 1
        finally:
            self.go_on()

    async def cut_connections(self):
        """Ends TCP connections without a word, in the middle of whatever they carry."""
        self.drop(self.random.sample(self.clients, 5))
        await self.pause(0.2)

    def drop(self, victims):
        for client in victims:
            client.drop()
        self.connections += len(victims)

    async def pause(self, longest):
        """No event is awaited: the next fault is to come at any moment."""
        await asyncio.sleep(self.random.uniform(0, longest))

    async def move_clients(self):
        """Lets clients come back to another gateway, however far behind either is."""
        movers = self.random.sample([client for client in self.clients if client.moves], 3)
        for client in movers:
            client.url = self.random.choice(self.gateways).url
        self.drop(movers)
        await self.pause(0.2)

    async def terminate_backends(self):
        def terminate():
            self.cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                 "WHERE application_name = 'odoo-bus-gateway'")
        await asyncio.to_thread(terminate)
        await self.pause(0.3)

    async def kill_gateway(self):
        gateway = self.random.choice(self.gateways)

        def kill():
            gateway.kill9()
            gateway.start(healthy=False)
        await asyncio.to_thread(kill)

    async def restart_server(self):
        self.go_on()
        await asyncio.to_thread(self.cluster.restart, "fast")

    async def crash_server(self):
        self.hurried.set()
        await asyncio.sleep(self.HURRY_SECONDS)  # of writing fast: the crash is to come in the middle
        self.go_on()
        await asyncio.to_thread(self.cluster.restart, "immediate")
        self.hurried.clear()

    async def rewrite_table(self):
        return await asyncio.to_thread(self.rewrite, self.random.choice(REWRITES))

    def rewrite(self, statement):
        """False when others hold the table, which a prepared transaction may do for long."""
        try:
            with self.database.connect() as connection:
                size = connection.execute("SELECT pg_relation_size('bus_bus')").fetchone()[0]
                connection.execute("SET lock_timeout = '5s'")
                connection.execute(statement if size < MOST_REWRITTEN else REWRITES[-1])
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            return False
        return True

    async def silence_connections(self):
        """Those of a gateway to its database stay open, and nothing comes through them."""
        ports = self.door.ports
        self.random.choice([self.door.mute, self.door.mute_answers, self.door.stall, self.door.leave])(
            self.random.sample(ports, self.random.randint(0, len(ports))))
        await self.pause(0.3)

    async def stop_backends(self):
        """Backends of gateways hang, some of them for so long that they are given up."""
        def pids():
            return [pid for pid, in self.cluster.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'odoo-bus-gateway'")]
        for pid in self.random.sample(found := await asyncio.to_thread(pids), min(2, len(found))):
            if self.signal(pid, signal.SIGSTOP):
                self.stopped.add(pid)
                asyncio.get_running_loop().call_later(self.random.choice([0.3, 3, 12]), self.go_on, pid)
        await self.pause(0.3)

    def go_on(self, pid=None):
        for each in [pid] if pid else list(self.stopped):
            if each in self.stopped:
                self.stopped.discard(each)
                self.signal(each, signal.SIGCONT)

    def signal(self, pid, number):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            return True

    async def set_clock(self):
        """The machine's, as the gateways see it."""
        self.clock.set(self.random.choice([0, 2 * HOUR, -1 * HOUR]))
        await self.pause(0.3)

    async def send_large_rows(self):
        """One that is delivered, one that is too large, and one behind them; as any program may write them."""
        try:
            await asyncio.to_thread(self.insert, [self.random.randint(100, 700), self.random.randint(1100, 3000), 0])
        except psycopg.OperationalError:  # a backend that hangs may hold what it needs
            return False
        return True

    def insert(self, sizes):
        self.transactions += 1
        with self.database.connect(autocommit=False) as connection:
            for size in sizes:
                self.sent += 1
                payload = {"w": self.WRITER, "t": self.transactions, "n": self.sent, "after": {}, "pad": "x" * (size << 10)}
                connection.execute("INSERT INTO bus_bus (channel, message, create_date) VALUES (bus_channel('chaos0'), %s, "
                                   "now() AT TIME ZONE 'UTC')", (json.dumps({"type": "chaos", "payload": payload}),))

    async def use_up_descriptors(self):
        """A gateway can open nothing more for a while, in which clients come back."""
        gateway = self.random.choice(self.gateways)
        pid = gateway.process.pid
        former = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = len(os.listdir(f"/proc/{pid}/fd"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, former[1]))
        try:
            self.drop(self.random.sample(self.clients, 5))
            if self.random.random() < 0.5:
                await self.terminate_backends()
            await self.pause(1)
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, former)
