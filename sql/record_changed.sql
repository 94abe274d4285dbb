-- record_changed.sql: a trigger sends the names of the changed columns of a row.
CREATE EXTENSION odoo_bus;
SELECT bus_create_table();
CREATE FUNCTION told() RETURNS TABLE (channel text, type text, payload text) LANGUAGE sql AS $$
    WITH taken AS (DELETE FROM bus_bus RETURNING *)
    SELECT channel::json ->> 1, message::json ->> 'type', message::json ->> 'payload' FROM taken ORDER BY id $$;

CREATE TABLE sale_order (id serial PRIMARY KEY, name varchar, state varchar DEFAULT 'draft', note text, partner_id int);
CREATE TRIGGER bus AFTER INSERT OR UPDATE OR DELETE ON sale_order FOR EACH ROW
    EXECUTE FUNCTION bus_record_changed('my_module_record_%s', 'my_module.record_updated');

INSERT INTO sale_order (id, name) VALUES (7, 'S0007');
SELECT * FROM told();
UPDATE sale_order SET name = 'S7', state = 'sale' WHERE id = 7;
SELECT * FROM told();
-- Nothing is sent if nothing has changed.
UPDATE sale_order SET name = name, state = 'sale', note = NULL;
SELECT * FROM told();
-- From and to NULL; a long value that is stored out of line.
UPDATE sale_order SET note = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) AS i), state = NULL;
SELECT * FROM told();
UPDATE sale_order SET note = note || '', partner_id = 3;
SELECT * FROM told();
-- Columns that are added and dropped.
ALTER TABLE sale_order DROP COLUMN state, ADD COLUMN "Größe" int DEFAULT 5;
UPDATE sale_order SET "Größe" = 6;
SELECT * FROM told();
-- A change of the key is a delete on one channel and an insert on another.
UPDATE sale_order SET id = 8;
SELECT * FROM told();
DELETE FROM sale_order;
SELECT * FROM told();

-- Another key column, and observed columns. A row whose key is NULL has no channel.
DROP TRIGGER bus ON sale_order;
CREATE TRIGGER bus AFTER INSERT OR UPDATE OR DELETE ON sale_order FOR EACH ROW
    EXECUTE FUNCTION bus_record_changed('orders_of_%s_%s', 'my_module.orders', 'partner_id', 'name, note');
INSERT INTO sale_order (id, name) VALUES (9, 'S0009');
SELECT * FROM told();
UPDATE sale_order SET partner_id = 3;
SELECT * FROM told();
UPDATE sale_order SET id = 10;
SELECT * FROM told();
UPDATE sale_order SET name = 'S10';
SELECT * FROM told();
UPDATE sale_order SET partner_id = NULL;
SELECT * FROM told();
DELETE FROM sale_order;
SELECT * FROM told();

-- A key that is not an integer is a JSON string.
CREATE TABLE parameter (key text PRIMARY KEY, value text);
CREATE TRIGGER bus AFTER INSERT OR UPDATE OR DELETE ON parameter FOR EACH ROW
    EXECUTE FUNCTION bus_record_changed('parameters', 'parameter', 'key', '"value"');
INSERT INTO parameter VALUES (E'a "b"\n', '1');
SELECT * FROM told();
CREATE DOMAIN number AS bigint;
CREATE TABLE numbered (id number, value text);
CREATE TRIGGER bus AFTER INSERT ON numbered FOR EACH ROW EXECUTE FUNCTION bus_record_changed('n%s%', 'n');
INSERT INTO numbered VALUES (9223372036854775807, 'x');
SELECT * FROM told();

-- A key is spelled alike in every session, whatever its settings.
CREATE TYPE kinds AS (day date, price money);
CREATE TABLE keyed (v int, day date, at timestamptz, span interval, n float8, raw bytea, price money, rel regclass,
    days daterange, list timestamptz[], kind kinds);
INSERT INTO keyed VALUES (0, '2026-11-29', '2026-11-29 03:00+00', '1 day 02:03:04', 0.1, '\xdead', '1.50', 'sale_order',
    '[2026-11-29,2026-12-01)', '{2026-11-29 03:00+00}', ROW('2026-11-29', '2.50'));
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{day,at,span,n,raw,price,rel,days,list,kind}'::text[] LOOP
        EXECUTE format('CREATE TRIGGER %I AFTER UPDATE ON keyed FOR EACH ROW EXECUTE FUNCTION bus_record_changed(%L, %L, %L, %L)',
            'by_' || name, name || ' %s', 'k', name, 'v');
    END LOOP;
