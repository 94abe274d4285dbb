"""Sockets from a service manager, and what it is told: as systemd does it, without systemd."""
import os
import socket
import urllib.request

import pytest

from harness.client import BusClient
from harness.service_manager import ServiceManager

pytestmark = pytest.mark.tsan


@pytest.fixture
def manager(tmp_path):
    manager = ServiceManager(tmp_path)
    yield manager
    manager.close()


def listen(address=("127.0.0.1", 0)):
    listener = socket.socket()
    listener.bind(address)
    listener.listen(64)
    return listener


async def test_sockets_are_used_in_place_of_options(manager, database, make_gateway, tmp_path):
    clients, second, metrics = listen(), socket.socket(socket.AF_UNIX), listen()
    path = str(tmp_path / "gateway.sock")
    second.bind(path)
    second.listen(64)
    gateway = make_gateway(database, metrics_listen="127.0.0.1:1", **manager.service(
        ("clients", clients), ("", second), ("metrics", metrics)))
    with socket.create_connection(clients.getsockname()) as early:  # waits in the queue until the gateway is there
        not_used, gateway.port = gateway.port, clients.getsockname()[1]
        gateway.start()
        early.sendall(b"GET /websocket/health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert early.recv(100).startswith(b"HTTP/1.1 200")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", not_used)).close()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        database.sendone("a", payload=1)
        await client.wait_payload(1)
    with socket.socket(socket.AF_UNIX) as local:
        local.connect(path)
        local.sendall(b"GET /websocket/health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert local.recv(100).startswith(b"HTTP/1.1 200")
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics.getsockname()[1]}/metrics") as answer:
        assert b"odoo_bus_" in answer.read()
    gateway.terminate()
    assert os.path.exists(path), "the path is the service manager's to remove"
    for each in (clients, second, metrics):
        each.close()


def test_sockets_of_another_process_are_none(manager, database, make_gateway):
    service = manager.service(("clients", listen()))
    service["environment"]["LISTEN_PID"] = "1"
    service["wrapper"] = []
    gateway = make_gateway(database, **service).start()
    assert gateway.health()[0] == 200, "it listens where --listen says"


@pytest.mark.parametrize("what, complaint", [
    (lambda: socket.socket(), "no listening stream socket"),
    (lambda: socket.socket(type=socket.SOCK_DGRAM), "no listening stream socket"),
    (lambda: open(os.devnull), "it is no socket"),
    (lambda: listen(("0.0.0.0", 0)), "with --auth open everyone"),
])
def test_what_cannot_be_used_is_refused(manager, database, make_gateway, what, complaint):
    with what() as descriptor:
        gateway = make_gateway(database, **manager.service(("clients", descriptor))).spawn()
        assert gateway.wait() == 1
        assert complaint in gateway.tail() and "LISTEN_FDS" in gateway.tail()


def test_states(manager, database, make_gateway):
    gateway = make_gateway(database, **manager.service()).start()
    manager.hear("READY=1")
    gateway.reload()
    lines = manager.hear("RELOADING=1")
    assert any(line.startswith("MONOTONIC_USEC=") for line in lines)
    manager.hear("READY=1")
    gateway.terminate()
    manager.hear("STOPPING=1")
    assert "WATCHDOG=1" not in manager.told, "nobody has asked for it"


def test_watchdog(manager, database, make_gateway):
    make_gateway(database, **manager.service(WATCHDOG_USEC="200000")).start()
    for _ in range(3):
        manager.hear("WATCHDOG=1")
