"""The log: one line per event, never a cookie or a payload."""
import json

import pytest

from harness.client import HANDSHAKE, BusClient, RawClient

pytestmark = pytest.mark.asan

SECRETS = ["COOKIESECRET", "PAYLOADSECRET", "CHANNELPAYLOAD", "QUERYSECRET", "DBPASSWORD"]


async def provoke(gateway, database):
    """Everything that might tempt someone to log what must not be logged."""
    headers = {"Cookie": "session_id=COOKIESECRET", "User-Agent": "x\x7f\u00e9"}
    async with BusClient(gateway.url, ["a"], headers={"Cookie": "session_id=COOKIESECRET"}) as client:
        await client.subscribed()
        database.sendone("a", payload="PAYLOADSECRET")
        await client.wait_payload("PAYLOADSECRET")
        await client.socket.send('{"event_name":"PAYLOADSECRET')
        await client.send("x", {"a": "PAYLOADSECRET"})
        with database.connect() as connection:
            connection.execute("""INSERT INTO bus_bus (channel, message) VALUES (%s, 'PAYLOADSECRET {'),
                                  ('CHANNELPAYLOAD', '{"type":"t","payload":"PAYLOADSECRET"}')""",
                               (database.channel("a"),))
        database.sendone("a", payload="end")
        await client.wait_payload("end")
    for request in ({**HANDSHAKE, "Cookie": "session_id=COOKIESECRET", "Sec-WebSocket-Version": "8"},
                    {"Cookie": "session_id=COOKIESECRET"}, {"Host": "h", **headers}):
        with RawClient(("127.0.0.1", gateway.port)) as raw:
            raw.request(path="/websocket?session_id=QUERYSECRET", headers=request).response()
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.upgrade(headers={**HANDSHAKE, "Cookie": "session_id=COOKIESECRET"})
        raw.send_frame(1, b"\xff PAYLOADSECRET")
        raw.receive_close()


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_no_cookie_and_no_payload_is_logged(make_gateway, database, log_format):
    conninfo = f"{database.conninfo} password=DBPASSWORD"
    gateway = make_gateway(conninfo, log_format=log_format, log_level="debug").start()
    await provoke(gateway, database)
    gateway.terminate()
    assert len(gateway.lines) > 3
    for line in gateway.lines:
        assert not [secret for secret in SECRETS if secret in line], line


async def test_json_lines(make_gateway, database):
    gateway = make_gateway(database, log_format="json", log_level="debug").start()
    await provoke(gateway, database)
    gateway.terminate()
    events = [json.loads(line) for line in gateway.lines]
    assert events
    for event in events:
        assert isinstance(event, dict)
        assert event["level"] in ("debug", "info", "warning", "error")
        assert isinstance(event["message"], str) and event["message"]


def test_levels(make_gateway, database):
    gateway = make_gateway(database, log_level="error")
    gateway.spawn()
    gateway.wait_healthy()
    gateway.terminate()
    assert gateway.lines == []
