"""The units of deploy/: what systemd itself says of them, and whether the gateway can live with what they take from it."""
import functools
import pathlib
import re
import shutil
import subprocess
import time

import pytest

from harness.client import BusClient
from harness.deadline import DEADLINE, scaled
from harness.gateway import BINARY

DEPLOY = pathlib.Path(__file__).parents[2] / "deploy"
SERVICE, SOCKET = DEPLOY / "odoo-bus-gateway.service", DEPLOY / "odoo-bus-gateway.socket"
MOST_EXPOSURE = 3.0
OFFLINE_SINCE = 250  # the version of systemd


def run(*command):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=scaled(120))


@pytest.fixture
def analyze():
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is missing: install systemd")
    return functools.partial(run, "systemd-analyze")


def settings(name):
    return re.findall(rf"^{name}=(.*)$", SERVICE.read_text(), re.M)


def test_the_units_are_valid(analyze, tmp_path):
    for unit in (SERVICE, SOCKET):
        text = unit.read_text()
        if unit is SERVICE:
            assert "/usr/bin/odoo-bus-gateway" in text
        (tmp_path / unit.name).write_text(text.replace("/usr/bin/odoo-bus-gateway", str(BINARY)))
    # One for the other, and both alone: a service without its socket is how most run it.
    verified = analyze("verify", "--man=no", *(str(tmp_path / unit.name) for unit in (SERVICE, SOCKET)))
    of_ours = [line for line in verified.stdout.splitlines() if "odoo-bus-gateway" in line]
    assert not of_ours, verified.stdout
    assert verified.returncode == 0, verified.stdout


def test_the_service_is_hardened(analyze):
    version = int(re.search(r"systemd (\d+)", analyze("--version").stdout)[1])
    if version < OFFLINE_SINCE:
        pytest.skip(f"systemd {version} rates no unit files")
    rated = analyze("security", "--offline=true", "--no-pager", str(SERVICE))
    exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", rated.stdout)[1])
    assert exposure <= MOST_EXPOSURE, rated.stdout


def test_the_service_is_watched_and_restarted():
    assert settings("Type") == ["notify"] and settings("WatchdogSec")
    check, take_over = settings("ExecReload")
    assert check == settings("ExecStart")[0] + " --check-config", "a mistake fails the reload"
    assert take_over == "/bin/kill -USR2 $MAINPID"
    soft, hard = map(int, settings("LimitNOFILE")[0].split(":"))
    assert soft <= 1024 and hard > 50000, "hard: --max-connections; soft: libwebsockets' table is as long"


def test_a_crash_leaves_no_cookies_on_the_disk():
    assert settings("LimitCORE") == ["0"]


def test_the_service_cannot_exhaust_the_machine():
    share = re.fullmatch(r"(\d+)%", settings("MemoryMax")[0])
    assert 50 <= int(share[1]) < 100, "of the machine: a number of bytes would be a second --max-memory"
    # One of the two processes of a take-over may be the one that is ended.
    assert settings("OOMPolicy") == ["continue"] and settings("Restart") == ["on-failure"]


@pytest.mark.unsanitized
def test_the_unit_allows_the_threads_of_a_take_over(database, make_gateway):
    most, = re.findall(r"1 to (\d+)", run(str(BINARY), "--threads", "0", "--check-config").stdout)
    gateway = make_gateway(database, threads=most)
    gateway.start()
    threads = int(re.search(r"^Threads:\s+(\d+)", pathlib.Path(f"/proc/{gateway.process.pid}/status").read_text(), re.M)[1])
    assert int(most) < threads and 2 * threads < int(settings("TasksMax")[0])


def allowed_calls(analyze):
    """The system calls that the unit's SystemCallFilter= lets through, its lines one after the other."""
    def members(name):
        if not name.startswith("@"):
            return {name}
        listed = [line.strip() for line in analyze("syscall-filter", "--no-pager", name).stdout.splitlines()[1:]]
        calls = [line for line in listed if line and not line.startswith("#")]
        return set().union(*(members(call) for call in calls if call != name))
    allowed = set()
    for line in settings("SystemCallFilter"):
        denied, names = line.startswith("~"), line.lstrip("~").split()
        for name in names:
            allowed = allowed - members(name) if denied else allowed | members(name)
    return allowed


def wait_for_line(path, pattern):
    """The tracer is no child of ours, so its end cannot be awaited."""
    end = time.monotonic() + DEADLINE
    while not re.search(pattern, path.read_text(), re.M):
        assert time.monotonic() < end, path.read_text()[-500:]
        time.sleep(0.05)


@pytest.mark.unsanitized
async def test_the_gateway_makes_no_system_call_that_is_refused(analyze, database, make_gateway, tmp_path):
    if not shutil.which("strace"):
        pytest.skip("strace is missing")
    allowed = allowed_calls(analyze)
    assert "epoll_wait" in allowed and "reboot" not in allowed
    trace = tmp_path / "trace"
    state = tmp_path / "state"
    state.mkdir()
    gateway = make_gateway(database, state_dir=str(state), max_connections="5000", drain_seconds=0, metrics_listen=["127.0.0.1:0"],
                           # -D: the tracer is the child, and signals go to the gateway.
                           wrapper=["strace", "-D", "-f", "-q", "-o", str(trace), "-e", "signal=none"])
    gateway.start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        database.sendone("a", payload=1)
        await client.wait_payload(1)
    gateway.reload()
    gateway.wait_for_line("the configuration was reloaded")
    gateway.take_over()
    process = gateway.process.pid
    gateway.finish()
    wait_for_line(trace, rf"^{process} +\+\+\+ exited with 0 ")
    made = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.M))
    # What the service manager does before its filter is in force, and what it always lets through.
    always = {"execve", "exit", "exit_group", "rt_sigreturn", "sigreturn", "restart_syscall"}
    assert "epoll_wait" in made or "epoll_pwait" in made
    assert made - allowed - always == set()
