"""The command line subscriber `odoo-bus-gateway tail`."""
import json
import subprocess
import threading
import time

import pytest

from harness.deadline import DEADLINE
from harness.gateway import BINARY, run_gateway
from harness.nginx import Nginx
from harness.system import clean_environment
from standin import Standin

pytestmark = pytest.mark.asan


class Tail:
    """A running `tail`; `lines` are what it has printed."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([BINARY, "tail", *map(str, arguments)], env=clean_environment(),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        self.lines, self.log = [], []
        self.changed = threading.Condition()
        self.threads = [threading.Thread(target=self._read, args=pair, daemon=True)
                        for pair in ((self.process.stdout, self.lines), (self.process.stderr, self.log))]
        for thread in self.threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(DEADLINE)

    def wait_for(self, count):
        with self.changed:
            done = self.changed.wait_for(lambda: len(self.lines) >= count, DEADLINE)
            assert done, f"{len(self.lines)} lines instead of {count}: {self.lines} {self.log}"
        return self.lines

    def wait(self):
        code = self.process.wait(DEADLINE)
        for thread in self.threads:
            thread.join(DEADLINE)
        return code

    def _read(self, pipe, lines):
        for line in pipe:
            with self.changed:
                lines.append(line.rstrip("\n"))
                self.changed.notify_all()


def test_prints_what_arrives_and_ends_after_count(gateway, database):
    database.sendone("a", "my_module.update", {"n": 1})
    with Tail(gateway.url, "a", "b", "--count", 2) as tail:
        tail.wait_for(1)
        database.sendone("c", payload="not mine")
        database.sendone("b", "my_module.other", {"n": 2})
        assert tail.wait() == 0
    assert len(tail.lines) == 2
    assert "my_module.update" in tail.lines[0] and '"n":1' in tail.lines[0].replace(" ", "")
    assert "my_module.other" in tail.lines[1]


def test_json(gateway, database):
    payload = {"text": "é ☃"}
    row = database.sendone("a", "my_module.update", payload)
    with Tail(gateway.url, "a", "--count", 1, "--json") as tail:
        assert tail.wait() == 0
    printed = json.loads(tail.lines[0])
    assert printed["id"] == row
    assert printed["message"] == {"type": "my_module.update", "payload": payload}


def test_reconnects_and_resumes(tmp_path, make_gateway, database):
    gateway = make_gateway(database, state_dir=tmp_path).start()
    database.sendone("a", payload=0)
    with Tail(gateway.url, "a", "--json") as tail:
        tail.wait_for(1)
        gateway.terminate()
        database.sendone("a", payload=1)
        gateway.start()
        tail.wait_for(2)
        database.sendone("a", payload=2)
        tail.wait_for(3)
    assert [json.loads(line)["message"]["payload"] for line in tail.lines] == [0, 1, 2]


def test_latency_when_the_payload_has_a_time_stamp(gateway, database):
    with Tail(gateway.url, "a", "--count", 2) as tail:
        database.value("""SELECT bus_sendone('a', 't', jsonb_build_object('sent_at',
                                             extract(epoch FROM clock_timestamp()), 'n', 1))""")
        tail.wait_for(1)
        database.sendone("a", payload={"sent_at": time.time(), "n": 2})
        assert tail.wait() == 0
    assert all(" ms" in line for line in tail.lines), tail.lines


def test_through_nginx(gateway, database):
    with Nginx(gateway.port) as nginx, Tail(nginx.websocket_url, "a", "--count", 1, "--json") as tail:
        database.sendone("a", payload="through nginx")
        assert tail.wait() == 0
    assert json.loads(tail.lines[0])["message"]["payload"] == "through nginx"


@pytest.mark.parametrize("arguments", [(), ("nonsense", "a"), ("ws://127.0.0.1:1/websocket", "--count", "many")])
def test_wrong_arguments(arguments):
    done = run_gateway("tail", *arguments)
    assert done.returncode == 2
    assert done.stderr


def test_odoo_is_named_when_it_is_odoo_that_refuses(make_gateway, database):
    with Standin(version="19.0") as odoo:
        for name in (database.name, "another_one"):
            odoo.add_database(name)
        gateway = make_gateway(database, auth="odoo", odoo_url=odoo.url).start()
        with Tail(gateway.url, "a") as tail, tail.changed:
            assert tail.changed.wait_for(lambda: any("closed with 1013 Odoo knows no database" in line for line in tail.log),
                                         DEADLINE), tail.log


def test_why_a_handshake_is_refused_is_told(make_gateway, database):
    gateway = make_gateway(database, max_connections=1).start()
    with Tail(gateway.url, "a") as first:
        with first.changed:
            assert first.changed.wait_for(lambda: first.log, DEADLINE)
        with Tail(gateway.url, "a") as tail, tail.changed:
            assert tail.changed.wait_for(lambda: any("HTTP status 503 (" in line for line in tail.log), DEADLINE), tail.log
