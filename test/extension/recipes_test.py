"""docs/sql.md: every recipe runs as it stands there, its SQL and its Python write the same, its JavaScript hears it."""
import json
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from harness.system import ROOT

DOCUMENT = (ROOT / "docs/sql.md").read_text()
RECIPES = {}
for section in re.split(r"^### ", DOCUMENT.split("\n## Recipes\n")[1].split("\n## ")[0], flags=re.M)[1:]:
    title, _, body = section.partition("\n")
    RECIPES[title] = dict(re.findall(r"^```(sql|python|js)\n(.*?)^```$", body, flags=re.M | re.S))

# How the Python of each recipe is called (record ids, method, arguments), and what its JavaScript then does.
CALLS = {
    "To a user": ([2], "send_update", (), [{"name": "MY_MODULE:UPDATE", "detail": 7}]),
    "To all": ([], "announce", (), [
        {"message": "Maintenance in 10 minutes", "options": {"type": "warning", "sticky": True}}]),
    "To many": ([5], "send_price_changed", (), [{"name": "MY_MODULE:PRICE_CHANGED", "detail": 5}] * 2),
    "Live record updates": ([7], "write", ({"state": "sale", "note": "seen"},), [
        {"name": "MY_MODULE:RECORD_UPDATED", "detail": {"record_id": 7, "operation": "update", "fields": ["state"]}}]),
    "A finished background task": ([], "close_month", (), [
        {"message": "The month is closed: 2 orders", "options": {"type": "success"}}]),
    "Progress": ([], "import_all", (), [{"name": "MY_MODULE:PROGRESS", "detail": n} for n in (25, 50, 75, 100)]),
    "Progress of a task that commits": ([], "import_parts", (), [
        {"name": "MY_MODULE:PROGRESS", "detail": n} for n in (25, 50, 75, 100)]),
    "A toast": ([], "say_complete", (), [
        {"message": "The count is complete.", "options": {"type": "success", "title": "Stock", "sticky": False}}]),
    "Channel names that cannot be guessed": ([7], "send_update", (), [{"name": "MY_MODULE:ORDER", "detail": 7}]),
    "Small payloads": ([], "send_changed", (), [
        {"name": "MY_MODULE:ORDERS", "detail": [{"id": 8, "name": "S8"}, {"id": 9, "name": "S9"}]}]),
}

TABLES = """
CREATE TABLE res_partner (id int PRIMARY KEY);
ALTER TABLE res_users ADD COLUMN partner_id int, ADD COLUMN active boolean DEFAULT true;
INSERT INTO res_users (id, login, partner_id, active) VALUES (2, 'demo', 3, true), (9, 'old', 5, false), (6, 'x', 4, true);
DELETE FROM res_users WHERE login = 'admin';
CREATE TABLE sale_order (id int PRIMARY KEY, name varchar, state varchar, note text);
CREATE TABLE ir_module_module (id int PRIMARY KEY, name varchar, latest_version varchar);
INSERT INTO ir_module_module VALUES (1, 'base', '19.0.1.3');
INSERT INTO sale_order VALUES (7, 'S7', 'draft'), (8, 'S8', 'sale'), (9, 'S9', 'sale');
"""


class Bus:
    """Odoo's bus.bus: what _sendone and _sendmany would store, as (channel, type, payload)."""

    def __init__(self, database):
        self.database, self.sent = database, []

    def _sendone(self, target, notification_type, message):
        channel = [self.database.name, target] if isinstance(target, str) else [self.database.name, target._name, target.id]
        self.sent.append((channel, notification_type, message))

    def _sendmany(self, notifications):
        for notification in notifications:
            self._sendone(*notification)


