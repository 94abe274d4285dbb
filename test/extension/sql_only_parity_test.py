"""The extension and the functions without C write the same bytes."""
import json
import os
import random

import pytest

from encoding_test import random_payload, random_text
from harness import sql_only

COUNT = 10_000
LATIN1 = [(1, 0x7F), (1, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0xA0, 0xFF)]
ENCODINGS = {"UTF8": None, "LATIN1": LATIN1, "SQL_ASCII": None}  # and the alphabet of each

# n % 5 is the way in which each is sent; of these, one in seven with a payload that is json.
SEND = """
SELECT CASE n % 7 WHEN 0 THEN {schema}.bus_sendone(name, type::varchar, payload::json) ELSE {schema}.bus_sendone(name, type, payload) END
    FROM input WHERE n % 5 = 0 ORDER BY n;
SELECT CASE n % 7 WHEN 0 THEN {schema}.bus_sendone(name, id, type::varchar, payload::json)
    ELSE {schema}.bus_sendone(name, id, type, payload) END FROM input WHERE n % 5 = 1 ORDER BY n;
SELECT CASE n % 7 WHEN 0 THEN {schema}.bus_sendone(name, id, part, type::varchar, payload::json)
    ELSE {schema}.bus_sendone(name, id, part, type, payload) END FROM input WHERE n % 5 = 2 ORDER BY n;
SELECT {schema}.bus_sendmany(jsonb_agg(jsonb_build_array(CASE n % 3 WHEN 0 THEN to_jsonb(name)
    WHEN 1 THEN jsonb_build_array(name, id) ELSE jsonb_build_array(name, id, part) END, type, payload) ORDER BY n))
    FROM input WHERE n % 5 = 3 GROUP BY n / 100 ORDER BY n / 100;
SELECT {schema}.bus_sendmany(array_agg(name ORDER BY n), (array_agg(type ORDER BY n))[1], (array_agg(payload ORDER BY n))[1])
    FROM input WHERE n % 5 = 4 GROUP BY n / 100 ORDER BY n / 100;
"""


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_ten_thousand_random_notifications_are_the_same_bytes(make_database, encoding):
    database = make_database(extension=False, encoding=f"'{encoding}'", template="template0", locale="'C'")
    if int(database.value("SHOW server_version_num")) < sql_only.LEAST_VERSION:
        pytest.skip("bodies in standard SQL came with PostgreSQL 14")
    database.execute("CREATE SCHEMA c; CREATE EXTENSION odoo_bus SCHEMA c; SELECT c.bus_create_table(); CREATE SCHEMA s")
    sql_only.run(database, schema="s")
    database.execute("SELECT s.bus_create_table(); "
                     "CREATE TABLE input (n int, name text, id bigint, part text, type text, payload jsonb)")
    seed = int(os.environ.get("ODOO_BUS_TEST_SEED", random.randrange(2**32)))
    rng = random.Random(seed)

    def text():
        return random_text(rng, ENCODINGS[encoding])

    with database.connect() as connection:
        # Text is sent as it is: in an SQL_ASCII database no escape of JSON may stand for another character than ASCII.
        connection.execute("SET client_encoding = " + ("SQL_ASCII" if encoding == "SQL_ASCII" else "UTF8"))
        with connection.cursor().copy("COPY input FROM STDIN") as copy:
            for n in range(COUNT):
                payload = json.dumps(random_payload(rng, text), ensure_ascii=False)
                copy.write_row((n, text(), rng.randint(-2**63, 2**63 - 1), text(), text(), payload))
        for schema in ("c", "s"):
            connection.execute(SEND.format(schema=schema))
        different = connection.execute(
            "SELECT c.id, c.channel, s.channel, c.message, s.message FROM c.bus_bus AS c FULL JOIN s.bus_bus AS s USING (id) "
            "WHERE c.channel IS DISTINCT FROM s.channel OR c.message IS DISTINCT FROM s.message ORDER BY 1 LIMIT 3").fetchall()
        assert different == [], f"ODOO_BUS_TEST_SEED={seed}"
        assert connection.execute("SELECT count(*) FROM s.bus_bus").fetchone()[0] == COUNT, f"ODOO_BUS_TEST_SEED={seed}"
