"""What the demo's page reads beside the bus, and its buttons."""
import http.server
import ipaddress
import json
import sys
import threading
import urllib.parse

import psycopg

from .scenario import CHANNELS, HELLO, HELLO_SQL
from .supervisor import NotNow, Supervisor

LOOPBACK = {"127.0.0.1", "localhost"}


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a page that was closed
            super().handle_error(request, client_address)


class DemoServer:
    """Answers what nginx passes on below /demo/. `page_port`: nginx's, which is the port of the page's origin."""

    def __init__(self, database, supervisor, page_port):
        self.database = database
        self.supervisor = supervisor
        self.page_port = page_port
        cluster = database.cluster
        self.setup = {"channels": CHANNELS, "hello": HELLO, "sql": HELLO_SQL,
                      "psql": f"psql -h {cluster.host} -p {cluster.port} -U {cluster.user} {database.name}"}
        demo = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self._answer(*demo.get(self.path))

            def do_POST(self):
                if demo.may_control(self):
                    self._answer(*demo.post(self.path))
                else:
                    self._answer(403, f"only from the page itself, at http://127.0.0.1:{demo.page_port}")

            def _answer(self, status, body, content_type="application/json"):
                encoded = (body if content_type != "application/json" else json.dumps(body)).encode()
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(encoded)))
                self.end_headers()
                self.wfile.write(encoded)

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def get(self, path):
        if path == "/demo/setup":
            return 200, self.setup
        if path == "/demo/state":
            return 200, self.supervisor.state()
        if path != "/demo/orders" and not path.startswith("/demo/report/"):
            return 404, "there is no such thing"
        try:
            rows = self.database.execute("SELECT id, name, customer, state, amount FROM demo_order ORDER BY id")
        except psycopg.OperationalError:
            return 503, "PostgreSQL is down"
        if path == "/demo/orders":
            return 200, [{"id": i, "name": n, "customer": c, "state": s, "amount": float(a)} for i, n, c, s, a in rows]
        lines = ["order,customer,state,amount", *(f"{n},{c},{s},{a}" for _, n, c, s, a in rows)]
        return 200, "\n".join([*lines, ""]), "text/csv; charset=utf-8"

    def post(self, path):
        name = path.removeprefix("/demo/break/")
        if name not in Supervisor.BREAKABLE:
            return 404, "there is no such thing"
        try:
            self.supervisor.break_part(name)
        except NotNow as reason:
            return 409, str(reason)
        return 200, self.supervisor.state()

    def may_control(self, request):
        """Only this machine may, and only the page itself: a browser names the origin of the page that posts, and the host
        that a name was resolved for, whatever it was resolved to."""
        peers = [request.client_address[0], *request.headers.get("X-Forwarded-For", "").split(",")]
        if not all(is_loopback(peer.strip()) for peer in peers if peer.strip()):
            return False
        origin = request.headers.get("Origin", "")
        return origin == f"http://{request.headers.get('Host')}" and self._is_page(origin)

    def _is_page(self, origin):
        try:
            parts = urllib.parse.urlsplit(origin)
            return parts.hostname in LOOPBACK and (parts.port or 80) == self.page_port
        except ValueError:
            return False


def is_loopback(address):
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
