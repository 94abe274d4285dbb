"""META.json has what PGXN asks for, and tells the version that the control file states."""
import json
import re
import shutil
import subprocess
import zipfile

import pytest

from harness.system import ROOT


def test_meta_json_agrees_with_the_control_file_and_the_tree():
    meta = json.loads((ROOT / "META.json").read_text())
    for key in ("name", "version", "abstract", "maintainer", "license", "provides", "meta-spec"):
        assert meta[key]
    [version] = re.findall(r"^default_version = '(.*)'$", (ROOT / "extension/odoo_bus.control").read_text(), re.M)
    provided = meta["provides"]["odoo_bus"]
    assert meta["version"] == provided["version"] == version + ".0"
    assert provided["file"] == f"extension/odoo_bus--{version}.sql"
    assert (ROOT / provided["file"]).exists() and (ROOT / provided["docfile"]).exists()


def test_the_library_and_the_control_file_have_one_version(database):
    assert database.value("SELECT bus_version() = extversion FROM pg_extension WHERE extname = 'odoo_bus'")


@pytest.mark.skipif(not shutil.which("git") or not (ROOT / ".git").exists(), reason="made from a repository")
def test_the_bundle_for_pgxn_is_one_directory_of_which_the_extension_can_be_built(tmp_path):
    subprocess.run(["make", "-s", "-C", ROOT, "dist"], check=True, capture_output=True, text=True)
    meta = json.loads((ROOT / "META.json").read_text())
    name = f"odoo_bus-{meta['version']}"
    with zipfile.ZipFile(ROOT / "build" / f"{name}.zip") as bundle:
        assert all(path.startswith(f"{name}/") for path in bundle.namelist())
        assert json.loads(bundle.read(f"{name}/META.json"))["name"] == "odoo_bus"
        bundle.extractall(tmp_path)
    subprocess.run(["make", "-s", "-j2", "-C", tmp_path / name], check=True, capture_output=True, text=True)
    assert (tmp_path / name / "odoo_bus.so").exists()
    for path in (meta["provides"]["odoo_bus"]["file"], meta["provides"]["odoo_bus"]["docfile"]):
        assert (tmp_path / name / path).exists()
