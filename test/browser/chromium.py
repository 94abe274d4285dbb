"""Headless Chromium, ordered about by driver.js."""
import json
import os
import subprocess
from pathlib import Path

from harness.deadline import DEADLINE
from harness.system import ROOT

HERE = Path(__file__).resolve().parent
PAYLOADS = "received.map((n) => n.message.payload)"


class Browser:
    def __init__(self):
        environment = {**os.environ, "NODE_PATH": str(ROOT / "build" / "browser" / "node_modules")}
        self.process = subprocess.Popen(["node", HERE / "driver.js"], env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def order(self, name, argument=None):
        self.process.stdin.write(json.dumps([name, argument]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "Chromium or its driver ended"
        answer = json.loads(line)
        assert "error" not in answer, f"{name} {argument}: {answer['error']}"
        return answer.get("value")

    def goto(self, url):
        return self.order("goto", url)

    def evaluate(self, expression):
        return self.order("evaluate", expression)

    def wait(self, expression):
        return self.order("wait", expression)

    def wait_payload(self, payload):
        text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
        self.wait(f"{PAYLOADS}.some((p) => JSON.stringify(p) === {json.dumps(text)})")

    def payloads(self):
        return self.evaluate(PAYLOADS)

    def tab(self, name):
        self.order("tab", name)
        return self

    def errors(self):
        return self.order("errors")

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(DEADLINE) == 0
