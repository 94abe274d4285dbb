"""Metrics, readiness and status: what operators ask, at a listener of its own."""
import json
import re
import urllib.error
import urllib.request

import pytest

from harness.client import BusClient, RawClient
from harness.deadline import DEADLINE
from harness.gateway import run_gateway
from harness.ports import reserve_port
from harness.system import ROOT
from harness.wait import until

pytestmark = pytest.mark.tsan


class Metrics:
    """The listener of a gateway that was started with these options."""

    def __init__(self):
        self.port = reserve_port()
        self.options = {"metrics_listen": f"127.0.0.1:{self.port}"}

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=DEADLINE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def values(self):
        """Each sample by its name with labels."""
        status, text = self.get("/metrics")
        assert status == 200
        return {name: float(value) for name, value in re.findall(r"^([a-z_]+(?:\{.*\})?) (\S+)$", text, re.M)}

    def wait_for(self, name, value):
        until(lambda: self.values().get(name) == value, lambda: f"{name} is {self.values().get(name)}, not {value}")


@pytest.fixture
def metrics():
    return Metrics()


async def test_what_is_counted(make_gateway, database, metrics):
    gateway = make_gateway(database, **metrics.options, threads=2).start()
    async with BusClient(gateway.url, ["a", "b"]) as one, BusClient(gateway.url, ["a"]) as two:
        await one.subscribed()
        await two.subscribed()
        values = metrics.values()
        assert values['odoo_bus_connections{transport="websocket"}'] == 2
        assert values["odoo_bus_subscriptions"] == 5  # everyone has `broadcast`
        assert values[f'odoo_bus_database_up{{database="{database.name}"}}'] == 1
        database.execute("SELECT bus_sendone('a', 't', '1')")
        await one.wait_for(1)
        await two.wait_for(1)
        metrics.wait_for("odoo_bus_deliveries_total", 2)  # counted when they have been written
        values = metrics.values()
        assert values[f'odoo_bus_notifications_total{{database="{database.name}"}}'] == 1
        assert values["odoo_bus_frames_total"] == 2
        message = database.execute("SELECT message FROM bus_bus")[0][0]
        assert values["odoo_bus_sent_bytes_total"] == 2 * len(f'[{{"id":{one.ids[0]},"message":{message}}}]')
        assert values["odoo_bus_read_to_socket_seconds_count"] == 2
        assert 0 < values["odoo_bus_read_to_socket_seconds_sum"] < 2 * DEADLINE
        assert values["odoo_bus_written_to_socket_seconds_count"] == 2
        assert values["odoo_bus_read_to_socket_seconds_sum"] <= values["odoo_bus_written_to_socket_seconds_sum"] < 2 * DEADLINE
        assert values["odoo_bus_client_messages_total"] == 2
    metrics.wait_for('odoo_bus_connections{transport="websocket"}', 0)
    metrics.wait_for("odoo_bus_subscriptions", 0)
    assert metrics.values()['odoo_bus_closes_total{code="1000"}'] == 2


def test_as_many_files_can_be_open_as_connections_need(make_gateway, database, metrics):
    gateway = make_gateway(database, **metrics.options, max_connections=500, wrapper=["prlimit", "--nofile=256:2000"]).start()
    assert metrics.values()["process_max_fds"] == 1500
    assert not any("open" in line for line in gateway.lines)
    gateway.finish()
    gateway = make_gateway(database, **metrics.options, max_connections=3000, wrapper=["prlimit", "--nofile=256:2000"]).start()
    assert metrics.values()["process_max_fds"] == 2000
    warning, = [line for line in gateway.lines if "no more than 2000 files" in line]
    assert warning.endswith("(LimitNOFILE, ulimit -Hn) to 4000")


def test_refused_requests_are_counted_by_status(make_gateway, database, metrics):
    gateway = make_gateway(database, **metrics.options).start()
    with RawClient(("127.0.0.1", gateway.port)) as client:
        assert client.request(path="/nowhere").response()[0] == 404
    metrics.wait_for('odoo_bus_http_answers_total{status="404"}', 1)


