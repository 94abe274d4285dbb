"""Files and directories of the gateway: what others could have written is refused, no link is followed, and a secret that
others can read is none. Modes are judged, so that all of it holds for root, too."""
import json
import os
import pathlib
import pwd
import re
import stat
import subprocess
import tempfile

import pytest

from harness.client import BusClient, RawClient
from harness.gateway import BINARY, run_gateway
from harness.ports import reserve_port
from harness.system import ROOT
from harness.tokens import KeyPair, Secret
from harness.wait import until

NOBODY = pwd.getpwnam("nobody")
AS_NOBODY = ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups"]
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away and run as another user")


def refused(make_gateway, database, named, *, code=1, wrapper=(), **options):
    """The gateway does not start, --check-config says why, and both in one sentence with these words."""
    gateway = make_gateway(database, wrapper=wrapper, **options)
    gateway.expected_exit = None
    gateway.spawn()
    assert gateway.wait() == code, gateway.tail()
    errors = [line for line in gateway.lines if " error " in line]
    assert len(errors) == 1 and named in errors[0], gateway.tail()
    done = subprocess.run([*wrapper, BINARY, "--check-config", *gateway.arguments], capture_output=True, text=True)
    assert done.returncode == 2 and named in done.stderr and done.stderr.count("\n") == 1, done


def accepted(*arguments, wrapper=()):
    done = subprocess.run([*wrapper, BINARY, "--check-config", "--database", "dbname=x", *map(str, arguments)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o702])
def test_a_state_directory_that_others_can_write_to(make_gateway, database, tmp_path, mode):
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(mode)
    refused(make_gateway, database, f"--state-dir: other users can write to {state}", state_dir=state)
    assert list(state.iterdir()) == []
    done = run_gateway("doctor", "--json", "--database", database.conninfo, "--state-dir", state)
    assert f"other users can write to {state}" in done.stdout


@only_root
def test_a_state_directory_of_another_user(make_gateway, database, tmp_path):
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, NOBODY.pw_uid, NOBODY.pw_gid)
    gateway = make_gateway(database, state_dir=state)
    gateway.expected_exit = None
    gateway.spawn()
    assert gateway.wait() == 1
    assert any(f"{state} belongs to another user" in line for line in gateway.lines)
    accepted("--state-dir", state)  # by root, who checks for the gateway's user


@pytest.fixture
def shared():
    """A directory that another user reaches, which those of pytest are not."""
    with tempfile.TemporaryDirectory(prefix="odoo_bus_files.") as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


@only_root
async def test_as_a_user_with_files_of_its_own(make_gateway, database, shared):
    """As the unit runs it: a user's own state directory, a key file that root owns and its group reads."""
    state, keys = shared / "state", Secret().write(shared / "keys")
    state.mkdir(mode=0o700)
    os.chown(state, NOBODY.pw_uid, NOBODY.pw_gid)
    os.chown(keys, 0, NOBODY.pw_gid)
    keys.chmod(0o640)
    options = {"state_dir": state, "listen": [f"unix:{state}/socket", f"127.0.0.1:{(port := reserve_port())}"]}
    gateway = make_gateway(database, port=port, wrapper=AS_NOBODY, **options).start()
    async with BusClient(gateway.url, ["a"]) as client:
        database.sendone("a", payload="arrived")
        await client.wait_payload("arrived")
    assert {path.stat().st_uid for path in state.iterdir()} == {NOBODY.pw_uid}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in state.iterdir() if path.is_file())
    accepted("--auth", "token", "--token-keys", keys, "--state-dir", state, wrapper=AS_NOBODY)
    keys.chmod(0o644)
    refused(make_gateway, database, "other users can read the secret in it", auth="token", token_keys=keys, wrapper=AS_NOBODY)


@pytest.mark.parametrize("name", ["gateway-id", "grants", "grants.new", "{database}.order", "{database}.order.new", "{database}.ledger",
                                  "{database}.ledger.new", "{database}.lock"])
def test_no_link_in_the_state_directory_is_followed(make_gateway, database, tmp_path, name):
    state, victim = tmp_path / "state", tmp_path / "victim"
    state.mkdir()
    victim.write_text("precious")
    link = state / name.format(database=database.name)
    link.symlink_to(victim)
    gateway = make_gateway(database, state_dir=state, auth="odoo" if "grants" in name else "open",
                           odoo_url=f"http://127.0.0.1:{reserve_port()}").start()
    database.sendone("a")
    gateway.finish()
    assert victim.read_text() == "precious"
    if not name.endswith((".new", ".lock")):
        assert not link.is_symlink(), "it is replaced by a file"


