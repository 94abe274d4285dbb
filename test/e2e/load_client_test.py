"""The load client of the benchmarks tells a loss and a double when one is injected."""
import subprocess

from harness.system import ROOT


def test_the_load_client_reports_what_is_wrong():
    done = subprocess.run([ROOT / "bench" / "load_client_check"], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
