"""One TCP connection, which carries one request: Odoo's prefork workers know no keep-alive."""
import asyncio
import socket
import struct
import time

from .request_log import ROUTES, Request

MAX_HEAD = 65536


class Connection(asyncio.Protocol):
    def __init__(self, odoo, connections):
        self._odoo = odoo
        self._connections = connections
        self._buffer = b""
        self._request = None
        self._needed = None  # bytes of the request, once its head is there
        self._head_length = 0
        self._transport = None
        self._task = None
        self._writable = asyncio.Event()
        self.open = False
        self.broken = False  # a fault answers

    # --- asyncio.Protocol ---

    def connection_made(self, transport):
        self._transport = transport
        self.open = True
        self._writable.set()
        self._connections.add(self)

    def connection_lost(self, _):
        self.open = False
        self._writable.set()
        self._connections.discard(self)
        if self._task:
            self._task.cancel()

    def pause_writing(self):
        self._writable.clear()

    def resume_writing(self):
        self._writable.set()

    def eof_received(self):
        return True  # the answer may still be wanted

    def data_received(self, data):
        if self._request:
            self._request.trailing += data
            return
        self._buffer += data
        if self._needed is None:
            self._find_head()
        if self._needed is not None and len(self._buffer) >= self._needed:
            self._begin()

    # --- for faults ---

    def send(self, data):
        if self.open:
            self._transport.write(data)

    async def drained(self):
        await self._writable.wait()
        await asyncio.sleep(0)

    def abort(self):
        if self.open:
            linger = struct.pack("ii", 1, 0)
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._transport.abort()

    def close(self):
        self._transport.close()

    # --- the request ---

    def _find_head(self):
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD:
                self.close()
            return
        self._head_length = end + 4
        length = 0
        for line in self._buffer[:end].split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length" and value.strip().isdigit():
                length = int(value)
        self._needed = self._head_length + length

    def _begin(self):
        head = self._buffer[:self._head_length]
        # Python's http.server takes a bare line feed for the end of a line, too.
        lines = head.decode("latin-1").replace("\r\n", "\n").rstrip("\n").split("\n")
        method, _, target = lines[0].partition(" ")
        target = target.rpartition(" ")[0] or target
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))
        path = target.partition("?")[0]
        self._request = Request(method, target, headers, head, self._buffer[self._head_length:self._needed],
                                ROUTES.get(path, path), time.monotonic(), self._buffer[self._needed:])
        self._odoo.log.begin(self._request)
        self._task = asyncio.get_running_loop().create_task(self._answer())

    async def _answer(self):
        try:
            if self._odoo.free_workers:
                async with self._odoo.free_workers:
                    await self._work()
            else:
                await self._work()
        finally:
            self._odoo.log.end(self._request)
            self._transport.close()

    async def _work(self):
        if self._odoo.cost:
            await asyncio.sleep(self._odoo.cost)
        fault = self._odoo.fault_for(self._request)
        if fault:
            self.broken = True
            await fault(self, lambda: self._odoo.application.answer(self._request))
        else:
            self.send(self._odoo.application.answer(self._request))
