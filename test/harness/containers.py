"""Images and containers by podman, in a storage of the tests' own, without a network of their own."""
import base64
import contextlib
import json
import subprocess

import yaml

from .deadline import DEADLINE
from .ports import reserve_port
from .system import ROOT, clean_environment
from .wait import until


class Containers:
    """with Containers(root) as containers: containers.run("odoo-bus-gateway:1.0", environment={...})"""

    def __init__(self, root):
        self.root = root
        self.storage = ["--root", root / "storage", "--runroot", root / "run"]
        self.configuration = root / "containers.conf"
        # Those that are set otherwise may be higher than this process may set.
        self.configuration.write_text('[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]\n')
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for container in reversed(self.started):
            container.remove()

    def podman(self, *arguments, check=True, input=None):
        command = ["podman", *self.storage, "--runtime", "runc", "--cgroup-manager", "cgroupfs", *arguments]
        done = subprocess.run(list(map(str, command)), env=clean_environment(CONTAINERS_CONF=str(self.configuration)),
                              input=input, capture_output=True, text=True, timeout=4 * DEADLINE)
        assert done.returncode == 0 or not check, f"podman {arguments[0]}: {done.stderr or done.stdout}"
        return done

    def build(self):
        """Runs `make images` with the bases that test/images/prepare has made."""
        buildah = " ".join(["buildah", *map(str, self.storage)])
        subprocess.run([ROOT / "deploy/build-images"], check=True,
                       env=clean_environment(ODOO_BUS_BUILDAH=buildah, BUILDAH_ISOLATION="chroot"))

    def image(self, name):
        """What is known of it."""
        return json.loads(self.podman("image", "inspect", name).stdout)[0]

    def run(self, image, *command, environment=None, options=()):
        container = Container(self, image, command, environment or {}, options)
        self.started.append(container)
        return container

    @contextlib.contextmanager
    def play(self, documents, secrets):
        """Kubernetes objects by `podman kube play`. Its 4.3 cannot read a Secret that it has made, so `secrets`,
        {name: {key: value}}, are made by podman."""
        text = yaml.safe_dump_all(documents)
        for name, data in secrets.items():
            encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
            self.podman("secret", "rm", name, check=False)
            self.podman("secret", "create", name, "-", input=json.dumps(encoded))
        try:
            self.podman("kube", "play", "--network", "host", "-", input=text)
            yield
        finally:
            self.podman("kube", "down", "-", check=False, input=text)
            for name in secrets:
                self.podman("secret", "rm", name, check=False)


class Container:
    def __init__(self, containers, image, command, environment, options):
        self.containers = containers
        variables = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
        self.identifier = containers.podman("run", "--detach", "--network", "host", *variables, *options, image, *command).stdout.strip()

    def podman(self, action, *arguments, **options):
        return self.containers.podman(action, self.identifier, *arguments, **options)

    def execute(self, *command, check=True):
        return self.podman("exec", *command, check=check)

    def log(self):
        done = self.podman("logs", check=False)
        return done.stdout + done.stderr

    def wait_for_log(self, text, count=1):
        until(lambda: self.log().count(text) >= count, lambda: f"{text!r} is not in the log:\n{self.log()}", interval=0.5)

    def is_healthy(self):
        """By the HEALTHCHECK of its image."""
        return self.containers.podman("healthcheck", "run", self.identifier, check=False).returncode == 0

    def remove(self):
        self.containers.podman("rm", "--force", "--time", "5", "--volumes", self.identifier, check=False)


class PostgresContainer(Container):
    """What docker/compose.yaml calls postgresql, at a port of its own."""

    def __init__(self, containers, image, *command, options=()):
        self.port = reserve_port()
        super().__init__(containers, image, [*command, "-p", self.port, "-c", "listen_addresses=127.0.0.1"],
                         {"POSTGRES_USER": "odoo", "POSTGRES_PASSWORD": "odoo", "POSTGRES_DB": "postgres", "PGPORT": self.port}, options)
        containers.started.append(self)
        until(lambda: self.execute("pg_isready", "-q", "-h", "127.0.0.1", "-p", self.port, check=False).returncode == 0,
              lambda: f"PostgreSQL does not answer:\n{self.log()}", interval=0.5)

    def sql(self, statement, dbname="postgres"):
        psql = ["psql", "-XAtq", "-h", "127.0.0.1", "-p", self.port, "-U", "odoo", "-d", dbname, "-v", "ON_ERROR_STOP=1"]
        return self.containers.podman("exec", "--env", "PGPASSWORD=odoo", self.identifier, *psql, "-c", statement).stdout.strip()
