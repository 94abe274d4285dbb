"""The images of docker/, built and run, and what docker/compose.yaml makes of them: Odoo by the stand-in, nginx by Debian's."""
import asyncio
import os
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from harness.client import BusClient
from harness.containers import Containers, PostgresContainer
from harness.nginx import Nginx
from harness.ports import reserve_port
from harness.system import ROOT
from harness.wait import until
from standin import Standin

VERSION = re.search(r"default_version = '(.*)'", (ROOT / "extension/odoo_bus.control").read_text())[1]
GATEWAY = f"localhost/odoo-bus-gateway:{VERSION}"
POSTGRESQL = f"localhost/odoo-bus-postgresql:15-{VERSION}"
EXTENSION = f"localhost/odoo-bus-extension:18-{VERSION}"
SERVICES = yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"]
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def containers():
    """With the images that are made now, or, with ODOO_BUS_IMAGES_BUILT=yes, with those of the last time."""
    root = Path(os.environ.setdefault("ODOO_BUS_IMAGES_ROOT", "/var/cache/odoo_bus/images"))
    with Containers(root) as containers:
        if os.environ.get("ODOO_BUS_IMAGES_BUILT") != "yes":
            subprocess.run([ROOT / "test/images/prepare"], check=True)
            containers.build()
        yield containers


@pytest.fixture(scope="module")
def postgresql(containers):
    """That of the compose file, with a database as Odoo makes it there."""
    server = PostgresContainer(containers, POSTGRESQL, "postgres", "-c", "shared_preload_libraries=odoo_bus")
    server.sql("CREATE DATABASE odoo TEMPLATE template1")
    server.sql("SELECT bus_create_table()", "odoo")
    return server


def gateway_options(service):
    """Options of podman for what the compose file says of its container."""
    options = ["--read-only"] if service["read_only"] else []
    options += [f"--cap-drop={each}" for each in service["cap_drop"]] + [f"--security-opt={each}" for each in service["security_opt"]]
    return options


@pytest.fixture
def odoo():
    with Standin() as odoo:
        odoo.add_database("odoo")
        yield odoo


@pytest.fixture
def gateway(containers, postgresql, odoo):
    service = SERVICES["gateway"]
    environment = service["environment"] | {
        "ODOO_BUS_DATABASE": service["environment"]["ODOO_BUS_DATABASE"].replace("host=postgresql", f"host=127.0.0.1 port={postgresql.port}"),
        "ODOO_BUS_ODOO_URL": odoo.url, "ODOO_BUS_TRUSTED_PROXY": "127.0.0.1",
        "ODOO_BUS_LISTEN": f"127.0.0.1:{reserve_port()}", "ODOO_BUS_METRICS_LISTEN": f"127.0.0.1:{reserve_port()}",
        "ODOO_BUS_DRAIN_SECONDS": "1"}
    gateway = containers.run(GATEWAY, environment=environment, options=gateway_options(service))
    gateway.port = int(environment["ODOO_BUS_LISTEN"].rpartition(":")[2])
    gateway.wait_for_log("ready")
    yield gateway
    gateway.remove()


async def test_what_sql_sends_arrives_through_nginx(gateway, postgresql, odoo):
    session = odoo.login(odoo.databases["odoo"].add_user("anna"))
    with Nginx(gateway.port) as nginx:
        async with BusClient(nginx.websocket_url, ["orders"], headers={"Cookie": session.cookie}, origin=nginx.url().rstrip("/")) as client:
            await client.subscribed()
            await asyncio.to_thread(odoo.wait_for, lambda log: log.count("peek", session=session) == 1)
            postgresql.sql("SELECT bus_sendone('orders', 'new', '42')", "odoo")
            await client.wait_payload(42)


def test_the_health_check_fails_when_it_should(gateway, postgresql):
    assert gateway.is_healthy()
    postgresql.podman("stop")
    until(lambda: not gateway.is_healthy(), lambda: "it is healthy without a database", interval=0.5)
    postgresql.podman("start")
    until(gateway.is_healthy, lambda: f"it does not recover:\n{gateway.log()}", interval=0.5)


