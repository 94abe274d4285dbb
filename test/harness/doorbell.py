"""The doorbell of a preloaded cluster as tests hear and see it."""
import contextlib
import json
import random
import select
import time

from .cluster import Cluster
from .deadline import DEADLINE, scaled

HUB = "postgres"


class Listener:
    """Listens in the hub database as a stock Odoo server does, and collects the channels."""

    def __init__(self, cluster, dbname=HUB):
        self.cluster = cluster
        self.dbname = dbname
        self.connection = cluster.connect(dbname)
        self.connection.execute("LISTEN imbus")
        self.payloads = []
        self.channels = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def wait_for(self, *channel):
        """Collects until this channel is heard."""
        deadline = time.monotonic() + DEADLINE
        while list(channel) not in self.channels:
            self.collect(deadline)
        return self

    def finish(self, database):
        """Everything up to now: a doorbell of our own ends the waiting, and is not collected. What was published
        before it is announced with it or before."""
        end = f"end{random.randrange(2**32)}"
        database.sendone(end)
        self.wait_for(database.name, end)
        return [channel for channel in self.channels if channel != [database.name, end]]

    def finish_local(self):
        """Everything that was notified in this database up to now: a NOTIFY of our own ends the waiting."""
        end = f"end{random.randrange(2**32)}"
        self.cluster.execute(f"NOTIFY imbus, '[[\"{end}\"]]'", dbname=self.dbname)
        self.wait_for(end)
        return [channel for channel in self.channels if channel != [end]]

    def collect(self, deadline):
        left = deadline - time.monotonic()
        assert left > 0, f"not heard in time; heard {self.channels}"
        select.select([self.connection.fileno()], [], [], left)
        self.connection.pgconn.consume_input()
        while notification := self.connection.pgconn.notifies():
            self.payloads.append(notification.extra.decode())
            self.channels += json.loads(notification.extra)


def stat(cluster_or_database, column):
    return cluster_or_database.execute(f"SELECT {column} FROM bus_stat")[0][0]


def worker_pid(cluster):
    rows = cluster.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'odoo_bus doorbell' AND datname IS NOT NULL")
    return rows[0][0] if rows else None


def eventually(condition, timeout=30):
    deadline = time.monotonic() + scaled(timeout)
    while not (result := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return result


def wait_for_worker(cluster, other_than=None, dbname=None):
    """The pid of a worker that waits for transactions, another one than the one that has gone; in this database, where one
    that is to move may still be in another."""
    def waiting():
        rows = cluster.execute("SELECT pid, datname FROM pg_stat_activity WHERE backend_type = 'odoo_bus doorbell' "
                               "AND query LIKE 'odoo_bus: waiting%%'")
        return rows[0][0] if rows and rows[0][0] != other_than and dbname in (None, rows[0][1]) else None
    return eventually(waiting)


def wait_until_asleep(cluster, pid):
    """A worker of ours that has nothing to do and holds no lock, so that nobody waits for it when it is stopped."""
    eventually(lambda: cluster.execute("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s", (pid,)) == [("Extension",)])


@contextlib.contextmanager
def preloaded_cluster(**settings):
    """A cluster whose doorbell's worker waits for transactions."""
    with Cluster(shared_preload_libraries="odoo_bus", **settings) as cluster:
        wait_for_worker(cluster)
        yield cluster


def counters(database):
    return dict(zip(("sent", "doorbells", "notifies", "coalesced", "fallbacks", "queue_used"), database.execute(
        "SELECT sent, doorbells, notifies, coalesced, fallbacks, queue_used FROM bus_stat")[0]))


def counted(database, before):
    """What was added since; waits until the queue is empty."""
    eventually(lambda: stat(database, "queue_used") == 0)
    after = counters(database)
    return {name: after[name] - before[name] for name in after}


class Waiting:
    """A transaction whose commit waits for a standby that does not exist, until let_go()."""

    def __init__(self, cluster, statement, dbname=HUB):
        self.cluster = cluster
        cluster.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        cluster.execute("ALTER SYSTEM SET synchronous_commit = local")
        cluster.reload()
        eventually(lambda: cluster.execute("SHOW synchronous_commit") == [("local",)])
        self.connection = cluster.connect(dbname)
        self.pid = self.connection.info.backend_pid
        self.connection.execute("SET synchronous_commit = on")
        # Nobody waits before the checkpointer, too, has read that there is a standby, and nothing shows when it has.
        eventually(lambda: self._commit_waits("SELECT pg_logical_emit_message(true, 'odoo_bus', '')"))
        self.let_go()
        self._discard()
        assert self._commit_waits(f"BEGIN; {statement}; COMMIT")

    def __enter__(self):
        return self

    def _commit_waits(self, statements):
        """Sends them; whether they wait for the standby, or are over."""
        pgconn = self.connection.pgconn
        pgconn.send_query(statements.encode())

        def is_waiting():
            return self.cluster.execute("SELECT wait_event FROM pg_stat_activity WHERE pid = %s", (self.pid,)) == [("SyncRep",)]

        def is_over():
            pgconn.consume_input()
            return not pgconn.is_busy()

        eventually(lambda: is_waiting() or is_over())
        if is_waiting():
            return True
        self._discard()
        return False

    def _discard(self):
        """The results of what was sent."""
        while self.connection.pgconn.get_result() is not None:
            pass

    def let_go(self):
        self.cluster.execute("SELECT pg_cancel_backend(%s)", (self.pid,))
        eventually(lambda: not self.cluster.execute("SELECT pid FROM pg_stat_activity WHERE pid = %s AND state = 'active'",
                                                    (self.pid,)))

    def __exit__(self, *_):
        self.let_go()
        self.connection.close()


def hold_notify_lock(cluster):
    """What a NOTIFY locks for the whole cluster is held until its transaction is visible."""
    return Waiting(cluster, "SELECT pg_logical_emit_message(true, 'odoo_bus', ''); NOTIFY other")


def waits_for_lock(cluster, pid):
    return cluster.execute("SELECT pid FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'", (pid,))
