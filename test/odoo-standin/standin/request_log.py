"""What the stand-in was asked, for tests to look at."""
import threading
import time
from dataclasses import dataclass, field

ROUTES = {
    "/websocket/peek_notifications": "peek",
    "/websocket/update_bus_presence": "presence",
    "/websocket/on_closed": "closed",
    "/bus/has_missed_notifications": "missed",
    "/bus/websocket_worker_bundle": "bundle",
    "/web/login": "login",
    "/robots.txt": "robots",
}


@dataclass
class Request:
    method: str
    target: str
    headers: list  # (name, value) pairs, exactly as they came
    head: bytes  # the same as bytes, with the request line
    body: bytes
    route: str  # a name from ROUTES, or the path
    began: float  # time.monotonic()
    trailing: bytes = b""  # what came after the request: a client that asks once sends nothing
    params: dict = field(default_factory=dict)
    cookies: dict = field(default_factory=dict)
    host: str = ""  # that selected the database
    scheme: str = "http"  # by which it was asked for, as far as is believed
    sid: str = ""  # of the session that was shown, or empty
    login: str = ""  # of the user as whom it was answered, or empty for the public
    database: str = ""
    status: int = 0  # 0: not answered
    error: str = ""  # data.name of an error
    set_sid: str = ""  # session id that the answer sets
    ended: float = 0.0

    def header(self, name):
        """The value of a header that came once; None when it did not come."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def public(self):
        return not self.login


class RequestLog:
    def __init__(self):
        self._changed = threading.Condition()
        self._requests = []
        self.running = 0
        self.high_water = 0  # the most requests that were being answered at once

    def __iter__(self):
        return iter(self.requests())

    def __len__(self):
        return len(self._requests)

    def requests(self, route=None, session=None, **attributes):
        """In the order of arrival; `session`: a Session or its id. Others are compared: login="anna", status=200."""
        sid = getattr(session, "sid", session)
        with self._changed:
            return [request for request in self._requests
                    if (route is None or request.route == route) and (sid is None or request.sid == sid)
                    and all(getattr(request, name) == value for name, value in attributes.items())]

    def count(self, *arguments, **attributes):
        return len(self.requests(*arguments, **attributes))

    def peeks_per_session(self, first=None):
        """{session id: number of peeks}; `first`: of those with that is_first_poll."""
        counts = {}
        for request in self.requests("peek"):
            if first is not None and request.params.get("is_first_poll") != first:
                continue
            counts[request.sid] = counts.get(request.sid, 0) + 1
        return counts

    def clear(self):
        with self._changed:
            self._requests.clear()
            self.high_water = self.running

    def begin(self, request):
        with self._changed:
            self._requests.append(request)
            self.running += 1
            self.high_water = max(self.high_water, self.running)
            self._changed.notify_all()

    def end(self, request):
        with self._changed:
            request.ended = time.monotonic()
            self.running -= 1
            self._changed.notify_all()

    def wait_for(self, condition, timeout):
        with self._changed:
            met = self._changed.wait_for(lambda: condition(self), timeout)
        assert met, f"waited in vain; asked {len(self)} times, last {[r.route for r in self.requests()[-10:]]}"
