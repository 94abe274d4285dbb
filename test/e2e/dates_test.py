"""Dates of rows, which their writer chooses: no value of PostgreSQL's timestamp stops delivery."""
import json

import pytest

from harness.client import BusClient
from harness.database import stored_channel
from harness.gateway import run_gateway

DATES = ["infinity", "-infinity", "294276-12-31 23:59:59.999999", "294247-01-10 04:00:54.775808", "4713-01-01 00:00:00 BC",
         "1969-12-31 23:59:59.999999", "9999-12-31 23:59:59", "10000-01-01", None]


def insert(database, date, payload):
    database.execute("INSERT INTO bus_bus (channel, message, create_date) VALUES (%s, %s, %s::timestamp)",
                     (stored_channel(database.name, "a"), json.dumps({"type": "t", "payload": payload}), date))


async def test_a_row_of_any_date_is_delivered(make_gateway, database, tmp_path):
    gateway = make_gateway(database, state_dir=tmp_path).start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        for date in DATES:
            insert(database, date, date)
        database.sendone("a", payload="end")
        await client.wait_payload("end")
        assert client.payloads == [*DATES, "end"]
    # A gateway that begins reads them, too, with its state and without it.
    gateway.terminate()
    for options in ({"state_dir": tmp_path}, {"state_dir": None}):
        gateway = make_gateway(database, **options).start()
        async with BusClient(gateway.url, ["a"]) as client:
            await client.subscribed()
            database.sendone("a", payload="again")
            await client.wait_payload("again")
        gateway.terminate()
        assert not any("trying again" in line for line in gateway.lines), gateway.tail()


@pytest.mark.parametrize("date", ["infinity", "-infinity", None])
def test_doctor_tells_the_age_of_the_oldest_row_all_the_same(database, date):
    insert(database, date, "oldest")
    done = run_gateway("doctor", "--json", "--database", database.conninfo)
    rows, = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "postgresql.rows"]
    assert "out of range" not in rows["found"] and "infinite" not in rows["found"], rows
    assert rows["state"] in ("ok", "warning"), rows
