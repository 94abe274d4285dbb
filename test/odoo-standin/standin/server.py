"""The stand-in as a whole: an asyncio server in a thread of its own, and what tests may order it to do."""
import asyncio
import socket
import sys
import threading
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))  # for a stand-in that runs alone

from harness.deadline import DEADLINE
from harness.ports import reserve_port

from .application import Application
from .builds import BUILDS
from .clock import Clock
from .connection import Connection
from .database import Database
from .request_log import RequestLog
from .sessions import Sessions


class Standin:
    """Listens on a free port of 127.0.0.1 (or on `port`), and answers as many requests at once as it has `workers`.

    `version`: "17.0", "18.0", "19.0", "19.4" or "20.0"; `rotation`: "none", "all" or "excluded", else the version's own;
    `cost`: seconds that each request takes a worker; `data_dir`: session files are written below it.
    """

    def __init__(self, version="19.0", port=0, workers=None, cost=0.0, rotation=None, worker_version=None,
                 dbfilter=None, proxy_mode=True, data_dir=None):
        self.build = BUILDS[version]
        if rotation:
            self.build = type(self.build)(**{**vars(self.build), "rotation": rotation})
        self.worker_version = worker_version or self.build.worker_version
        self.port = port
        self.workers = workers
        self.cost = cost
        self.dbfilter = dbfilter
        self.proxy_mode = proxy_mode
        self.website = None  # or the domain of the module website's only one, "" without a domain
        self.clock = Clock()
        self.sessions = Sessions(self.clock, data_dir, self.build.hex_ids)
        self.databases = {}
        self.log = RequestLog()
        self.application = Application(self)
        self.free_workers = None
        self._faults = []
        self._connections = set()
        self._loop = None
        self._thread = None
        self._server = None

    # --- running it ---

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        # It touches the session, and what it answers does not say whether the session is valid.
        assert not self.log.count("/web/session/get_session_info"), "the gateway asked for the session's info"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="odoo-standin", daemon=True)
        self._thread.start()
        return self.listen()

    def stop(self):
        if self._loop is None:
            return
        self.refuse_connections()
        self._in_loop(self._cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE)
        self._loop.close()
        self._loop = None

    def listen(self):
        """Listens (again), on the port that it had."""
        if self._server is None:
            self._in_loop(self._listen())
        return self

    def refuse_connections(self, reset=True):
        """Odoo is down: connections are refused, and with `reset` those that are open are reset."""
        self._in_loop(self._close(reset))

    # --- who and what there is ---

    def add_database(self, name):
        self.databases[name] = Database(name, self.clock)
        return self.databases[name]

    def login(self, user, age=0, marked=False):
        """A session as the login page makes it, `age` seconds ago."""
        session = self.sessions.new()
        session.update(db=user.database.name, uid=user.id, login=user.login, create_time=self.clock.now() - age)
        session["token"] = user.token(session.sid)
        if marked:
            session["is_websocket_session"] = True
        self.sessions.save(session)
        return session

    def logout(self, session):
        """/web/session/logout: the session's file goes."""
        self.sessions.delete(getattr(session, "sid", session))

    def age(self, session, seconds):
        """As if the session had been created `seconds` earlier."""
        current = self.sessions.get(getattr(session, "sid", session))
        current["create_time"] -= seconds
        self.sessions.save(current)

    # --- bad days ---

    def break_with(self, fault, routes=None, times=None):
        """From now on (or for so many requests) `fault` answers: see faults. `routes`: names, None for all."""
        self._faults.insert(0, [fault, set(routes) if routes else None, times])

    def mend(self):
        """No more faults; hanging connections end."""
        self._faults.clear()
        self._in_loop(self._cancel_broken())

    def fault_for(self, request):
        for entry in self._faults:
            fault, routes, times = entry
            if routes is None or request.route in routes:
                if times is not None:
                    entry[2] -= 1
                    if entry[2] == 0:
                        self._faults.remove(entry)
                return fault
        return None

    def wait_for(self, condition, timeout=DEADLINE):
        """Until condition(log) is true; looked at with every request that begins or ends."""
        self.log.wait_for(condition, timeout)

    # --- inside the loop ---

    def _in_loop(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE)

    async def _listen(self):
        if self.workers and self.free_workers is None:
            self.free_workers = asyncio.Semaphore(self.workers)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port or reserve_port()))
        self.port = listener.getsockname()[1]
        self._server = await self._loop.create_server(lambda: Connection(self, self._connections), sock=listener,
                                                      backlog=4096)

    async def _close(self, reset):
        if self._server is not None:
            self._server.close()
            self._server = None
        if reset:
            for connection in list(self._connections):
                connection.abort()

    async def _cancel_broken(self):
        for connection in list(self._connections):
            if connection.broken:
                connection.close()

    async def _cancel_all(self):
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
