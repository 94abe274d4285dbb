"""Fixtures of what runs against a real Odoo: everything of a module shares one server."""
import os

import pytest
from harness.cluster import Cluster
from harness.doorbell import HUB

from browsers import Browsers
from odoo_server import OdooServer
from sites import RealSite, StandinSite

ODOO_HOME = os.environ.get("ODOO_HOME")
VERSIONS = ["17.0", "18.0", "19.0", "19.4", "20.0"]


@pytest.fixture(scope="session")
def odoo_server():
    """One real Odoo for the whole run; a test that stops it starts it again."""
    through_doorbell = os.environ.get("ODOO_NOTIFY_FUNCTION") == "bus_notify"
    with Cluster(shared_buffers="256MB", shared_preload_libraries="odoo_bus" if through_doorbell else "") as cluster:
        if through_doorbell:
            cluster.execute("CREATE EXTENSION odoo_bus", dbname=HUB)
        server = OdooServer(ODOO_HOME, cluster)
        try:
            server.create_database()
            yield server.start()
        finally:
            server.remove()


@pytest.fixture(scope="module")
def browsers():
    browsers = Browsers()
    yield browsers
    browsers.close()


@pytest.fixture(scope="module", params=[*VERSIONS, "real"] if ODOO_HOME else VERSIONS)
def site(request):
    """The stand-in in each version, and the real Odoo where there is one."""
    if request.param == "real":
        yield RealSite(request.getfixturevalue("odoo_server"))
    else:
        standin = StandinSite(request.param)
        yield standin
        standin.stop()


def pytest_terminal_summary(terminalreporter):
    """What was tried with the real Odoo: with its own bus server, and with the gateway."""
    if not ODOO_HOME:
        return
    table = {}
    for outcome in ("passed", "skipped", "failed", "error"):  # the worst is said
        for report in terminalreporter.stats.get(outcome, []):
            test, _, ids = report.nodeid.rpartition("/")[2].partition("[")
            ids = ids.rstrip("]").split("-")
            column = "stock" if "stock" in ids else "ours"
            ids = "-".join(each for each in ids if each not in ("real", "stock", "ours"))
            scenario = f"{test}[{ids}]" if ids else test
            table.setdefault(scenario, {})[column] = "" if outcome == "skipped" else outcome
    terminalreporter.section("scenario, stock, ours")
    width = max(map(len, table), default=0)
    for scenario, columns in table.items():
        terminalreporter.write_line(f"{scenario:{width}}  {columns.get('stock', ''):6}  {columns.get('ours', '')}".rstrip())
