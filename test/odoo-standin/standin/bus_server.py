"""Odoo's own bus server, at its gevent port: a WebSocket server that writes down what it was told, and misbehaves when asked to.

    with Standin() as odoo, BusServer(odoo) as bus:
        ... bus.url is what --odoo-websocket takes ...
        socket, = bus.wait_for(lambda bus: len(bus.sockets) == 1 and bus.sockets)
        bus.wait_for(lambda _: socket.events("subscribe"))
        socket.notify("a", {"type": "t", "payload": 1})
        socket.close(4002, "keep alive")

It serves string channels of a database, as the version of `odoo` does: what is subscribed to, `last`, frames.
"""
import asyncio
import base64
import hashlib
import json
import struct
import threading
import time

from harness.deadline import DEADLINE
from harness.ports import reserve_port

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
NO_FRAME = 1006  # the connection ended without a close frame


class BusSocket:
    """One connection. Attributes are read by tests, from another thread: each is replaced, none is changed."""

    def __init__(self, server, writer):
        self._server = server
        self._writer = writer
        self.target = ""
        self.headers = []
        self.messages = []  # str, or bytes of a binary one
        self.mistakes = []  # exceptions of the version's code: they are logged, and the connection is kept
        self.channels = None  # once it has subscribed
        self.last = 0
        self.closed = None  # (code, reason) of the client's close frame, or (1006, "")

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name), None)

    def events(self, name=None):
        """The data of each event of this name, or all events."""
        events = [json.loads(message) for message in self.messages if isinstance(message, str)]
        return events if name is None else [event["data"] for event in events if event["event_name"] == name]

    # --- from any thread ---

    def send(self, message):
        self.send_frame(BINARY if isinstance(message, bytes) else TEXT,
                        message if isinstance(message, bytes) else message.encode())

    def send_frame(self, opcode, payload=b"", final=True):
        length = len(payload)
        head = bytes([opcode | (0x80 if final else 0)])
        head += (bytes([length]) if length < 126 else struct.pack("!BH", 126, length) if length < 65536
                 else struct.pack("!BQ", 127, length))
        self.send_bytes(head + payload)

    def send_bytes(self, data):
        self._server.call(self._writer.write, data)

    def notify(self, channel, *messages, first_id=1):
        """Notifications of a channel, as the version frames them."""
        elements = [{"id": first_id + n, "message": message} for n, message in enumerate(messages)]
        if self._server.build.frame_per_channel:
            self.send(json.dumps(elements, ensure_ascii=False, separators=(",", ":")))
        else:
            self.send(json.dumps(elements))

    def close(self, code=None, reason=""):
        self.send_frame(CLOSE, struct.pack("!H", code) + reason.encode() if code is not None else b"")

    def abort(self):
        self._server.call(self._writer.transport.abort)

    def buffered(self):
        """Bytes that were sent and that the gateway has not taken."""
        return self._writer.transport.get_write_buffer_size()

    def pause(self):
        """Nothing is read any more."""
        self._server.call(self._writer.transport.pause_reading)

    def resume(self):
        self._server.call(self._writer.transport.resume_reading)


