"""deploy/kubernetes/, by the published schemas, and what they say of the gateway. test/images runs them."""
import json
import re
import shutil
import subprocess

import pytest
import yaml

from harness.gateway import run_gateway
from harness.system import ROOT

DIRECTORY = ROOT / "deploy/kubernetes"
MODULES = ROOT / "build/kubernetes/node_modules"
GATEWAY = list(yaml.safe_load_all((DIRECTORY / "odoo-bus-gateway.yaml").read_text()))
INGRESSES = [yaml.safe_load((DIRECTORY / f"ingress-{each}.yaml").read_text()) for each in ("nginx", "traefik")]


def the(kind):
    [found] = [document for document in GATEWAY if document["kind"] == kind]
    return found


POD = the("Deployment")["spec"]["template"]
CONTAINER, = POD["spec"]["containers"]


def judged(documents):
    if not MODULES.exists() or not shutil.which("node"):
        pytest.skip("the schemas are missing: deploy/install-dependencies")
    done = subprocess.run(["node", ROOT / "test/kubernetes/validate.mjs", MODULES], input=json.dumps(documents),
                          capture_output=True, text=True)
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


def test_they_are_what_the_schemas_say():
    assert judged(GATEWAY + INGRESSES) == []


def test_the_schemas_would_tell():
    broken = json.loads(json.dumps(the("Deployment")))
    broken["spec"]["replica"] = broken["spec"].pop("replicas")
    broken["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] = "x"
    told = judged([broken])
    assert len(told) == 2 and "containerPort must be integer" in told[0] and told[1] == "Deployment: /spec/replica is unknown"


def test_the_gateway_takes_its_configuration():
    environment = the("ConfigMap")["data"] | the("Secret")["stringData"]
    options = set(re.findall(r"^#([a-z-]+) =", run_gateway("--print-config").stdout, flags=re.M))
    for variable in environment:
        assert variable.removeprefix("ODOO_BUS_").lower().replace("_", "-") in options
    done = run_gateway("--check-config", environment=environment | {"ODOO_BUS_STATE_DIR": ""})
    assert (done.returncode, done.stdout, done.stderr) == (0, "the configuration is valid\n", "")


def test_what_selects_it_is_what_it_has():
    labels = POD["metadata"]["labels"].items()
    for selector in (the("Deployment")["spec"]["selector"]["matchLabels"], the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
                     the("Service")["spec"]["selector"]):
        assert selector and selector.items() <= labels
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert {port["targetPort"] for port in the("Service")["spec"]["ports"]} == ports.keys()
    assert the("ConfigMap")["data"]["ODOO_BUS_METRICS_LISTEN"].endswith(f":{ports['metrics']}")
    assert f"ODOO_BUS_LISTEN=0.0.0.0:{ports['http']}" in (ROOT / "docker/Dockerfile").read_text()
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        [(_, how)] = [(key, how) for key, how in CONTAINER[probe].items() if key in ("tcpSocket", "httpGet")]
        assert how["port"] in ports
    assert {name for source in CONTAINER["envFrom"] for reference in source.values() for name in reference.values()} \
        == {the("ConfigMap")["metadata"]["name"], the("Secret")["metadata"]["name"]}


def test_it_has_the_time_to_drain():
    before = int(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
    assert POD["spec"]["terminationGracePeriodSeconds"] > int(the("ConfigMap")["data"]["ODOO_BUS_DRAIN_SECONDS"]) + before


def test_it_has_no_rights():
    pod, container = POD["spec"]["securityContext"], CONTAINER["securityContext"]
    [user] = re.findall(r"^USER (\d+)$", (ROOT / "docker/Dockerfile").read_text(), re.M)
    assert pod["runAsNonRoot"] and pod["runAsUser"] == pod["fsGroup"] == int(user)
    assert container["readOnlyRootFilesystem"] and not container["allowPrivilegeEscalation"]
    assert container["capabilities"] == {"drop": ["ALL"]}
    [mount] = CONTAINER["volumeMounts"]
    assert the("ConfigMap")["data"]["ODOO_BUS_STATE_DIR"].startswith(mount["mountPath"] + "/")


def test_only_the_gateways_paths_come_here():
    site = (ROOT / "deploy/proxies/haproxy.cfg").read_text()
    paths = re.search(r"acl of_the_gateway path (.*)", site)[1].split()
    for ingress in INGRESSES:
        [rule] = ingress["spec"]["rules"]
        assert [(each["path"], each["pathType"]) for each in rule["http"]["paths"]] == [(path, "Exact") for path in paths]
        assert {json.dumps(each["backend"]) for each in rule["http"]["paths"]} == {
            json.dumps({"service": {"name": the("Service")["metadata"]["name"], "port": {"name": "http"}}})}
