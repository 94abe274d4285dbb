"""META.json has what PGXN asks for, and tells the version that the control file states."""
import json
import re

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
