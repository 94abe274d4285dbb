"""What happens in the demo's database: a real Odoo's traffic, orders that change, an export that makes progress."""
import gzip
import http.server
import itertools
import json
import random
import threading

from .system import ROOT

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
CHANNELS = [*TRACE_CHANNELS, "demo_export", "demo_toast", *(f"demo_order_{n}" for n in range(1, ORDERS + 1))]

# Stamped by the server, so that whoever receives it can tell how long it took.
STAMPED = """CASE jsonb_typeof({0}) WHEN 'object' THEN jsonb_build_object('sent_at', extract(epoch FROM clock_timestamp()))
             || {0} ELSE {0} END"""
SEND_ONE = f"SELECT bus_sendone(%(channel)s, %(type)s, {STAMPED.format('%(payload)s::jsonb')})"
SEND_NOW = SEND_ONE.replace("bus_sendone", "bus_sendnow")
SEND_MANY = f"""SELECT bus_sendmany(jsonb_agg(jsonb_build_array(n->0, n->1, {STAMPED.format('(n->2)')}) ORDER BY at))
                FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS rows (n, at)"""


def send(connection, channel, notification_type, payload, statement=SEND_ONE):
    connection.execute(statement, {"channel": channel, "type": notification_type, "payload": json.dumps(payload)})


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


def export(database, stop, speed):
    """One transaction that tells how far it is while it is still open; its result is seen when it commits."""
    with database.connect(autocommit=False) as connection:
        for job in itertools.count(1):
            for step, done in enumerate(range(0, 101, 4)):
                send(connection, "demo_export", "export_job/progress", {"job": job, "step": step, "done": done, "total": 100},
                     SEND_NOW)
                if stop.wait(0.2 / speed):
                    return
            send(connection, "demo_export", "report_ready", {"job": job, "name": f"sales-{job}.csv"})
            send(connection, "demo_toast", "simple_notification",
                 {"type": "success", "title": "Report ready", "message": f"sales-{job}.csv is there.",
                  "link": f"/demo/report/sales-{job}.csv"})
            connection.commit()
            if stop.wait(2 / speed):
                return


def announce(database, stop, speed):
    """To everybody who is connected."""
    texts = itertools.cycle(["The warehouse closes at 18:00 today.", "New price list from Monday on.",
                             "Backup tonight at 02:00: two minutes without writing."])
    with database.connect() as connection:
        while not stop.wait(12 / speed):
            send(connection, "broadcast", "demo.announcement", {"title": "To everybody", "message": next(texts)})


TASKS = (update_orders, export, announce)


class Orders:
    """The table of the scenario, and what a page reads from it: the notification names the record, no more."""

    def __init__(self, database):
        self.database = database
        with database.connect() as connection:
            connection.execute("""CREATE TABLE demo_order (id serial PRIMARY KEY, name text NOT NULL,
                customer text NOT NULL, state text NOT NULL DEFAULT 'draft', amount numeric NOT NULL)""")
            connection.execute("""INSERT INTO demo_order (name, customer, amount) SELECT 'S000' || n,
                (ARRAY['Azure Interior','Deco Addict','Gemini Furniture','Ready Mat','The Jackson Group','YourCompany'])[n],
                n * 412.5 FROM generate_series(1, %s) n""", (ORDERS,))
            connection.execute("""CREATE TRIGGER live AFTER UPDATE ON demo_order FOR EACH ROW
                EXECUTE FUNCTION bus_record_changed('demo_order_%s', 'demo.order_updated')""")
        orders = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body, content_type = orders.answer(self.path)
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path):
        if path == "/demo/channels":
            return json.dumps(CHANNELS).encode(), "application/json"
        rows = self.database.execute("SELECT id, name, customer, state, amount FROM demo_order ORDER BY id")
        if path.startswith("/demo/report/"):
            lines = ["order,customer,state,amount", *(f"{n},{c},{s},{a}" for _, n, c, s, a in rows)]
            return "\n".join([*lines, ""]).encode(), "text/csv; charset=utf-8"
        return json.dumps([{"id": i, "name": n, "customer": c, "state": s, "amount": float(a)}
                           for i, n, c, s, a in rows]).encode(), "application/json"
