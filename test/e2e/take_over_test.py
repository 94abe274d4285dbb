"""SIGUSR2: a new process takes over from the one that runs, and clients notice nothing but a close with 4002."""
import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from harness.client import BusClient, RawClient
from harness.cluster import Cluster
from harness.deadline import DEADLINE, scaled
from harness.gateway import BINARY, AdoptedProcess, become_reaper
from harness.service_manager import ServiceManager
from harness.wait import until

from metrics_test import Metrics

pytestmark = [pytest.mark.asan, pytest.mark.tsan]


class Sender:
    """Sends `rate` notifications a second, round robin to `channels`, each with its number, in a thread."""

    def __init__(self, database, channels, rate):
        self.sent = {channel: [] for channel in channels}
        self._database, self._rate = database, rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        channels = list(self.sent)
        with self._database.connect() as connection:
            begin, n = time.monotonic(), 0
            while not self._stop.wait(max(0, begin + n / self._rate - time.monotonic())):
                channel = channels[n % len(channels)]
                connection.execute("SELECT bus_sendone(%s, 'test', %s::jsonb)", (channel, str(n)))
                self.sent[channel].append(n)
                n += 1


async def take_over(gateway):
    return await asyncio.to_thread(gateway.take_over)


def ask_unix(path, target):
    with socket.socket(socket.AF_UNIX) as local:
        local.settimeout(DEADLINE)
        local.connect(str(path))
        local.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return local.recv(100)


async def drained(gateway, former):
    code = await asyncio.to_thread(former.wait, 2 * DEADLINE)
    assert code == 0, gateway.tail()


@pytest.mark.parametrize("keeps", [True, False])
async def test_nothing_is_lost_or_comes_twice_under_load(database, make_gateway, tmp_path, keeps):
    state = {"state_dir": tmp_path / "state"} if keeps else {}
    gateway = make_gateway(database, log_level="info", drain_seconds=3, **state).start()
    channels = [f"c{n}" for n in range(100)]
    clients = [BusClient(gateway.url, [channel, "all"] if n % 20 == 0 else [channel])
               for n, channel in enumerate(channels * 2)]
    try:
        for client in clients:
            client.start()
        for client in clients:
            await client.subscribed()
        with Sender(database, channels + ["all"], 200) as sender:
            for _ in range(2):
                await asyncio.sleep(0.5)  # some history
                former = await take_over(gateway)
                for n in range(20):  # connections that come meanwhile
                    newcomer = BusClient(gateway.url, ["all"])
                    clients.append(newcomer.start())
                await drained(gateway, former)
        database.sendmany([[channel, "test", -1] for channel in channels + ["all"]])
        for client in clients:
            await client.wait_payload(-1)
            for channel in client.channels:
                sent = sender.sent[channel]
                got = [p for p in client.payloads if p in set(sent)]
                # A newcomer gets what is not older than 50 seconds, and all that follows.
                assert got == (sent[-len(got):] if client in clients[200:] and got else sent)
            assert len(client.ids) == len(set(client.ids))
            assert not client.failures and not client.refusals, (client.failures, client.refusals)
            assert {code for code, _ in client.closes} <= {4002}, client.closes
        assert all(client.connections > 1 for client in clients[:200])
    finally:
        for client in clients:
            await client.stop()


async def test_clients_that_stay_are_served_until_they_are_sent_away(database, make_gateway):
    gateway = make_gateway(database, drain_seconds=3600).start()
    async with BusClient(gateway.url, ["a"]) as old:
        await old.subscribed()
        former = await take_over(gateway)
        async with BusClient(gateway.url, ["a"]) as new:
            await new.subscribed()
            for n in range(20):
                database.sendone("a", payload=n)
            await old.wait_for(20)
            await new.wait_for(20)
            assert old.ids == new.ids and old.payloads == list(range(20))
            assert old.connections == 1
            # It goes on in the new process where it was in the old one.
            old.drop()
            await old.until(lambda: old.connections == 2, "it comes back")
            await old.settle()
            database.sendone("a", payload=20)
            await old.wait_payload(20)
            assert old.payloads == list(range(21))
    await drained(gateway, former)


