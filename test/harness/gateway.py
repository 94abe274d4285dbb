"""A gateway process that a test starts, watches through its log, and stops."""
import ctypes
import json
import os
import re
import select
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from .deadline import DEADLINE, scaled
from .ports import reserve_port
from .system import ROOT, clean_environment

BINARY = Path(os.environ.get("ODOO_BUS_GATEWAY", ROOT / "build" / "odoo-bus-gateway"))
SANITIZER_REPORT = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|: runtime error: ")


class Gateway:
    """Listens on a free port of 127.0.0.1 and speaks for `databases` (Database objects or conninfo strings).

    Options are given as keywords: state_dir="/x" is --state-dir /x, allow_open=True is --allow-open, and a list
    repeats the option. `listen` and `hub_database` replace the defaults. The process inherits `descriptors`.
    """

    def __init__(self, *databases, port=None, environment=None, wrapper=(), descriptors=(), **options):
        self.port = port or reserve_port()
        self.databases = [getattr(database, "conninfo", database) for database in databases]
        self.options = {"listen": f"127.0.0.1:{self.port}", "auth": "open", "log_level": "debug"} | options
        self.environment = environment or {}
        self.wrapper = list(wrapper)
        self.descriptors = list(descriptors)
        self.lines = []
        self.process = None
        self.former = []  # processes from which another one has taken over
        self.expected_exit = 0
        self._changed = threading.Condition()
        self._reader = None

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}/websocket"

    @property
    def arguments(self):
        arguments = []
        for database in self.databases:
            arguments += ["--database", database]
        for name, value in self.options.items():
            flag = "--" + name.replace("_", "-")
            for one in value if isinstance(value, (list, tuple)) else [value]:
                if one is True:
                    arguments.append(flag)
                elif one is not None and one is not False:
                    arguments += [flag, str(one)]
        return arguments

    def spawn(self):
        """Starts the process without waiting for anything."""
        assert self.process is None or self.process.poll() is not None, "the gateway is already running"
        environment = clean_environment(
            ASAN_OPTIONS="exitcode=99:detect_leaks=1:abort_on_error=0",
            UBSAN_OPTIONS="print_stacktrace=1", TSAN_OPTIONS=f"exitcode=99:halt_on_error=0:suppressions={ROOT}/test/tsan.supp",
        ) | self.environment
        self.process = subprocess.Popen([*self.wrapper, BINARY, *self.arguments], env=environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        pass_fds=self.descriptors)
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()
        return self

    def start(self, healthy=True):
        """Starts and waits until it serves and, when `healthy`, until it can reach a database."""
        mark = len(self.lines)
        self.spawn()
        self.wait_for_line(r"\bstarted$|\bstarted\"", since=mark)
        if healthy:
            self.wait_healthy()
        return self

    def wait_for_line(self, pattern, since=0, timeout=None):
        """The first line of the log, from index `since` on, in which `pattern` is found."""
        expression = re.compile(pattern)
        deadline = time.monotonic() + (scaled(timeout) if timeout else DEADLINE)
        with self._changed:
            while True:
                for line in self.lines[since:]:
                    if expression.search(line):
                        return line
                since = len(self.lines)
                left = deadline - time.monotonic()
                if left <= 0 or (self.process.poll() is not None and not self._reader.is_alive()):
                    raise AssertionError(f"the gateway's log never said /{pattern}/:\n{self.tail()}")
                self._changed.wait(min(left, 0.5))

    def health(self):
        """(status, body) of GET /websocket/health; (None, None) while nobody listens."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/websocket/health")
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except (ConnectionError, urllib.error.URLError):
            return None, None

    def established(self):
        """How many connections of clients it has open, as the kernel knows it."""
        wanted = f"{self.port:04X}"
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        return sum(1 for line in lines if line.split()[1].endswith(":" + wanted) and line.split()[3] == "01")

    def wait_healthy(self, healthy=True):
        """Health is looked at again with every line that the gateway logs, and ten times a second."""
        deadline = time.monotonic() + DEADLINE
        wanted = 200 if healthy else 503
        while True:
            with self._changed:
                seen = len(self.lines)
            status, body = self.health()
            if status == wanted:
                return body
            if time.monotonic() > deadline or not self.running:
                raise AssertionError(f"health is {status} {body}, not {wanted}:\n{self.tail()}")
            with self._changed:
                self._changed.wait_for(lambda: len(self.lines) > seen, 0.1)

    def terminate(self, expected=0, by=signal.SIGINT):
        """Returns the seconds that the exit took. SIGTERM would let clients go within --drain-seconds."""
        begin = time.monotonic()
        self.process.send_signal(by)
        code = self.wait()
        took = time.monotonic() - begin
        assert code == expected, f"the gateway exited with {code} after {by.name}:\n{self.tail()}"
        return took

    def take_over(self):
        """SIGUSR2; returns the former process when another one has taken over, which then is this gateway's."""
        become_reaper()
        mark = len(self.lines)
        self.process.send_signal(signal.SIGUSR2)
        self.wait_for_line(r"ready: it has taken over", since=mark)
        line = self.wait_for_line(r"process \d+ has taken over", since=mark)
        former, self.process = self.process, AdoptedProcess(int(re.search(r"process (\d+) has taken over", line)[1]))
        self.former.append(former)
        return former

    def kill9(self):
        self.process.kill()
        self.expected_exit = -signal.SIGKILL
        return self.wait()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def wait(self):
        """Waits for the exit; returns the code."""
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return code

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def finish(self):
        """The end of a test: the process exits with 0 when asked to, and no sanitizer has complained."""
        if self.process is None:
            return
        try:
            if self.running:
                self.expected_exit = 0
                self.terminate()
        finally:
            if self.running:
                self.process.kill()
                self.wait()
            for former in self.former:
                assert former.wait(DEADLINE) == 0, f"the former process ended badly:\n{self.tail()}"
        report = [n for n, line in enumerate(self.lines) if SANITIZER_REPORT.search(line)]
        assert not report, "a sanitizer complains:\n" + "\n".join(self.lines[report[0]:report[0] + 60])

    def tail(self, lines=40):
        return "\n".join(self.lines[-lines:])

    def _read(self, process):
        for raw in process.stderr:
            with self._changed:
                self.lines.append(raw.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()
        process.stderr.close()
        with self._changed:
            self._changed.notify_all()


def become_reaper():
    """Processes whose parent ends become children of this one."""
    PR_SET_CHILD_SUBREAPER = 36
    assert ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


class AdoptedProcess:
    """A process that a child has started, as subprocess.Popen shows a child; its exit code is known when its own
    parent has ended, too."""

    def __init__(self, pid):
        self.pid = pid
        self.returncode = None
        self._descriptor = os.pidfd_open(pid)

    def send_signal(self, number):
        if self.poll() is None:
            signal.pidfd_send_signal(self._descriptor, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def poll(self):
        if self.returncode is None:
            try:
                end = os.waitid(os.P_PIDFD, self._descriptor, os.WEXITED | os.WNOHANG)
            except ChildProcessError:
                return None
            if end is not None:
                self.returncode = end.si_status if end.si_code == os.CLD_EXITED else -end.si_status
                os.close(self._descriptor)
        return self.returncode

    def wait(self, timeout):
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("odoo-bus-gateway", timeout)
            select.select([self._descriptor], [], [], 0.1)  # readable when it has ended
        return self.returncode


def run_gateway(*arguments, environment=None, timeout=DEADLINE):
    """Runs the program to its end (--help, --check-config, tail ...); returns the completed process."""
    return subprocess.run([BINARY, *map(str, arguments)], env=clean_environment() | (environment or {}),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
