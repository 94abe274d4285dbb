"""What the load benchmarks share: servers on one core, the load client on another, and the kernel's account of both."""
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test"))

from harness.cluster import Cluster  # noqa: E402
from harness.deadline import DEADLINE, scaled  # noqa: E402
from harness.gateway import BINARY, Gateway  # noqa: E402
from harness.ports import reserve_port  # noqa: E402
from harness.system import clean_environment  # noqa: E402

BUILD = ROOT / "build" / "bench"
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, CLIENT_CPU = CPUS[0], CPUS[-1]  # the same one where there is no other
WAIT = int(scaled(20_000))  # ms until what was sent must have come
MESSAGE_BYTES = 160 - 4 - 2  # a frame of 160 bytes, with its header, for an array of one element


def build():
    """Compiles the client and the raw server, and the gateway."""
    subprocess.run(["cmake", "-S", ROOT / "bench" / "load", "-B", BUILD, "-G", "Ninja"], check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", BUILD], check=True, stdout=subprocess.DEVNULL)
    if not BINARY.exists():
        raise SystemExit("build the gateway first: make gateway")


def pinned(cpu, *command):
    return ["taskset", "-c", str(cpu), *map(str, command)]


def cpu_us(pid):
    """Microseconds on a processor of all threads of the process, those that have ended left out."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            pass
    return total / 1000


def memory(pid):
    """Bytes of user memory that are the process's own."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no Private_Dirty")


def kernel_memory():
    """Bytes of sockets and what belongs to them, of the whole machine."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Slab:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no Slab")


def mark(sequence, channel=0):
    return f"#{channel:08d}.{sequence:010d}@{int(time.time() * 1e6):016d}#"


class Client:
    """The load client, in its own process on its own core."""

    def __init__(self, port, **options):
        arguments = ["--server", f"127.0.0.1:{port}", "--addresses", "16"]
        for name, value in options.items():
            arguments += ["--" + name.replace("_", "-"), str(value)]
        self.process = subprocess.Popen(pinned(CLIENT_CPU, BUILD / "load-client", *arguments), text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("the load client has ended")
        return json.loads(line)


class Server:
    """Something that sends what send() is given to all connections of a load client. Subclasses set `process`."""

    name = "?"
    protocol = "raw"
    path = "/"
    process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    @property
    def pid(self):
        return self.process.pid

    def last(self):
        """What a client that wants nothing old subscribes with."""
        return 0

    def client(self, **options):
        return Client(self.port, protocol=self.protocol, path=self.path, **options)

    def wait_for_port(self, port):
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port))
            except ConnectionRefusedError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise AssertionError(f"{self.name} does not start") from None
                time.sleep(0.02)


def element(sequence, size=MESSAGE_BYTES):
    """What the gateway would put into its frame: the same bytes for all servers."""
    text = f'{{"id":{sequence + 1000000},"message":{{"type":"b","payload":"{mark(sequence)}'
    return text + "x" * (size - len(text) - 3) + '"}}'


class Raw(Server):
    def __init__(self, batch=False, inject=None, listen=None):
        self.name = "raw, batched" if batch else "raw"
        self.port = reserve_port(adjacent=2)
        arguments = [self.port] + ["--batch"] * batch + ["--inject", inject] * bool(inject)
        arguments += ["--listen", listen] if listen else []
        self.process = subprocess.Popen(pinned(SERVER_CPU, BUILD / "raw-server", *arguments), stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.control = socket.create_connection(("127.0.0.1", self.port + 1))

    def send(self, sequence):
        self.control.sendall(f"[{element(sequence)}]\n".encode())


class Bus(Server):
    """The gateway, with PostgreSQL on the client's core."""

    name = "gateway"
    protocol = "bus"
    path = "/websocket"

    def __init__(self, cluster, dbname="bench", **options):
        # Without the rows of the run before, whose sequences were others.
        cluster.execute("DELETE FROM bus_bus", dbname=dbname)
        self.gateway = Gateway(cluster.conninfo(dbname), threads=options.pop("threads", 1),
                               log_level=options.pop("log_level", "warning"),
                               ping_interval=86400, max_connections=100000, max_memory=0, trusted_proxy="127.0.0.0/8",
                               wrapper=pinned(",".join(map(str, options.pop("cpus", [SERVER_CPU])))), **options)
        self.gateway.spawn()
        self.process = self.gateway.process
        self.gateway.wait_healthy()
        self.port = self.gateway.port
        self.dbname = dbname
        self.connection = cluster.connect(dbname)
        self.connection.execute("SET synchronous_commit = off")

    def __exit__(self, *_):
        self.connection.close()
        self.gateway.terminate()

    def last(self):
        return self.connection.execute("SELECT last_value FROM bus_bus_id_seq").fetchone()[0]

    # The row is written as Odoo does, the doorbell rings in the same transaction; the element has 160 bytes as framed.
    def send(self, sequence):
        self.connection.execute(
            "WITH sent AS (INSERT INTO bus_bus (id, channel, message, create_date) VALUES "
            "(nextval('bus_bus_id_seq'), %s, %s, now() AT TIME ZONE 'UTC')) SELECT pg_notify('imbus', %s)",
            (f'["{self.dbname}","c0"]', element(sequence).split('"message":', 1)[1][:-1],
             f'[["{self.dbname}","c0"]]'), prepare=True)


def bus_cluster():
    """A private cluster with a database `bench`, pinned to the client's core."""
    os.sched_setaffinity(0, {CLIENT_CPU})  # whatever this process starts is there, unless it is pinned
    cluster = Cluster(shared_buffers="256MB", max_wal_size="4GB").start()
    cluster.create_database("bench").install()
    # Ids of seven digits, so that frames have the length of the other servers'.
    cluster.execute("SELECT setval('bus_bus_id_seq', 1000000)", dbname="bench")
    return cluster


class Feed:
    """Sends at a fixed rate, whatever the server does with it; late ones follow at once."""

    def __init__(self, server, first=1):
        self.server = server
        self.sequence = first - 1

    def run(self, rate, seconds, at_most=float("inf")):
        """Returns the seconds that it took; a server that holds the sender up is given no more after `at_most` of them."""
        begin = time.monotonic()
        count = max(1, int(rate * seconds))
        for i in range(count):
            wait = begin + i / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            if time.monotonic() - begin > at_most:
                break
            self.sequence += 1
            self.server.send(self.sequence)
        return time.monotonic() - begin


def median(values):
    return statistics.median(values)
