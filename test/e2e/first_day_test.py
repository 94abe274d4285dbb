"""docs/first-day.md: its SQL, its configuration and its line of nginx, as they stand, make a set-up that works."""
import json
import re
import subprocess

import pytest

from harness.adapted import adapted
from harness.client import BusClient
from harness.deadline import scaled
from harness.doc_page import blocks
from harness.gateway import BINARY, Gateway, run_gateway
from harness.nginx import Nginx
from harness.ports import reserve_port
from harness.system import ROOT, clean_environment
from standin import Standin

PAGE = (ROOT / "docs/first-day.md").read_text()
ROLE = "odoo-bus-gateway"
# The machine of the tests may allow fewer files than a server.
FEWER = {"ODOO_BUS_MAX_CONNECTIONS": "200"}


def block(language):
    [text] = blocks(PAGE, language)
    return text


@pytest.fixture
def odoo_database(make_database):
    """As Odoo makes it, before anybody has read the page."""
    database = make_database()
    database.execute("DROP EXTENSION odoo_bus")
    database.execute("ALTER TABLE res_users ADD partner_id int, ADD write_date timestamp")
    yield database
    database.psql(input=f'DROP OWNED BY "{ROLE}"; DROP ROLE "{ROLE}";')


class OdoosNginx(Nginx):
    """deploy/nginx-odoo.conf, the configuration in which one line changes."""

    def site(self):
        line = re.search(r"server 127.0.0.1:8073;", block("nginx"))[0]
        return adapted((ROOT / "deploy/nginx-odoo.conf").read_text(), {
            line: f"server 127.0.0.1:{self.gateway_port};",
            "listen 80;": f"listen 127.0.0.1:{self.port};",
            "server 127.0.0.1:8069;": f"server 127.0.0.1:{self.odoo_port};",
        })


async def test_from_nothing_to_a_page_that_is_served(odoo_database, tmp_path):
    odoo_database.psql(input=block("sql"))
    with Standin(version="19.0") as odoo:
        odoo.add_database(odoo_database.name)
        port, metrics = reserve_port(), reserve_port()
        configuration = adapted(block("ini"), {
            "127.0.0.1:8073": f"127.0.0.1:{port}",
            "dbname=mydb user=odoo-bus-gateway": odoo_database.cluster.conninfo(odoo_database.name, user=ROLE),
            "http://127.0.0.1:8069": odoo.url,
            "127.0.0.1:8074": f"127.0.0.1:{metrics}",
            "/var/lib/odoo-bus-gateway": str(tmp_path),
        })
        file = tmp_path / "odoo-bus-gateway.conf"
        file.write_text(configuration)
        # Everything is in the file: the harness' own options would go before it.
        gateway = Gateway(port=port, config=file, listen=None, auth=None, environment=FEWER)
        gateway.start()
        try:
            before = run_gateway("doctor", "--config", file, "--gevent-port", 0, environment=FEWER)
            assert "failed" not in before.stdout and before.returncode == 0, before.stdout
            with OdoosNginx(port) as nginx:
                after = subprocess.run([BINARY, "doctor", "--json", "--config", file, "--gevent-port", "0", "--url",
                                        nginx.url()], env=clean_environment() | FEWER,
                                       capture_output=True, text=True, timeout=scaled(120))
                checks = json.loads(after.stdout)["checks"]
                assert [check for check in checks if check["state"] != "ok"] == []
                async with BusClient(nginx.websocket_url, ["orders"]) as client:
                    await client.subscribed()
                    odoo_database.sendone("orders", payload=7)
                    await client.wait_payload(7)
            status = run_gateway("status", "--config", file)
            assert status.returncode == 0 and "being read" in status.stdout
        finally:
            gateway.finish()


def test_the_role_may_do_nothing_else(odoo_database):
    odoo_database.psql(input=block("sql"))
    with odoo_database.connect(user=ROLE) as connection:
        for statement in ("SELECT login FROM res_users", "SELECT bus_sendone('a', 't', '1')", "DELETE FROM bus_bus",
                          "SELECT nextval('bus_bus_id_seq')"):
            with pytest.raises(Exception, match="permission denied"):
                connection.execute(statement)
