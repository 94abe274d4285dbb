"""The command line, the environment and the configuration file."""
import re
import shutil
import subprocess

import pytest

from harness.gateway import run_gateway
from harness.ports import reserve_port
from harness.system import ROOT

DATABASE = ("--database", "host=/nonexistent dbname=x")
OPTIONS = ["listen", "database", "hub-database", "auth", "allow-open", "state-dir", "threads", "history-seconds",
           "history-bytes", "log-level", "log-format", "config", "check-config", "version", "help"]


def test_version():
    control = (ROOT / "extension" / "odoo_bus.control").read_text()
    version = re.search(r"default_version = '([^']+)'", control).group(1)
    done = run_gateway("--version")
    assert done.returncode == 0
    assert version in done.stdout


def test_help_names_every_option():
    done = run_gateway("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    for option in OPTIONS:
        assert f"--{option}" in done.stdout
    assert "--pong-timeout SECONDS" not in done.stdout
    assert "--pong-timeout SECONDS" in run_gateway("--help-all").stdout


@pytest.mark.parametrize("address", ["0.0.0.0", "[::]", "192.0.2.1"])
def test_open_mode_refuses_addresses_that_others_can_reach(address):
    done = run_gateway("--listen", f"{address}:{reserve_port()}", *DATABASE, "--auth", "open")
    assert done.returncode != 0
    assert "--allow-open" in done.stderr


def test_open_mode_can_be_allowed(database, make_gateway):
    gateway = make_gateway(database, allow_open=True)
    gateway.options["listen"] = f"0.0.0.0:{gateway.port}"
    gateway.start()


def test_a_right_configuration():
    done = run_gateway(*DATABASE, "--check-config")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_option_of_an_earlier_version_is_accepted_with_a_warning():
    done = run_gateway(*DATABASE, "--odoo-wait", "5", "--check-config")
    assert done.returncode == 0
    assert "--odoo-wait is no longer an option" in done.stderr


@pytest.mark.parametrize("wrong, named", [
    (("--listen", "nowhere"), "listen"),
    (("--listen", "127.0.0.1:99999"), "listen"),
    (("--threads", "-1"), "threads"),
    (("--history-seconds", "long"), "history-seconds"),
    (("--log-level", "loud"), "log-level"),
    (("--auth", "none"), "auth"),
    (("--database", "this is no conninfo"), "database"),
    (("--config", "/nonexistent/gateway.conf"), "/nonexistent/gateway.conf"),
    (("--no-such-option",), "no-such-option"),
])
def test_a_wrong_configuration(wrong, named):
    for extra in (("--check-config",), ()):
        done = run_gateway(*DATABASE, *wrong, *extra)
        assert done.returncode == 2
        assert named in done.stderr


def test_a_database_is_needed():
    done = run_gateway("--check-config")
    assert done.returncode == 2
    assert "--database" in done.stderr


def test_command_line_over_environment_over_file(tmp_path):
    config = tmp_path / "gateway.conf"
    config.write_text("log-level = nonsense_of_the_file\n")
    environment = {"ODOO_BUS_CONFIG": str(config), "ODOO_BUS_DATABASE": "dbname=x"}
    done = run_gateway("--check-config", environment=environment)
    assert done.returncode == 2 and "gateway.conf" in done.stderr

    config.write_text("log-level = info\n")
    assert run_gateway("--check-config", environment=environment).returncode == 0
    environment["ODOO_BUS_LOG_LEVEL"] = "nonsense_of_the_environment"
    done = run_gateway("--check-config", environment=environment)
    assert done.returncode == 2 and "ODOO_BUS_LOG_LEVEL" in done.stderr


def test_a_port_that_is_taken(gateway, database):
    done = run_gateway("--listen", f"127.0.0.1:{gateway.port}", "--database", database.conninfo)
    assert done.returncode not in (0, None)
    assert str(gateway.port) in done.stderr


def test_the_printed_configuration_is_valid(tmp_path):
    done = run_gateway("--print-config")
    assert done.returncode == 0
    config = tmp_path / "gateway.conf"
    config.write_text(done.stdout)
    done = run_gateway("--config", config, *DATABASE, "--check-config")
    assert done.returncode == 0, done.stderr


def test_the_manual_page_names_every_option_and_is_well_formed(tmp_path):
    page = run_gateway("--print-man").stdout
    known = run_gateway("--help-all").stdout + run_gateway("doctor", "--help").stdout
    for option in re.findall(r"^ +--([a-z-]+)", known, re.MULTILINE):
        assert "\\fB--{}\\fR".format(option).replace("-", "\\-") in page, option
    file = tmp_path / "odoo-bus-gateway.1"
    file.write_text(page)
    groff = shutil.which("groff")
    if groff:
        done = subprocess.run([groff, "-man", "-Tutf8", "-ww", "-z", file], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
