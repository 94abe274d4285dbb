"""docker/, where no engine runs: what can be wrong in these files without one. test/images builds and runs them."""
import ipaddress
import re
import shutil
import subprocess

import pytest
import yaml

from harness.gateway import BINARY, run_gateway
from harness.system import ROOT, clean_environment

DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
FILES = ["Dockerfile", "postgresql.Dockerfile"]


def read_instructions(file):
    return [line.split(None, 1) for line in re.sub(r"\\\n", " ", (DOCKER / file).read_text()).splitlines()
            if line and not line.startswith("#")]


INSTRUCTIONS = read_instructions("Dockerfile")


def instructions(name, file="Dockerfile"):
    return [rest for word, rest in read_instructions(file) if word == name]


def image_environment():
    return dict(re.findall(r"(ODOO_BUS_\w+)=(\S+)", instructions("ENV")[0]))


def service_environment():
    return image_environment() | SERVICES["gateway"]["environment"]


def packages(stage):
    [_, *stages] = re.split(r"^FROM ", (DOCKER / "Dockerfile").read_text(), flags=re.M)
    text = re.sub(r"\\\n", " ", stages[stage])
    return set(re.search(r"--no-install-recommends(.*?)&&", text)[1].split())


def test_the_gateway_takes_its_configuration():
    done = run_gateway("--check-config", environment=service_environment())
    assert (done.returncode, done.stdout, done.stderr) == (0, "the configuration is valid\n", "")


def test_every_variable_is_an_option():
    options = set(re.findall(r"^#([a-z-]+) =", run_gateway("--print-config").stdout, flags=re.M))
    for variable in service_environment():
        assert variable.removeprefix("ODOO_BUS_").lower().replace("_", "-") in options


def test_names_and_ports_agree():
    environment = service_environment()
    port = environment["ODOO_BUS_LISTEN"].rpartition(":")[2]
    assert instructions("EXPOSE") == [port]
    site = (DOCKER / "nginx.conf").read_text()
    upstreams = dict(re.findall(r"server (\w[\w-]*):(\d+);", site))
    assert upstreams == {"odoo": "8069", "gateway": port} and set(upstreams) <= set(SERVICES)
    assert environment["ODOO_BUS_ODOO_URL"] == "http://odoo:8069"
    database = dict(pair.split("=") for pair in environment["ODOO_BUS_DATABASE"].split())
    owner = SERVICES["postgresql"]["environment"]
    assert database["host"] in SERVICES
    assert (database["user"], database["password"]) == (owner["POSTGRES_USER"], owner["POSTGRES_PASSWORD"])
    assert f"--database={database['dbname']}" in SERVICES["odoo"]["command"]
    [published] = SERVICES["nginx"]["ports"]
    assert published.startswith("127.0.0.1:") and published.endswith(":80") and "listen 80;" in site
    for name, service in SERVICES.items():
        assert "build" not in service or (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).exists()
        assert name == "nginx" or "ports" not in service, "only the proxy is reached from outside"
        for other in service.get("depends_on", {}):
            assert other in SERVICES


def test_the_proxy_is_believed_and_nobody_else():
    [network] = COMPOSE["networks"]["bus"]["ipam"]["config"]
    assert service_environment()["ODOO_BUS_TRUSTED_PROXY"] == network["subnet"]
    assert ipaddress.ip_network(network["subnet"]).is_private


def test_the_site_is_the_one_that_is_shipped():
    def body(text):
        return re.sub(r"^(#.*\n)+", "", text)
    shipped = (ROOT / "deploy/nginx.conf").read_text()
    shipped = shipped.replace("127.0.0.1:8069", "odoo:8069").replace("127.0.0.1:8073", "gateway:8073")
    assert body((DOCKER / "nginx.conf").read_text()) == body(shipped)


def test_volumes_are_there():
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source, target = volume.split(":")[:2]
            assert (DOCKER / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
    assert f"gateway:{image_environment()['ODOO_BUS_STATE_DIR']}" in SERVICES["gateway"]["volumes"]
    assert instructions("VOLUME") == [image_environment()["ODOO_BUS_STATE_DIR"]]


def test_it_is_nobody_special():
    [user] = instructions("USER")
    assert int(user) > 0
    assert [word for word, _ in INSTRUCTIONS].index("USER") < [word for word, _ in INSTRUCTIONS].index("ENTRYPOINT")
    assert SERVICES["gateway"]["cap_drop"] == ["ALL"] and SERVICES["gateway"]["read_only"]


@pytest.mark.parametrize("file", FILES)
def test_what_is_copied_is_there_and_not_ignored(file):
    ignored = (DOCKER / f"{file}.dockerignore").read_text().splitlines()
    for source in instructions("COPY", file):
        if not source.startswith("--from"):
            for name in source.split()[:-1]:
                assert (ROOT / name).exists() and f"!{name}" in ignored


def test_what_the_gateway_includes_is_copied():
    copied = {source.split()[0] for source in instructions("COPY")}
    for file in (ROOT / "gateway").rglob("*.*"):
        for first in re.findall(r'#include "(\w+)/', file.read_text()) if file.suffix in (".h", ".cpp") else []:
            assert (ROOT / "gateway" / first).is_dir() or first in copied, f"{file} includes {first}/"


def test_no_image_floats():
    for image in [service["image"] for service in SERVICES.values() if "image" in service]:
        assert re.search(r":\d", image), image
    for file in FILES:
        assert {image.split()[0] for image in instructions("FROM", file)} <= {"${BASE}", "scratch"}
        [base] = [argument for argument in instructions("ARG", file) if argument.startswith("BASE=")]
        assert re.search(r":[\w-]*bookworm", base), base


def test_it_is_built_with_what_the_tests_are_built_with():
    script = (ROOT / "deploy/install-dependencies").read_text()
    ours = set(re.findall(r"[\w.+-]+", re.search(r"packages=\((.*?)\)", script, re.S)[1]))
    assert {name for name in packages(0) if name.startswith("lib")} == {name for name in ours if name.startswith("lib")}


@pytest.mark.unsanitized
def test_its_libraries_are_installed():
    release = dict(re.findall(r"(\w+)=\"?([^\"\n]*)", open("/etc/os-release").read()))
    if release.get("VERSION_CODENAME") != "bookworm" or not shutil.which("dpkg"):
        pytest.skip("names of packages are those of Debian 12")
    dynamic = subprocess.run(["readelf", "-d", BINARY], env=clean_environment(), check=True, capture_output=True,
                             text=True).stdout
    needed = re.findall(r"NEEDED.*\[(.*)\]", dynamic)
    in_base = {"libc6", "libgcc-s1", "libstdc++6"}
    for library in needed:
        owned = subprocess.run(["dpkg", "-S", f"*/{library}"], capture_output=True, text=True).stdout
        owners = {line.split(":")[0] for line in owned.splitlines()}
        assert owners & (packages(1) | in_base), f"{library} is of {owners}"
