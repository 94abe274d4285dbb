"""`odoo-bus-gateway top`, at a pseudo-terminal and at a pipe."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from harness.client import BusClient
from harness.deadline import DEADLINE
from harness.gateway import BINARY, run_gateway
from harness.ports import reserve_port
from harness.system import clean_environment

from metrics_access_test import start  # noqa: F401

pytestmark = pytest.mark.asan

ENTER, LEAVE, HOME = "\x1b[?1049h", "\x1b[?1049l", "\x1b[H"
ESCAPE = re.compile(r"\x1b\[\??[0-9;]*[A-Za-z]")


class Terminal:
    """A pseudo-terminal with `top` in it, which is its controlling terminal."""

    def __init__(self, *arguments, rows=24, columns=100, stdin=None):
        self.main, self.side = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.side)
        self.seen = ""

        def take_terminal():
            os.setsid()
            fcntl.ioctl(1, termios.TIOCSCTTY, 0)
        self.process = subprocess.Popen([BINARY, "top", *map(str, arguments)], stdin=self.side if stdin is None else stdin,
                                        stdout=self.side, stderr=self.side, env=clean_environment(), preexec_fn=take_terminal)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for descriptor in (self.main, self.side):
            if descriptor is not None:
                os.close(descriptor)

    def resize(self, rows, columns):
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, key):
        os.write(self.main, key)

    def read(self):
        ready, _, _ = select.select([self.main], [], [], 0.05)
        if ready:
            self.seen += os.read(self.main, 65536).decode()

    def until(self, condition):
        deadline = time.monotonic() + DEADLINE
        while not (found := condition()):
            assert time.monotonic() < deadline, self.seen[-4000:]
            self.read()
        return found

    def screens(self):
        """Those that are complete: the next one has begun, or the screen was left."""
        parts = re.split(re.escape(HOME), self.seen.replace(LEAVE, HOME))
        return [re.split("\r+\n", ESCAPE.sub("", part).rstrip()) for part in parts[1:-1]]

    def shows(self, text, rows=24, columns=100):
        """A screen of this size with this text, drawn from now on."""
        since = len(self.screens())

        def find():
            return next((screen for screen in self.screens()[since:] if any(text in line for line in screen)
                         and len(screen) <= rows and all(len(line) <= columns for line in screen)), None)
        return self.until(find)

    def ends(self):
        """The exit code; the terminal is as it was. What was written last arrives in portions, and maybe later than the end."""
        self.until(lambda: self.process.poll() is not None)
        self.until(lambda: self.seen.count(ENTER) == self.seen.count(LEAVE)
                   and self.seen.rstrip("\r\n^C").endswith("\x1b[?7h\x1b[?25h" + LEAVE))
        assert termios.tcgetattr(self.side) == self.before
        return self.process.returncode


async def test_what_it_shows(start, database):  # noqa: F811
    gateway = start()
    async with BusClient(gateway.url, ["orders"], headers={"X-Forwarded-For": "192.0.2.1"}) as client:
        await client.subscribed()
        with Terminal(*gateway.arguments, "--interval=1") as terminal:
            screen = terminal.shows("websocket: 1")
            assert f"127.0.0.1:{gateway.metrics_port}, ready" in screen[0]

            def both_are_seen():
                """What was read last may be delivered in the next interval: more follows."""
                database.sendone("orders", "t", 1)
                return re.search(r"notifications  (?!0\.0)[0-9.]+/s read, (?!0\.0)[0-9.]+/s delivered", terminal.seen)
            terminal.until(both_are_seen)
            await client.wait_for(1)
            screen = terminal.shows('"orders"]')
            assert any(line.startswith(database.name) and "being read" in line for line in screen)
            assert any(line.startswith("192.0.2.1") for line in screen)
            terminal.press(b"x")
            terminal.shows("websocket: 1")
            terminal.press(b"q")
            assert terminal.ends() == 0


@pytest.mark.parametrize("end", [b"q", b"\x03", signal.SIGTERM, signal.SIGHUP], ids=["q", "Ctrl-C", "SIGTERM", "SIGHUP"])
def test_the_terminal_is_restored(start, end):  # noqa: F811
    with Terminal(*start().arguments, "--interval=60") as terminal:
        terminal.until(lambda: "BIGGEST" in terminal.seen or "SUBSCRIBERS" in terminal.seen)
        assert termios.tcgetattr(terminal.side)[3] & (termios.ICANON | termios.ECHO) == 0
        if isinstance(end, bytes):
            terminal.press(end)
        else:
            terminal.process.send_signal(end)
        assert terminal.ends() == 0, "it does not wait for the end of the interval"


def test_it_fits_the_window(start):  # noqa: F811
    sizes = {(40, 120): "CONNECTED", (10, 40): "DATABASE", (3, 15): "clients", (50, 200): "CONNECTED", (24, 50): "CHANNEL"}
    with Terminal(*start().arguments, "--interval=60", rows=40, columns=120) as terminal:
        for drawn, size in enumerate(sizes):
            terminal.resize(*size)
            terminal.until(lambda count=drawn: terminal.seen.count(HOME) > count)
        terminal.press(b"q")
        assert terminal.ends() == 0
        # It draws anew at once.
        for ((rows, columns), shown), screen in zip(sizes.items(), terminal.screens()):
            assert len(screen) <= rows and all(len(line) <= columns for line in screen)
            assert any(shown in line for line in screen), (shown, screen)
        assert len(terminal.screens()) == len(sizes)


def test_stopped_and_continued(start):  # noqa: F811
    with Terminal(*start().arguments, "--interval=60") as terminal:
        terminal.until(lambda: "SUBSCRIBERS" in terminal.seen)
        terminal.process.send_signal(signal.SIGTSTP)
        assert os.WIFSTOPPED(os.waitpid(terminal.process.pid, os.WUNTRACED)[1])
        terminal.until(lambda: terminal.seen.endswith(LEAVE))
        assert termios.tcgetattr(terminal.side) == terminal.before
        terminal.seen = ""
        terminal.process.send_signal(signal.SIGCONT)
        terminal.until(lambda: ENTER in terminal.seen and "SUBSCRIBERS" in terminal.seen)
        terminal.press(b"q")
        assert terminal.ends() == 0


def test_a_gateway_that_goes_and_comes_back(start):  # noqa: F811
    gateway = start()
    with Terminal(*gateway.arguments, "--interval=1") as terminal:
        terminal.shows("ready")
        gateway.finish()
        terminal.shows("is the gateway running?")
        gateway.start()
        terminal.until(lambda: "is the gateway running?" not in " ".join(terminal.screens()[-1]))
        gateway.process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(1.5)
            terminal.press(b"q")
            assert terminal.ends() in (0, 1), "a request that has no answer is given up"
        finally:
            gateway.process.send_signal(signal.SIGCONT)


def test_a_terminal_that_goes(start):  # noqa: F811
    with Terminal(*start().arguments, "--interval=1") as terminal:
        terminal.until(lambda: "SUBSCRIBERS" in terminal.seen)
        os.close(terminal.main)
        os.close(terminal.side)
        terminal.main = terminal.side = None
        terminal.process.wait(DEADLINE)


def test_no_key_is_read_of_what_is_no_terminal(start):  # noqa: F811
    with open(os.devnull) as nothing, Terminal(*start().arguments, "--interval=1", stdin=nothing) as terminal:
        terminal.shows("ready")
        terminal.shows("ready")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.ends() == 0


async def test_one_screen_for_a_pipe(start, database):  # noqa: F811
    gateway = start()
    async with BusClient(gateway.url, ["orders"]) as client:
        await client.subscribed()
        done = run_gateway("top", *gateway.arguments, "--interval=1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert f'["{database.name}","orders"]' in done.stdout and "/s delivered" in done.stdout


def test_exit_codes(start, make_database):  # noqa: F811
    gateway = start(max_connections=1)
    with Terminal(f"--metrics-listen=127.0.0.1:{reserve_port()}") as terminal:
        terminal.until(lambda: terminal.process.poll() is not None)
        terminal.until(lambda: "is the gateway running?" in terminal.seen)
        assert terminal.process.returncode == 1 and ENTER not in terminal.seen
    done = run_gateway("top")
    assert done.returncode == 2 and "--metrics-listen" in done.stderr
    done = run_gateway("top", *gateway.arguments, "--interval=0")
    assert done.returncode == 2 and "--interval" in done.stderr
    done = run_gateway("top", "--help")
    assert done.returncode == 0 and "--once" in done.stdout and "Exit code" in done.stdout
