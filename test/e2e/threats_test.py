"""docs/security.md: each row of the threat model names tests that are there; and the tests of rows that have no other file."""
import re

import psycopg
import pytest

from harness.client import BusClient, RawClient
from harness.ports import reserve_port
from harness.system import ROOT

SECTION = re.compile(r"^## Threat model\n(.*?)^## ", re.M | re.S)
NAMED = re.compile(r"`([\w/-]+\.(?:py|cpp|sql|spec|mjs))(?:::([\w.]+))?`")
PEERS = ("visitor", "logged-in user", "page of another origin", "owner of a served database", "role with CREATE", "role with INSERT",
         "role with NOTIFY", "role with nothing", "Odoo", "the proxy", "operator of another tenant", "local user", "visitor of the metrics port")


def rows():
    lines = SECTION.search((ROOT / "docs/security.md").read_text()).group(1).splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines
            if line.startswith("| ") and not line.startswith(("| Who", "| ---"))]


def find(name, function):
    """What is wrong with the name of a test; nothing if it is there."""
    found = [file for file in (ROOT / "test" / name, ROOT / name) if file.is_file()]
    if not found:
        return f"{name} is missing"
    text = found[0].read_text()
    if name.endswith("_test.py") and not (function and re.search(rf"^(?:async )?def {function}\(", text, re.M)):
        return f"{name} has no {function}"
    if name.endswith("_test.cpp"):
        suite, _, case = (function or "").partition(".")
        if not re.search(rf"^TEST(?:_[FP])?\({suite},\s+{case}\)", text, re.M):
            return f"{name} has no {function}"
    return None


@pytest.mark.parametrize("row", rows(), ids=lambda row: re.sub(r"\W+", "-", " ".join(row[:2]))[:60])
def test_every_row_names_tests_that_are_there(row):
    assert len(row) == 4 and all(row), row
    named = NAMED.findall(row[3])
    assert named and len(named) == row[3].count("`") // 2, "what stands in the last column are tests"
    assert [wrong for name, function in named if (wrong := find(name, function))] == []


def test_every_peer_has_rows():
    peers = " / ".join(row[0] for row in rows())
    assert [peer for peer in PEERS if peer not in peers] == []


def test_names_of_tests_that_are_missing_are_noticed():
    here, here_not = "e2e/threats_test.py", "e2e/no_threats_test.py"
    assert find(here, "test_every_peer_has_rows") is None and find("unit/http/query_test.cpp", "Query.Pairs") is None
    for name, function in ((here, "test_every_pee"), (here, ""), (here_not, "a"), ("unit/http/query_test.cpp", "Query.Pair"),
                           ("fuzz/no_fuzz.cpp", "")):
        assert find(name, function)


NOTIFICATIONS = ("", "nonsense", "[]", "{{}}", "[[]]", "null", '["{name}"]', '[["{name}"]]', '[["{name}", "a"], 7]', '[["{name}", "a"]]',
                 '[["{name}", "a", "forged", {{"type": "forged", "payload": 1}}]]', '[["elsewhere", "a"]]', "[" * 3000, "\x7f" * 7999)


@pytest.mark.asan
async def test_a_role_with_nothing_but_a_login_rings_and_nothing_else(gateway, database, cluster):
    role = f"nothing_{database.name}"
    cluster.execute(f'CREATE ROLE "{role}" LOGIN')
    try:
        async with BusClient(gateway.url, ["a"]) as client:
            await client.subscribed()
            for dbname in (database.name, "postgres"):
                with cluster.connect(dbname, autocommit=True, user=role) as connection:
                    for payload in NOTIFICATIONS:
                        connection.execute("SELECT pg_notify('imbus', %s)", (payload.format(name=database.name),))
            database.sendone("a", payload="committed")
            await client.wait_payload("committed")
            assert client.payloads == ["committed"]
        with database.connect(user=role) as connection:
            for statement in ("SELECT bus_sendone('a', 't', '1')", "SELECT bus_sendmany('[[\"a\", \"t\", 1]]')", "SELECT bus_last_id()",
                              "SELECT * FROM bus_poll(ARRAY['a'], 0)", "SELECT bus_gc()",
                              "SELECT bus_stat_reset()", "SELECT * FROM bus_bus"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
            assert connection.execute("SELECT last_id, ids_left FROM bus_stat").fetchall() == [(None, None)]
    finally:
        cluster.execute(f'DROP ROLE "{role}"')


def answer(port, path):
    with RawClient(("127.0.0.1", port)) as client:
        return client.request(path=path, headers={"Host": f"127.0.0.1:{port}"}).response()[2].decode()


async def test_the_metrics_port_tells_no_notification_and_no_secret(make_gateway, database):
    port = reserve_port()
    gateway = make_gateway(f"{database.conninfo} password=DBPASSWORD", metrics_listen=f"127.0.0.1:{port}").start()
    headers = {"Cookie": "session_id=COOKIESECRET"}
    async with BusClient(gateway.url, ["CHANNELNAME"], headers=headers) as client:
        await client.subscribed()
        database.sendone("CHANNELNAME", "TYPENAME", "PAYLOADSECRET")
        await client.wait_payload("PAYLOADSECRET")
        told = "".join(answer(port, path) for path in ("/metrics", "/health", "/ready", "/", "/../etc/passwd"))
    assert database.name in told and "odoo_bus_deliveries_total" in told
    assert [secret for secret in ("DBPASSWORD", "COOKIESECRET", "CHANNELNAME", "TYPENAME", "PAYLOADSECRET", "root:") if secret in told] == []
