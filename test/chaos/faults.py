"""Faults, one after the other, counted by kind.

What is done at once is one fault, however many connections it breaks; those are counted apart.
"""
import asyncio
import collections


class Faults:
    """Breaks what it is given until `run` is cancelled; then everything runs again."""

    # How long before a crash nobody waits for the disk: what is committed meanwhile is lost, and its ids are drawn again.
    HURRY_SECONDS = 0.3

    def __init__(self, cluster, gateways, clients, choice, hurried):
        self.cluster, self.gateways, self.clients = cluster, gateways, clients
        self.random = choice
        self.hurried = hurried  # set while writers do not wait for the disk
        self.counts = collections.Counter()
        self.connections = 0  # of clients, that were cut
        self.kinds = {
            self.cut_connections: 10,
            self.move_clients: 4,
            self.terminate_backends: 5,
            self.kill_gateway: 3,
            self.restart_server: 1,
            self.crash_server: 2,
        }

    async def run(self, stopping):
        while not stopping.is_set():
            kind, = self.random.choices(list(self.kinds), weights=self.kinds.values())
            await kind()
            self.counts[kind.__name__] += 1

    async def cut_connections(self):
        """Ends TCP connections without a word, in the middle of whatever they carry."""
        victims = self.random.sample(self.clients, 5)
        for client in victims:
            client.drop()
        self.connections += len(victims)
        await self.pause(0.2)

    async def pause(self, longest):
        """No event is awaited: the next fault is to come at any moment."""
        await asyncio.sleep(self.random.uniform(0, longest))

    async def move_clients(self):
        """Lets clients come back to another gateway, however far behind either is."""
        for client in self.random.sample([client for client in self.clients if client.moves], 3):
            client.url = self.random.choice(self.gateways).url
            client.drop()
            self.connections += 1
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
        await asyncio.to_thread(self.cluster.restart, "fast")

    async def crash_server(self):
        self.hurried.set()
        await asyncio.sleep(self.HURRY_SECONDS)  # of writing fast: the crash is to come in the middle
        await asyncio.to_thread(self.cluster.restart, "immediate")
        self.hurried.clear()
