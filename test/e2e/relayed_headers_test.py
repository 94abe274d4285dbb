"""Requests that are passed on to Odoo, seen by a real HTTP server behind the gateway, as a WSGI application sees them."""
import json
import socketserver
import threading
import wsgiref.simple_server

import pytest

from harness.client import RawClient

BODY = b"hello"
EVIL = b"GET /bus/evil HTTP/1.1\r\nHost: evil.example\r\nX-Odoo-Database: evil\r\n\r\n"


class WsgiOdoo(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    """Answers each request with its environment and its body. Keeps connections open, as Odoo's threaded server may."""

    daemon_threads = True


class KeepAliveHandler(wsgiref.simple_server.WSGIRequestHandler):
    """wsgiref serves one request of a connection; this one serves what follows, too."""

    protocol_version = "HTTP/1.1"

    def handle(self):
        self.close_connection = True
        self.handle_one_request()
        while not self.close_connection:
            self.handle_one_request()

    def handle_one_request(self):
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environment = self.get_environ()
        self.server.seen.append((environment, body))
        names = ("HTTP_", "CONTENT_", "REMOTE_", "PATH_INFO", "REQUEST_METHOD", "QUERY_STRING")
        answer = json.dumps({name: value for name, value in environment.items() if name.startswith(names)}).encode()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        self.close_connection = environment.get("HTTP_CONNECTION", "").lower() == "close"

    def log_message(self, *_):
        pass


@pytest.fixture
def odoo():
    server = WsgiOdoo(("127.0.0.1", 0), KeepAliveHandler)
    server.seen = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def start(make_gateway, database, odoo):
    def start(**options):
        return make_gateway(database, auth="odoo", odoo_url=f"http://127.0.0.1:{odoo.server_port}",
                            worker_version="off", **options).start()
    return start


def ask(gateway, headers, body=BODY, length=None):
    """(status, what Odoo saw or None) of a POST with these header lines."""
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.send(b"POST /bus/anything?a=b HTTP/1.1\r\nHost: shop.example\r\n" + headers +
                 (b"Content-Length: %d\r\n" % len(body) if length is None else length) + b"\r\n" + body)
        status, answered, text = raw.response()
    return status, json.loads(text) if answered.get("content-type") == "application/json" else None


FORGED = ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix",
          "X-Forwarded-Server", "Forwarded", "X-Real-IP", "X-Odoo-Database", "X-Odoo-Dbfilter", "Authorization", "Proxy",
          "Proxy-Authorization", "X-Original-URL", "X-Rewrite-URL", "Remote-User", "Transfer-Encoding", "TE", "Trailer",
          "Upgrade", "Expect", "Keep-Alive", "Content-Length"]


def spellings(name):
    yield from {name.replace("-", "_"), name.replace("-", "_").lower(), name.replace("-", "_", 1), name.replace("-", "."),
                name.upper().replace("-", "_")} - {name, name.upper(), name.lower()}


@pytest.mark.parametrize("trusted_proxy", ["none", "127.0.0.0/8"])
def test_a_client_decides_no_header_that_is_the_gateways_or_a_proxys(odoo, start, trusted_proxy):
    gateway = start(trusted_proxy=trusted_proxy)
    own = b"" if trusted_proxy == "none" else (b"X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Host: real.example\r\n"
                                               b"X-Forwarded-Proto: https\r\nX-Real-IP: 198.51.100.7\r\n")
    forged = "".join(f"{spelled}: evil\r\n" for name in FORGED for spelled in spellings(name)).encode()
    if trusted_proxy == "none":
        # Also in their right spelling; those that frame a message are tested below.
        forged += "".join(f"{name}: evil\r\n" for name in FORGED
                          if name not in ("Transfer-Encoding", "Content-Length")).encode()
    assert forged.count(b"evil") > 60
    status, seen = ask(gateway, own + forged)
    assert status == 200
    assert "evil" not in json.dumps(seen)
    named = {name for name in seen if name.startswith(("HTTP_X_", "HTTP_FORWARDED", "HTTP_PROXY", "HTTP_AUTH"))}
    assert named == (set() if trusted_proxy == "none" else
                     {"HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO", "HTTP_X_REAL_IP"})
    if own:
        assert seen["HTTP_X_FORWARDED_FOR"] == seen["HTTP_X_REAL_IP"] == "198.51.100.7"
        assert (seen["HTTP_X_FORWARDED_HOST"], seen["HTTP_X_FORWARDED_PROTO"]) == ("real.example", "https")
    assert (seen["HTTP_HOST"], seen["HTTP_CONNECTION"], seen["CONTENT_LENGTH"]) == ("shop.example", "close", "5")
    assert odoo.seen[-1][1] == BODY