@pytest.mark.parametrize("option", ["listen", "metrics_listen"])
def test_a_socket_where_others_could_replace_it(make_gateway, database, tmp_path, option):
    directory = tmp_path / "sockets"
    directory.mkdir()
    for mode in (0o777, 0o770):
        directory.chmod(mode)
        refused(make_gateway, database, f"other users can replace what is in {directory}", **{option: f"unix:{directory}/socket"})
        assert list(directory.iterdir()) == []
    directory.chmod(0o1777)  # as /tmp
    make_gateway(database, **{"listen": f"127.0.0.1:{reserve_port()}"} | {option: f"unix:{directory}/socket"}).start(healthy=False)


def test_a_link_in_place_of_a_socket_is_not_followed(make_gateway, database, tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "socket").symlink_to(tmp_path / "victim")
    gateway = make_gateway(database, listen=f"unix:{tmp_path}/socket")
    gateway.expected_exit = None
    gateway.spawn()
    assert gateway.wait() == 1
    assert any("the path is in use" in line for line in gateway.lines)
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_secret_that_others_can_read(make_gateway, database, tmp_path):
    keys = Secret().write(tmp_path / "keys")
    for mode, named in ((0o644, "other users can read the secret in it"), (0o604, "other users can read the secret in it"),
                        (0o622, "other users can write to it")):
        keys.chmod(mode)
        refused(make_gateway, database, named, auth="token", token_keys=keys)
    keys.chmod(0o600)
    accepted("--auth", "token", "--token-keys", keys)


def test_public_keys_are_for_everyone_to_read_and_for_nobody_to_write(make_gateway, database, tmp_path):
    keys = KeyPair(tmp_path, "ES256").write(tmp_path / "keys")
    keys.chmod(0o644)
    accepted("--auth", "token", "--token-keys", keys)
    keys.chmod(0o666)
    refused(make_gateway, database, "other users can write to it", auth="token", token_keys=keys)


def test_a_secret_that_becomes_readable_is_not_taken_over(make_gateway, database, tmp_path):
    keys = Secret().write(tmp_path / "keys")
    gateway = make_gateway(database, auth="token", token_keys=keys).start()
    fresh = Secret(b"another secret of 32 bytes or more").write(tmp_path / "fresh")
    fresh.chmod(0o644)
    os.replace(fresh, keys)
    def was_looked_at():
        with RawClient(("127.0.0.1", gateway.port)) as client:  # it looks every two seconds, when a client comes
            client.request(path="/bus/events?channels=a", headers={"Host": "x", "Authorization": "Bearer x"}).response()
        return any("other users can read the secret in it" in line and "the former keys are kept" in line for line in gateway.lines)
    until(was_looked_at, gateway.tail)


def test_check_config_reads_every_file_that_an_option_names(tmp_path):
    """What would keep the gateway from starting is an error; of the rest it warns."""
    missing, file, keys = tmp_path / "missing", tmp_path / "file", tmp_path / "keys"
    file.write_text("x")
    token = ["--auth", "token", "--token-keys"]
    refused_files = {"config": ["--config", missing], "token-keys": [*token, missing], "state-dir": ["--state-dir", file],
                     "metrics-token-file": ["--metrics-listen", "127.0.0.1:1", "--metrics-token-file", missing]}
    keys.write_text('{"keys": [{"kty": "OKP", "kid": "ed"}, ' + json.dumps(Secret().jwk()) + "]}")
    keys.chmod(0o600)
    warned_of = {"odoo-data-dir": ["--auth", "odoo", "--odoo-url", "http://127.0.0.1:1", "--odoo-data-dir", missing],
                 "token-keys": [*token, keys]}
    named = set(re.findall(r"`--([a-z-]+) (?:FILE|DIR)`", (ROOT / "docs/gateway-options.md").read_text()))
    assert named == refused_files.keys() | warned_of.keys()
    for code, options in ((2, refused_files), (0, warned_of)):
        for option, arguments in options.items():
            done = run_gateway("--check-config", "--database", "dbname=x", *arguments)
            assert done.returncode == code and f"--{option}" in done.stderr and done.stderr.count("\n") == 1, (option, done)
    for keyword in ("sslrootcert", "sslcert", "sslkey", "sslcrl"):
        for option, others in (("--database", []), ("--hub-database", ["--database", "dbname=x"])):
            done = run_gateway("--check-config", *others, option, f"dbname=x {keyword}={missing}")
            assert done.returncode == 0 and done.stderr == f"odoo-bus-gateway: {option}: {keyword} {missing}: No such file or directory\n"
    assert run_gateway("--check-config", "--database", f"dbname=x sslcert={file} sslrootcert=system").stderr == ""
