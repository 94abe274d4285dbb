"""Bad days of a server, each to be given to Standin.break_with().

A fault is a coroutine function (connection, answer): `answer()` computes what would have been answered right (and
does what the call does); what it sends instead, and when, is up to the fault.
"""
import asyncio
import json


def delay(seconds):
    """The right answer, late."""
    async def fault(connection, answer):
        await asyncio.sleep(seconds)
        connection.send(answer())
    return fault


def late(seconds):
    """Does its work at once, and says so late."""
    async def fault(connection, answer):
        right = answer()
        await asyncio.sleep(seconds)
        connection.send(right)
    return fault


def hang():
    """Never an answer, and the connection stays open."""
    async def fault(connection, answer):
        await asyncio.Event().wait()
    return fault


def close():
    """The end of the connection without a byte."""
    async def fault(connection, answer):
        pass
    return fault


def reset():
    """A TCP reset without a byte, as when a worker is killed."""
    async def fault(connection, answer):
        connection.abort()
    return fault


def half():
    """The connection ends in the middle of the body."""
    async def fault(connection, answer):
        right = answer()
        connection.send(right[:right.index(b"\r\n\r\n") + 4 + 20])
    return fault


def half_head():
    async def fault(connection, answer):
        connection.send(answer()[:30])
    return fault


def slow(bytes_per_second=20):
    """The right answer, byte by byte."""
    async def fault(connection, answer):
        for byte in answer():
            connection.send(bytes([byte]))
            await asyncio.sleep(1 / bytes_per_second)
    return fault


def raw(data):
    """These bytes in place of an answer."""
    async def fault(connection, answer):
        connection.send(data)
    return fault


def http(status=200, body=b"", content_type="application/json; charset=utf-8", headers=()):
    """A well-formed answer with this body."""
    body = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.0 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers)
    return raw(head.encode() + b"Connection: close\r\n\r\n" + body)


def status(code):
    return http(code, f"<!doctype html><title>{code}</title><h1>{code}</h1>", "text/html; charset=utf-8")


def html():
    """What a proxy says in place of Odoo while it looks fine: 200, and a page."""
    return http(200, "<!DOCTYPE html><html><body>Under maintenance</body></html>", "text/html; charset=utf-8")


def garbage():
    return raw(bytes(range(256)) * 40)


def endless_head():
    """A head that does not end, until the other side has had enough."""
    async def fault(connection, answer):
        connection.send(b"HTTP/1.0 200 OK\r\n")
        while connection.open:
            connection.send(b"X-More: " + b"x" * 8000 + b"\r\n")
            await connection.drained()
    return fault


def huge(size=10_000_000):
    """A right grant of `size` bytes and more."""
    async def fault(connection, answer):
        right = answer()
        payload = json.loads(right[right.index(b"\r\n\r\n") + 4:])
        database = (payload.get("result") or {}).get("channels", [["mydb"]])[0][0]
        payload["result"] = {"channels": [[database, "x" * 1000 + str(n)] for n in range(size // 1000)],
                             "notifications": []}
        body = json.dumps(payload).encode()
        connection.send(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
                        + body)
        await connection.drained()
    return fault


def deep(levels=100_000):
    return http(200, '{"jsonrpc":"2.0","id":1,"result":' + "[" * levels + "]" * levels + "}")


def result(value):
    """A well-formed JSON-RPC answer with this result, whatever was asked."""
    return http(200, json.dumps({"jsonrpc": "2.0", "id": 1, "result": value}))


def error(code, name, message="Odoo Server Error"):
    return http(200, json.dumps({"jsonrpc": "2.0", "id": 1, "error": {
        "code": code, "message": message, "data": {"name": name, "debug": "Traceback: token=secret-of-a-traceback"}}}))
