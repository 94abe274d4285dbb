"""Authorization by a function in the database."""
import asyncio

import pytest

from harness.client import BusClient
from harness.http_clients import TRANSPORTS

FUNCTION = """
CREATE TABLE app_session (token text PRIMARY KEY, login text NOT NULL);
CREATE TABLE app_channel (login text NOT NULL, name text NOT NULL);
INSERT INTO app_session VALUES ('secret-of-ann', 'ann'), ('secret-of-bob', 'bob');
INSERT INTO app_channel VALUES ('ann', 'a'), ('ann', 'b'), ('bob', 'b');
CREATE TABLE asked (request jsonb, channels text[]);
CREATE FUNCTION app_authorize(request jsonb, channels text[]) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE who text;
BEGIN
    INSERT INTO asked VALUES (request, channels);
    IF 'sleep' = ANY (channels) THEN PERFORM pg_sleep(60); END IF;
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
