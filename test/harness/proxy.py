"""Private reverse proxies that run what deploy/proxies ships, with nothing changed but ports and paths."""
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

from .adapted import adapted
from .certificate import make_certificate
from .deadline import DEADLINE
from .echo_server import EchoServer
from .ports import reserve_port
from .system import ROOT, clean_environment
from .wait import until


class Proxy:
    """with Haproxy(gateway.port) as proxy: proxy.url("/headers")

    `tls`: with the lines for TLS, a certificate for localhost, and HTTP/2. `compresses`: with the lines for compression.
    `changes`: [(there, here), ...] in what is shipped.
    """

    program = None  # its name
    snippet = None  # in deploy/
    gateway_address = "127.0.0.1:8073"
    odoo_address = "127.0.0.1:8069"
    websockets_over_http2 = False
    checks_health = True
    gateway_timeout = "120s"  # as it is written for connections to the gateway

    def __init__(self, gateway_port, tls=False, compresses=False, changes=()):
        self.port = reserve_port()
        self.gateway_port = gateway_port
        self.tls = tls
        self.compresses = compresses
        self.changes = changes
        self.odoo = EchoServer()
        self.directory = Path(tempfile.mkdtemp(prefix=f"odoo_bus_{self.program}."))
        self.directory.chmod(0o755)
        self.process = None
        self.lines = []

    @classmethod
    def path(cls):
        return shutil.which(cls.program, path="/usr/sbin:/usr/bin:/sbin:/bin")

    def __enter__(self):
        self.odoo.__enter__()
        if self.tls:
            self.certificate, self.key = make_certificate(self.directory, "localhost", "127.0.0.1")
        self.process = subprocess.Popen(
            [str(word) for word in self.command()], env=clean_environment(HOME=str(self.directory), **self.environment()),
            cwd=self.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        until(self._listens, lambda: f"{self.program} does not listen:\n" + "\n".join(self.lines))
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(DEADLINE)
        self.reader.join(DEADLINE)
        self.odoo.__exit__()
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, path="/"):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{path}"

    @property
    def websocket_url(self):
        return f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self.port}/websocket"

    def command(self):
        """Writes its configuration, and returns the command that runs it in the foreground."""
        raise NotImplementedError

    def environment(self):
        return {}

    def adaptations(self):
        """{there: here} of its own, once each in what is shipped."""
        return {}

    def site(self):
        text = adapted((ROOT / "deploy" / self.snippet).read_text(),
                       {self.gateway_address: f"127.0.0.1:{self.gateway_port}",
                        self.odoo_address: f"127.0.0.1:{self.odoo.port}"} | self.adaptations())
        for there, here in self.changes:
            assert there in text, f"deploy/{self.snippet} must say {there!r}"
            text = text.replace(there, here)
        return text

    def _listens(self):
        assert self.process.poll() is None, f"{self.program} did not start:\n" + "\n".join(self.lines)
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
