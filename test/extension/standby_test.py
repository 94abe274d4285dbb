"""A hot standby reads, and refuses to send with PostgreSQL's own error; promoted, it sends."""
import psycopg
import pytest

from harness.standby import Standby


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
