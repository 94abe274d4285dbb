"""Authorization by a function in the database."""
import asyncio
import contextlib
import json
import time

import pytest

from harness.client import HANDSHAKE, BusClient, RawClient
from harness.deadline import DEADLINE, scaled
from harness.http_clients import TRANSPORTS
from harness.wait import until

FUNCTION = """
CREATE TABLE app_session (token text PRIMARY KEY, login text NOT NULL);
CREATE TABLE app_channel (login text NOT NULL, name text NOT NULL);
INSERT INTO app_session VALUES ('secret-of-ann', 'ann'), ('secret-of-bob', 'bob');
INSERT INTO app_channel VALUES ('ann', 'a'), ('ann', 'b'), ('bob', 'b');
CREATE TABLE asked (request jsonb, channels text[], pid int DEFAULT pg_backend_pid());
CREATE FUNCTION app_authorize(request jsonb, channels text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE who text;
BEGIN
    INSERT INTO asked VALUES (request, channels);
    IF 'wait' = ANY (channels) THEN PERFORM pg_advisory_xact_lock(9); END IF;
    IF 'sleep' = ANY (channels) THEN PERFORM pg_sleep(1000); END IF;
    IF 'fail' = ANY (channels) THEN RAISE EXCEPTION 'on purpose'; END IF;
    SELECT login INTO who FROM app_session WHERE token = request->'cookies'->>'sid';
    IF NOT FOUND THEN RETURN NULL; END IF;
    RETURN ARRAY(SELECT bus_channel(name) FROM app_channel WHERE login = who AND name = ANY (channels))
           || bus_channel('user_' || who);
END $$;
"""


@pytest.fixture
def make_sql_gateway(make_gateway, database):
    with database.connect() as connection:
        connection.execute(FUNCTION)

    def make(**options):
        return make_gateway(database, auth="sql", auth_sql_function="app_authorize", sql_pass=["cookie:sid", "user-agent"],
                            **{"sql_cache": 0, "sql_timeout": 5} | options).start()
    return make


def cookie(name):
    return {"Cookie": f"other=1; sid=secret-of-{name}", "User-Agent": "test"}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_function_says_who_gets_what(make_sql_gateway, database, transport):
    gateway = make_sql_gateway()
    async with TRANSPORTS[transport](gateway.url, ["a", "b"], headers=cookie("bob"), origin=f"http://127.0.0.1:{gateway.port}") as client:
        await client.subscribed()
        await client.until(lambda: client.connections, "a connection")
        for channel in ("a", "b", "user_ann", "user_bob"):
            database.sendone(channel, payload=channel)
        await client.wait_payload("user_bob")
        assert client.payloads == ["b", "user_bob"]
        request, channels = database.execute("SELECT request, channels FROM asked LIMIT 1")[0]
        assert request == {"cookies": {"sid": "secret-of-bob"}, "headers": {"user-agent": "test"}, "address": "127.0.0.1"}
        assert channels == ["a", "b"]


async def test_null_refuses_with_4001(make_sql_gateway):
    gateway = make_sql_gateway()
    async with BusClient(gateway.url, ["a"], headers=cookie("nobody")) as client:
        assert (await client.wait_closed())[0] == 4001
    async with BusClient(gateway.url, ["a"], headers=cookie("ann"), origin="http://evil.example.com") as client:
        assert (await client.wait_closed())[0] == 4001, "cookies of a foreign page count for nothing"


PATHS = ["/websocket", "/bus/events", "/longpolling/poll", "/websocket/peek_notifications"]


def ask(gateway, path, headers, channels):
    """(status or code of the close, body) of one subscription."""
    data = {"channels": channels, "last": 0, "confirm": 1, "is_first_poll": True}
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        if path == "/websocket":
            raw.upgrade(headers={**HANDSHAKE, "Origin": f"http://{HANDSHAKE['Host']}", **headers})
            raw.send_event("subscribe", data)
            opcode, payload = raw.receive_frame()
            return (int.from_bytes(payload[:2], "big"), payload[2:]) if opcode == 8 else (200, payload)
        body = json.dumps(data if path == "/bus/events" else {"id": 1, "params": data}).encode()
        status, answer, body = raw.request("POST", path, {"Host": HANDSHAKE["Host"], "Content-Type": "application/json",
                                                          "Content-Length": len(body), **headers}, body).response()
        assert status != 503 or int(answer["retry-after"]) > 0
        return status, body


def granted(gateway, name, channels):
    """The channels that a peek is told, by their names."""
    status, body = ask(gateway, "/websocket/peek_notifications", cookie(name), channels)
    return [channel for _, channel in json.loads(body)["result"]["channels"]] if status == 200 else status


@pytest.mark.parametrize("path", PATHS)
def test_null_refuses_on_every_transport(make_sql_gateway, path):
    gateway = make_sql_gateway()
    refused = 4001 if path == "/websocket" else 401
    assert ask(gateway, path, cookie("ann"), ["a"])[0] == 200
    assert ask(gateway, path, cookie("nobody"), ["a"])[0] == refused
    assert ask(gateway, path, {}, ["a"])[0] == refused
    assert ask(gateway, path, cookie("ann") | {"Origin": "http://evil.example.com"}, ["a"])[0] == refused