def test_what_is_the_clients_own_arrives(odoo, start):
    status, seen = ask(start(), b"Cookie: session_id=a\r\nX-Requested-With: XMLHttpRequest\r\nCookie: dgid=b\r\n"
                                b"Accept-Language: de\r\nX-CSRF-Token: c\r\nConnection: close, X-Mine\r\nX-Mine: d\r\n")
    assert status == 200
    assert seen["HTTP_COOKIE"] == "session_id=a; dgid=b", "one header, as Odoo reads cookies"
    assert (seen["HTTP_X_REQUESTED_WITH"], seen["HTTP_ACCEPT_LANGUAGE"], seen["HTTP_X_CSRF_TOKEN"]) == ("XMLHttpRequest", "de", "c")
    assert "HTTP_X_MINE" not in seen, "Connection names it"


# Header lines with the length, the body, and whether the request may reach Odoo.
CHUNKED = b"0\r\n\r\n" + EVIL
SMUGGLED = {
    "a second request behind the first": (b"Content-Length: 0\r\n", EVIL, True),
    "no length": (b"", EVIL, False),
    "chunks": (b"Transfer-Encoding: chunked\r\n", CHUNKED, False),
    "chunks by another case": (b"tRANSFER-eNCODING: chunked\r\n", CHUNKED, False),
    "chunks by an underscore": (b"Transfer_Encoding: chunked\r\nContent-Length: %d\r\n" % len(CHUNKED), CHUNKED, True),
    "chunks by a dot": (b"Transfer.Encoding: chunked\r\nContent-Length: %d\r\n" % len(CHUNKED), CHUNKED, True),
    "chunks and a length": (b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n" % len(CHUNKED), CHUNKED, False),
    "a length and chunks": (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", CHUNKED, False),
    "another encoding": (b"Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n", CHUNKED, False),
    "a list of encodings": (b"Transfer-Encoding: identity, chunked\r\n", CHUNKED, False),
    "two encodings": (b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", CHUNKED, False),
    "a blank before the colon": (b"Transfer-Encoding : chunked\r\n", CHUNKED, False),
    "a tab before the colon": (b"Transfer-Encoding\t: chunked\r\n", CHUNKED, False),
    "a vertical tab": (b"\x0bTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", CHUNKED, False),
    "a value behind a vertical tab": (b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n", CHUNKED, False),
    "folded": (b"X: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", CHUNKED, False),
    "folded within": (b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n", CHUNKED, False),
    "a bare line feed": (b"X: a\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", CHUNKED, False),
    "a bare carriage return": (b"X: a\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", CHUNKED, False),
    "a next line of Unicode": (b"X: a\x85Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", BODY, True),
    "two lengths": (b"Content-Length: 5\r\nContent-Length: 0\r\n", EVIL, False),
    "two equal lengths": (b"Content-Length: 5\r\nContent-Length: 5\r\n", BODY, False),
    "a list of lengths": (b"Content-Length: 5, 5\r\n", BODY, False),
    "a length by an underscore": (b"Content_Length: 0\r\nContent-Length: 5\r\n", BODY, True),
    "only a length by an underscore": (b"Content_Length: 5\r\n", EVIL, False),
    "a signed length": (b"Content-Length: +5\r\n", BODY, False),
    "a negative length": (b"Content-Length: -1\r\n", EVIL, False),
    "a hexadecimal length": (b"Content-Length: 0x5\r\n", BODY, False),
    "a length of 65 bits": (b"Content-Length: 18446744073709551621\r\n", BODY, False),
    "named by Connection": (b"Connection: Content-Length, Host, X-Forwarded-For\r\nContent-Length: 5\r\n", BODY, True),
    "an upgrade": (b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 5\r\n", BODY, True),
    "an expectation": (b"Expect: 100-continue\r\nContent-Length: 5\r\n", BODY, True),
    "a trailer": (b"TE: trailers\r\nTrailer: Content-Length\r\nContent-Length: 5\r\n", BODY, True),
}


def test_no_request_is_smuggled_behind_another(odoo, start):
    gateway = start()
    for name, (headers, body, arrives) in SMUGGLED.items():
        mark = len(odoo.seen)
        status, _ = ask(gateway, b"", body, headers)
        assert (status == 200) == arrives, (name, status)
        assert status in (200, 400, 411), name
        seen = odoo.seen[mark:]
        assert len(seen) == (1 if arrives else 0), name
        for environment, received in seen:
            assert environment["PATH_INFO"] == "/bus/anything", name
            assert environment["HTTP_HOST"] == "shop.example", name
            assert "HTTP_TRANSFER_ENCODING" not in environment, name
            assert len(received) == int(environment["CONTENT_LENGTH"]), name
            assert received == body[:len(received)], name
    # A request that is answered leaves nothing behind that Odoo takes for another one.
    assert ask(gateway, b"")[0] == 200
    assert {environment["PATH_INFO"] for environment, _ in odoo.seen} == {"/bus/anything"}
