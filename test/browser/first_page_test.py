"""docs/first-page.md: its SQL, its configuration, the shipped nginx site and its page, as they stand, show in a browser
what its command sends."""
import re
import shlex

import pytest

from chromium import Browser
from harness.adapted import adapted
from harness.doc_page import blocks
from harness.gateway import Gateway, run_gateway
from harness.nginx import Nginx
from harness.ports import reserve_port
from harness.system import ROOT

PAGE = (ROOT / "docs/first-page.md").read_text()
ROLE = "odoo-bus-gateway"
# The machine of the tests may allow fewer files than a server.
FEWER = {"ODOO_BUS_MAX_CONNECTIONS": "200"}


def block(language):
    [text] = blocks(PAGE, language)
    return text


class PageNginx(Nginx):
    def site(self):
        return adapted((ROOT / "deploy/nginx-page.conf").read_text(), {
            "listen 80;": f"listen 127.0.0.1:{self.port};",
            "server 127.0.0.1:8073;": f"server 127.0.0.1:{self.gateway_port};",
            "root /var/www/html;": f"root {self.directory}/www;",
        })


@pytest.fixture
def empty_database(make_database):
    database = make_database(extension=False)
    yield database
    database.psql(input=f'DROP OWNED BY "{ROLE}"; DROP ROLE "{ROLE}";')


def test_the_page_shows_what_sql_sends(empty_database, tmp_path):
    empty_database.psql(input=block("sql"))
    port, metrics = reserve_port(), reserve_port()
    configuration = adapted(block("ini"), {
        "127.0.0.1:8073": f"127.0.0.1:{port}",
        "127.0.0.1:8074": f"127.0.0.1:{metrics}",
        "/var/lib/odoo-bus-gateway": str(tmp_path),
        "dbname=mydb user=odoo-bus-gateway": empty_database.cluster.conninfo(empty_database.name, user=ROLE),
    })
    file, pages = tmp_path / "odoo-bus-gateway.conf", tmp_path / "pages"
    # As the page says: at the end of the sample.
    file.write_text((ROOT / "deploy/odoo-bus-gateway.conf").read_text() + configuration)
    pages.mkdir()
    (pages / "index.html").write_text(block("html"))
    gateway = Gateway(port=port, config=file, listen=None, auth=None, environment=FEWER)
    browser = Browser()
    try:
        gateway.start()
        with PageNginx(port, files=[pages]) as nginx:
            browser.goto(nginx.url())
            # What was sent in the last 50 seconds is shown to a page that comes later, too.
            [command] = re.findall(r'^psql mydb (-c "SELECT bus_sendone.*)$', PAGE, flags=re.M)
            empty_database.psql(*shlex.split(command))
            [shown] = re.findall(r"The page shows `(.*?)`", PAGE)
            browser.wait("document.querySelectorAll('#orders li').length === 1")
            assert browser.evaluate("document.querySelector('#orders li').textContent") == shown
            doctor = run_gateway("doctor", "--config", file, "--url", nginx.url(), environment=FEWER)
            assert doctor.returncode == 0, doctor.stdout
    finally:
        browser.close()
        gateway.finish()


def test_the_site_passes_on_to_the_gateway_what_the_site_with_odoo_does():
    def to_the_gateway(name):
        text = (ROOT / "deploy" / name).read_text()
        return text[text.index("    location = /websocket {"):text.index("    # Without Odoo")]
    assert to_the_gateway("nginx-page.conf") == to_the_gateway("nginx.conf")
