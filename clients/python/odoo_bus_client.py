"""Notifications of odoo_bus in Python: for scripts, tests and jobs.

    async with Bus("https://example.com", ["orders"], token=fetch_token) as bus:
        async for notification in bus:
            print(notification.id, notification.type, notification.payload)

    with SyncBus("http://127.0.0.1:8073", ["orders"]) as bus:
        print(bus.next(timeout=10))

A client reconnects by itself and resumes after its last notification, so that none is missed and none comes twice, as far
as the server keeps them; where it does not, Outdated is raised once. The protocol is that of docs/protocol.md. It needs the
package websockets (9.1 or later), and also works with a stock Odoo server, which confirms nothing.
"""
import asyncio
import importlib.metadata
import inspect
import json
import random
import ssl as tls
from http.cookies import SimpleCookie
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import websockets

__all__ = ["Bus", "SyncBus", "Notification", "BusError", "Expired", "Outdated", "Refused"]
__version__ = "1.0.0"

SESSION_EXPIRED, KEEP_ALIVE_TIMEOUT, TRY_AT_ONCE = 4001, 4002, 4004  # close codes
# As Odoo's worker, in seconds: the delay before the next attempt grows, and jitter keeps clients apart.
FIRST_DELAY, FACTOR, MOST_DELAY, JITTER = 1.0, 1.5, 60.0, 1.0
OPEN_WITHIN = 20.0
CONFIRM_WITHIN = 5.0  # then a server that confirms nothing is believed
PING_AFTER = 30.0  # of silence; twice as long, and the connection is taken for dead
MAX_MESSAGE_BYTES = 64 << 20

_NEW_API = int(importlib.metadata.version("websockets").split(".")[0]) >= 14
if _NEW_API:
    from websockets.asyncio.client import connect as _connect
else:
    from websockets import connect as _connect


class Notification(NamedTuple):
    """`channel`: the name it was asked for by, a stored channel (a list) that the server added, or None if not told."""

    id: int
    type: str
    payload: Any
    channel: Any = None


class BusError(Exception):
    """A client that raises it has stopped, but for Outdated."""


class Refused(BusError):
    """The server refuses this client or some of its channels (`channels`) for good."""

    def __init__(self, message, channels=()):
        super().__init__(message)
        self.channels = list(channels)


class Expired(BusError):
    """The session or the token has ended, and there is no function that fetches another one."""


class Outdated(BusError):
    """Notifications were missed for good: load the data again. The client goes on with what comes next."""


