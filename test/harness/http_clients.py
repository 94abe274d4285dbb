"""Clients of the event stream and of long polling, with the interface of BusClient: one scenario, three transports."""
import asyncio
import json
import urllib.parse

from .client import BusClient


class HttpBusClient(BusClient):
    """What both have in common: HTTP/1.1 over a socket of their own, and the time until they come back."""

    def __init__(self, url, channels, **options):
        super().__init__(url, channels, **options)
        self.writer = None
        self.statuses = []

    async def stop(self, code=1000):
        self.stopped = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def subscribed(self):
        await self.until(lambda: self.is_subscribed, "the subscription")

    @property
    def host(self):
        return urllib.parse.urlsplit(self.url).hostname

    @property
    def port(self):
        return urllib.parse.urlsplit(self.url).port

    def drop(self):
        if self.writer is not None:
            self.writer.transport.abort()

    async def _request(self, method, path, body=None, headers=()):
        """Returns (status, headers, reader); the reader is behind the head."""
        reader, self.writer = await asyncio.open_connection(self.host, self.port, limit=64 << 20)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}", "Connection: close",
                 *(f"{name}: {value}" for name, value in {**self.headers, **dict(headers)}.items())]
        data = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        self.writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + data)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        received = {}
        for line in head[1:]:
            name, _, value = line.partition(": ")
            if name.lower() == "set-cookie":
                self._keep_cookies([value])
            received[name.lower()] = value
        status = int(head[0].split()[1])
        self.statuses.append(status)
        return status, received, reader

    def _data(self):
        data = {"channels": self.channels, "last": self.resume()}
        if self.check_outdated is not None and self.last:
            data["check_outdated"] = self.check_outdated
        return data | self.extensions

    async def _connect_once(self):
        try:
            return await self._converse()
        except (OSError, EOFError, asyncio.IncompleteReadError):
            return 1006
        finally:
            if self.writer is not None:
                self.writer.close()


class EventsClient(HttpBusClient):
    """GET /bus/events, as EventSource; `post` sends the subscription as a body."""

    def __init__(self, url, channels, post=False, **options):
        super().__init__(url, channels, **options)
        self.post = post
        self.is_subscribed = False
        self.heartbeats = 0
        self.positions = []

    async def _converse(self):
        self.is_subscribed = False
        if self.post:
            status, _, reader = await self._request("POST", "/bus/events", self._data())
        else:
            query = urllib.parse.urlencode({"channels": ",".join(self.channels)})
            headers = {"Last-Event-ID": str(self.resume())} if self.last else {}
            status, _, reader = await self._request("GET", "/bus/events?" + query, headers=headers)
        if status != 200:
            self.refusals.append(status)
            return 4001 if status == 401 else 1006
        self.connections += 1
        self._delay = 1.0
        data = kind = identifier = None
        while True:
            line = (await reader.readline()).decode()
            if not line.endswith("\n"):
                self.closes.append((1006, ""))
                return 1006
            name, _, value = line.rstrip("\r\n").partition(":")
            value = value.removeprefix(" ")
            if line == "\n":
                if data is None and identifier is None:
                    self.heartbeats += 1
                elif data is None:
                    self.last = int(identifier)
                    self.positions.append(self.last)
                elif kind == "close":
                    end = json.loads(data)
                    self.closes.append((end["code"], end["reason"]))
                    return end["code"]
                else:
                    self.is_subscribed = True
                    self._receive(data)
                    if identifier is not None:
                        assert self.last == int(identifier)
                data = kind = identifier = None
                self._notify()
            elif name == "data":
                data = value if data is None else data + "\n" + value
            elif name == "event":
                kind = value
            elif name == "id":
                identifier = value


class PollClient(HttpBusClient):
    """POST /longpolling/poll, again and again, as clients of Odoo 15 and before."""

    path = "/longpolling/poll"

    def __init__(self, url, channels, **options):
        super().__init__(url, channels, **options)
        self.is_subscribed = False
        self.answers = 0
        self.confirm = True  # the first poll asks to be answered at once

    async def subscribe(self, channels=None, last=None):
        self.channels = list(channels or self.channels)
        self.is_subscribed, self.confirm = False, True
        self.drop()

    async def _converse(self):
        data = self._data()
        if self.confirm:
            data["confirm"] = 1
        status, headers, reader = await self._request(
            "POST", self.path, {"jsonrpc": "2.0", "method": "call", "id": 7, "params": data})
        if status != 200:
            self.refusals.append(status)
            return 4001 if status == 401 else 1006
        self.connections += 1
        self._delay = 1.0
        answer = json.loads(await reader.readexactly(int(headers["content-length"])))
        assert answer["jsonrpc"] == "2.0" and answer["id"] == 7
        if "error" in answer:
            self.closes.append((answer["error"]["code"], answer["error"]["message"]))
            return 1006
        self.answers += 1
        result = answer["result"]
        if result:
            self._receive(json.dumps(result))
        if any(element.get("type") == "bus/subscribed" for element in result):
            self.confirm = False
            self.last = result[-1]["payload"].get("last", self.last)
            self.is_subscribed = True
        return 4002  # comes back at once

    async def _run(self):
        while not self.stopped:
            code = await self._connect_once()
            self._notify()
            if self.stopped or not self.reconnect:
                return
            if code != 4002:
                self._delay = min(self._delay * 1.5, 60)
                await asyncio.sleep((self._delay + 0.5) * self.delay_scale)


TRANSPORTS = {"websocket": BusClient, "events": EventsClient, "poll": PollClient}