async def test_rows_that_are_committed_late(database, make_gateway, tmp_path):
    """Gaps that are open when another process takes over are filled there, and old clients hear of it."""
    gateway = make_gateway(database, drain_seconds=3600, state_dir=tmp_path / "state").start()
    with database.connect(autocommit=False) as late:
        async with BusClient(gateway.url, ["a"]) as old:
            await old.subscribed()
            late.execute("SELECT bus_sendone('a', 'test', '1')")
            database.sendone("a", payload=2)
            await old.wait_payload(2)
            former = await take_over(gateway)
            async with BusClient(gateway.url, ["a"], last=old.last) as new:
                await new.subscribed()
                late.commit()
                await old.wait_payload(1)
                await new.wait_payload(1)
                assert old.payloads == [2, 1] and new.payloads == [1]
                assert min(old.ids) == old.ids[-1] == new.ids[-1]
    await drained(gateway, former)


async def test_streams_and_polls_end_properly(database, make_gateway):
    metrics = Metrics()
    gateway = make_gateway(database, drain_seconds=1, poll_hold=60, **metrics.options).start()
    base = f"http://127.0.0.1:{gateway.port}"

    def poll():
        body = json.dumps({"jsonrpc": "2.0", "id": 7, "params": {"channels": ["a"], "last": 0}}).encode()
        request = urllib.request.Request(base + "/longpolling/poll", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return json.load(answer)

    stream = urllib.request.urlopen(base + "/bus/events?channel=a", timeout=DEADLINE)
    assert stream.status == 200
    polling = asyncio.create_task(asyncio.to_thread(poll))
    # What is not read yet would be the new process's, which holds it.
    await asyncio.to_thread(metrics.wait_for, 'odoo_bus_connections{transport="poll"}', 1)
    former = await take_over(gateway)
    assert (await polling)["result"] == []
    text = (await asyncio.to_thread(stream.read)).decode()
    assert "event: close" in text and '"code":4002' in text
    await drained(gateway, former)


async def test_heads_that_are_half_read_are_served(database, make_gateway, tmp_path):
    metrics = tmp_path / "metrics.sock"
    gateway = make_gateway(database, drain_seconds=60, head_timeout=60, metrics_listen=f"unix:{metrics}").start()
    with socket.create_connection(("127.0.0.1", gateway.port)) as half, socket.socket(socket.AF_UNIX) as scraper:
        half.sendall(b"GET /websocket/health HTTP/1.1\r\nHost")
        scraper.connect(str(metrics))
        scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost")
        await asyncio.to_thread(until, lambda: gateway.established() >= 1, lambda: "it was not accepted")
        # When a later connection was answered the first one has been accepted.
        assert gateway.health()[0] == 200
        assert ask_unix(metrics, "/ready").startswith(b"HTTP/1.1 200")
        former = await take_over(gateway)
        for each in (scraper, half):
            each.sendall(b": a\r\n\r\n")
            each.settimeout(DEADLINE)
            assert each.recv(100).startswith(b"HTTP/1.1 200")
    await drained(gateway, former)


async def test_sockets_and_paths(database, make_gateway, tmp_path):
    """The metrics' socket goes along; the path of a unix socket is the new process's to remove."""
    path = tmp_path / "gateway.sock"
    gateway = make_gateway(database, drain_seconds=0, metrics_listen=f"unix:{tmp_path}/metrics.sock")
    gateway.options["listen"] = [gateway.options["listen"], f"unix:{path}"]
    gateway.start()
    for _ in range(2):
        former = await take_over(gateway)
        await drained(gateway, former)
        for each, target in ((path, "/websocket/health"), (tmp_path / "metrics.sock", "/ready")):
            assert ask_unix(each, target).startswith(b"HTTP/1.1 200")
    gateway.terminate()
    assert not path.exists() and not (tmp_path / "metrics.sock").exists()


async def test_the_new_process_survives_kill_9(database, make_gateway, tmp_path):
    """The state file is its own: the order of what both processes dispatched is in it."""
    gateway = make_gateway(database, drain_seconds=0, state_dir=tmp_path / "state").start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        database.sendone("a", payload=1)
        await client.wait_payload(1)
        await drained(gateway, await take_over(gateway))
        database.sendone("a", payload=2)
        await client.wait_payload(2)
        gateway.kill9()
        database.sendone("a", payload=3)
        gateway.start()
        await client.wait_payload(3)
        assert client.payloads == [1, 2, 3]
    assert "damaged" not in "\n".join(gateway.lines) and "begins after" not in gateway.lines[-1]


async def test_databases_that_a_pattern_finds(make_database, make_gateway, tmp_path):
    first, second = make_database("taken_1"), make_database("taken_2")
    gateway = make_gateway(first, database_match="taken_", drain_seconds=0, state_dir=tmp_path / "state").start()
    async with BusClient(gateway.url + "?db=taken_2", ["a"]) as client:
        # What was there before may come again (delivery.md).
        await asyncio.to_thread(gateway.wait_for_line, '"taken_2": reading')
        await client.subscribed()
        for n in range(2):
            second.sendone("a", payload=n)
            await client.wait_payload(n)
            await drained(gateway, await take_over(gateway))
        second.sendone("a", payload=2)
        await client.wait_payload(2)
        assert client.payloads == [0, 1, 2]
    begins = [line for line in gateway.lines if '"taken_2": begins after' in line]
    assert len(begins) == 1, "the new processes go on"


async def test_a_found_database_to_which_the_new_process_is_not_let_in_at_first(make_database, make_gateway, cluster):
    """It is not set aside, as one is that nobody reads yet: its clients would miss what the former process knew."""
    database = make_database("taken_late")
    cluster.execute("CREATE ROLE taker LOGIN")
    database.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO taker")
    database.execute("GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO taker")
    try:
        gateway = make_gateway(cluster.conninfo("postgres", user="taker"), database_match="taken_", drain_seconds=0,
                               log_level="info").start()
        async with BusClient(gateway.url + "?db=taken_late", ["a"]) as client:
            await client.subscribed()
            await asyncio.to_thread(gateway.wait_for_line, '"taken_late": reading')
            database.sendone("a", payload=0)
            await client.wait_payload(0)
            cluster.execute("ALTER ROLE taker CONNECTION LIMIT 1")
            mark = len(gateway.lines)
            taking = asyncio.create_task(take_over(gateway))
            await asyncio.to_thread(gateway.wait_for_line, "too many connections for role", mark)
            database.sendone("a", payload=1)
            await client.wait_payload(1)
            cluster.execute("ALTER ROLE taker CONNECTION LIMIT -1")
            await drained(gateway, await taking)
            database.sendone("a", payload=2)
            await client.wait_payload(2)
            assert client.payloads == [0, 1, 2]
        begins = [line for line in gateway.lines if '"taken_late": begins after' in line]
        assert len(begins) == 1 and not any("set aside" in line for line in gateway.lines)
        gateway.finish()
    finally:
        database.execute("DROP OWNED BY taker")
        cluster.execute("DROP ROLE taker")


# --- what goes wrong ---

@pytest.fixture
def own_binary(tmp_path, monkeypatch):
    """A copy of the program, which the test may replace as an administrator does."""
    path = tmp_path / "odoo-bus-gateway"
    shutil.copy(BINARY, path)
    monkeypatch.setattr("harness.gateway.BINARY", path)

    def replace(script):
        fresh = tmp_path / "fresh"
        fresh.write_text(script)
        fresh.chmod(0o755)
        fresh.rename(path)

    replace.path = path
    return replace


@pytest.mark.parametrize("script, complaint", [
    ("#!/bin/sh\nexit 3\n", r"no take-over: the new process has ended.*exit code 3"),
    ("#!/bin/sh\nkill -SEGV $$\n", r"no take-over: the new process has ended.*signal 11"),
    ("#!/bin/sh\nexec sleep 1000\n", r"no take-over: the new process did not become ready in time"),
    # A process that holds the take-over's descriptor (not the log's, whose end the harness awaits) and does not belong to the group that is ended.
    ("#!/bin/sh\nsetsid sleep 60 >/dev/null 2>&1 &\nexec sleep 1000\n", r"no take-over: the new process did not become ready in time"),
    ("no program", r"cannot be started|no take-over"),
    (None, r"cannot be started"),
])
async def test_a_program_that_does_not_start(database, make_gateway, own_binary, script, complaint, tmp_path):
    within = 1 if script and "sleep" in script else scaled(60)
    gateway = make_gateway(database, take_over_timeout=within, state_dir=tmp_path / "state").start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        for n in range(2):
            mark = len(gateway.lines)
            own_binary(script) if script else own_binary.path.unlink(missing_ok=True)
            gateway.process.send_signal(signal.SIGUSR2)
            await asyncio.to_thread(gateway.wait_for_line, complaint, mark)
            database.sendone("a", payload=n)
            await client.wait_payload(n)
        assert client.connections == 1 and client.payloads == [0, 1]
        async with BusClient(gateway.url, ["a"]) as another:
            await another.subscribed()


async def test_a_bad_configuration_changes_nothing_and_a_mended_one_works(database, make_gateway, tmp_path):
    config = tmp_path / "gateway.conf"
    config.write_text("drain-seconds = 0\n")
    gateway = make_gateway(database, config=config, state_dir=tmp_path / "state").start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        config.write_text("drain-seconds = soon\n")
        gateway.process.send_signal(signal.SIGUSR2)
        await asyncio.to_thread(gateway.wait_for_line, "no take-over.*exit code 2")
        database.sendone("a", payload=1)
        await client.wait_payload(1)
        config.write_text("drain-seconds = 0\n")
        await drained(gateway, await take_over(gateway))
        database.sendone("a", payload=2)
        await client.wait_payload(2)
        assert client.payloads == [1, 2] and client.connections == 2


async def test_a_database_that_the_new_process_cannot_read(database, make_gateway, own_binary):
    gateway = make_gateway(database, take_over_timeout=2).start()
    real = own_binary.path.with_name("real")
    shutil.copy(BINARY, real)
    own_binary(f'#!/bin/sh\nexport PGHOST=/nowhere PGOPTIONS="-c nonsense=1"\nexec {real} "$@"\n')
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        gateway.process.send_signal(signal.SIGUSR2)
        await asyncio.to_thread(gateway.wait_for_line, "no take-over: the new process did not become ready in time")
        database.sendone("a", payload=1)
        await client.wait_payload(1)


async def test_a_second_signal_is_refused_and_sigterm_ends_both(database, make_gateway, own_binary, tmp_path):
    gateway = make_gateway(database, take_over_timeout=3600).start()
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    own_binary(f"#!/bin/sh\nexec 9>{alive}\n(sleep 1000) & exec sleep 1000\n")
    gateway.process.send_signal(signal.SIGUSR2)
    with await asyncio.to_thread(open, alive, "rb") as end:
        gateway.process.send_signal(signal.SIGUSR2)
        await asyncio.to_thread(gateway.wait_for_line, "SIGUSR2: no new process is started: another")
        gateway.terminate()
        assert await asyncio.to_thread(end.read) == b"", "when nobody holds it any more"


async def test_sigterm_while_a_real_process_takes_over_leaves_none(database, make_gateway, tmp_path):
    """Whenever it comes: before, at, or after the moment itself, in which only the new process is left."""
    become_reaper()
    for n in range(6):
        gateway = make_gateway(database, drain_seconds=0).start()
        gateway.process.send_signal(signal.SIGUSR2)
        line = await asyncio.to_thread(gateway.wait_for_line, r"process \d+ was started")
        successor = AdoptedProcess(int(re.search(r"process (\d+) was", line)[1]))
        await asyncio.sleep(n * 0.02)  # another moment each time
        gateway.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(gateway.process.wait, 2 * DEADLINE) == 0

        def nobody_listens():
            # That may be read of the log after the former process's end is seen.
            if any("process" in line and "has taken over" in line for line in gateway.lines):
                with contextlib.suppress(ProcessLookupError):
                    successor.send_signal(signal.SIGTERM)
            return gateway.health() == (None, None)
        await asyncio.to_thread(until, nobody_listens, lambda: "somebody listens")


async def test_signals_during_a_drain(database, make_gateway):
    gateway = make_gateway(database, drain_seconds=3600).start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        former = await take_over(gateway)
        former.send_signal(signal.SIGUSR2)
        await asyncio.to_thread(gateway.wait_for_line, "no new process is started: another process has taken over")
        gateway.process.send_signal(signal.SIGUSR2)
        await asyncio.to_thread(gateway.wait_for_line, "no new process is started: the former process still has")
        assert client.connections == 1
        former.send_signal(signal.SIGTERM)
        await drained(gateway, former)
        assert (await client.wait_closed())[0] == 1001
        database.sendone("a", payload=1)
        await client.wait_payload(1)


async def test_the_new_process_ends_while_the_old_one_is_drained(database, make_gateway, tmp_path):
    gateway = make_gateway(database, drain_seconds=3600, state_dir=tmp_path / "state").start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        database.sendone("a", payload=1)
        await client.wait_payload(1)
        former = await take_over(gateway)
        gateway.process.kill()
        assert (await client.wait_closed())[0] == 4002
        await drained(gateway, former)
        database.sendone("a", payload=2)
        await asyncio.to_thread(gateway.wait)
        gateway.start()
        await client.wait_payload(2)
        assert client.payloads == [1, 2]


async def test_postgresql_is_away(make_gateway, tmp_path):
    with Cluster() as cluster:
        database = cluster.create_database("own").install()
        gateway = make_gateway(database, drain_seconds=0, state_dir=tmp_path / "state").start()
        async with BusClient(gateway.url, ["a"]) as client:
            await client.subscribed()
            database.sendone("a", payload=1)
            await client.wait_payload(1)
            cluster.stop("immediate")
            await asyncio.to_thread(gateway.wait_healthy, False)
            await drained(gateway, await take_over(gateway))
            cluster.start()
            database.sendone("a", payload=2)
            await client.wait_payload(2)
            assert client.payloads == [1, 2]
        gateway.finish()


SUCCESSOR = r'''#!/usr/bin/python3
# Speaks as a new process does until it is to take over, waits until it is given up, and tries it then.
import os, socket, struct, sys
DESCRIBED, GO, PREPARED, TAKEN = 1, 5, 6, 7
link = socket.socket(fileno=int(os.environ["ODOO_BUS_TAKES_OVER"]))
def receive(count):
    data = b""
    while len(data) < count:
        piece = link.recv(count - len(data))
        if not piece:
            return None
        data += piece
    return data
def send(kind):
    link.sendall(struct.pack("<QB", 1, kind))
def receive_message():
    size = receive(8)
    return size and receive(struct.unpack("<Q", size)[0])
receive(len("odoo_bus take-over 2\n"))
receive_message()  # the offer
while (message := receive_message()) is not None:
    kind = message[0]
    if kind == DESCRIBED:
        send(PREPARED)
    if kind == GO:
        print("it is to go", file=sys.stderr, flush=True)
try:
    send(TAKEN)
    print("it has taken over", file=sys.stderr, flush=True)
except BrokenPipeError:
    print("it cannot take over", file=sys.stderr, flush=True)
'''


async def test_a_process_that_takes_over_too_late_cannot(database, make_gateway, own_binary, tmp_path):
    gateway = make_gateway(database, state_dir=tmp_path / "state").start()
    own_binary(SUCCESSOR)
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        gateway.process.send_signal(signal.SIGUSR2)
        await asyncio.to_thread(gateway.wait_for_line, "it is to go")
        database.sendone("a", payload=1)
        await asyncio.to_thread(gateway.wait_for_line, "no take-over: the new process was ready, and did not take over")
        await asyncio.to_thread(gateway.wait_for_line, "it cannot take over")
        await client.wait_payload(1)
        database.sendone("a", payload=2)
        await client.wait_payload(2)
        assert client.payloads == [1, 2] and client.connections == 1
    gateway.kill9()
    shutil.copy(BINARY, own_binary.path)
    mark = len(gateway.lines)
    gateway.start()
    assert any("goes on after id" in line for line in gateway.lines[mark:]), "its state file was taken up again"


def test_a_process_of_the_version_before_is_not_taken_over_from():
    """It has offered its state in another form: the new program says so, and ends before it has read any of it."""
    ours, its = socket.socketpair()
    with ours, its:
        ours.sendall(b"odoo_bus take-over 1\n" + struct.pack("<Q", 100) + bytes(100))
        ended = subprocess.run([BINARY, "--database", "dbname=postgres"], pass_fds=[its.fileno()], capture_output=True,
                               text=True, env=os.environ | {"ODOO_BUS_TAKES_OVER": str(its.fileno())}, timeout=60)
    assert ended.returncode == 1
    assert "cannot take over from the version that is running: restart it instead" in ended.stderr + ended.stdout


# --- under a service manager ---

async def test_states_and_sockets_of_a_service_manager(database, make_gateway, tmp_path):
    manager, listener = ServiceManager(tmp_path), socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    gateway = make_gateway(database, drain_seconds=0, **manager.service(("clients", listener)))
    gateway.port = listener.getsockname()[1]
    try:
        gateway.start()
        manager.hear("READY=1")
        former = await take_over(gateway)
        manager.hear("RELOADING=1")
        lines = manager.hear(f"MAINPID={gateway.process.pid}")
        assert "READY=1" in lines
        await drained(gateway, former)
        assert "STOPPING=1" not in manager.told, "the service goes on"
        async with BusClient(gateway.url, ["a"]) as client:
            await client.subscribed()
            database.sendone("a", payload=1)
            await client.wait_payload(1)
        inherited = []
        for descriptor in Path(f"/proc/{gateway.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                inherited.append(os.readlink(descriptor))
        assert sum(link.startswith("socket:") for link in inherited) < 12, inherited
        gateway.terminate()
        manager.hear("STOPPING=1")
    finally:
        gateway.finish()
        manager.close()
        listener.close()
