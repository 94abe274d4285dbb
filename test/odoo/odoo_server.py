"""A real Odoo from $ODOO_HOME: a database of its own, prefork workers, proxy mode."""
import ast
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from harness.deadline import DEADLINE, scaled
from harness.ports import reserve_port
from harness.system import ROOT, clean_environment, give_to_server_user, server_user

MODULES = ["mail", "im_livechat", "website_livechat", "odoo_bus_witness"]
OUR_ADDONS = ROOT / "test" / "odoo" / "addons"
START_DEADLINE = scaled(300)  # the first start of a database compiles and loads everything


class OdooServer:
    """Database `name` is served for hosts whose first label is its name; others get Odoo's 404."""

    name = "bus"

    def __init__(self, home, cluster):
        self.home = Path(home).resolve()
        self.program = self.home / "odoo-bin"
        release = (self.home / "odoo" / "release.py").read_text()
        numbers = ast.literal_eval(re.search(r"^version_info = \((.*)\)$", release.replace("FINAL", "'final'"),
                                             re.M).group(0).partition(" = ")[2])
        self.version = f"{numbers[0]}.{numbers[1]}"
        self.cluster = cluster
        self.port = reserve_port()
        self.gevent_port = reserve_port()
        self.directory = Path(tempfile.mkdtemp(prefix="odoo_bus_odoo."))
        self.directory.chmod(0o755)
        self.data = self.directory / "data"
        self.data.mkdir()
        give_to_server_user(self.directory)
        give_to_server_user(self.data)
        self.lines = []
        self.process = None
        self.environment = {}
        self._changed = threading.Condition()

    @property
    def host(self):
        return f"{self.name}.localhost"

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def sessions(self):
        return self.data / "sessions"

    @property
    def modules(self):
        return [module for module in MODULES
                if any((addons / module / "__manifest__.py").exists() for addons in (self.home / "addons", OUR_ADDONS))]

    # --- its database ---

    def create_database(self):
        """Restores what a former run has made, or makes it, which takes minutes, and keeps it in build/odoo."""
        self.cluster.execute("CREATE ROLE odoo LOGIN CREATEDB")
        stamp = hashlib.sha256(f"{self.home} {os.stat(self.program).st_mtime} {self.modules}".encode()).hexdigest()[:12]
        kept = ROOT / "build" / "odoo" / f"{self.version}-{stamp}"
        dump, filestore = kept / "dump", self.data / "filestore"
        if dump.exists():
            self.cluster.execute(f"CREATE DATABASE {self.name} OWNER odoo")
            with dump.open("rb") as file:
                self.cluster.run("pg_restore", "--no-owner", "--role=odoo", "-j", 1, "-d", self.name, stdin=file)
            shutil.copytree(kept / "filestore", filestore)
            for path in [filestore, *filestore.rglob("*")]:
                give_to_server_user(path)
            return
        self._run("-d", self.name, "-i", ",".join(self.modules), "--without-demo=all", "--stop-after-init")
        kept.mkdir(parents=True, exist_ok=True)
        shutil.copytree(filestore, kept / "filestore")
        with (kept / "unfinished").open("wb") as file:
            done = subprocess.run([self.cluster.bin / "pg_dump", "-Fc", "-h", self.cluster.host, "-p",
                                   str(self.cluster.port), "-U", self.cluster.user, self.name],
                                  env=clean_environment(), stdout=file, check=False)
        assert done.returncode == 0
        (kept / "unfinished").rename(dump)

    # --- running it ---

    def start(self):
        self.spawn("--workers=2", "--max-cron-threads=0", "--proxy-mode", f"--gevent-port={self.gevent_port}",
                   "--db-filter=^%d$", "--limit-time-real=600", "--limit-time-cpu=600")
        self.wait_ready(self.port)
        self.wait_ready(self.gevent_port)
        return self

    def spawn(self, *arguments):
        self.process = subprocess.Popen(self._command(*arguments), env=self._environment(), cwd="/",
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        start_new_session=True, **server_user())
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def wait_ready(self, port):
        deadline = time.monotonic() + START_DEADLINE
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=scaled(60))
                connection.request("GET", "/websocket/health", headers={"Host": self.host})
                if connection.getresponse().status == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            assert self.process.poll() is None and time.monotonic() < deadline, "Odoo did not start:\n" + self.tail()
            with self._changed:
                self._changed.wait(0.5)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(DEADLINE)
        # Its gevent process does not always go with it.
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def restart(self):
        self.stop()
        return self.start()

    def remove(self):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def tail(self, lines=60):
        with self._changed:
            return "\n".join(self.lines[-lines:])

    # --- sessions on disk ---

    def session_file(self, sid):
        return self.sessions / sid[:2] / sid

    def edit_session(self, sid, change):
        """`change` gets the session's content as a dictionary."""
        path = self.session_file(sid)
        content = json.loads(path.read_text())
        change(content)
        unfinished = path.with_suffix(".test")
        unfinished.write_text(json.dumps(content))
        give_to_server_user(unfinished)
        unfinished.rename(path)

    # --- inside ---

    def _command(self, *arguments):
        return ["/usr/bin/python3", str(self.program), f"--addons-path={self.home / 'addons'},{OUR_ADDONS}",
                f"--db_host={self.cluster.host}", f"--db_port={self.cluster.port}", "--db_user=odoo",
                f"--data-dir={self.data}", f"--http-port={self.port}", "--http-interface=127.0.0.1", *arguments]

    def _environment(self):
        return clean_environment(HOME=str(self.directory), PYTHONDONTWRITEBYTECODE="1") | self.environment

    def _run(self, *arguments):
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(self._command(*arguments), env=self._environment(), cwd="/",
                                  stdin=subprocess.DEVNULL, stdout=output, stderr=output, **server_user())
            output.seek(0)
            text = output.read().decode(errors="replace")
        assert done.returncode == 0 and " CRITICAL " not in text, "Odoo cannot make its database:\n" + text[-6000:]

    def _read(self, process):
        for raw in process.stderr:
            with self._changed:
                self.lines.append(raw.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()
