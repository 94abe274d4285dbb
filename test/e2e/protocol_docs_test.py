"""docs/protocol.md: its transcript is what is said, and its client in bash resumes exactly."""
import asyncio
import json
import re
import subprocess
import threading

import pytest

from harness.client import BusClient, RawClient
from harness.deadline import DEADLINE
from harness.system import ROOT, clean_environment

PAGE = (ROOT / "docs" / "protocol.md").read_text()
TRANSCRIPT = re.search(r"<!-- transcript: .* -->\n```\n(.*?)```", PAGE, re.S)[1].splitlines()
BASH = re.search(r"```bash\n(.*?)```", PAGE, re.S)[1]


async def test_the_transcript_is_what_is_said(gateway, database):
    client = None
    frames = []
    said = 0
    try:
        for line in TRANSCRIPT:
            if line.startswith("SQL "):
                database.execute(line[4:])
                continue
            if line == "the connection is lost":
                await client.stop()
                client = None
                continue
            direction, text = line.split(" ", 1)
            value = json.loads(text.replace('"mydb"', json.dumps(database.name)))
            if direction == ">":
                if client is None:
                    client = Talker(gateway.url, [], reconnect=False).start()
                    await client.until(lambda: client.socket is not None and client.socket.open, "the connection opens")
                    frames = client.frames
                    said = 0
                await client.socket.send(json.dumps(value))
            else:
                await client.until(lambda: len(frames) > said, line)
                assert frames[said] == value
                said += 1
        await client.settle()
        assert len(frames) == said, "nothing else is said"
    finally:
        if client is not None:
            await client.stop()


class Talker(BusClient):
    """Sends nothing by itself."""

    async def subscribe(self, channels=None, last=None):
        pass


class Bash:
    def __init__(self, directory, *arguments):
        script = directory / "bus.sh"
        script.write_text(BASH)
        self.process = subprocess.Popen(["bash", script, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, env=clean_environment(), start_new_session=True)
        self.payloads = []
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.payloads += [element["message"]["payload"] for element in json.loads(line)]
                self.changed.notify_all()

    def wait_for(self, payload):
        with self.changed:
            assert self.changed.wait_for(lambda: payload in self.payloads, DEADLINE), self.payloads

    def stop(self):
        subprocess.run(["pkill", "-TERM", "-s", str(self.process.pid)], check=False)
        self.process.wait(DEADLINE)
        self.thread.join()


async def test_the_client_in_bash_resumes_exactly(make_gateway, database, tmp_path):
    gateway = make_gateway(database, state_dir=tmp_path / "state").start()
    database.sendone("a & b", "t", -1)
    client = Bash(tmp_path, f"http://127.0.0.1:{gateway.port}", "a & b")
    try:
        await asyncio.to_thread(client.wait_for, -1)
        for n in range(3):
            database.sendone("a & b", "t", 2 * n)
            await asyncio.to_thread(client.wait_for, 2 * n)
            await asyncio.to_thread(gateway.kill9)
            database.sendone("a & b", "t", 2 * n + 1)
            database.sendone("other", "t", "unwanted")
            await asyncio.to_thread(gateway.start)
            await asyncio.to_thread(client.wait_for, 2 * n + 1)
        assert client.payloads == [-1, *range(6)]
    finally:
        await asyncio.to_thread(client.stop)


@pytest.mark.parametrize("origin, authorization, cookie, status", [
    (None, None, None, 400), (None, "Bearer a.b.c", None, 101), (None, "Bearer a.b.c", "a=b", 400), ("http://x", None, None, 101)])
def test_a_handshake_without_origin_carries_a_token_and_no_cookie(gateway, origin, authorization, cookie, status):
    headers = {"Host": "127.0.0.1", "Connection": "Upgrade", "Upgrade": "websocket",
               "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13",
               "Origin": origin, "Authorization": authorization, "Cookie": cookie}
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.request(headers={name: value for name, value in headers.items() if value})
        assert raw.response()[0] == status
