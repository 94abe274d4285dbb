"""deploy/odoo-bus-gateway-minimal.conf: few settings, which the gateway accepts as they stand."""
from harness.gateway import run_gateway
from harness.system import ROOT

FILE = ROOT / "deploy/odoo-bus-gateway-minimal.conf"
SETTINGS = [line for line in FILE.read_text().splitlines() if line and not line.startswith("#")]


def test_it_is_minimal():
    assert 0 < len(SETTINGS) <= 5


def test_the_gateway_accepts_it():
    done = run_gateway("--config", FILE, "--check-config")
    assert (done.returncode, done.stderr) == (0, "")
