"""A port at which a server is reached that can hold back what is said."""
import asyncio
import contextlib
from dataclasses import dataclass, field


@dataclass(eq=False)
class Passage:
    """A connection through the door. `port`: its own, as the server sees it."""
    port: int
    outer: asyncio.StreamWriter  # to the client
    inner: asyncio.StreamWriter  # to the server
    mute: set = field(default_factory=set)  # writers to which nothing is passed on any more
    stalled: bool = False  # nothing is read from it any more


class Door:
    """Passes connections on to a port of 127.0.0.1, until a word is held: nothing goes on in the direction in which it came.

    `knocked` is set when that happens. What falls silent does so for the connections that are there, all or those of these
    `ports`, and they stay open; others are as ever.
    """

    def __init__(self, inner_port):
        self.inner_port = inner_port
        self.port = None
        self.knocked = asyncio.Event()
        self._word = None
        self._opened = asyncio.Event()
        self._passages = set()
        self._closed = asyncio.Event()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._let_in, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._closed.set()
        self.cut()
        self._server.close()
        await self._server.wait_closed()

    def hold(self, word):
        self._word = word
        self._opened.clear()
        self.knocked.clear()

    def open(self):
        self._word = None
        self._opened.set()

    def mute(self, ports=None):
        """What is said is swallowed."""
        for passage in self._of(ports):
            passage.mute = {passage.outer, passage.inner}

    def mute_answers(self, ports=None):
        """The server hears what it is told, and its answers are swallowed."""
        for passage in self._of(ports):
            passage.mute = {passage.outer}

    def stall(self, ports=None):
        """Nothing is even taken: it stays with who says it, as when packets are dropped."""
        for passage in self._of(ports):
            passage.stalled = True

    def leave(self, ports=None):
        """The server sees the end, and the client does not."""
        self.mute(ports)
        for passage in self._of(ports):
            passage.inner.close()

    def cut(self):
        """Ends all connections; what was held is lost."""
        self._word = None
        for passage in self._passages:
            passage.outer.transport.abort()
            passage.inner.transport.abort()

    @property
    def ports(self):
        return [passage.port for passage in self._passages]

    def _of(self, ports):
        return [passage for passage in self._passages if ports is None or passage.port in ports]

    async def _carry(self, reader, writer, passage):
        while data := await reader.read(1 << 16):
            if self._word and self._word in data:
                self.knocked.set()
                await self._opened.wait()
            if passage.stalled:
                break
            if writer not in passage.mute:
                writer.write(data)
        if writer in passage.mute or passage.stalled:
            await self._closed.wait()
        writer.close()

    async def _let_in(self, reader, writer):
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.inner_port)
        except ConnectionError:  # nobody is at home
            writer.transport.abort()
            return
        passage = Passage(inner_writer.get_extra_info("sockname")[1], writer, inner_writer)
        self._passages.add(passage)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self._carry(reader, inner_writer, passage), self._carry(inner_reader, writer, passage))
        self._passages.discard(passage)