def test_the_text_is_well_formed(make_gateway, database, metrics):
    make_gateway(database, **metrics.options).start()
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = answer.read().decode()
    sample = re.compile(r'[a-z_]+(\{[a-z_]+="(\\.|[^"\\])*"(,[a-z_]+="(\\.|[^"\\])*")*\})? -?[0-9.e+-]+$')
    declared = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in declared
            assert re.match(r"(odoo_bus|process)_[a-z_]+$", name)
            assert name.endswith("_total") == (kind == "counter"), name
            declared[name] = kind
        elif not line.startswith("# HELP "):
            assert sample.match(line), line
            name = re.match(r"[a-z_]+", line)[0]
            assert name in declared or re.sub("_(bucket|sum|count)$", "", name) in declared


def test_every_metric_is_documented():
    printed = run_gateway("--print-metrics-markdown").stdout
    assert (ROOT / "docs" / "metrics.md").read_text() == printed, \
        "write it anew: build/odoo-bus-gateway --print-metrics-markdown > docs/metrics.md"


def test_ready_differs_from_health(make_gateway, make_database, metrics):
    """With one of two databases gone somebody can be served, but a new client had better go elsewhere."""
    here = make_database()
    gateway = make_gateway(here, f"host=127.0.0.1 port={reserve_port()} dbname=gone user=nobody",
                           **metrics.options, hub_database="none").start()
    assert gateway.health()[0] == 200
    status, text = metrics.get("/ready")
    assert status == 503
    assert "1 of 2 databases" in text


def test_ready_with_its_database_and_below_its_limits(make_gateway, database, metrics):
    gateway = make_gateway(database, **metrics.options, max_connections=1).start()
    assert metrics.get("/ready")[0] == 200
    with RawClient(("127.0.0.1", gateway.port)) as client:
        client.upgrade()
        status, text = metrics.get("/ready")
        assert status == 503
        assert "--max-connections" in text


@pytest.mark.parametrize("method, path, status", [("GET", "/", 404), ("POST", "/metrics", 405), ("POST", "/clients.json", 405), ("GET", "/status/", 404)])
def test_other_requests(make_gateway, database, metrics, method, path, status):
    make_gateway(database, **metrics.options).start()
    with RawClient(("127.0.0.1", metrics.port)) as client:
        assert client.request(method, path, {"Host": "localhost"}).response()[0] == status


async def test_status_on_one_screen(make_gateway, database, metrics):
    gateway = make_gateway(database, **metrics.options).start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        database.execute("SELECT bus_sendone('a', 't', '1')")
        await client.wait_for(1)
        metrics.wait_for("odoo_bus_deliveries_total", 1)
        done = run_gateway("status", *gateway.arguments)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) <= 24 and all(len(line) <= 160 for line in lines)
    assert '"status":"ready"' in lines[0]
    assert any(f"{database.name}: being read, 1 notifications" in line for line in lines)
    assert any(line.startswith("clients") and "websocket: 1 (1 have connected)" in line for line in lines)
    assert any("1 notifications in 1 frames" in line for line in lines)


def test_status_of_nobody():
    port = reserve_port()
    done = run_gateway("status", "--metrics-listen", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    done = run_gateway("status")
    assert done.returncode == 2
    assert "--metrics-listen" in done.stderr


def test_the_dashboard_asks_for_metrics_that_there_are():
    dashboard = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
    documented = set(re.findall(r"^\| `([a-z_]+)`", (ROOT / "docs" / "metrics.md").read_text(), re.M))
    asked = {re.sub("_bucket$", "", name) for panel in dashboard["panels"] for target in panel["targets"]
             for name in re.findall(r"(?:odoo_bus|process)_[a-z_]+", target["expr"])}
    assert len(asked) > 15
    assert asked <= documented