@pytest.mark.parametrize("path", PATHS)
def test_a_function_has_its_time(make_sql_gateway, database, path):
    """One that sleeps for many minutes is given up long before, and so is one that waits for a lock: try again later."""
    gateway = make_sql_gateway(sql_timeout=0.5, sql_connections=1)
    later = 1013 if path == "/websocket" else 503
    begin = time.monotonic()
    with database.connect(autocommit=False) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(9)")
        for channel in ("sleep", "wait", "fail"):
            assert ask(gateway, path, cookie("ann"), [channel])[0] == later
    assert time.monotonic() - begin < min(scaled(50), 900)
    assert ask(gateway, path, cookie("ann"), ["a"])[0] == 200


async def test_the_pool_is_bounded(make_sql_gateway, database):
    """Twelve clients ask, and two connections: the others wait for their turn, and all are answered."""
    gateway = make_sql_gateway(sql_connections=2, sql_timeout=60)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'"
    with database.connect(autocommit=False) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(9)")
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(TRANSPORTS[name](
                gateway.url, ["a", "wait", f"{name}_{n}"], headers=cookie("ann"), origin=f"http://127.0.0.1:{gateway.port}"))
                for n in range(4) for name in TRANSPORTS]
            await asyncio.to_thread(until, lambda: gateway.established() == 12, lambda: "not all of them have come")
            await asyncio.to_thread(until, lambda: database.value(waiting) == 2, lambda: f"{database.value(waiting)} ask")
            holder.rollback()
            asked = "SELECT count(DISTINCT channels) FROM asked"
            await asyncio.to_thread(until, lambda: database.value(asked) == 12, lambda: f"{database.value(asked)} asked")
            await asyncio.gather(*(client.subscribed() for client in clients))
            assert database.value("SELECT count(DISTINCT pid) FROM asked") == 2


def test_what_is_known_serves_who_has_asked_and_nobody_else(make_sql_gateway, database):
    gateway = make_sql_gateway(sql_cache=60)
    asked = "SELECT count(*) FROM asked"
    for _ in range(2):
        assert granted(gateway, "ann", ["a", "b"]) == ["a", "b", "user_ann"]
        assert granted(gateway, "bob", ["a", "b"]) == ["b", "user_bob"]
        assert granted(gateway, "nobody", ["a", "b"]) == 401
        assert ask(gateway, "/bus/events", cookie("ann") | {"Origin": "http://evil.example.com"}, ["a", "b"])[0] == 401
        assert database.value(asked) == 4, "once each"
    # Other channels, or another header that the function sees, are another question.
    assert granted(gateway, "ann", ["a"]) == ["a", "user_ann"]
    assert granted(gateway, "ann", ["a\nb"]) == ["user_ann"]
    assert ask(gateway, "/longpolling/poll", cookie("ann") | {"User-Agent": "another"}, ["a", "b"])[0] == 200
    assert database.value(asked) == 7


def test_what_is_known_is_forgotten_in_time(make_sql_gateway, database):
    gateway = make_sql_gateway(sql_cache=1)
    assert granted(gateway, "ann", ["a"]) == ["a", "user_ann"]
    database.execute("DELETE FROM app_channel")
    deadline = time.monotonic() + DEADLINE
    while granted(gateway, "ann", ["a"]) != ["user_ann"]:
        assert time.monotonic() < deadline, "it is remembered for longer than --sql-cache"


async def test_a_function_that_fails_or_sleeps_is_given_up(make_sql_gateway, database):
    gateway = make_sql_gateway(sql_timeout=0.5, sql_connections=1)
    async with BusClient(gateway.url, ["fail"], headers=cookie("ann"), reconnect=False) as client:
        assert (await client.wait_closed())[0] == 1013
    async with BusClient(gateway.url, ["sleep"], headers=cookie("ann"), reconnect=False) as client:
        assert (await client.wait_closed())[0] == 1013
    async with BusClient(gateway.url, ["a"], headers=cookie("ann")) as client:
        await client.subscribed()
        database.sendone("a", payload=1)
        await client.wait_payload(1)


async def test_what_is_taken_back_stops(make_sql_gateway, database):
    gateway = make_sql_gateway(sql_grant=2)
    async with BusClient(gateway.url, ["a"], headers=cookie("ann")) as client:
        await client.subscribed()
        database.sendone("a", payload=1)
        await client.wait_payload(1)
        database.execute("DELETE FROM app_channel WHERE login = 'ann'")
        assert (await client.wait_closed())[0] == 4002
        await client.until(lambda: client.connections == 2, "the next connection")
        await client.settle()
        database.sendone("a", payload=2)
        database.sendone("user_ann", payload="end")
        await client.wait_payload("end")
        assert client.payloads == [1, "end"]


async def test_many_clients_and_a_server_that_restarts(make_sql_gateway, database, cluster):
    gateway = make_sql_gateway(sql_cache=60)
    clients = [BusClient(gateway.url, ["a"], headers=cookie("ann")) for _ in range(50)]
    for client in clients:
        client.start()
    try:
        await asyncio.gather(*(client.subscribed() for client in clients))
        database.sendone("user_ann", payload="here")
        await asyncio.gather(*(client.wait_payload("here") for client in clients))
        assert database.value("SELECT count(*) FROM asked") < 50
        await asyncio.to_thread(cluster.restart)
        gateway.wait_healthy()
        async with BusClient(gateway.url, ["b"], headers=cookie("ann")) as late:
            await late.subscribed()
            database.sendone("b", payload="after")
            await late.wait_payload("after")
    finally:
        for client in clients:
            await client.stop()
