"""In Odoo's place behind a proxy: answers with what the proxy has passed on."""
import http.server
import threading


class EchoServer:
    """with EchoServer() as odoo: odoo.port

    GET /headers is answered with Host|X-Forwarded-For|X-Forwarded-Proto|Connection, where repeated headers are one list."""

    def __init__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        names = ("Host", "X-Forwarded-For", "X-Forwarded-Proto", "Connection")
        body = "|".join(", ".join(self.headers.get_all(name, [])) for name in names).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass
