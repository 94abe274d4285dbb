"""deploy/sbom: the software bill of materials names each library that is linked, and is a valid document."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from harness.deadline import scaled
from harness.gateway import BINARY
from harness.installation import pg_config
from harness.system import ROOT

pytestmark = pytest.mark.unsanitized
MODULES = ROOT / "build/sbom/node_modules"
GATEWAY, EXTENSION = "pkg:generic/odoo-bus-gateway@", "pkg:generic/odoo_bus@"


def run(*command, input=None, check=True, **environment):
    return subprocess.run(list(map(str, command)), input=input, check=check, capture_output=True, text=True, timeout=scaled(120),
                          env=os.environ | {"LC_ALL": "C", "SOURCE_DATE_EPOCH": "1764444000"} | environment)


def written(**environment):
    return run(ROOT / "deploy/sbom", BINARY, pathlib.Path(pg_config("--pkglibdir")) / "odoo_bus.so", **environment)


@pytest.fixture(scope="module", name="text")
def the_text():
    return written().stdout


@pytest.fixture(name="bill")
def the_bill(text):
    return json.loads(text)


def validated(bill):
    if not MODULES.exists() or not shutil.which("node"):
        pytest.skip("the schema is missing: deploy/install-dependencies")
    return run("node", ROOT / "test/sbom/validate.mjs", MODULES, input=json.dumps(bill), check=False)


def files(component):
    return {each["value"] for each in component.get("properties", ()) if each["name"] == "file"}


def uses(bill, beginning):
    used, = (each["dependsOn"] for each in bill["dependencies"] if each["ref"].startswith(beginning))
    return set(used)


def test_it_follows_the_schema(bill):
    result = validated(bill)
    assert result.returncode == 0, result.stdout
    bill["components"][0]["type"] = "thing"
    assert validated(bill).returncode == 1


def test_it_is_the_same_for_the_same_programs(text):
    assert written().stdout == text
    other = json.loads(written(SOURCE_DATE_EPOCH="1764444001").stdout)
    assert other["metadata"]["timestamp"] == "2025-11-29T19:20:01Z"
    assert other["serialNumber"] != json.loads(text)["serialNumber"]


def test_each_library_that_is_linked_is_there_with_its_package(bill):
    by_file = {file: component for component in bill["components"] for file in files(component)}
    linked = re.findall(r"=> (/\S+)", run("ldd", BINARY).stdout)
    assert len(linked) > 10
    for library in linked:
        component = by_file[library]
        name, version, source = run("dpkg-query", "-W", "-f", "${Package}\t${Version}\t${source:Package}", component["name"]).stdout.split("\t")
        assert (component["name"], component["version"]) == (name, version)
        assert any(each["value"].startswith(f"{source} (") for each in component["properties"] if each["name"] == "debian:source")
        assert component["purl"].startswith("pkg:deb/") and component["licenses"]
        assert str(pathlib.Path(library).resolve()).removeprefix("/usr") in \
            [str(pathlib.Path(path).resolve()).removeprefix("/usr") for path in run("dpkg", "-L", name).stdout.splitlines()]


def test_it_tells_what_is_linked_directly_and_what_is_loaded_later(bill):
    by_file = {file: component["bom-ref"] for component in bill["components"] for file in files(component)}
    paths = dict(re.findall(r"(\S+) => (/\S+)", run("ldd", BINARY).stdout))
    direct = {by_file[paths[name]] for name in re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-dW", BINARY).stdout) if name in paths}
    used = uses(bill, GATEWAY)
    assert direct <= used < set(by_file.values()), "what only libraries of libraries use is no direct dependency"
    assert {reference.split("@")[0].rsplit("/", 1)[1] for reference in used - direct} <= {"libwebsockets-evlib-uv"}
    server = pathlib.Path(pg_config("--bindir")).parent.name
    assert any(f"/postgresql-{server}@" in reference for reference in uses(bill, EXTENSION))
    known = {component["bom-ref"] for component in bill["components"]} | {"odoo_bus"}
    for each in bill["dependencies"]:
        assert {each["ref"], *each["dependsOn"]} <= known


def test_our_own_programs_are_there(bill):
    version = json.loads((ROOT / "META.json").read_text())["version"]
    own = {component["name"]: component for component in bill["components"] if component["name"].startswith("odoo")}
    assert set(own) == {"odoo-bus-gateway", "odoo_bus"}
    for component in own.values():
        assert component["version"] == version and component["licenses"] == [{"license": {"id": "PostgreSQL"}}]
    digest = run("sha256sum", BINARY).stdout.split()[0]
    assert own["odoo-bus-gateway"]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert uses(bill, "odoo_bus") == {component["bom-ref"] for component in own.values()}


def test_licences_are_those_of_the_copyright_files(bill):
    of = {component["name"]: [list(each["license"].values())[0] for each in component["licenses"]] for component in bill["components"]}
    # Its name has a suffix since Debian 13.
    uv, = (names for package, names in of.items() if package.startswith("libuv1"))
    assert uv[0] == "MIT" and of["libpq5"][0] == "PostgreSQL"
    assert of["libc6"], "its file is not machine-readable, or is since"
    for names in of.values():
        assert names and len(set(names)) == len(names)


def test_a_library_of_no_package_is_not_left_out(tmp_path):
    library, = re.findall(r"libjansson\S+ => (/\S+)", run("ldd", BINARY).stdout)
    own = tmp_path / pathlib.Path(library).name
    shutil.copy(library, own)
    told = written(LD_LIBRARY_PATH=str(tmp_path))
    assert f"{own} belongs to no package" in told.stderr
    bill = json.loads(told.stdout)
    component, = (each for each in bill["components"] if each["bom-ref"] == f"file:{own}")
    assert component["name"] == own.name and f"file:{own}" in uses(bill, GATEWAY)
    result = validated(bill)
    assert result.returncode == 0, result.stdout
