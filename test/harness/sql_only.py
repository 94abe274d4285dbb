"""The functions of odoo_bus without C (extension/sql_only)."""
import shutil

from .installation import Installation
from .system import ROOT

DIRECTORY = ROOT / "extension/sql_only"
SCRIPT = DIRECTORY / "odoo_bus_sql--1.0.sql"
LEAST_VERSION = 140000


def run(database, script=SCRIPT, schema="public", user="postgres", check=True):
    """As docs/managed.md has it."""
    return database.psql("-1", "-U", user, "-c", f'SET search_path = "{schema}"', "-f", script, check=check)


class WithExtension(Installation):
    """A private PostgreSQL in which these functions are an extension, odoo_bus_sql, as pg_tle makes it."""

    def __init__(self):
        super().__init__()
        shutil.copy(SCRIPT, self.share / "extension")
        (self.share / "extension/odoo_bus_sql.control").write_text("default_version = '1.0'\nsuperuser = false\n")
