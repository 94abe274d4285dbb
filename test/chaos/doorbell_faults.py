"""Faults of the doorbell, its workers and the server that runs them, one after the other, counted by kind."""
import asyncio
import collections
import os
import signal
import time

import psycopg

from harness.doorbell import eventually

RESTARTED = "all server processes terminated; reinitializing"
WORKERS = "backend_type LIKE 'odoo_bus %%' AND datname IS NOT NULL"
WRITERS = "backend_type = 'client backend' AND application_name = 'chaos writer'"


def can_connect(cluster):
    try:
        return cluster.execute("SELECT 1")
    except psycopg.OperationalError:
        return None


class DoorbellFaults:
    def __init__(self, cluster, gateway, choice):
        self.cluster, self.gateway, self.random = cluster, gateway, choice
        self.counts = collections.Counter()
        self.killed = 0  # by SIGKILL, after which the server restarts everything
        self.kinds = {
            self.terminate_workers: 12,
            self.cancel_workers: 6,
            self.terminate_writers: 12,
            self.cancel_writers: 6,
            self.stop_a_worker: 5,
            self.change_settings: 5,
            self.copy_the_hub: 2,
            self.terminate_gateway_connections: 3,
            self.kill_a_process: 2,
            self.restart_server: 2,
            self.crash_server: 1,
        }

    async def run(self, count):
        while sum(self.counts.values()) < count:
            kind, = self.random.choices(list(self.kinds), weights=self.kinds.values())
            self.counts[kind.__name__] += await asyncio.to_thread(self.attempt, kind)
            await asyncio.sleep(self.random.uniform(0, 0.2))  # faults come at any moment

    def attempt(self, fault):
        try:
            return fault()
        except psycopg.OperationalError:  # the server is not back yet from the fault before
            return 0

    def pids(self, which):
        return [pid for pid, in self.cluster.execute(f"SELECT pid FROM pg_stat_activity WHERE {which}", ())]

    def signal_some(self, function, which):
        pids = self.pids(which)
        victims = self.random.sample(pids, min(len(pids), self.random.choice([1, 2])))
        self.cluster.execute(f"SELECT {function}(pid) FROM unnest(%s::int[]) AS pid", (victims,))
        return len(victims)

    def terminate_workers(self):
        return self.signal_some("pg_terminate_backend", WORKERS)

    def cancel_workers(self):
        return self.signal_some("pg_cancel_backend", WORKERS)

    def terminate_writers(self):
        return self.signal_some("pg_terminate_backend", WRITERS)

    def cancel_writers(self):
        return self.signal_some("pg_cancel_backend", WRITERS)

    def terminate_gateway_connections(self):
        return self.signal_some("pg_terminate_backend", "application_name = 'odoo-bus-gateway'")

    def stop_a_worker(self):
        """For a moment, in which the queue may fill and calls wait."""
        pids = self.pids(WORKERS)
        if not pids:
            return 0
        pid = self.random.choice(pids)
        try:
            os.kill(pid, signal.SIGSTOP)
            self.sleep(0.5)  # how long it is stopped is at random, too
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            return 0
        return 1

    def change_settings(self):
        self.cluster.execute(f"ALTER SYSTEM SET odoo_bus.doorbell_delay = '{self.random.choice([0, 1, 20])}ms'")
        self.cluster.execute(f"ALTER SYSTEM SET odoo_bus.sendnow_idle_timeout = '{self.random.choice([1, 10])}s'")
        self.cluster.reload()
        return 1

    def copy_the_hub(self):
        try:
            self.cluster.execute("CREATE DATABASE copy_of_the_hub TEMPLATE postgres")
        except psycopg.errors.ObjectInUse:
            return 0  # the gateway was connected to it
        finally:
            self.cluster.execute("DROP DATABASE IF EXISTS copy_of_the_hub")
        return 1

    def kill_a_process(self):
        pids = self.pids(f"({WORKERS}) OR ({WRITERS})")
        if not pids:
            return 0
        mark = len(self.cluster.log_text())
        pid = self.random.choice(pids)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return 0
        # It may have ended by itself at that moment, by the fault before, and a zombie feels nothing. Whoever is let in
        # once it was reaped comes after what the postmaster says of its end.
        eventually(lambda: not os.path.exists(f"/proc/{pid}"), timeout=60)
        eventually(lambda: can_connect(self.cluster), timeout=60)
        if f"(PID {pid}) was terminated by signal 9" not in self.cluster.log_text()[mark:]:
            return 0
        self.killed += 1
        # PostgreSQL 15 itself never ends a fast shutdown that comes while it recovers from this.
        eventually(lambda: RESTARTED in self.cluster.log_text()[mark:] and can_connect(self.cluster), timeout=60)
        return 1

    def restart_server(self):
        self.cluster.restart("fast")
        return 1

    def crash_server(self):
        self.cluster.restart("immediate")
        return 1

    def sleep(self, longest):
        """No event is awaited: a fault comes and ends at any moment."""
        time.sleep(self.random.uniform(0, longest))
