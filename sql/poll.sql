-- poll.sql: missed notifications, and the deletion of old rows.
CREATE EXTENSION odoo_bus;
SELECT bus_create_table();
SELECT bus_last_id();
SELECT bus_sendmany(ARRAY['a', 'b', 'a', 'c'], 't', '{"n": 1}');
SELECT bus_last_id();
SELECT * FROM bus_poll(ARRAY[bus_channel('a'), bus_channel('b')], 1);
SELECT * FROM bus_poll(ARRAY[bus_channel('a')], 4);
SELECT * FROM bus_poll('{}', 0);
-- Names are those of channels.
SELECT * FROM bus_poll('{b,c,NULL}', 1);
SELECT * FROM bus_poll(ARRAY['b', ''], 1);

-- 0, and an unknown id, stand for the last 50 seconds.
UPDATE bus_bus SET create_date = create_date - interval '51 seconds' WHERE id = 1;
SELECT id FROM bus_poll(ARRAY[bus_channel('a'), bus_channel('b')], 0);
SELECT id FROM bus_poll(ARRAY[bus_channel('a'), bus_channel('b')], 5);
SET timezone = 'Asia/Kathmandu';
SELECT id FROM bus_poll(ARRAY[bus_channel('a'), bus_channel('b')], 0);
RESET timezone;

-- Rows of others that no client could read are left out, and take no other row away.
INSERT INTO bus_bus (channel, message, create_date)
SELECT bus_channel('bad'), message, now() AT TIME ZONE 'UTC' FROM (VALUES ('{"type": "t", "payload": 1}'),
    ('{"type": "t", "payload": "a\u0000b"}'), ('{"type": "t", "payload": "\ud83d"}'), ('{"type": "t", "payload": "\udc00x"}'),
    ('no JSON'), (''), ('{"type": "t", "payload": 1e1000000}'), (repeat('[', 100000)), (NULL), ('{"type": "t", "payload": 2}')
) AS foreign_rows (message);
SELECT message FROM bus_poll(ARRAY[bus_channel('bad')], 0);
SELECT message FROM bus_poll(ARRAY[bus_channel('bad')], 4);
BEGIN;
DECLARE polled CURSOR FOR SELECT message FROM bus_poll(ARRAY[bus_channel('bad')], 0);
FETCH ALL FROM polled;
COMMIT;

-- Deletion by age, oldest ids first, a limited number at a time.
TRUNCATE bus_bus RESTART IDENTITY;
SELECT array_length(bus_sendmany(array_agg('c' || i), 't', NULL), 1) FROM generate_series(1, 10) AS i;
SELECT bus_gc();
UPDATE bus_bus SET create_date = create_date - interval '25 hours' WHERE id > 2;
SELECT bus_gc(max_rows => 3);
SELECT array_agg(id ORDER BY id) FROM bus_bus;
SELECT bus_gc('26 hours');
CALL bus_gc_all(max_rows => 2);
SELECT array_agg(id ORDER BY id) FROM bus_bus;
SELECT bus_gc('0');
SELECT bus_last_id();

-- A row that is dated in the future, or never, does not stay for ever.
TRUNCATE bus_bus RESTART IDENTITY;
INSERT INTO bus_bus (channel, message, create_date)
SELECT 'c', 'm', date FROM (VALUES ('2099-01-01'::timestamp), ('infinity'), (now() AT TIME ZONE 'UTC' - interval '25 hours'),
    ('2099-01-01'), (now() AT TIME ZONE 'UTC'), ('infinity')) AS rows (date);
SELECT bus_gc(max_rows => 2);
SELECT array_agg(id ORDER BY id) FROM bus_bus;
SELECT bus_gc();
SELECT array_agg(id ORDER BY id) FROM bus_bus;

-- The last id is that of the sequence, even if no row is left.
SELECT last_id, ids_left FROM bus_stat;
SELECT setval('bus_bus_id_seq', 1932735282);
SELECT bus_sendone('c', 't', NULL);
SELECT bus_sendone('c', 't', NULL);
SELECT bus_sendone('c', 't', NULL);
SELECT last_id, ids_left, split_part(warning, '; old rows', 1) AS warning FROM bus_stat;
SELECT setval('bus_bus_id_seq', 2147483647);
SELECT bus_sendone('c', 't', NULL);
DROP TABLE bus_bus;

-- bigint ids, for a database without Odoo.
SELECT bus_create_table(bigint_ids => true);
SELECT setval('bus_bus_id_seq', 2147483647);
SELECT bus_sendone('c', 't', NULL), bus_sendmany(ARRAY['c', 'c'], 't', NULL);
SELECT last_id, ids_left FROM bus_stat;
DROP TABLE bus_bus;
DROP EXTENSION odoo_bus;
