"""Completion of the command line, asked of the real shells."""
import os
import pty
import select
import shutil
import subprocess
import time

import pytest

from harness.deadline import DEADLINE
from harness.gateway import run_gateway

CASES = {
    "commands": ("st", {"status"}),
    "an option": ("--max-conn", {"--max-connections", "--max-connections-per-address"}),
    "values": ("--auth ", {"odoo", "token", "sql", "open"}),
    "an option after others": ("--auth token --token-aud", {"--token-audience"}),
    "an option of a command": ("doctor --gevent", {"--gevent-port"}),
    "an option of the gateway's for a command": ("doctor --odoo-web", {"--odoo-websocket"}),
    "another command": ("to", {"top"}),
    "an option of top": ("top --inter", {"--interval"}),
    "none of the gateway's": ("tail --max-", set()),
    "of a command alone": ("tail --insec", {"--insecure"}),
    "nothing for a number": ("--max-channels 1", set()),
}


def shell(name):
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture
def completion(tmp_path):
    def write(name, file):
        done = run_gateway(f"--print-{name}-completion")
        assert (done.returncode, done.stderr) == (0, "")
        (tmp_path / file).write_text(done.stdout)
        return tmp_path / file
    return write


def ask_bash(script, words):
    """As readline does, which takes a = for a word of its own."""
    done = subprocess.run(
        ["bash", "-c", 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _odoo_bus_gateway; '
         'printf "%s\\n" "${COMPREPLY[@]}"', "bash", script, "odoo-bus-gateway", *words],
        capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize("line, expected", CASES.values(), ids=CASES)
def test_bash(completion, line, expected):
    assert ask_bash(completion("bash", "completion"), line.split(" ")) == expected


@pytest.mark.parametrize("words, expected", [
    (["--auth", "=", "s"], {"sql"}), (["--auth", "="], {"odoo", "token", "sql", "open"}), (["--log-level", "=", "de"], {"debug"}),
    (["--standby", "=", "wait", "--allow-o"], {"--allow-open"})], ids=["begun", "empty", "another", "after it"])
def test_bash_after_an_equals_sign(completion, words, expected):
    assert ask_bash(completion("bash", "completion"), words) == expected


def test_bash_completes_paths(completion, tmp_path):
    (tmp_path / "gateway.conf").touch()
    script = completion("bash", "completion")
    assert ask_bash(script, ["--config", f"{tmp_path}/gate"]) == {f"{tmp_path}/gateway.conf"}


@pytest.mark.parametrize("line, expected", CASES.values(), ids=CASES)
def test_fish(completion, line, expected, tmp_path):
    environment = os.environ | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    done = subprocess.run([shell("fish"), "--no-config", "-c", 'source $argv[1]; complete -C "odoo-bus-gateway $argv[2]"',
                           completion("fish", "odoo-bus-gateway.fish"), line],
                          capture_output=True, text=True, timeout=DEADLINE, check=True, env=environment)
    assert done.stderr == ""
    assert {each.split("\t")[0] for each in done.stdout.splitlines()} == expected


@pytest.mark.parametrize("typed, completed", [
    ("stat\t", "status "), ("--max-channels\t", "--max-channels="), ("doctor --gev\t", "doctor --gevent-port="),
    ("--auth=to\t", "--auth=token "), ("tail --insec\t", "tail --insecure ")],
    ids=["a command", "an option", "of a command", "a value", "a switch"])
def test_zsh(completion, typed, completed, tmp_path):
    """Typed at a terminal; `^X=` makes the shell print what stands in its line then."""
    zsh = shell("zsh")
    completion("zsh", "_odoo-bus-gateway")
    (tmp_path / "rc").write_text(
        f"PS1=; fpath=({tmp_path} $fpath); autoload -Uz compinit; compinit -u -D\n"
        "print-line() { print; print -r -- \"<$BUFFER>\" }; zle -N print-line; bindkey '^X=' print-line\n"
        "print ready\n")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(zsh, ["zsh", "-f", "-i"], os.environ | {"TERM": "dumb", "HOME": str(tmp_path)})
    try:
        os.write(terminal, f"source {tmp_path}/rc\n".encode())
        wait_for(terminal, "\r\nready")
        os.write(terminal, f"odoo-bus-gateway {typed}\x18=".encode())
        wait_for(terminal, f"<odoo-bus-gateway {completed}>")
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)


def wait_for(terminal, text):
    seen, deadline = "", time.monotonic() + DEADLINE
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], deadline - time.monotonic())
        assert ready, f"{text!r} is not in {seen!r}"
        seen += os.read(terminal, 4096).decode(errors="replace")
