"""A private nginx that runs deploy/nginx.conf, with nothing changed but its ports."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from .adapted import adapted
from .deadline import DEADLINE
from .ports import reserve_port
from .system import ROOT, clean_environment

MAIN = """\
# Written by the tests: everything of a main nginx.conf that must not be the machine's own.
daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 4096; }}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    client_body_temp_path {directory}/client_body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/site.conf;

    # In Odoo's place: static files.
    server {{
        listen 127.0.0.1:{odoo_port};
        root {directory}/www;
        add_header Cache-Control no-store;
        # Shows what the proxy passed on.
        location = /headers {{
            return 200 "$http_host|$http_x_forwarded_for|$http_x_forwarded_proto|$http_connection";
        }}
        location /demo/ {{
            proxy_pass http://127.0.0.1:{demo_port};
            proxy_set_header Host $http_host;
        }}
    }}
}}
"""


BLOCKABLE = [("location = /websocket {", "/websocket"),
             ("location ~ ^/(bus/events|longpolling/poll)$ {", "/bus/events"),
             ("location ~ ^/(bus/events|longpolling/poll)$ {", "/longpolling/poll")]


class Nginx:
    """with Nginx(gateway_port, files=[ROOT / "client"]) as nginx: nginx.url("/demo.html")

    `demo_port`: where the demo answers what is below /demo/. `blocked`: paths that this network does not let through.
    `changes`: what somebody has written in place of what is shipped, [(there, here), ...].
    """

    def __init__(self, gateway_port, files=(), port=None, demo_port=9, blocked=(), changes=()):
        self.port = port or reserve_port()
        self.demo_port = demo_port
        self.odoo_port = reserve_port()
        self.gateway_port = gateway_port
        self.files = files
        self.blocked = blocked
        self.changes = changes
        self.directory = Path(tempfile.mkdtemp(prefix="odoo_bus_nginx."))
        self.process = None
        self.lines = []

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def websocket_url(self):
        return f"ws://127.0.0.1:{self.port}/websocket"

    def site(self):
        text = adapted((ROOT / "deploy" / "nginx.conf").read_text(), {
            "listen 80;": f"listen 127.0.0.1:{self.port};",
            "server 127.0.0.1:8069;": f"server 127.0.0.1:{self.odoo_port};",
            "server 127.0.0.1:8073;": f"server 127.0.0.1:{self.gateway_port};",
        })
        for there, here in self.changes:
            assert there in text, f"deploy/nginx.conf must say {there!r}"
            text = text.replace(there, here)
        for location, path in BLOCKABLE:
            assert text.count(location) == 1
            if path in self.blocked:
                text = text.replace(location, f"{location}\n        if ($uri = {path}) {{ return 403; }}")
        return text

    def block(self, *blocked):
        """Lets other paths through from now on. Connections that are open go on."""
        self.blocked = blocked
        mark = len(self.lines)
        (self.directory / "site.conf").write_text(self.site())
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + DEADLINE
        while not any("start worker process" in line for line in self.lines[mark:]):
            assert time.monotonic() < deadline, "nginx did not reload"
            time.sleep(0.01)

    def start(self):
        self.directory.chmod(0o755)
        www = self.directory / "www"
        www.mkdir()
        for source in self.files:
            shutil.copytree(source, www, dirs_exist_ok=True)
        (self.directory / "site.conf").write_text(self.site())
        user = "user www-data;" if os.geteuid() == 0 else ""
        conf = self.directory / "nginx.conf"
        conf.write_text(MAIN.format(directory=self.directory, odoo_port=self.odoo_port, user=user,
                                    demo_port=self.demo_port))
        nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin")
        # Until it has read its configuration, it writes to the machine's log otherwise; 1.18 knows no other way.
        version = tuple(map(int, re.search(r"nginx/([\d.]+)", subprocess.run([nginx, "-v"], capture_output=True, text=True).stderr)[1].split(".")))
        until_read = ["-e", "stderr"] if version >= (1, 19, 5) else []
        self.process = subprocess.Popen(
            [nginx, *until_read, "-p", self.directory, "-c", conf],
            env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, errors="replace")
        started = threading.Event()
        threading.Thread(target=self._read, args=(started,), daemon=True).start()
        # nginx listens before it starts its workers; what connects from then on is served.
        assert started.wait(DEADLINE) and self.process.poll() is None, "nginx did not start:\n" + "\n".join(self.lines)
        return self

    @property
    def worker_pid(self):
        [pid] = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(pid)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(DEADLINE)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _read(self, started):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if "start worker process" in line:
                started.set()
        started.set()
