"""GET /clients.json and `status --channel`: the slowest clients, the biggest channels, and who is on which."""
import asyncio
import contextlib
import json
import socket
import time
import urllib.parse

import pytest

from harness.client import BusClient, RawClient
from harness.deadline import DEADLINE
from harness.gateway import run_gateway
from harness.http_clients import TRANSPORTS
from harness.ports import reserve_port

from metrics_access_test import TOKEN, asked, start, write_token  # noqa: F401

pytestmark = pytest.mark.asan

HOSTILE = "<img src=x onerror=alert(1)>\x1b[2J\u202eé"


def told(gateway, channel=None, *headers):
    """What the gateway tells of its clients, or of those of a channel."""
    path = "/clients.json" + ("" if channel is None else "?" + urllib.parse.urlencode({"channel": channel}))
    status, answered, body = asked(gateway, path, "localhost", *headers)
    assert (status, answered["content-type"]) == (200, "application/json"), body
    return json.loads(body)


async def until(find, what):
    """What `find` finds in the end; the gateway tells the same for a second."""
    deadline = time.monotonic() + DEADLINE
    while not (found := find()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        await asyncio.sleep(0.1)
    return found


# What a proxy names, and what limits count.
ADDRESSES = {"websocket": ("192.0.2.1", "192.0.2.1"), "events": ("2001:db8::7", "2001:db8::"), "poll": ("192.0.2.3", "192.0.2.3")}


async def test_each_transport_is_told(start, database):  # noqa: F811
    gateway = start(threads=2)
    async with contextlib.AsyncExitStack() as stack:
        for number, transport in enumerate(TRANSPORTS):
            client = TRANSPORTS[transport](gateway.url, ["everyone", f"own{number}"][:number + 1],
                                           headers={"X-Forwarded-For": f"198.51.100.{number}, {ADDRESSES[transport][0]}"})
            await (await stack.enter_async_context(client)).subscribed()

        def all_of_them():
            answer = told(gateway)
            channels = {each["name"]: each["subscribers"] for each in answer["channels"]}
            # A poll that was answered comes back a moment later.
            return answer if channels.get(f'["{database.name}","everyone"]') == 3 else None
        answer = await until(all_of_them, "three clients")
    assert (answer["threads"], answer["answered"], answer["complete"]) == (2, 2, True)
    assert 0 <= answer["thread_seconds"] < 1
    clients = {each["transport"]: each for each in answer["clients"]}
    assert sorted(clients) == sorted(TRANSPORTS)
    # Everyone has `broadcast`.
    assert {transport: each["channels"] for transport, each in clients.items()} == {"websocket": 2, "events": 3, "poll": 3}
    for each in clients.values():
        assert (each["address"], each["database"]) == (ADDRESSES[each["transport"]][1], database.name)
        assert (each["behind"], each["queued_bytes"]) == (False, 0)
        assert each["memory_bytes"] > 0 and each["connected_seconds"] >= 0
    assert answer["channels"][0]["subscribers"] == 3


@pytest.mark.parametrize("transport", ["websocket", "events"])
async def test_who_does_not_read_is_the_slowest(start, database, transport):  # noqa: F811
    gateway = start(max_queue_bytes="64MiB", max_queue_seconds=300)
    async with BusClient(gateway.url, ["x"]) as other:
        await other.subscribed()
        with RawClient(("127.0.0.1", gateway.port)) as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            if transport == "websocket":
                client.upgrade().send_event("subscribe", {"channels": ["x"], "last": 0})
            else:
                client.request(path="/bus/events?channels=x", headers={"Host": "x"}).response()
            await until(lambda: len(told(gateway)["clients"]) == 2, "both")
            for _ in range(40):
                database.sendone("x", payload="x" * 50_000)
            await other.wait_for(40)
            slowest = await until(lambda: next((each for each in told(gateway)["clients"] if each["behind"]), None), "it is behind")
            answer = told(gateway)
    assert slowest["transport"] == transport and slowest["queued_bytes"] > 500_000
    assert [each["behind"] for each in answer["clients"]] == [True, False], "the slowest comes first"


async def test_the_clients_of_a_channel(start, database):  # noqa: F811
    gateway = start(threads=2)
    headers = {"X-Forwarded-For": "192.0.2.1"}
    async with BusClient(gateway.url, ["a", "b"], headers=headers) as one, BusClient(gateway.url, ["a"], headers=headers) as two:
        await one.subscribed()
        await two.subscribed()
        for channel, count in (("a", 2), ("b", 1), (f'["{database.name}","a"]', 2), ("c", 0), (f'["other","a"]', 0), ("%", 0)):
            answer = told(gateway, channel)
            assert (len(answer["clients"]), sum(each["subscribers"] for each in answer["channels"])) == (count, count), channel
        done = run_gateway("status", *gateway.arguments, "--channel", "a")
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert lines[1].split() == ["2", f'["{database.name}","a"]', database.name]
        assert [line.split()[0] for line in lines[3:]] == ["ADDRESS", "192.0.2.1", "192.0.2.1"]
        done = run_gateway("status", *gateway.arguments, "--channel=b", "--json")
        assert [each["channels"] for each in json.loads(done.stdout)["clients"]] == [3]
        assert run_gateway("status", *gateway.arguments, "--channel=").returncode == 2
        # The number is whole, the list is not.
        with contextlib.ExitStack() as stack:
            for _ in range(110):
                client = stack.enter_context(RawClient(("127.0.0.1", gateway.port)))
                client.upgrade().send_event("subscribe", {"channels": ["many"], "last": 0})
            await until(lambda: told(gateway, "many")["channels"][:1] == [
                {"database": database.name, "name": f'["{database.name}","many"]', "subscribers": 110}], "all of them")
            assert len(told(gateway, "many")["clients"]) == 100
            assert "and 10 more" in run_gateway("status", *gateway.arguments, "--channel=many").stdout


async def test_a_hostile_name_stays_text(start, database):  # noqa: F811
    gateway = start()
    async with BusClient(gateway.url, [HOSTILE]) as client:
        await client.subscribed()
        stored = f'["{database.name}",{json.dumps(HOSTILE)}]'
        answer = told(gateway)
        assert stored in [each["name"] for each in answer["channels"]]
        assert told(gateway, HOSTILE)["channels"] == told(gateway, stored)["channels"] != []
        for command, *options in (["status", "--channel", HOSTILE], ["top", "--once", "--interval=1"]):
            done = run_gateway(command, *gateway.arguments, *options)
            assert done.returncode == 0 and "<img src=x onerror=alert(1)>" in done.stdout
            assert done.stdout.isascii() and "\x1b" not in done.stdout


async def test_clients_are_told_to_who_has_the_token(start, tmp_path, database):  # noqa: F811
    gateway = start(metrics_token_file=write_token(tmp_path))
    bearer = ("Authorization", f"Bearer {TOKEN}")
    assert told(gateway, None, bearer)["clients"] == []
    for path in ("/clients.json", "/clients.json?channel=a"):
        for headers in ([], [("Authorization", f"Bearer {TOKEN}x")]):
            status, answered, body = asked(gateway, path, "localhost", *headers)
            assert (status, answered["www-authenticate"]) == (401, "Bearer") and b"clients" not in body
        assert asked(gateway, path, "evil.example", bearer)[0] == 421
    status, answered, page = asked(gateway, "/status", "localhost")
    assert status == 200, "a browser that opens it has no token; it holds no data"
    assert database.name.encode() not in page and TOKEN.encode() not in page
    assert "script-src 'sha256-" in answered["content-security-policy"] and "unsafe" not in answered["content-security-policy"]
    assert asked(gateway, "/status", "evil.example")[0] == 421
    without = [f"--metrics-listen=127.0.0.1:{gateway.metrics_port}"]
    for command, *options in (["status", "--channel=a"], ["top", "--once", "--interval=1"]):
        assert run_gateway(command, *gateway.arguments, *options).returncode == 0
        done = run_gateway(command, *without, *options)
        assert done.returncode == 1 and "--metrics-token-file" in done.stderr


async def test_other_machines_are_told_of_no_client_without_a_token(start, tmp_path):  # noqa: F811
    """Where others may scrape the metrics they were not told before who is connected, and names of channels may be secrets."""
    port = reserve_port()
    gateway = start(metrics_listen=[f"0.0.0.0:{port}", f"unix:{tmp_path}/metrics"])
    gateway.metrics_port = port
    assert asked(gateway, "/metrics", "localhost")[0] == 200
    status, _, body = asked(gateway, "/clients.json", "localhost")
    assert status == 403 and b"--metrics-token-file" in body
    done = run_gateway("top", "--once", "--interval=1", f"--metrics-listen=127.0.0.1:{port}")
    assert done.returncode == 0 and "--metrics-token-file" in done.stdout


async def test_nothing_that_is_sent_is_told(start, database):  # noqa: F811
    gateway = start()
    headers = {"Cookie": "session_id=COOKIESECRET", "Authorization": "Bearer BEARERSECRET"}
    async with BusClient(gateway.url, ["CHANNELNAME"], headers=headers) as client:
        await client.subscribed()
        database.sendone("CHANNELNAME", "TYPENAME", "PAYLOADSECRET")
        await client.wait_payload("PAYLOADSECRET")
        text = json.dumps([told(gateway), told(gateway, "CHANNELNAME")])
    assert "CHANNELNAME" in text
    assert [secret for secret in ("COOKIESECRET", "BEARERSECRET", "TYPENAME", "PAYLOADSECRET") if secret in text] == []


@pytest.mark.tsan
async def test_who_asks_and_goes_away_harms_nobody(start, database):  # noqa: F811
    gateway = start(threads=2)
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        for number in range(50):
            with RawClient(("127.0.0.1", gateway.metrics_port)) as asker:
                asker.request(path=f"/clients.json?channel={number}", headers={"Host": "localhost"})
        for path in ("/clients.json?channel=%zz", "/clients.json?channel=%ff"):
            assert asked(gateway, path, "localhost")[0] in (200, 400)
        assert len(told(gateway, "a")["clients"]) == 1
