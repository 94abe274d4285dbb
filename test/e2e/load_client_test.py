"""The load client of the benchmarks tells a loss and a double when one is injected; what it tells of a take-over."""
import subprocess

from harness.deadline import scaled
from harness.system import ROOT


def test_the_load_client_reports_what_is_wrong():
    done = subprocess.run([ROOT / "bench" / "load_client_check"], capture_output=True, text=True, timeout=scaled(240))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_take_over_under_load_loses_doubles_and_refuses_nothing():
    """The whole number, 5,000 connections and 1,000 notifications a second, is `bench/take_over`'s own."""
    done = subprocess.run([ROOT / "bench" / "take_over", "--connections", "500", "--rate", "200", "--churn", "50", "--pause", "2",
                           "--drain", "2", "--require"], capture_output=True, text=True, timeout=scaled(400))
    assert done.returncode == 0, done.stdout + done.stderr
