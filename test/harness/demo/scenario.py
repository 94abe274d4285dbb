"""What happens in the demo's database: a real Odoo's traffic, orders that change, an export that makes progress."""
import gzip
import itertools
import json
import random

import psycopg

from ..system import ROOT

TRACE = ROOT / "test" / "data" / "odoo19-bus-trace.jsonl.gz"


def read_trace():
    """Transactions as (seconds since the first, [(channel, type, payload), ...]), in the order of their ids."""
    with gzip.open(TRACE, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    transactions = []
    for seconds, group in itertools.groupby(rows, key=lambda row: row["t"]):
        sent = []
        for row in group:
            message = json.loads(row["message"])
            # The demo's gateway asks nobody who may see what, so it serves string channels only.
            sent.append(("/".join(map(str, json.loads(row["channel"])[1:])), message["type"], message["payload"]))
        transactions.append((seconds, sent))
    return transactions


TRANSACTIONS = read_trace()
TRACE_CHANNELS = sorted({channel for _, sent in TRANSACTIONS for channel, _, _ in sent} - {"broadcast"})
ORDERS = 6
ORDER_CHANNEL = "demo_order_%s"
AUDIT = "demo_audit"  # a channel and a type
# The channel for what is typed into psql, and what the demo proposes to type.
HELLO = "hello"
HELLO_SQL = """SELECT bus_sendone('hello', 'greeting', '{"text": "from SQL"}');"""
CHANNELS = [*TRACE_CHANNELS, "demo_export", "demo_toast", AUDIT, HELLO, *(ORDER_CHANNEL % n for n in range(1, ORDERS + 1))]
EXPORT = "odoo_bus demo: export"  # the session's application_name

# Stamped by the server, so that whoever receives it can tell how long it took.
STAMPED = """CASE jsonb_typeof({0}) WHEN 'object' THEN jsonb_build_object('sent_at', extract(epoch FROM clock_timestamp()))
             || {0} ELSE {0} END"""
SEND_ONE = f"SELECT bus_sendone(%(channel)s, %(type)s, {STAMPED.format('%(payload)s::jsonb')})"
SEND_NOW = SEND_ONE.replace("bus_sendone", "bus_sendnow")
# Sent long before the commit at which it is delivered.
SEND_EARLY = "SELECT bus_sendone(%(channel)s, %(type)s, %(payload)s::jsonb)"
SEND_MANY = f"""SELECT bus_sendmany(jsonb_agg(jsonb_build_array(n->0, n->1, {STAMPED.format('(n->2)')}) ORDER BY at))
                FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS rows (n, at)"""


def send(connection, channel, notification_type, payload, statement=SEND_ONE):
    connection.execute(statement, {"channel": channel, "type": notification_type, "payload": json.dumps(payload)})


def create_orders(database):
    """The table of the scenario, whose trigger names the record that changed."""
    with database.connect() as connection:
        connection.execute("""CREATE TABLE demo_order (id serial PRIMARY KEY, name text NOT NULL,
            customer text NOT NULL, state text NOT NULL DEFAULT 'draft', amount numeric NOT NULL)""")
        connection.execute("""INSERT INTO demo_order (name, customer, amount) SELECT 'S000' || n,
            (ARRAY['Azure Interior','Deco Addict','Gemini Furniture','Ready Mat','The Jackson Group','YourCompany'])[n],
            n * 412.5 FROM generate_series(1, %s) n""", (ORDERS,))
        connection.execute(f"""CREATE TRIGGER live AFTER UPDATE ON demo_order FOR EACH ROW
            EXECUTE FUNCTION bus_record_changed('{ORDER_CHANNEL}', 'demo.order_updated')""")


def replay_trace(database, stop, speed):
    """At the pace at which it was recorded, again and again."""
    with database.connect() as connection:
        while not stop.is_set():
            now = 0
            for seconds, sent in TRANSACTIONS:
                if stop.wait(max(seconds - now, 0) / speed):
                    return
                now = max(now, seconds)
                if len(sent) == 1:
                    send(connection, *sent[0])
                else:
                    connection.execute(SEND_MANY, (json.dumps(sent),))


def update_orders(database, stop, speed):
    """Plain UPDATEs: the table's trigger tells who is looking at the record."""
    chooser = random.Random(1)
    with database.connect() as connection:
        while not stop.wait(1.2 / speed):
            order = chooser.randint(1, ORDERS)
            if chooser.random() < 0.5:
                connection.execute("""UPDATE demo_order SET state = CASE state WHEN 'draft' THEN 'sent'
                    WHEN 'sent' THEN 'sale' WHEN 'sale' THEN 'done' ELSE 'draft' END WHERE id = %s""", (order,))
            else:
                connection.execute("UPDATE demo_order SET amount = round((100 + random() * 9000)::numeric, 2) "
                                   "WHERE id = %s", (order,))


def announce(database, stop, speed):
    """To everybody who is connected."""
    texts = itertools.cycle(["The warehouse closes at 18:00 today.", "New price list from Monday on.",
                             "Backup tonight at 02:00: two minutes without writing."])
    with database.connect() as connection:
        while not stop.wait(12 / speed):
            send(connection, "broadcast", "demo.announcement", {"title": "To everybody", "message": next(texts)})


class Export:
    """One transaction that tells how far it is while it is still open, with bus_sendnow(); what it sends with bus_sendone()
    before anything else is delivered at its commit. When its connection is lost in a transaction, it says so and begins another."""

    def __init__(self):
        self.jobs = itertools.count(1)
        self.open = None  # (job, transaction id, how far it was)

    def __call__(self, database, stop, speed):
        with database.connect(autocommit=False, application_name=EXPORT) as connection:
            if self.tell_of_rollback(connection) and stop.wait(2 / speed):
                return
            for job in self.jobs:
                [xid] = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
                self.open = job, xid, 0
                send(connection, "demo_export", "export_job/committed", {"job": job, "name": f"sales-{job}.csv"}, SEND_EARLY)
                for done in range(0, 101, 4):
                    send(connection, "demo_export", "export_job/progress", {"job": job, "done": done, "total": 100}, SEND_NOW)
                    self.open = job, xid, done
                    if stop.wait(0.2 / speed):
                        connection.rollback()
                        return
                send(connection, "demo_toast", "simple_notification",
                     {"type": "success", "title": "Report ready", "message": f"sales-{job}.csv is there.",
                      "link": f"/demo/report/sales-{job}.csv"})
                connection.commit()
                self.open = None
                if stop.wait(2 / speed):
                    return

    def tell_of_rollback(self, connection):
        """Whether there was something to tell. A connection may also be lost in a COMMIT that succeeds."""
        if self.open is None:
            return False
        job, xid, done = self.open
        [state] = connection.execute("SELECT pg_xact_status(%s::xid8)", (xid,)).fetchone()
        if state == "aborted":
            send(connection, "demo_export", "export_job/rolled_back", {"job": job, "done": done})
        connection.commit()
        self.open = None
        return state == "aborted"


class Audit:
    """Tells, once a second, which rows were committed since it did so last.

    All of them were committed before it is sent, so that a subscriber receives each of them before it: it has missed those that it
    has not received. The first two that a subscriber receives may name rows that are older than its subscription.
    """

    BEHIND = 2000  # ids: a row may be committed that long after a later one

    def __init__(self):
        self.told = set()

    def __call__(self, database, stop, speed):
        with database.connect() as connection:
            while True:
                self.tell(connection)
                if stop.wait(1):
                    return

    def tell(self, connection):
        newest = max(self.told, default=0)
        rows = connection.execute("""SELECT id FROM bus_bus WHERE id > %s AND
            channel = ANY (ARRAY(SELECT bus_channel(name) FROM unnest(%s::text[]) AS name))""",
                                  (newest - self.BEHIND, [*CHANNELS, "broadcast"])).fetchall()
        new = sorted({row for row, in rows} - self.told)
        send(connection, AUDIT, AUDIT, {"ids": new})
        self.told = {row for row in self.told | set(new) if row > newest - 2 * self.BEHIND}


def tasks():
    return replay_trace, update_orders, announce, Export(), Audit()


def keep_running(task, database, stop, speed):
    """PostgreSQL may be stopped, and end any session: as every program that uses it must, a sender connects again."""
    while not stop.is_set():
        try:
            task(database, stop, speed)
        except psycopg.OperationalError:
            stop.wait(0.2)
