"""deploy/prometheus-alerts.yml, judged by Prometheus' own promtool: each alert is raised by its cause, and by nothing else."""
import re
import subprocess

import pytest
import yaml

from harness.deadline import DEADLINE
from harness.system import ROOT

ALERTS = ROOT / "deploy" / "prometheus-alerts.yml"
RULES = {rule["alert"]: rule for rule in yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]}
DATABASE = 'instance="gw:8074", job="odoo-bus-gateway", database="app"'
GATEWAY = 'instance="gw:8074", job="odoo-bus-gateway"'

# An hour of a healthy gateway, a value every 15 seconds: those of promtool's notation.
HEALTHY = {
    f"up{{{GATEWAY}}}": "1x240",
    f"odoo_bus_database_up{{{DATABASE}}}": "1x240",
    f"odoo_bus_last_read_age_seconds{{{DATABASE}}}": "0.2x240",
    f"odoo_bus_odoo_up{{{GATEWAY}}}": "1x240",
    f"odoo_bus_outdated_total{{{GATEWAY}}}": "7x240",
    f"odoo_bus_rows_left_out_total{{{DATABASE}}}": "2x240",
    f'odoo_bus_read_to_socket_seconds_bucket{{{GATEWAY}, le="0.5"}}': "0+100x240",
    f'odoo_bus_read_to_socket_seconds_bucket{{{GATEWAY}, le="1"}}': "0+100x240",
    f'odoo_bus_read_to_socket_seconds_bucket{{{GATEWAY}, le="+Inf"}}': "0+100x240",
    f'odoo_bus_slow_closes_total{{{GATEWAY}, reason="bytes"}}': "0+0.5x240",
    f'odoo_bus_connections{{{GATEWAY}, transport="websocket"}}': "500x240",
    f"odoo_bus_ledger_gaps_open_seconds{{{DATABASE}}}": "900x240",
    f"odoo_bus_hub_up{{{GATEWAY}}}": "1x240",
    f'odoo_bus_silent_connections{{{GATEWAY}, purpose="hub"}}': "0x240",
    f"odoo_bus_presence_up{{{DATABASE}}}": "1x240",
    f"odoo_bus_delivered_unconfirmed_total{{{GATEWAY}}}": "3x240",
    f"odoo_bus_memory_ceiling_reached{{{GATEWAY}}}": "0x240",
    f"process_open_fds{{{GATEWAY}}}": "100x240",
    f"process_max_fds{{{GATEWAY}}}": "1000x240",
    f'odoo_bus_build_info{{{GATEWAY}, version="1.0"}}': "1x240",
    f"odoo_bus_databases_left_out{{{GATEWAY}}}": "0x240",
    f'odoo_bus_unforwarded_total{{{GATEWAY}, what="event"}}': "5x240",
}
# What goes wrong 30 minutes after the begin.
FAULTS = {
    "OdooBusGatewayDown": {"up": "1x120 0x120"},
    "OdooBusDatabaseNotRead": {"odoo_bus_database_up": "1x120 0x120"},
    "OdooBusOdooDown": {"odoo_bus_odoo_up": "1x120 0x120"},
    "OdooBusMissed": {"odoo_bus_outdated_total": "7x140 8x100"},
    "OdooBusRowsLeftOut": {"odoo_bus_rows_left_out_total": "2x140 3x100"},
    "OdooBusSlow": {'odoo_bus_read_to_socket_seconds_bucket{le="0.5"}': "0+100x120 12000+98x120"},
    "OdooBusSlowClients": {"odoo_bus_slow_closes_total": "0+1x240"},
    "OdooBusGapsStayOpen": {"odoo_bus_ledger_gaps_open_seconds": "0+15x240"},
    "OdooBusHubDown": {"odoo_bus_hub_up": "1x120 0x120"},
    "OdooBusConnectionSilent": {"odoo_bus_silent_connections": "0x120 1x120"},
    "OdooBusPresenceNotWritten": {"odoo_bus_presence_up": "1x120 0x120"},
    "OdooBusUnconfirmed": {"odoo_bus_delivered_unconfirmed_total": "3x120 3+1x120"},
    "OdooBusMemoryAtItsCeiling": {"odoo_bus_memory_ceiling_reached": "0x120 1x120"},
    "OdooBusDescriptorsRunOut": {"process_open_fds": "100x120 950x120"},
    "OdooBusDatabasesLeftOut": {"odoo_bus_databases_left_out": "0x120 3x120"},
    "OdooBusNotForwarded": {"odoo_bus_unforwarded_total": "5x140 6x100"},
}
OTHER_FAULTS = {
    "a database that does not answer": ("OdooBusDatabaseNotRead",
                                        {"odoo_bus_last_read_age_seconds": "0.2x120 0+15x120"}),
}


def with_fault(changes):
    """The healthy hour, but for these series, each named by its metric, and one label where it has several series."""
    series = dict(HEALTHY)
    for name, values in changes.items():
        metric, _, label = name.rstrip("}").partition("{")
        found = [each for each in series if each.startswith(metric + "{") and label in each]
        assert len(found) == 1, found
        series[found[0]] = values
    return series


def raised(series, tmp_path, minutes=42):
    """The alerts that are raised then, as promtool tells them when none is expected."""
    tests = [{"interval": "15s", "input_series": [{"series": name, "values": values} for name, values in series.items()],
              "alert_rule_test": [{"eval_time": f"{minutes}m", "alertname": name} for name in RULES]}]
    file = tmp_path / "alerts_test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "evaluation_interval": "15s", "tests": tests}))
    done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, timeout=DEADLINE)
    told = done.stdout + done.stderr
    assert done.returncode == 0 or "FAILED" in told, told
    names = re.findall(r'alertname:\s*(\w+), time: \w+,\s*\n\s*exp:\[\s*\],\s*\n\s*got:\[', told)
    assert bool(names) == (done.returncode != 0), told
    return sorted(names)


def test_they_are_valid_and_say_what_to_do():
    done = subprocess.run(["promtool", "check", "rules", ALERTS], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, rule in RULES.items():
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        assert rule["annotations"]["summary"] and rule["annotations"]["description"], name
    options = set(re.findall(r"--[a-z][a-z-]+", ALERTS.read_text()))
    assert options <= set(re.findall(r"--[a-z][a-z-]+", (ROOT / "docs" / "gateway-options.md").read_text()))


def test_they_ask_for_metrics_that_there_are():
    documented = set(re.findall(r"^\| `([a-z_]+)`", (ROOT / "docs" / "metrics.md").read_text(), re.M))
    asked = {re.sub("_bucket$", "", name) for rule in RULES.values()
             for name in re.findall(r"(?:odoo_bus|process)_[a-z_]+", rule["expr"])}
    assert len(asked) > 15
    assert asked <= documented


def test_a_healthy_gateway_raises_none(tmp_path):
    assert raised(HEALTHY, tmp_path) == []


def test_each_alert_has_a_fault():
    assert set(FAULTS) == set(RULES)


@pytest.mark.parametrize("alert", FAULTS)
def test_a_fault_raises_its_alert_alone(alert, tmp_path):
    assert raised(with_fault(FAULTS[alert]), tmp_path) == [alert]


@pytest.mark.parametrize("alert, changes", OTHER_FAULTS.values(), ids=OTHER_FAULTS)
def test_other_faults(alert, changes, tmp_path):
    assert raised(with_fault(changes), tmp_path) == [alert]
