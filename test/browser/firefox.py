"""Headless Firefox of Debian, which is driven by WebDriver BiDi."""
import asyncio
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import websockets

from harness.deadline import DEADLINE
from harness.wait import until


def is_missing():
    return shutil.which("firefox-esr") is None


class Firefox:
    """Its tabs are named, and share cookies and workers; goto, evaluate and wait are for the one that tab() has chosen."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="odoo_bus_firefox.")
        log = Path(self.profile, "log")
        environment = {**os.environ, "HOME": self.profile, "MOZ_CRASHREPORTER_DISABLE": "1"}
        with log.open("w") as file:
            self.process = subprocess.Popen(
                ["firefox-esr", "--headless", "--no-remote", "--profile", self.profile, "--remote-debugging-port", "0"],
                env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=file)
        def address():
            return re.search(r"BiDi listening on (ws://\S+)", log.read_text())
        until(address, lambda: f"Firefox did not start: {log.read_text()}")
        self.loop = asyncio.new_event_loop()
        self.numbers = itertools.count(1)
        self.tabs = {}
        self.socket = self.run(self.connect(f"{address()[1]}/session"))
        self.order("session.new", capabilities={})
        self.tab("main")

    def run(self, coroutine):
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, DEADLINE))

    async def connect(self, url):
        return await websockets.connect(url, max_size=None)

    async def ask(self, question):
        await self.socket.send(json.dumps(question))
        while True:
            answer = json.loads(await self.socket.recv())
            if answer.get("id") == question["id"]:
                return answer

    def order(self, method, **params):
        answer = self.run(self.ask({"id": next(self.numbers), "method": method, "params": params}))
        assert answer["type"] == "success", f"{method}: {answer}"
        return answer["result"]

    def tab(self, name):
        if name not in self.tabs:
            self.tabs[name] = self.order("browsingContext.create", type="tab")["context"]
        self.current = self.tabs[name]
        return self

    def goto(self, url):
        self.order("browsingContext.navigate", context=self.current, url=url, wait="complete")

    def evaluate(self, expression):
        text = f"Promise.resolve({expression}).then((value) => JSON.stringify(value ?? null))"
        answer = self.order("script.evaluate", expression=text, target={"context": self.current}, awaitPromise=True)
        assert answer["type"] == "success", f"{expression}: {answer}"
        return json.loads(answer["result"]["value"])

    def wait(self, expression):
        until(lambda: self.evaluate(expression), lambda: f"{expression} never became true")

    def close(self):
        self.run(self.socket.close())
        self.process.terminate()
        self.process.wait(DEADLINE)
        self.loop.close()
        shutil.rmtree(self.profile, ignore_errors=True)
