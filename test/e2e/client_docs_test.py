"""docs/client.md and docs/security.md: the SQL that they give runs as it stands there."""
import re

import pytest

from harness.client import BusClient
from harness.doc_page import blocks
from harness.system import ROOT

CLIENT = (ROOT / "docs/client.md").read_text()


[EXAMPLE, MEMBER] = blocks(CLIENT, "sql")
PEOPLE = """
INSERT INTO app_user VALUES (1, 'ann'), (2, 'bob');
INSERT INTO app_session VALUES ('ann-s', 1, now() + '1 hour'), ('bob-s', 2, now() + '1 hour'), ('old', 1, now() - '1 second'::interval);
INSERT INTO project VALUES (7, 'seven'), (8, 'eight');
INSERT INTO project_member VALUES (7, 1), (7, 2), (8, 2);
"""


@pytest.fixture
def app_database(make_database):
    """A database of an application, without Odoo; the role of the example goes with it."""
    database = make_database(extension=False)
    database.execute("CREATE EXTENSION odoo_bus")
    database.execute("SELECT bus_create_table()")
    yield database
    if database.value("SELECT count(*) FROM pg_roles WHERE rolname = 'app_reader'"):
        database.psql(input="DROP OWNED BY app_reader CASCADE; DROP ROLE app_reader;")


def options():
    """Those of the example's command line, below the SQL."""
    [command] = [block for block in blocks(CLIENT, "sh") if "--auth-sql-function" in block]
    return {name.replace("-", "_"): value for name, value in re.findall(r"--((?:auth-)?sql-[a-z]+) (\S+)", command)}


def visit(gateway, cookie, channels):
    return BusClient(gateway.url, channels, headers={"Cookie": f"app_session={cookie}"}, extensions={"confirm": 1})


async def test_the_example_with_sessions_and_row_level_security(app_database, make_gateway):
    app_database.psql(input=EXAMPLE + PEOPLE)
    gateway = make_gateway(app_database, auth="sql", sql_cache=0, sql_grant=2, **options()).start()
    wanted = ["project_7", "project_8", "user_1", "user_2"]
    async with visit(gateway, "ann-s", wanted) as ann, visit(gateway, "bob-s", wanted) as bob:
        for client in (ann, bob):
            await client.until(lambda: client.internal, "the confirmation")
        assert ann.internal[0]["payload"]["refused"] == ["project_8", "user_2"]
        assert bob.internal[0]["payload"]["refused"] == ["user_1"]
        for channel in wanted:
            app_database.sendone(channel, payload=channel)
        await ann.wait_payload("user_1")
        await bob.wait_payload("user_2")
        assert (ann.payloads, bob.payloads) == (["project_7", "user_1"], ["project_7", "project_8", "user_2"])
        # Who is a member no longer stops seeing it, by the policy alone.
        app_database.execute("DELETE FROM project_member WHERE user_id = 1")
        # The answer to a question that was asked before may be under way.
        await ann.until(lambda: "project_7" in ann.internal[-1]["payload"]["refused"], "the next question")
        app_database.sendone("project_7", payload="secret")
        app_database.sendone("user_1", payload="end")
        await ann.wait_payload("end")
        assert "secret" not in ann.payloads
    for nobody in ("old", "guessed", ""):
        async with visit(gateway, nobody, wanted) as client:
            assert (await client.wait_closed())[0] == 4001


async def test_the_example_of_who_is_present(app_database, make_gateway):
    app_database.psql(input=EXAMPLE + PEOPLE + MEMBER)
    app_database.execute("SELECT bus_create_presence_table()")
    gateway = make_gateway(app_database, auth="sql", presence="project_*", presence_notifications=True,
                           presence_grace=0.2, **options() | {"auth_sql_function": "app_admit"}).start()
    async with visit(gateway, "ann-s", ["project_7"]) as ann:
        await ann.wait_payload({"event": "join", "member": "ann"})
        async with visit(gateway, "bob-s", ["project_7"]):
            await ann.wait_payload({"event": "join", "member": "bob"})
        await ann.wait_payload({"event": "leave", "member": "bob"})
        assert all(n["message"]["type"] == "presence" for n in ann.notifications)
        async with visit(gateway, "old", ["project_7"]) as client:
            assert (await client.wait_closed())[0] == 4001


def test_the_demo_is_shown_in_all_its_states():
    shown = set(re.findall(r"!\[[^\]]+\]\(demo/([^)]+)\)", CLIENT))
    assert shown == {path.name for path in (ROOT / "docs/demo").iterdir()}


def test_who_is_online_as_docs_sql_asks(database):
    section = (ROOT / "docs/sql.md").read_text().split("\n## Who is online\n")[1].split("\n## ")[0]
    make, ask = blocks(section, "sql")
    database.psql(input=make)
    database.execute("INSERT INTO bus_presence_gateway VALUES ('g', now() + '1 hour', now()), ('h', now() + '1 hour', now()), "
                     "('dead', now(), now())")
    database.execute("INSERT INTO bus_presence SELECT bus_channel(name), member, gateway, since::timestamptz FROM (VALUES "
                     "('room_7', 'bob', 'g', '2026-01-02'), ('room_7', 'ann', 'g', '2026-01-01'), ('room_7', 'ann', 'h', '2026-01-03'), "
                     "('room_8', 'ann', 'g', '2026-01-01'), ('room_7', 'gone', 'dead', '2026-01-01')) AS v (name, member, gateway, since)")
    statements = [statement for statement in ask.split(";") if statement.strip()]
    assert [member for member, _ in database.execute(statements[0])] == ["ann", "bob"]
    database.execute(statements[1])
    assert sorted(channel for _, (_, channel), _ in database.rows()) == ["inbox_ann", "inbox_bob"]
    assert database.execute(statements[2]) == [("ann", 2), ("bob", 1)]


def test_the_docs_name_every_grant_of_the_test():
    """presence_test.py runs a gateway with them; here they are compared with what is written."""
    section = (ROOT / "docs/security.md").read_text().split("\n## Presence\n")[1]
    written = {grant for block in blocks(section, "sql")
               for grant in re.findall(r"GRANT (.*) TO gateway;", block)}
    test = (ROOT / "test/e2e/presence_test.py").read_text()
    assert len(written) == 4 and all(grant in test for grant in written)
