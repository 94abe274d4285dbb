"""Fixtures of --auth odoo, against the stand-in for Odoo's HTTP port.

ODOO_BUS_TEST_ODOO names the versions with which each test that does not choose its own is run: "17.0 18.0 19.0 19.4 20.0" are all.
"""
import os

import pytest

from standin import Standin

VERSIONS = os.environ.get("ODOO_BUS_TEST_ODOO", "19.0").split()


@pytest.fixture(params=VERSIONS)
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
