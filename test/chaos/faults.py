"""Faults, one after the other, counted by kind."""
import asyncio
import collections


class Faults:
    """Breaks what it is given until `run` is cancelled; then everything runs again."""

    def __init__(self, cluster, gateways, clients, choice):
        self.cluster, self.gateways, self.clients, self.random = cluster, gateways, clients, choice
        self.counts = collections.Counter()
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
            self.counts[kind.__name__] += await kind()

    async def cut_connections(self):
        """Ends TCP connections without a word, in the middle of whatever they carry."""
        victims = [client for client in self.random.sample(self.clients, 5) if client.socket is not None]
        for client in victims:
            client.socket.transport.abort()
        await asyncio.sleep(self.random.uniform(0, 0.2))  # faults come at any moment
        return len(victims)

    async def move_clients(self):
        """Lets clients come back to another gateway."""
        movers = self.random.sample([client for client in self.clients if client.moves], 3)
        for client in movers:
            client.url = self.random.choice(self.gateways).url
            if client.socket is not None:
                client.socket.transport.abort()
        return len(movers)

    async def terminate_backends(self):
        def terminate():
            return self.cluster.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                                        "WHERE application_name = 'odoo-bus-gateway'")
        (terminated,), = await asyncio.to_thread(terminate)
        await asyncio.sleep(self.random.uniform(0, 0.3))
        return 1 if terminated else 0

    async def kill_gateway(self):
        gateway = self.random.choice(self.gateways)

        def kill():
            gateway.kill9()
            gateway.start(healthy=False)
        await asyncio.to_thread(kill)
        return 1

    async def restart_server(self):
        await asyncio.to_thread(self.cluster.restart, "fast")
        return 1

    async def crash_server(self):
        await asyncio.to_thread(self.cluster.restart, "immediate")
        return 1
