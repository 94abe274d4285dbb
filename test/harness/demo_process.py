"""`make demo` as somebody runs it in a terminal, without the build."""
import os
import re
import signal
import subprocess
import threading

from .deadline import DEADLINE
from .system import ROOT


class DemoProcess:
    """with DemoProcess(VERBOSE="1") as demo: demo.wait_for_line(r"the page +(\\S+)")"""

    def __init__(self, **environment):
        self.lines = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen([ROOT / "test" / "demo"], env=os.environ | {"DEMO_BUILD": "no"} | environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        start_new_session=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.page = self.wait_for_line(r"the page +(\S+)")[1]
        self.psql = self.wait_for_line(r"in psql +(.+)")[1].split()
        self.data = self.psql[2] + "/data"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.end()

    @property
    def text(self):
        return "\n".join(self.lines)

    def wait_for_line(self, pattern, since=0):
        """The match of the first line, from index `since` on, in which `pattern` is found."""
        def match():
            return next((found for line in self.lines[since:] if (found := re.search(pattern, line))), None)
        with self._changed:
            self._changed.wait_for(lambda: match() or not self._reader.is_alive(), DEADLINE)
            found = match()
        assert found, f"the demo never said /{pattern}/:\n{self.text}"
        return found

    def pids(self):
        """The gateway's and PostgreSQL's, as it told them last for those who break them by hand."""
        return tuple(int(re.findall(rf"kill -{name} (\d+) ", self.text)[-1]) for name in ("9", "INT"))

    def end(self):
        """Ctrl-C, which a terminal sends to all processes of the group; returns the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.wait()

    def wait(self):
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return code

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()
