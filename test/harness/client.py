"""WebSocket clients: one that behaves as Odoo's worker does, and one that sends raw bytes."""
import asyncio
import base64
import json
import os
import random
import socket
import struct
import time

import websockets

from .deadline import DEADLINE, scaled
from .websocket import connect, refused_with


class BusClient:
    """Subscribes when its connection opens, with the id of the last element of the last frame, and comes back.

    async with BusClient(gateway.url, ["a", "b"]) as client:
        await client.subscribed()
        await client.wait_for(3)
        assert [n["message"]["payload"] for n in client.notifications] == [1, 2, 3]

    Reconnects as Odoo's worker: not after 1000; within a second after 4002 and 4004; else with a delay that grows.
    `delay_scale` shortens these delays without changing which of them applies.
    """

    def __init__(self, url, channels, last=0, headers=None, reconnect=True, delay_scale=0.05, check_outdated=None,
                 origin="http://127.0.0.1", extensions=None):
        self.url = url
        self.channels = list(channels)
        self.last = last
        self.resumed_from = set()  # every `last` that it came back with
        self.headers = dict(headers or {})
        # Those that it begins with, and that the gateway has set.
        self.cookies = {}  # that the gateway has set
        self.reconnect = reconnect
        self.delay_scale = delay_scale
        self.check_outdated = check_outdated
        self.origin = origin
        self.extensions = dict(extensions or {})  # further keys of each subscribe
        self.frames = []  # every text frame as a list
        self.notifications = []  # their elements with an id, in the order of arrival
        self.internal = []  # their elements without one
        self.received_at = []  # time.time() of each notification
        self.closes = []  # (code, reason) of each connection that ended
        self.failures = []  # connections that did not come about, and not by an answer
        self.refusals = []  # status of each handshake that was answered with another status than 101
        self.connections = 0
        self.socket = None
        self.stopped = False
        self._changed = asyncio.Event()
        self._task = None
        self._delay = 1.0

    async def __aenter__(self):
        return self.start()

    async def __aexit__(self, *_):
        await self.stop()

    def start(self):
        self._task = asyncio.create_task(self._run())
        return self

    async def stop(self, code=1000):
        self.stopped = True
        if self.socket is not None:
            await self.socket.close(code)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def drop(self):
        """As if the network had gone."""
        if self.socket is not None:
            self.socket.transport.abort()

    async def send(self, event_name, data):
        await self.socket.send(json.dumps({"event_name": event_name, "data": data}))

    async def subscribe(self, channels=None, last=None):
        """Replaces the subscription, as the worker does whenever its list of channels changes."""
        if channels is not None:
            self.channels = list(channels)
        if self.socket is None or not self.socket.open:
            return
        data = {"channels": self.channels, "last": self.resume() if last is None else last}
        if self.check_outdated is not None:
            data["check_outdated"] = self.check_outdated
        data |= self.extensions
        await self.send("subscribe", data)

    def resume(self):
        """The `last` to come back with."""
        if isinstance(self.last, int):  # tests say other things, too
            self.resumed_from.add(self.last)
        return self.last

    async def subscribed(self):
        """Until the connection is open, the subscription is sent, and the gateway has read it."""
        await self.until(lambda: self.socket is not None and self.socket.open, "the connection opens")
        await self.settle()

    async def settle(self):
        """Until the gateway has answered a ping, that is: has read everything sent before it."""
        pong = await self.socket.ping()
        await asyncio.wait_for(pong, DEADLINE)

    async def wait_for(self, count, timeout=None):
        """Until `count` notifications have come in all."""
        await self.until(lambda: len(self.notifications) >= count, f"{count} notifications", timeout)
        return self.notifications

    async def wait_payload(self, payload, timeout=None):
        """Until a notification with this payload has come; returns it."""
        def find():
            return next((n for n in reversed(self.notifications) if n["message"]["payload"] == payload), None)
        await self.until(lambda: find() is not None, f"payload {payload!r}", timeout)
        return find()

    async def wait_closed(self, count=1, timeout=None):
        """Until `count` connections have ended; returns (code, reason) of that one."""
        await self.until(lambda: len(self.closes) >= count, f"{count} closed connections", timeout)
        return self.closes[count - 1]

    async def until(self, condition, what, timeout=None):
        deadline = time.monotonic() + (scaled(timeout) if timeout else DEADLINE)
        while not condition():
            if self._task.done() and not self._task.cancelled() and self._task.exception():
                raise self._task.exception()
            self._changed.clear()
            left = deadline - time.monotonic()
            try:
                await asyncio.wait_for(self._changed.wait(), max(left, 0.001))
            except asyncio.TimeoutError:
                raise AssertionError(f"waited in vain for {what}; have {len(self.notifications)} notifications, "
                                     f"closes {self.closes}, refusals {self.refusals}") from None

    @property
    def ids(self):
        return [n["id"] for n in self.notifications]

    @property
    def payloads(self):
        return [n["message"]["payload"] for n in self.notifications]

    async def _run(self):
        while not self.stopped:
            code = await self._connect_once()
            self._notify()
            if self.stopped or not self.reconnect or code == 1000:
                return
            if code in (4002, 4004):
                delay = random.uniform(0, 1)
            else:
                self._delay = min(self._delay * 1.5, 60)
                delay = self._delay + random.uniform(0, 1)
            await asyncio.sleep(delay * self.delay_scale)

    async def _connect_once(self):
        """One connection from handshake to end; returns its close code."""
        try:
            headers = dict(self.headers)
            protocols = headers.pop("Sec-WebSocket-Protocol", None)  # the library offers and checks them itself
            subprotocols = protocols.split(", ") if protocols else None
            self.socket = await connect(self.url, headers, DEADLINE, subprotocols=subprotocols, origin=self.origin,
                                        compression=None, max_size=None, ping_interval=None)
        except (OSError, asyncio.TimeoutError, websockets.InvalidHandshake, websockets.ConnectionClosed, EOFError) as error:
            self.failures.append(error)
            if status := refused_with(error):
                self.refusals.append(status)
            return 1006
        self.connections += 1
        self._keep_cookies(self.socket.response_headers.get_all("Set-Cookie"))
        try:
            await self.subscribe()
            self._delay = 1.0
            self._notify()
            async for text in self.socket:
                self._receive(text)
        except websockets.ConnectionClosed:
            pass
        self.closes.append((self.socket.close_code, self.socket.close_reason))
        return self.socket.close_code

    def _keep_cookies(self, set_cookies):
        """As a browser does: by one of them the gateway tells its own clients from those of another."""
        for cookie in set_cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        if self.cookies:
            shown = dict(pair.strip().partition("=")[::2] for pair in self.headers.get("Cookie", "").split(";") if pair)
            self.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in (shown | self.cookies).items())

    def _receive(self, text):
        frame = json.loads(text)
        assert isinstance(frame, list) and frame, f"a frame that breaks Odoo's worker: {text[:200]!r}"
        self.frames.append(frame)
        now = time.time()
        for element in frame:
            if "id" in element:
                assert isinstance(element["id"], int), f"an id that is no integer: {element!r}"
                self.notifications.append(element)
                self.received_at.append(now)
            else:
                self.internal.append(element)
        if "id" in frame[-1]:
            self.last = frame[-1]["id"]
        self._notify()

    def _notify(self):
        self._changed.set()


