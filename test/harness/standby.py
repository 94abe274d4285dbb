"""A hot standby of a private cluster."""
import tempfile
from pathlib import Path

from .cluster import Cluster
from .ports import reserve_port
from .system import give_to_server_user


class Standby(Cluster):
    """Follows a running cluster."""

    def __init__(self, primary):
        self.bin = primary.bin
        self.directory = Path(tempfile.mkdtemp(prefix="odoo_bus_standby."))
        self.directory.chmod(0o755)
        give_to_server_user(self.directory)
        self.data = self.directory / "data"
        self.host = str(self.directory)
        self.port = reserve_port()
        self.log = self.directory / "log"
        self._run("pg_basebackup", "-h", primary.host, "-p", primary.port, "-U", primary.user, "-D", self.data, "-R",
                  "-X", "stream", "--checkpoint=fast", "--no-sync")
        self.configure(port=self.port, unix_socket_directories=self.host, hot_standby=True)

    def promote(self):
        self._pg_ctl("promote")

    def demote(self):
        """Restarts it as a standby that follows nobody, as after a failover to another one."""
        self.stop()
        signal = self.data / "standby.signal"
        signal.touch()
        give_to_server_user(signal)
        self.configure(primary_conninfo="")
        self.start()
