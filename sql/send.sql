-- send.sql: sending writes the same rows as Odoo.
CREATE EXTENSION odoo_bus;
SELECT bus_create_table();
CREATE VIEW sent AS
    SELECT id, replace(channel, to_json(current_database())::text, '"db"') AS channel, message FROM bus_bus ORDER BY id;

-- To a name, to a record, to a part of a record. A NULL payload is JSON null.
SELECT bus_sendone('my_module_live', 'my_module.update', '{"record_id": 7}');
SELECT bus_sendone('res.partner', 3, 'my_module.update', '[1, "two", {"three": null}]');
SELECT bus_sendone('res.partner', 3, 'presence', 'my_module.update', 'true');
SELECT bus_sendone('broadcast', 'my_module.update', NULL);

-- Many at once: in the format of Odoo's _sendmany, or one notification to many.
SELECT bus_sendmany('[["my_module_live", "my_module.update", {"record_id": 7}],
                      [["res.partner", 3], "my_module.update", "text"],
                      [["res.partner", 3, "presence"], "my_module.update", null]]');
SELECT bus_sendmany(ARRAY['a', 'b', 'a'], 'my_module.update', '{"n": 1}');
SELECT bus_sendmany('res.partner', ARRAY[3, 4], 'my_module.update', '{"n": 2}');
SELECT bus_sendmany('[]'), bus_sendmany('{}'::text[], 't', '1'), bus_sendmany('res.partner', '{}', 't', '1');
SELECT * FROM sent;

-- Dates are the transaction's start in UTC, whatever the session's TimeZone; the other columns are NULL.
BEGIN;
SET LOCAL timezone = 'Asia/Kathmandu';
SELECT bus_sendone('zone', 't', '1') AS id \gset
SELECT create_date = now() AT TIME ZONE 'UTC' AS created, write_date = create_date AS written, create_uid, write_uid
    FROM bus_bus WHERE id = :id;
COMMIT;

-- Messages are ASCII and compact. jsonb orders keys by length, keeps the last of equal ones, prints numbers in full.
TRUNCATE bus_bus;
SELECT bus_sendone('c', E'a "type"\n', '{"long": 1, "b": 2, "b": 3, "a": 1e2, "c": -0.10}') \g /dev/null
SELECT bus_sendone('c', 't', '[[], {}, [[]], {"a": {}, "b": [{}]}, "", 0, false]') \g /dev/null
SELECT bus_sendone('c', 't', to_jsonb(E'\x01\x1f\x7f"\\/\b\f\n\r\t'::text)) \g /dev/null
SELECT bus_sendone('c', 't', '"x"'), bus_sendone('c', 't', '1e400') \g /dev/null
SELECT message FROM bus_bus WHERE length(message) < 200 ORDER BY id;
SELECT message::jsonb -> 'payload' = '1e400' AS equal FROM bus_bus WHERE length(message) > 200;

-- Rows are passed through to_jsonb.
SELECT bus_sendone('c', 't', to_jsonb(r)) AS id FROM (VALUES (7, 'seven')) AS r (record_id, name) \gset
SELECT message FROM bus_bus WHERE id = :id;

-- A payload may be json; literals and parameters stay jsonb, whatever type the other arguments have.
SELECT max(id) AS before FROM bus_bus \gset
SELECT bus_sendone('c', 't', json '{"b": 1, "a": 2}') \g /dev/null
SELECT bus_sendone('m', 1, 't', json '{"b": 1, "a": 2}') \g /dev/null
SELECT bus_sendone('m', 1, 's', 't', json '{"b": 1, "a": 2}') \g /dev/null
SELECT bus_sendmany('{c,d}', 't', json '{"b": 1, "a": 2}') \g /dev/null
SELECT bus_sendmany('m', '{1,2}', 't', json '{"b": 1, "a": 2}') \g /dev/null
SELECT bus_sendone('c', 't', row_to_json(r)) FROM (VALUES (7, 'seven')) AS r (record_id, name) \g /dev/null
SELECT bus_sendone('c', 't', NULL::json) \g /dev/null
SELECT (channel::jsonb) - 0 AS channel, message FROM bus_bus WHERE id > :before ORDER BY id;
SELECT bus_sendone(t, t, '1') > 0, bus_sendone(v, v, '1') > 0, bus_sendone(v, t, '1') > 0, bus_sendone(t, v, '1') > 0,
    bus_sendone(n, n, '1') > 0, bus_sendone(n, t, json '1') > 0, bus_sendone(v, v, jsonb '1') > 0, bus_sendone(v, v, NULL) > 0,
    bus_sendone(t, 1, v, '1') > 0, bus_sendone(v, 1, t, v, '1') > 0, bus_sendone('m', '1', 't', '1') > 0
    FROM (SELECT text 'x' AS t, varchar 'x' AS v, name 'x' AS n) AS of;
PREPARE untyped AS SELECT bus_sendone($1, $2, $3) > 0 AS sent;
EXECUTE untyped('c', 't', '{"a": 1}');
\set VERBOSITY terse
SELECT bus_sendone('c', 't', json '{"a": "\u0000"}');
\set VERBOSITY default

-- The table is that of the function's schema, whatever the search_path.
CREATE SCHEMA elsewhere;
CREATE TABLE elsewhere.bus_bus (LIKE bus_bus);
SET search_path = elsewhere;
SELECT public.bus_sendone('path', 't', '1') > 0 AS sent;
SELECT count(*) AS elsewhere FROM elsewhere.bus_bus;
RESET search_path;
SELECT count(*) AS here FROM bus_bus WHERE channel = bus_channel('path');
DROP SCHEMA elsewhere CASCADE;

-- A row is visible to the next statement of the same function; a rollback removes it.
DO $$ BEGIN
    PERFORM bus_sendone('inner', 't', '1');
    ASSERT (SELECT count(*) FROM bus_bus WHERE channel = bus_channel('inner')) = 1;
    BEGIN
        PERFORM bus_sendone('undone', 't', '1');
        RAISE division_by_zero;
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
    ASSERT (SELECT count(*) FROM bus_bus WHERE channel = bus_channel('undone')) = 0;
END $$;

SELECT bus_version() ~ '^\d+\.\d+' AS version;
DROP VIEW sent;
DROP EXTENSION odoo_bus;
SELECT count(*) > 0 AS rows_stay FROM bus_bus;
DROP TABLE bus_bus;
