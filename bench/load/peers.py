"""Other servers that fan out: nchan and nats-server from Debian, `ws` for Node from npm. Those that are installed
take part; deploy/install-dependencies bench installs them."""
import http.client
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import driver

NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
NODE_MODULES = driver.BUILD / "node_modules"

NGINX_CONF = """
load_module {module};
daemon off; master_process off; pid {directory}/nginx.pid; error_log stderr crit;
events {{ worker_connections 65536; }}
worker_rlimit_nofile 65536;
http {{
    access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    nchan_shared_memory_size 512M;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location ~ ^/sub/(.+)$ {{
            nchan_subscriber websocket; nchan_channel_id $1; nchan_subscriber_first_message newest;
        }}
        location ~ ^/pub/(.+)$ {{
            nchan_publisher http; nchan_channel_id $1; nchan_message_buffer_length 100000; nchan_message_timeout 2m;
            keepalive_requests 1000000;
        }}
    }}
}}
"""

NATS_CONF = """
listen: "127.0.0.1:{port}"
max_connections: 65536
write_deadline: "30s"
ping_interval: "1h"
websocket {{ listen: "127.0.0.1:{websocket}", no_tls: true }}
"""

WS_SERVER = """
// Sends each line that comes at PORT + 1 to every client of PORT.
const { WebSocketServer } = require("ws");
const port = Number(process.argv[2]);
const server = new WebSocketServer({ host: "127.0.0.1", port, perMessageDeflate: false, backlog: 4096 });
let input = "";
require("net").createServer((control) => control.on("data", (bytes) => {
    input += bytes;
    const lines = input.split("\\n");
    input = lines.pop();
    for (const line of lines)
        for (const client of server.clients)
            client.send(line);
})).listen(port + 1, "127.0.0.1");
"""


class Nchan(driver.Server):
    name = "nchan"
    protocol = "nchan"
    path = "/sub/"

    def __init__(self):
        self.port = driver.reserve_port()
        self.directory = tempfile.TemporaryDirectory(prefix="odoo_bus_nchan.")
        conf = Path(self.directory.name) / "nginx.conf"
        conf.write_text(NGINX_CONF.format(module=NCHAN, directory=self.directory.name, port=self.port))
        self.process = subprocess.Popen(driver.pinned(driver.SERVER_CPU, "nginx", "-p", self.directory.name, "-c", conf),
                                        stderr=subprocess.DEVNULL)
        self.wait_for_port(self.port).close()
        self.publisher = http.client.HTTPConnection("127.0.0.1", self.port)

    def send(self, sequence):
        self.publisher.request("POST", "/pub/c0", f"[{driver.element(sequence)}]")
        self.publisher.getresponse().read()


class Nats(driver.Server):
    name = "nats-server"
    protocol = "nats"

    def __init__(self):
        self.port, client_port = driver.reserve_port(), driver.reserve_port()
        self.directory = tempfile.TemporaryDirectory(prefix="odoo_bus_nats.")
        conf = Path(self.directory.name) / "nats.conf"
        conf.write_text(NATS_CONF.format(port=client_port, websocket=self.port))
        self.process = subprocess.Popen(driver.pinned(driver.SERVER_CPU, "nats-server", "-c", conf),
                                        stderr=subprocess.DEVNULL)
        self.wait_for_port(self.port).close()
        self.publisher = self.wait_for_port(client_port)
        self.publisher.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\n')

    def send(self, sequence):
        message = f"[{driver.element(sequence)}]".encode()
        self.publisher.sendall(b"PUB c0 %d\r\n%b\r\n" % (len(message), message))


class Ws(driver.Server):
    name = "ws (node)"

    def __init__(self):
        self.port = driver.reserve_port(adjacent=2)
        script = driver.BUILD / "ws_server.js"
        script.write_text(WS_SERVER)
        self.process = subprocess.Popen(driver.pinned(driver.SERVER_CPU, "node", script, self.port))
        self.wait_for_port(self.port).close()
        self.control = self.wait_for_port(self.port + 1)

    def send(self, sequence):
        self.control.sendall(f"[{driver.element(sequence)}]\n".encode())


def installed(*names):
    """(name, factory) of each, in the order in which they are compared."""
    there = {"nchan": (NCHAN.exists(), Nchan), "nats-server": (shutil.which("nats-server"), Nats),
             "ws (node)": ((NODE_MODULES / "ws").exists() and shutil.which("node"), Ws)}
    return [(name, factory) for name, (is_there, factory) in there.items() if is_there and (not names or name in names)]
