"""The supervisor of the demo: breaks its parts when asked to, and brings back what has ended, whoever ended it."""
import os
import select
import signal
import threading
import time

import psycopg

from .scenario import EXPORT

DOWN = 5  # seconds for which PostgreSQL stays stopped
BY_HAND = {0, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT}  # how a gateway ends that was asked to, or killed


class NotNow(Exception):
    """There is nothing to break: it is broken."""


class Supervisor:
    """`tell(text)` is called with each thing that happens, `came_back()` when there is another process of a part; `faults` are
    what should not have happened."""

    ATTEMPTS = 3

    def __init__(self, cluster, gateway, database, tell=lambda text: None, came_back=lambda: None):
        self.cluster, self.gateway, self.database = cluster, gateway, database
        self.faults = []
        self._tell, self._came_back = tell, came_back
        self._last = None  # what happened last, and when
        self._back_at = None  # when PostgreSQL is started again
        self._lock = threading.Lock()

    # --- what somebody may ask for ---

    def break_part(self, name):
        """`name` is one of BREAKABLE. Processes are those that this supervisor knows."""
        with self._lock:
            self.BREAKABLE[name](self)

    def _kill_gateway(self):
        if not self.gateway.running:
            raise NotNow("the gateway is down")
        self.gateway.process.kill()
        self.tell("The gateway was killed with -9.")

    def _stop_postgresql(self):
        if not self.postgresql_is_up():
            raise NotNow("PostgreSQL is down")
        try:
            self.cluster.stop()
        except AssertionError:
            raise NotNow("PostgreSQL is being stopped") from None

    def _kill_sender(self):
        """The export, which is in a transaction most of the time."""
        deadline = time.monotonic() + 5
        try:
            with self.database.connect() as connection:
                while not connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s "
                                             "AND backend_xid IS NOT NULL", (EXPORT,)).fetchall():
                    if time.monotonic() > deadline:
                        raise NotNow("no sender is in a transaction")
                    time.sleep(0.05)
        except psycopg.OperationalError:
            raise NotNow("PostgreSQL is down") from None
        self.tell("A sender was killed in its transaction.")

    BREAKABLE = {"gateway": _kill_gateway, "postgresql": _stop_postgresql, "sender": _kill_sender}

    def state(self):
        """For the page."""
        back_at = self._back_at
        return {"gateway": self.gateway.running, "postgresql": back_at is None and self.postgresql_is_up(),
                "back_in": None if back_at is None else max(back_at - time.monotonic(), 0), "last": self._last}

    # --- what it does by itself ---

    def watch_gateway(self, stop):
        while not stop.wait(0.1):
            # Ctrl-C ends the gateway, too.
            if self.gateway.running or stop.wait(0.5):
                continue
            code = self.gateway.wait()
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            self.tell(f"The gateway has ended ({how}) and is started again.")
            if code not in BY_HAND:
                self.faults.append(f"the gateway ended with {how}:\n{self.gateway.tail(10)}")
            self.gateway.start(healthy=False)
            self.tell(f"The gateway is back as process {self.gateway.process.pid}.")
            self._came_back()

    def watch_postgresql(self, stop):
        while not stop.wait(0.1):
            if self.postgresql_is_up():
                continue
            self._back_at = time.monotonic() + DOWN
            self.tell(f"PostgreSQL was stopped and is started again in {DOWN} seconds.")
            if stop.wait(DOWN):
                return
            self._start_postgresql(stop)
            self._back_at = None
            self.tell(f"PostgreSQL is back as process {self.cluster.pid}.")
            self._came_back()

    def _start_postgresql(self, stop):
        for attempt in range(1, self.ATTEMPTS + 1):
            if self.postgresql_is_up():  # somebody else has started it
                return
            try:
                self.cluster.start()
                return
            except AssertionError:
                # The processes of a server that was killed may need a moment to end.
                if attempt == self.ATTEMPTS or stop.wait(1):
                    raise

    def postgresql_is_up(self):
        """A server that was killed leaves its file behind."""
        pid = self.cluster.pid
        return pid is not None and not has_ended(pid)

    def tell(self, text):
        self._last = {"at": time.time(), "text": text}
        self._tell(text)


def has_ended(pid):
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 0)[0])
    finally:
        os.close(descriptor)