END $$;
UPDATE keyed SET v = v + 1;
SET datestyle = 'German';
SET intervalstyle = 'iso_8601';
SET timezone = 'Asia/Tokyo';
SET bytea_output = 'escape';
SET extra_float_digits = -15;
CREATE SCHEMA other;
SET search_path = other, public;
CREATE TABLE other.sale_order ();
SET quote_all_identifiers = on;
UPDATE keyed SET v = v + 1;
SHOW datestyle;
SHOW timezone;
RESET ALL;
SELECT channel, count(*) FROM told() GROUP BY channel ORDER BY channel COLLATE "C";
DROP SCHEMA other CASCADE;
DROP TABLE keyed;
DROP TYPE kinds;

-- Partitions, ON CONFLICT and referential actions.
CREATE TABLE part (id int PRIMARY KEY, value int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 (value int, id int NOT NULL);
ALTER TABLE part ATTACH PARTITION part_2 FOR VALUES FROM (10) TO (20);
CREATE TRIGGER bus AFTER INSERT OR UPDATE OR DELETE ON part FOR EACH ROW
    EXECUTE FUNCTION bus_record_changed('part_%s', 'p', 'id', 'value');
INSERT INTO part VALUES (1, 1), (11, 1);
INSERT INTO part VALUES (1, 1), (11, 2) ON CONFLICT (id) DO UPDATE SET value = EXCLUDED.value;
SELECT * FROM told();
CREATE TABLE child (id int, part_id int REFERENCES part ON DELETE SET NULL);
CREATE TRIGGER bus AFTER UPDATE ON child FOR EACH ROW EXECUTE FUNCTION bus_record_changed('child_%s', 'c');
INSERT INTO child VALUES (1, 1);
DELETE FROM part WHERE id = 1;
SELECT * FROM told();

-- A rollback discards notifications.
BEGIN;
UPDATE child SET id = 2;
ROLLBACK;
SELECT * FROM told();

-- Invalid triggers raise an error when they fire.
CREATE TABLE wrong (id int, value int);
CREATE FUNCTION try(trigger_definition text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE message text;
BEGIN
    EXECUTE 'CREATE TRIGGER bus ' || trigger_definition;
    INSERT INTO wrong VALUES (1, 1);
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
    RETURN SQLSTATE || ': ' || message;
END $$;
SELECT try('BEFORE INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION bus_record_changed(''c'', ''t'')');
SELECT try('AFTER INSERT ON wrong EXECUTE FUNCTION bus_record_changed(''c'', ''t'')');
SELECT try('AFTER INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION bus_record_changed(''c'')');
SELECT try('AFTER INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION bus_record_changed(''c'', ''t'', ''id'', ''id'', ''x'')');
SELECT try('AFTER INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION bus_record_changed('''', ''t'')');
SELECT try('AFTER INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION bus_record_changed(''c'', '''')');
SELECT try('AFTER INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION bus_record_changed(''c'', ''t'', ''key'')');
SELECT try('AFTER INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION bus_record_changed(''c'', ''t'', ''id'', ''value, colour'')');
SELECT try('AFTER INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION bus_record_changed(''c'', ''t'', ''id'', '''')');
SELECT try('AFTER INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION bus_record_changed(''c'', ''t'', ''id'', ''value,,id'')');
SELECT try('AFTER INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION bus_record_changed(''c'', ''t'')');
SELECT bus_record_changed();

-- The hint for a role that may write the table, but not send.
CREATE ROLE regress_bus_clerk;
GRANT USAGE ON SCHEMA public TO regress_bus_clerk;
GRANT SELECT, UPDATE ON child TO regress_bus_clerk;
SET ROLE regress_bus_clerk;
UPDATE child SET id = 3;
RESET ROLE;

DROP TABLE bus_bus, sale_order, parameter, numbered, child, part, wrong;
DROP DOMAIN number;
DROP FUNCTION told(), try(text);
DROP EXTENSION odoo_bus;
REVOKE USAGE ON SCHEMA public FROM regress_bus_clerk;
DROP ROLE regress_bus_clerk;
