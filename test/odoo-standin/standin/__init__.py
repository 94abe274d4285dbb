"""A stand-in for Odoo's HTTP port: the routes that a gateway asks, with Odoo's sessions, refusals and bad days.

    with Standin(version="19.0") as odoo:
        database = odoo.add_database("mydb")
        anna = database.add_user("anna")
        session = odoo.login(anna)                     # session.cookie: "session_id=..."
        ... odoo.url is what --odoo-url takes ...
        odoo.wait_for(lambda log: log.count("peek", session=session) == 1)
        odoo.break_with(faults.hang(), routes=["peek"])
        odoo.clock.advance(hours=4)

What it answers was measured on real servers, and test/odoo/contract_test.py asks both the same questions.
"""
from . import faults
from .bus_server import BusServer
from .database import Database, Guest, User
from .remote import RemoteStandin
from .server import Standin
from .sessions import Session

__all__ = ["BusServer", "Database", "Guest", "RemoteStandin", "Session", "Standin", "User", "faults"]
