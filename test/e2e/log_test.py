"""The log: one line per event, never a cookie or a payload."""
import json
import os
import re
import socket
import subprocess

import pytest

from harness.client import HANDSHAKE, BusClient, RawClient
from harness.deadline import DEADLINE
from harness.gateway import BINARY
from harness.ports import reserve_port
from harness.system import clean_environment

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


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_journal_is_told_the_priority_and_has_the_time(database, log_format):
    """As systemd starts it: standard error is the socket that the variable names."""
    ours, journal = socket.socketpair()
    with ours, journal:
        named = os.fstat(journal.fileno())
        process = subprocess.Popen(
            [BINARY, "--database", database.conninfo, "--auth", "open", "--listen", f"127.0.0.1:{reserve_port()}",
             "--log-format", log_format],
            env=clean_environment(JOURNAL_STREAM=f"{named.st_dev}:{named.st_ino}"), stdin=subprocess.DEVNULL, stderr=journal)
        journal.close()
        ours.settimeout(DEADLINE)
        with ours.makefile() as lines:
            seen = []
            for line in lines:
                seen.append(line)
                if "ready" in line:
                    process.terminate()
    assert process.wait(DEADLINE) == 0
    assert all(re.match("<[3-7]>", line) for line in seen), seen
    if log_format == "text":
        assert "<6>info ready\n" in seen and not any(re.search(r"\d{4}-\d\d-\d\dT", line) for line in seen)
    else:
        assert all(json.loads(line[3:])["time"] for line in seen)


def test_levels(make_gateway, database):
    gateway = make_gateway(database, log_level="error")
    gateway.spawn()
    gateway.wait_healthy()
    gateway.terminate()
    assert gateway.lines == []
