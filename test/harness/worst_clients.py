"""Hostile clients of many addresses, in a process of their own, which runs when no other one wants to:

    python3 -m harness.worst_clients PORT ADDRESSES

Each address does the worst that it may: what stays within the limits, and what it is refused for. A line is printed when each
kind of that was done, and another one when each was done again; when standard input ends the counts follow, as JSON, of what
was done since the first line.
"""
import asyncio
import collections
import contextlib
import json
import os
import random
import sys

from .client import PING, TEXT, encode_frame

HANDSHAKE = ("Host: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n")
HEAD_BYTES = 16_000
EACH_WAS_DONE = "each was done"


class WorstClients:
    def __init__(self, port):
        self.port = port
        self.counts = collections.Counter()
        self.kinds = [self.handshakes, self.subscribes, self.replays, self.pings, self.polls, self.nonsense, self.never_reads]

    async def run(self, addresses):
        tasks = [asyncio.create_task(self.again(kind, f"203.0.113.{number}")) for number in range(addresses) for kind in self.kinds]
        ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        for is_first in (True, False):
            while len(self.counts) < len(self.kinds) and not ended.done():
                await asyncio.sleep(0.05)
            if is_first:
                self.counts.clear()
            print(EACH_WAS_DONE, flush=True)
        await ended
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def again(self, kind, address):
        while True:
            with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
                await kind(address)
            await asyncio.sleep(0.05)

    @contextlib.asynccontextmanager
    async def connection(self, address, path, headers="", body=b"", method="GET"):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=8 << 20)
        try:
            writer.write(f"{method} {path} HTTP/1.1\r\nX-Forwarded-For: {address}\r\n{headers}\r\n".encode() + body)
            yield reader, writer
        finally:
            writer.transport.abort()

    @contextlib.asynccontextmanager
    async def websocket(self, address):
        async with self.connection(address, "/websocket", HANDSHAKE) as (reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            reading = asyncio.create_task(self.read(reader))
            try:
                yield writer
            finally:
                reading.cancel()

    async def read(self, reader):
        while await reader.read(1 << 16):
            pass

    async def handshakes(self, address):
        """Whose heads are as large, and have as many parts, as they may."""
        many = {"Cookie: a=1": "; {}=", "Connection: x": ",{}", "X-Forwarded-For: 1.1.1.1": ",{}.1.1.1", "X": "{}:\r\nX"}
        name, part = random.choice(list(many.items()))
        head, number = HANDSHAKE + name, 0
        while len(head) < HEAD_BYTES:
            head += part.format(number)
            number += 1
        async with self.connection(address, "/websocket", head + ("" if name != "X" else ":") + "\r\n") as (reader, _):
            await reader.readuntil(b"\r\n\r\n")
        self.counts["handshakes"] += 1

    async def subscribes(self, address):
        """To as many channels as it may name, each time to others, as often as it may."""
        async with self.websocket(address) as writer:
            while not writer.is_closing():
                channels = [f"{random.randrange(10**9)}" for _ in range(1000)]
                self.write(writer, {"event_name": "subscribe", "data": {"channels": channels, "last": 0}})
                self.counts["subscribes"] += 1
                await writer.drain()
                await asyncio.sleep(0.25)

    async def replays(self, address):
        """Of everything."""
        async with self.websocket(address) as writer:
            while not writer.is_closing():
                self.write(writer, {"event_name": "subscribe", "data": {"channels": ["honest"], "last": 1}})
                self.counts["replays"] += 1
                await writer.drain()
                await asyncio.sleep(0.25)

    async def pings(self, address):
        pings = encode_frame(PING, b"") * 600
        async with self.websocket(address) as writer:
            while not writer.is_closing():
                writer.write(pings)
                self.counts["pings"] += 600
                await writer.drain()
                await asyncio.sleep(0.1)

    async def polls(self, address):
        body = json.dumps({"id": 1, "params": {"channels": [f"c{n}" for n in range(1000)], "last": 0, "confirm": 1}}).encode()
        async with self.connection(address, "/longpolling/poll", f"Host: h\r\nContent-Type: application/json\r\n"
                                   f"Content-Length: {len(body)}\r\n", body, "POST") as (reader, _):
            await reader.readuntil(b"\r\n\r\n")
        self.counts["polls"] += 1

    async def nonsense(self, address):
        async with self.connection(address, "/" + "%41" * 5000, "Host: h\r\n") as (reader, _):
            await reader.readuntil(b"\r\n\r\n")
        self.counts["nonsense"] += 1

    async def never_reads(self, address):
        async with self.connection(address, "/websocket", HANDSHAKE) as (reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.pause_reading()
            self.write(writer, {"event_name": "subscribe", "data": {"channels": ["honest"], "last": 1}})
            self.counts["never_reads"] += 1
            await asyncio.sleep(random.uniform(1, 5))

    def write(self, writer, event):
        writer.write(encode_frame(TEXT, json.dumps(event).encode()))


if __name__ == "__main__":
    os.nice(19)
    worst = WorstClients(int(sys.argv[1]))
    asyncio.run(worst.run(int(sys.argv[2])))
    print(json.dumps(worst.counts))
