"""A port at which a server is reached that can hold back what is said."""
import asyncio
import contextlib


class Door:
    """Passes connections on to a port of 127.0.0.1, until a word is held: nothing goes on in the direction in which it came.

    `knocked` is set when that happens.
    """

    def __init__(self, inner_port):
        self.inner_port = inner_port
        self.port = None
        self.knocked = asyncio.Event()
        self._word = None
        self._opened = asyncio.Event()
        self._writers = set()
        self._mute = set()  # of these
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

    def mute(self):
        """The connections there are stay open, and nothing is heard of what is said on them any more; others are as ever."""
        self._mute = set(self._writers)

    def cut(self):
        """Ends all connections; what was held is lost."""
        self._word = None
        for writer in self._writers:
            writer.transport.abort()

    async def _carry(self, reader, writer):
        while data := await reader.read(1 << 16):
            if self._word and self._word in data:
                self.knocked.set()
                await self._opened.wait()
            if writer not in self._mute:
                writer.write(data)
        if writer in self._mute:
            await self._closed.wait()
        writer.close()

    async def _let_in(self, reader, writer):
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.inner_port)
        except ConnectionError:  # nobody is at home
            writer.transport.abort()
            return
        both = {writer, inner_writer}
        self._writers |= both
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self._carry(reader, inner_writer), self._carry(inner_reader, writer))
        self._writers -= both