class Bus:
    """`url`: of the server, http(s) or ws(s); `/websocket` is added if it has no path.

    `last`: the id after which to begin; 0: 50 seconds ago. `token`: a text, or a function (also async) that returns one and is
    called for each connection. `cookies`: of a session, {"session_id": "..."}; then `origin` is by default the server's own.
    `ssl`: an ssl.SSLContext.
    """

    def __init__(self, url, channels=(), *, last=0, token=None, cookies=None, origin=None, ssl=None):
        self.url = _websocket_url(url)
        self.channels = list(channels)
        self.last = last  # the id of the newest notification that was returned, or the position after it
        self._token, self._ssl = token, ssl
        self._cookies = dict(cookies or {})
        self._origin = origin
        self._socket = None
        self._received = []  # of a frame, in reverse
        self._position = last  # of what was received
        self._delay = 0.0  # before the next attempt
        self._asked, self._confirmed = 0, 0  # numbers of subscribes
        self._confirms = False  # the server confirms subscribes, and answers pings

    async def __aenter__(self):
        return await self.start()

    async def __aexit__(self, *_):
        await self.close()

    def __aiter__(self):
        return self

    async def __anext__(self):
        return await self.next()

    async def start(self):
        """Returns when the server has confirmed the channels: what is committed from here on is received.

        A stock Odoo server confirms nothing; there it returns five seconds after the subscribe.
        """
        while self._socket is None or self._confirmed < self._asked:
            heard = await self._step(PING_AFTER if self._confirms else CONFIRM_WITHIN)
            if not heard and not self._confirms:
                break
        return self

    async def next(self):
        """The next notification, whenever it comes."""
        while not self._received:
            await self._step()
        notification = self._received.pop()
        self.last = notification.id if self._received else self._position
        return notification

    async def set_channels(self, channels):
        """Replaces the channels; new ones begin with what comes from now on."""
        self.channels = list(channels)
        if self._socket is not None:
            try:
                await self._subscribe()
            except websockets.ConnectionClosed:
                pass  # the next connection subscribes to them

    async def close(self):
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    # --- one step: a connection that is made, or a message that is received ---

    async def _step(self, wait=PING_AFTER):
        """Returns False if the connection was silent for so many seconds."""
        if self._socket is None:
            await asyncio.sleep(self._delay and self._delay + random.uniform(0, JITTER))
            await self._open()
            return True
        try:
            message = await asyncio.wait_for(self._socket.recv(), wait)
        except asyncio.TimeoutError:
            await self._ping()
            return False
        except websockets.ConnectionClosed:
            self._lost()
        else:
            self._pinged = False
            self._receive(message)
        return True

    async def _open(self):
        token = await self._fetch_token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        # A server checks where cookies come from; what has a token alone needs no origin.
        origin = self._origin or (_own_origin(self.url) if self._cookies or not token else None)
        options = {"additional_headers" if _NEW_API else "extra_headers": headers, "origin": origin,
                   "max_size": MAX_MESSAGE_BYTES, "compression": None}
        if self._ssl is not None or self.url.startswith("wss:"):
            options["ssl"] = self._ssl or tls.create_default_context()
        try:
            self._socket = await asyncio.wait_for(_connect(self.url, **options), OPEN_WITHIN)
            self._keep_cookies(self._socket)
            self._pinged = False
            await self._subscribe()
        except (OSError, asyncio.TimeoutError, EOFError, websockets.ConnectionClosed):
            self._again_later()
        except websockets.InvalidHandshake as error:
            self._not_opened(error)
        else:
            self._delay = 0.0

    async def _fetch_token(self):
        token = self._token() if callable(self._token) else self._token
        return await token if inspect.isawaitable(token) else token

    async def _subscribe(self):
        self._asked += 1
        data = {"channels": self.channels, "last": self._position, "name_channels": True, "confirm": self._asked,
                # Stock servers from 19.4 on read it without a default.
                "check_outdated": self._position > 0}
        await self._socket.send(json.dumps({"event_name": "subscribe", "data": data}))

    async def _ping(self):
        if self._pinged:
            await self._drop()
        elif self._confirms:
            self._pinged = True
            try:
                await self._socket.send('{"event_name":"bus/ping","data":null}')
            except websockets.ConnectionClosed:
                self._lost()
        # Of other servers the library's own pings tell whether they are alive.

    async def _drop(self):
        socket = self._socket
        self._again_later()
        socket.transport.abort()

    # --- why it ended ---

    def _lost(self):
        code, reason = _close_of(self._socket)
        self._again_later()
        if code == SESSION_EXPIRED:
            self._expired(reason)
        elif code == 1000:
            raise Refused(f"the server has closed the connection: {reason or 'without a reason'}")
        elif code in (KEEP_ALIVE_TIMEOUT, TRY_AT_ONCE):
            self._delay = 0.001  # and jitter

    def _not_opened(self, error):
        self._again_later()
        status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
        if status == 401:
            self._expired("HTTP 401")
        elif status is not None and status != 429 and status < 500:
            raise Refused(f"the server answers with HTTP status {status}") from error

    def _expired(self, reason):
        if not callable(self._token):
            raise Expired(f"the session or token has ended ({reason})")

    def _again_later(self):
        self._socket = None
        self._delay = min(max(self._delay, FIRST_DELAY) * FACTOR, MOST_DELAY)

    # --- what is received ---

    def _receive(self, message):
        try:
            elements = json.loads(message)
        except ValueError:
            return
        received = []
        for element in elements if isinstance(elements, list) else []:
            if not isinstance(element, dict):
                continue
            if element.get("internal"):
                self._internal(element.get("type"), element.get("payload"))
            elif isinstance(element.get("id"), int) and isinstance(element.get("message"), dict):
                body = element["message"]
                received.append(Notification(element["id"], body.get("type"), body.get("payload"),
                                             _channel_name(element.get("channel"))))
        if received:
            self._position = received[-1].id
            self._received = received[::-1]

    def _internal(self, type, payload):
        if type == "bus/subscribed" and isinstance(payload, dict):
            self._confirms = True
            self._confirmed = max(self._confirmed, payload.get("confirm") or 0)
            self._move_to(payload.get("last"))
            if payload.get("error") or payload.get("refused"):
                refused = payload.get("refused") or self.channels
                raise Refused(f"the server refuses the channels {', '.join(map(str, refused))}", refused)
        elif type == "bus/pong" and isinstance(payload, dict):
            self._move_to(payload.get("last"))
        elif type == "bus/subscription_outdated":
            raise Outdated("notifications were missed: load the data again")
        elif type == "bus/last_id_reset":
            self._position = payload if isinstance(payload, int) else 0
            self.last = self._position
            raise Outdated("the database is another one: load the data again")

    def _move_to(self, last):
        """Everything up to this position was received."""
        if isinstance(last, int) and last > 0:
            self._position = last
            if not self._received:
                self.last = last

    def _keep_cookies(self, socket):
        headers = socket.response.headers if _NEW_API else socket.response_headers
        for header in headers.get_all("Set-Cookie"):
            self._cookies |= {name: morsel.value for name, morsel in SimpleCookie(header).items()}


class SyncBus:
    """The same for programs without asyncio, with the parameters of Bus."""

    def __init__(self, url, channels=(), **options):
        self._loop = asyncio.new_event_loop()
        self._bus = Bus(url, channels, **options)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def __iter__(self):
        return self

    def __next__(self):
        return self.next()

    @property
    def last(self):
        return self._bus.last

    def start(self):
        self._run(self._bus.start())
        return self

    def next(self, timeout=None):
        """Raises TimeoutError if none has come within so many seconds."""
        try:
            return self._run(asyncio.wait_for(self._bus.next(), timeout))
        except asyncio.TimeoutError:
            raise TimeoutError(f"no notification within {timeout} seconds") from None

    def set_channels(self, channels):
        self._run(self._bus.set_channels(channels))

    def close(self):
        if not self._loop.is_closed():
            self._run(self._bus.close())
            self._loop.close()

    def _run(self, work):
        return self._loop.run_until_complete(work)


def _websocket_url(url):
    parts = urlsplit(url)
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    if parts.scheme not in schemes or not parts.netloc:
        raise ValueError(f"{url!r} is not the URL of a server: give http://, https://, ws:// or wss://host")
    return urlunsplit((schemes[parts.scheme], parts.netloc, parts.path.strip("/") and parts.path or "/websocket", parts.query, ""))


def _own_origin(url):
    parts = urlsplit(url)
    return f"{parts.scheme.replace('ws', 'http', 1)}://{parts.netloc}"


def _channel_name(stored):
    named = isinstance(stored, list) and len(stored) == 2 and isinstance(stored[1], str)
    return stored[1] if named else stored


def _close_of(socket):
    return socket.close_code, socket.close_reason
