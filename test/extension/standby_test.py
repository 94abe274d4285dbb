"""A hot standby reads, and refuses to send with PostgreSQL's own error; promoted, it sends."""
import tempfile
from pathlib import Path

import psycopg
import pytest

from harness.cluster import Cluster
from harness.system import free_port, give_to_server_user


class Standby(Cluster):
    """Follows a running cluster."""

    def __init__(self, primary):
        self.bin = primary.bin
        self.directory = Path(tempfile.mkdtemp(prefix="odoo_bus_standby."))
        self.directory.chmod(0o755)
        give_to_server_user(self.directory)
        self.data = self.directory / "data"
        self.host = str(self.directory)
        self.port = free_port()
        self.log = self.directory / "log"
        self._run("pg_basebackup", "-h", primary.host, "-p", primary.port, "-U", primary.user, "-D", self.data, "-R",
                  "-X", "stream", "--checkpoint=fast", "--no-sync")
        self.configure(port=self.port, unix_socket_directories=self.host, hot_standby=True)

    def promote(self):
        self._pg_ctl("promote")


def test_a_standby_reads_and_does_not_send(cluster, database):
    database.execute("CREATE TABLE t (id int)")
    database.execute("CREATE TRIGGER t AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION bus_record_changed('t', 't')")
    first = database.sendone("c", payload=1)
    with Standby(cluster) as standby, standby.connect(database.name) as connection:
        assert connection.execute("SELECT bus_last_id()").fetchone() == (first,)
        assert connection.execute("SELECT id FROM bus_poll(ARRAY[bus_channel('c')], 0)").fetchall() == [(first,)]
        assert connection.execute("SELECT mode FROM bus_stat").fetchone() == ("notify",)
        for call in ("bus_sendone('c', 't', '1')", "bus_sendmany(ARRAY['c'], 't', '1')", "bus_gc()"):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction, match=call.split("(")[0]):
                connection.execute(f"SELECT {call}")
        standby.promote()
        assert connection.execute("SELECT bus_sendone('c', 't', '1')").fetchone()[0] > first
