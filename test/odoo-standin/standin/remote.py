"""A stand-in in a process of its own, for tests that measure: it then takes nothing from the test's interpreter.

    with RemoteStandin(version="19.0", workers=4) as odoo:
        odoo.run("d = odoo.add_database('mydb')")
        cookies = odoo.run("[odoo.login(d.add_user(f'u{n}')).cookie for n in range(2000)]")
        assert odoo.run("odoo.log.high_water") <= 8

`run` takes Python, evaluated where the stand-in lives: `odoo` is the Standin, `faults` the module, and names that are
assigned stay. A last line that is an expression is returned, as JSON carries it.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

from harness.deadline import DEADLINE


class RemoteStandin:
    def __init__(self, **options):
        self.options = options
        self.port = None
        self._process = None

    def __enter__(self):
        standin, tests = Path(__file__).parents[1:3]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "standin", "--orders", json.dumps(self.options)], cwd=standin,
            env=os.environ | {"PYTHONPATH": str(tests)},  # of the harness
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = self._answer()
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(DEADLINE)
        self._process.stdout.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self._process.pid

    def run(self, code):
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self._process.stdout.readline()
        assert line, "the stand-in ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]