def make_odoo(database):
    """A module `odoo` whose models read from the database, as little of it as the recipes use."""
    bus = Bus(database)

    class Model:
        _name = _inherit = None

        def __init__(self, ids=()):
            self._name = self._name or self._inherit
            self.ids = list(ids)

        def __iter__(self):
            return iter([type(self)([id]) for id in self.ids])

        def __len__(self):
            return len(self.ids)

        id = property(lambda self: self.ids[0])

        def _column(self, name):
            return database.value(f"SELECT {name} FROM {self._name.replace('.', '_')} WHERE id = %s", (self.id,))

        def search(self, domain, order="id"):
            [(name, operator, value)] = domain
            table = self._name.replace(".", "_")
            rows = database.execute(f"SELECT id FROM {table} WHERE {name} {operator} %s ORDER BY {order}", (value,))
            return type(self)([id for id, in rows])

        def write(self, vals):
            return True

        partner_id = property(lambda self: Partner([self._column("partner_id")]))

    class Partner(Model):
        _name = "res.partner"

    class Users(Model):
        _name = "res.users"

    class Cursor:
        def commit(self):
            pass

        def execute(self, query, parameters):
            """A call that sends now: what it has stored is sent."""
            id = database.value(query, parameters)
            [row] = [row for row in database.rows() if row[0] == id]
            bus.sent.append((row[1], row[2]["type"], row[2]["payload"]))

    class Environment:
        user = Users([2])
        cr = Cursor()

        def __getitem__(self, model):
            return {"bus.bus": bus, "res.users": Users()}[model]

    class Char:
        """A stored field."""

        def __init__(self, default=None, **_):
            assert len(default(None)) >= 32

        def __set_name__(self, owner, name):
            self.name = name

        def __get__(self, record, _):
            return record._column(self.name)

    Model.env = Environment()
    odoo = types.ModuleType("odoo")
    odoo.models = types.SimpleNamespace(Model=Model)
    odoo.fields = types.SimpleNamespace(Char=Char)
    return odoo, bus


@pytest.fixture(scope="module")
def cluster(preloaded):
    return preloaded


def test_every_recipe_is_tested():
    assert RECIPES.keys() == CALLS.keys()
    assert all(recipe.keys() == {"sql", "python", "js"} for recipe in RECIPES.values())


@pytest.mark.parametrize("title", CALLS)
def test_recipe(database, monkeypatch, title):
    recipe, (ids, method, arguments, expected_effects) = RECIPES[title], CALLS[title]
    database.psql(input=TABLES)
    database.psql(input=recipe["sql"])
    from_sql = [(channel, message["type"], message["payload"]) for _, channel, message in database.rows()]
    assert from_sql

    # The state before, for the Python that does the same again.
    database.execute("ALTER TABLE sale_order DISABLE TRIGGER USER; "
                     "UPDATE sale_order SET state = 'sale' WHERE state = 'done'")
    odoo, bus = make_odoo(database)
    monkeypatch.setitem(sys.modules, "odoo", odoo)
    namespace = {}
    exec(compile(recipe["python"], f"docs/sql.md, {title}", "exec"), namespace)
    [model] = [value for value in namespace.values()
               if isinstance(value, type) and issubclass(value, odoo.models.Model)]
    getattr(model(ids), method)(*arguments)
    assert bus.sent == from_sql

    records = {7: {"bus_token": "none"}, 8: {"name": "S8"}, 9: {"name": "S9"}}
    if "bus_token" in recipe["sql"]:
        records[7]["bus_token"] = database.value("SELECT bus_token FROM sale_order WHERE id = 7")
    rows = [{"channel": c, "type": t, "payload": p} for c, t, p in from_sql]
    heard = subprocess.run(["node", Path(__file__).with_name("recipes.js")], text=True, capture_output=True, check=True,
                           input=json.dumps({"code": recipe["js"], "rows": rows, "records": records}))
    assert json.loads(heard.stdout)["effects"] == expected_effects


def test_the_examples_on_payloads_run(database):
    database.execute("CREATE TABLE sale_order AS SELECT 7 AS id")
    [block] = [code for code in re.findall(r"^```\n(.*?)^```$", DOCUMENT, flags=re.M | re.S) if "to_jsonb" in code]
    database.psql(input=block)
    payloads = [message["payload"] for _, _, message in database.rows()]
    assert payloads == [{"a": 1}, {"id": 7}, 'any "text"', {"record_id": 7}]


def test_the_grants_that_are_named_suffice(database):
    database.execute("CREATE ROLE my_role")
    try:
        [block] = [code for code in re.findall(r"^```\n(.*?)^```$", DOCUMENT, flags=re.M | re.S) if "GRANT" in code]
        database.psql(input=block)
        database.psql(input="SET ROLE my_role; SELECT bus_sendone('c', 't', '1');")
        assert len(database.rows()) == 1
    finally:
        database.execute("DROP OWNED BY my_role; DROP ROLE my_role")


def test_every_function_is_in_the_reference(database):
    functions = {name for name, in database.execute(
        "SELECT p.proname FROM pg_proc AS p JOIN pg_depend AS d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass "
        "WHERE d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'odoo_bus')")}
    assert len(functions) >= 10
    assert all(name in DOCUMENT for name in functions)
    with database.connect() as connection:
        connection.execute("LOAD 'odoo_bus'")
        settings = [name for name, in connection.execute("SELECT name FROM pg_settings WHERE name LIKE 'odoo_bus.%'")]
    assert settings and all(f"`{name}`" in DOCUMENT for name in settings)
