"""A private pgbouncer in front of a private cluster."""
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from .deadline import DEADLINE
from .ports import reserve_port
from .system import clean_environment, give_to_server_user, server_user
from .wait import until


class PgBouncer:
    """with PgBouncer(cluster, "transaction", "a_role", default_pool_size=3) as pooler: pooler.conninfo("mydb")

    Everyone is let in, and connected as `role`."""

    def __init__(self, cluster, pool_mode, role, port=None, **settings):
        self.role = role
        self.port = port or reserve_port()
        self.directory = Path(tempfile.mkdtemp(prefix="odoo_bus_pgbouncer."))
        self.directory.chmod(0o755)
        give_to_server_user(self.directory)
        self.configuration = self.directory / "pgbouncer.ini"
        self.configuration.write_text(
            f"[databases]\n* = host={cluster.host} port={cluster.port} user={role}\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = any\npool_mode = {pool_mode}\n"
            "ignore_startup_parameters = extra_float_digits\n"
            + "".join(f"{name} = {value}\n" for name, value in settings.items()))
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen([shutil.which("pgbouncer", path="/usr/sbin:/usr/bin"), self.configuration],
                                        env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, **server_user())
        until(self._answers, lambda: "pgbouncer does not listen")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(DEADLINE)
        shutil.rmtree(self.directory, ignore_errors=True)

    def conninfo(self, dbname):
        return f"host=127.0.0.1 port={self.port} user={self.role} dbname={dbname}"

    def _answers(self):
        assert self.process.poll() is None, "pgbouncer did not start"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
