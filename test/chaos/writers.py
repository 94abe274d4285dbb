"""Writers that do everything that loses notifications elsewhere, and know what they have been told was committed.

Every payload is {"w": writer, "t": transaction, "n": number, "after": {writer: transaction}}. `after` names, for each
writer, the last transaction whose commit had been acknowledged before this notification was sent: those are its
possible causes, and must come first.
"""
import json
import random
import threading
import time

import psycopg

CHANNELS = [f"chaos{number}" for number in range(20)]


class Writer(threading.Thread):
    """One connection, one transaction after the other; reconnects whatever happens to it."""

    def __init__(self, number, database, acknowledged, seed, stopping, hurried=None):
        super().__init__(daemon=True)
        self.number, self.database, self.acknowledged, self.stopping = number, database, acknowledged, stopping
        self.hurried = hurried or threading.Event()  # set: does not wait for the disk
        self.random = random.Random(f"{seed}/{number}")
        self.transaction = 0
        self.sent = 0

    def run(self):
        while not self.stopping.is_set():
            try:
                with self.database.connect(autocommit=True) as connection:
                    self.begin(connection)
                    while not self.stopping.is_set():
                        self.one_transaction(connection)
            except psycopg.Error:
                self.stopping.wait(0.05)  # the server is being restarted

    def begin(self, connection):
        """What the connection needs before its first transaction."""

    def one_transaction(self, connection):
        self.transaction += 1
        connection.execute("BEGIN")
        if self.hurried.is_set():
            connection.execute("SET LOCAL synchronous_commit = off")
        self.send_some(connection)
        if self.random.random() < 0.2:
            connection.execute("ROLLBACK")
        else:
            connection.execute("COMMIT")
            self.acknowledged[self.number] = self.transaction

    def send_some(self, connection):
        for _ in range(self.random.choice([1, 1, 1, 3])):
            if self.random.random() < 0.25:
                connection.execute("SAVEPOINT s")
                self.send(connection)
                connection.execute("ROLLBACK TO s" if self.random.random() < 0.5 else "RELEASE s")
            else:
                self.send(connection)
            if self.random.random() < 0.02:
                self.stopping.wait(self.random.choice([0.01, 0.3, 2]))

    def send(self, connection):
        batch = [[self.random.choice(CHANNELS), "chaos", self.payload()] for _ in range(self.random.choice([1, 2, 10, 40]))]
        connection.execute("SELECT bus_sendmany(%s::jsonb)", (json.dumps(batch),))

    def payload(self):
        self.sent += 1
        return {"w": self.number, "t": self.transaction, "n": self.sent, "after": dict(self.acknowledged)}

    def insert(self, connection, id="DEFAULT", payload=None):
        """A row as anybody may write it, without any doorbell."""
        message = json.dumps({"type": "chaos", "payload": payload or self.payload()}, separators=(",", ":"))
        connection.execute(
            f"INSERT INTO bus_bus (id, channel, message, create_date) VALUES ({id}, bus_channel(%s), %s, "
            "now() AT TIME ZONE 'UTC')", (self.random.choice(CHANNELS), message))


class AsynchronousWriter(Writer):
    """Does not wait for its commits to be on the disk: a crash loses some, and their ids are drawn again."""

    def begin(self, connection):
        connection.execute("SET synchronous_commit = off")


class PreparingWriter(Writer):
    """Commits in two phases, the second of which may come after a restart of the server."""

    def one_transaction(self, connection):
        self.transaction += 1
        name = f"chaos {self.number} {self.transaction}"
        connection.execute("BEGIN")
        for _ in range(self.random.randint(1, 4)):
            self.insert(connection)
        connection.execute(f"PREPARE TRANSACTION '{name}'")
        self.stopping.wait(self.random.choice([0, 0.05, 1, 4]))
        finish_prepared(connection, self.random, name)


class ChoosingWriter(Writer):
    """Chooses ids far above the sequence, upwards."""

    chosen = 1_000_000_000

    def one_transaction(self, connection):
        # Nobody says what comes before or after such rows: they take no part in the causal order.
        ChoosingWriter.chosen += self.random.randint(1, 1000)
        self.sent += 1
        self.insert(connection, id=ChoosingWriter.chosen,
                    payload={"w": self.number, "t": 0, "n": self.sent, "after": {}})
        self.stopping.wait(0.2)


def finish_prepared(connection, choice, name=None):
    """Commits or rolls back the prepared transaction of this name, or all of them."""
    for found, in connection.execute("SELECT gid FROM pg_prepared_xacts WHERE %s::text IS NULL OR gid = %s",
                                     (name, name)).fetchall():
        connection.execute(f"{'ROLLBACK' if choice.random() < 0.3 else 'COMMIT'} PREPARED '{found}'")


def start_writers(database, seed, stopping, hurried):
    acknowledged = {}
    kinds = [Writer] * 6 + [AsynchronousWriter, PreparingWriter, ChoosingWriter]
    writers = [kind(number, database, acknowledged, seed, stopping, hurried) for number, kind in enumerate(kinds)]
    for writer in writers:
        writer.start()
    return writers