class BusServer:
    def __init__(self, odoo, port=0):
        self.build = odoo.build
        self.odoo = odoo
        self.port = port or reserve_port()
        self.sockets = []  # all that there were
        self.requests = []  # heads of handshakes that were answered with `answer`
        self.answer = None  # bytes instead of the handshake's answer; b"": none
        self.set_cookie = None  # on the next 101
        self.reads = True  # False: a new connection's messages are not read
        self._changed = threading.Condition()
        self._loop = self._thread = self._server = None

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}"

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="odoo-bus", daemon=True)
        self._thread.start()
        return self.listen()

    def __exit__(self, *_):
        self.stop()
        self._run(self._cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE)
        self._loop.close()

    def listen(self):
        self._run(self._listen())
        return self

    def stop(self):
        """As by kill -9: connections are refused, and those that are open end."""
        self._run(self._stop())

    def open(self):
        """The connections that have not ended."""
        return [socket for socket in self.sockets if socket.closed is None]

    def wait_for(self, condition):
        """Until condition(self) is true; returns it. Looked at whenever something happens."""
        deadline = time.monotonic() + DEADLINE
        with self._changed:
            while not (found := condition(self)):
                if not self._changed.wait(deadline - time.monotonic()):
                    raise AssertionError("Odoo's bus server waited in vain; it has " + "; ".join(
                        f"{socket.messages} closed {socket.closed}" for socket in self.sockets))
            return found

    def call(self, function, *arguments):
        self._loop.call_soon_threadsafe(function, *arguments)

    # --- inside the loop ---

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE)

    async def _listen(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=1 << 16)

    async def _stop(self):
        if self._server:
            self._server.close()
            self._server = None
        for socket in self.open():
            socket._writer.transport.abort()

    async def _cancel_all(self):
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _tell(self):
        with self._changed:
            self._changed.notify_all()

    async def _serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, ConnectionError):
            return writer.close()
        if self.answer is not None:
            self.requests = [*self.requests, head]
            self._tell()
            writer.write(self.answer)
            if self.answer:
                writer.close()
            return None
        socket = BusSocket(self, writer)
        line, *lines = head.rstrip("\r\n").split("\r\n")
        socket.target = line.split(" ")[1]
        socket.headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        accept = base64.b64encode(hashlib.sha1(
            (socket.header("sec-websocket-key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        cookie = f"Set-Cookie: {self.set_cookie}\r\n" if self.set_cookie else ""
        self.set_cookie = None
        writer.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      f"Sec-WebSocket-Accept: {accept}\r\n{cookie}\r\n").encode())
        self.sockets = [*self.sockets, socket]
        self._tell()
        if not self.reads:
            writer.transport.pause_reading()
        closed = (NO_FRAME, "")
        try:
            closed = await self._converse(socket, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            socket.closed = closed
            self._tell()
            writer.close()

    async def _converse(self, socket, reader, writer):
        message = b""
        while True:
            first, second = await reader.readexactly(2)
            length = second & 0x7F
            if length > 125:
                length, = struct.unpack("!H" if length == 126 else "!Q", await reader.readexactly(2 if length == 126 else 8))
            assert second & 0x80, "a client has to mask"
            mask = await reader.readexactly(4)
            body = await reader.readexactly(length)
            repeated = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
            body = (int.from_bytes(body, "big") ^ repeated).to_bytes(length, "big")
            opcode = first & 0x0F
            if opcode == CLOSE:
                socket.send_frame(CLOSE, body[:2])
                return (struct.unpack("!H", body[:2])[0] if body else 1005), body[2:].decode()
            if opcode == PING:
                socket.send_frame(PONG, body)
            if opcode >= CLOSE:
                continue
            message += body
            if first & 0x80:
                text = message if opcode == BINARY else message.decode()
                message = b""
                if isinstance(text, str):
                    self._obey(socket, text)
                socket.messages = [*socket.messages, text]
                self._tell()
            await asyncio.sleep(0)

    def _obey(self, socket, text):
        """What ir.websocket does with an event. Its mistakes are logged, and the connection is kept."""
        try:
            event = json.loads(text)
            if event["event_name"] == "subscribe":
                self._subscribe(socket, event["data"])
        except (KeyError, TypeError, ValueError) as error:
            socket.mistakes = [*socket.mistakes, repr(error)]

    def _subscribe(self, socket, data):
        if self.build.needs_check_outdated:
            data["check_outdated"]
        is_first = socket.channels is None
        socket.channels = list(data["channels"])
        if not is_first:
            return
        database = next(iter(self.odoo.databases.values()), None)
        if database is None:
            return
        last = data["last"] if isinstance(data["last"], int) and data["last"] <= database.last_id else 0
        if self.build.needs_check_outdated and last > 0 and data["check_outdated"] and not database.has_row(last):
            socket.send('[{"type":"bus/subscription_outdated","internal":true,"payload":null}]')
        if self.build.needs_check_outdated and last != data["last"]:
            socket.send(json.dumps([{"type": "bus/last_id_reset", "internal": True, "payload": database.last_id}]))
        for channels in [[c] for c in socket.channels] if self.build.frame_per_channel else [socket.channels]:
            rows = database.rows_after(last, [(database.name, channel) for channel in channels], self.build.zero_is_all)
            if rows:
                socket.send(json.dumps(rows))
