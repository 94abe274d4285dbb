"""Fixtures of --auth odoo, against the stand-in for Odoo's HTTP port."""
import pytest

from standin import Standin


@pytest.fixture(params=["19.0"])
def odoo(request, database):
    """The parameter: its version."""
    with Standin(version=request.param) as odoo:
        odoo.add_database(database.name)
        yield odoo


@pytest.fixture
def mydb(odoo, database):
    """What Odoo has of the database."""
    return odoo.databases[database.name]


@pytest.fixture
def start(make_gateway, database, odoo):
    """Starts a gateway that asks Odoo: start(recheck_interval=0.5)."""
    def start(**options):
        return make_gateway(database, auth="odoo", odoo_url=odoo.url, **options).start()
    return start