async def test_the_manifests_of_kubernetes(containers, postgresql, odoo):
    """One pod of them at ports of its own, in the network of this machine, where podman can map no ports."""
    documents = list(yaml.safe_load_all((ROOT / "deploy/kubernetes/odoo-bus-gateway.yaml").read_text()))
    kinds = {document["kind"]: document for document in documents}
    listen, metrics = reserve_port(), reserve_port()
    kinds["ConfigMap"]["data"] |= {"ODOO_BUS_LISTEN": f"127.0.0.1:{listen}", "ODOO_BUS_METRICS_LISTEN": f"127.0.0.1:{metrics}",
                                   "ODOO_BUS_ODOO_URL": odoo.url, "ODOO_BUS_DRAIN_SECONDS": "1"}
    kinds["Deployment"]["spec"]["replicas"] = 1
    container, = kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    container["image"] = GATEWAY
    del container["ports"]
    secret = {"ODOO_BUS_DATABASE": f"host=127.0.0.1 port={postgresql.port} user=odoo password=odoo dbname=odoo"}
    assert secret.keys() == kinds["Secret"]["stringData"].keys()
    session = odoo.login(odoo.databases["odoo"].add_user("anna"))
    with containers.play([document for document in documents if document["kind"] != "Secret"], {"odoo-bus-gateway": secret}):
        until(lambda: status(f"http://127.0.0.1:{metrics}{container['readinessProbe']['httpGet']['path']}") == 200, lambda: "it is not ready",
              interval=0.5)
        async with BusClient(f"ws://127.0.0.1:{listen}/websocket", ["orders"], headers={"Cookie": session.cookie},
                             origin=f"http://127.0.0.1:{listen}") as client:
            await client.subscribed()
            await asyncio.to_thread(odoo.wait_for, lambda log: log.count("peek", session=session) == 1)
            postgresql.sql("SELECT bus_sendone('orders', 'new', '43')", "odoo")
            await client.wait_payload(43)


def status(url):
    """Of a GET; None while nothing listens."""
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except urllib.error.URLError:
        return None


def test_it_ends_by_itself_when_it_is_stopped(gateway):
    gateway.podman("stop", "--time", "60")
    assert "stopped" in gateway.log()
    assert gateway.podman("inspect", "--format", "{{.State.ExitCode}}").stdout.strip() == "0"


def test_the_extension_is_preloaded(postgresql):
    assert postgresql.sql("SHOW shared_preload_libraries", "odoo") == "odoo_bus"
    assert postgresql.sql("SELECT bus_version()", "odoo").startswith(VERSION)


def test_the_extension_alone_is_a_volume_for_postgresql_18(containers):
    """As CloudNativePG mounts it and sets PostgreSQL up."""
    server = PostgresContainer(
        containers, "docker.io/library/postgres:18-trixie", "postgres", "-c", "extension_control_path=$system:/extensions/odoo_bus/share",
        "-c", "dynamic_library_path=$libdir:/extensions/odoo_bus/lib", "-c", "shared_preload_libraries=odoo_bus",
        options=["--mount", f"type=image,source={EXTENSION},destination=/extensions/odoo_bus"])
    server.sql("CREATE EXTENSION odoo_bus; SELECT bus_create_table()")
    assert server.sql("SELECT bus_sendone('a', 't', '1'); SELECT count(*) FROM bus_bus").endswith("1")


def test_images_are_small_and_labelled(containers):
    for name, title, most in [(GATEWAY, "odoo-bus-gateway", 200), (POSTGRESQL, "odoo-bus-postgresql", None), (EXTENSION, "odoo_bus", 2)]:
        image = containers.image(name)
        assert image["Labels"]["org.opencontainers.image.title"] == title
        assert image["Labels"]["org.opencontainers.image.version"] == VERSION
        assert most is None or image["Size"] < most * MEGABYTE, image["Size"]
    gateway = containers.image(GATEWAY)
    assert gateway["User"] == "8073" and gateway["Healthcheck"]["Test"] == ["CMD", "odoo-bus-gateway", "status"]