HANDSHAKE = {
    "Host": "127.0.0.1",
    "Origin": "http://127.0.0.1",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


class RawClient:
    """A socket for hostile and broken input: sends exactly the bytes it is told to."""

    def __init__(self, address, source=None):
        """`address`: (host, port), the path of a unix socket, or what has the methods of a connected one. `source`: the
        address to connect from."""
        if hasattr(address, "recv"):
            self.socket = address
        elif isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(DEADLINE)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, DEADLINE, source and (source, 0))
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, method="GET", path="/websocket", headers=None, body=b""):
        """`headers`: a dictionary, or pairs where one name comes twice; the default is a right handshake."""
        pairs = (HANDSHAKE if headers is None else headers)
        pairs = pairs.items() if isinstance(pairs, dict) else pairs
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in pairs) + "\r\n"
        self.send(head.encode("latin-1") + body)
        return self

    def response(self):
        """(status, headers with lower-case names, body); the body only where a length is stated or the end comes."""
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        status = int(status_line.split()[1])
        body = b""
        if status != 101:
            length = int(headers.get("content-length", 0))
            while len(self.buffer) < length:
                self._fill()
            body, self.buffer = self.buffer[:length], self.buffer[length:]
        return status, headers, body

    def upgrade(self, path="/websocket", headers=None):
        """A right handshake, which the gateway must accept."""
        status, _, body = self.request(path=path, headers=headers).response()
        assert status == 101, f"the handshake was answered with {status} {body!r}"
        return self

    def send_frame(self, opcode, payload=b"", fin=True, masked=True, reserved=0):
        self.send(encode_frame(opcode, payload, fin, masked, reserved))

    def send_event(self, event_name, data):
        self.send_frame(TEXT, json.dumps({"event_name": event_name, "data": data}).encode())

    def receive_frame(self):
        """(opcode, payload) of the next frame; fails with ConnectionError when the connection ends before it."""
        first, second = self._take(2)
        length = second & 0x7F
        if length == 126:
            length, = struct.unpack("!H", self._take(2))
            assert length > 125, "a length in a form that is too long"
        elif length == 127:
            length, = struct.unpack("!Q", self._take(8))
            assert length > 65535, "a length in a form that is too long"
        return first & 0x0F, self._take(length)

    def receive_close(self):
        """(code, reason) of the close frame, whatever comes before it; (1006, "") when the connection just ends."""
        try:
            while True:
                opcode, payload = self.receive_frame()
                if opcode == CLOSE:
                    return (struct.unpack("!H", payload[:2])[0] if payload else 1005), payload[2:].decode()
        except ConnectionError:
            return 1006, ""

    def wait_end(self):
        """Reads until the other side ends the connection; returns what came."""
        try:
            while True:
                self._fill()
        except ConnectionError:
            data, self.buffer = self.buffer, b""
            return data

    def _take(self, count):
        while len(self.buffer) < count:
            self._fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def _fill(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise ConnectionError(f"the connection ended; unread: {self.buffer[:200]!r}")
        self.buffer += data


def encode_frame(opcode, payload=b"", fin=True, masked=True, reserved=0):
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", first, length | (0x80 if masked else 0))
    elif length < 65536:
        head = struct.pack("!BBH", first, 126 | (0x80 if masked else 0), length)
    else:
        head = struct.pack("!BBQ", first, 127 | (0x80 if masked else 0), length)
    if not masked:
        return head + payload
    key = os.urandom(4)
    repeated = key * (length // 4 + 1)
    body = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated[:length], "big")).to_bytes(length, "big")
    return head + key + body


def random_key():
    return base64.b64encode(os.urandom(16)).decode()
