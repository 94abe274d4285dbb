-- table.sql: a call uses the current definition of bus_bus, whatever has changed since the last one.
CREATE EXTENSION odoo_bus;
SELECT bus_create_table();
SELECT bus_sendone('c', 't', '1'), bus_sendmany(ARRAY['c', 'd'], 't', '1');

-- Columns are found by their names.
ALTER TABLE bus_bus DROP COLUMN create_uid, DROP COLUMN channel, ADD COLUMN extra text, ADD COLUMN channel varchar;
SELECT bus_sendone('c', 't', '1');
SELECT id, channel = bus_channel('c') AS channel, message, extra FROM bus_bus WHERE id = 4;
ALTER TABLE bus_bus RENAME COLUMN message TO text;
SELECT bus_sendone('c', 't', '1');
ALTER TABLE bus_bus RENAME COLUMN text TO message;
ALTER TABLE bus_bus ALTER COLUMN message TYPE json USING message::json;
SELECT bus_sendone('c', 't', '1');
ALTER TABLE bus_bus ALTER COLUMN message TYPE text;
SELECT bus_sendone('c', 't', '1');

-- Dropped and created again, renamed, moved: in the same session, with cached descriptions.
DROP TABLE bus_bus;
SELECT bus_sendone('c', 't', '1');
SELECT bus_create_table(true);
SELECT bus_sendone('c', 't', '1');
ALTER TABLE bus_bus RENAME TO bus_bus_old;
SELECT bus_sendone('c', 't', '1');
SELECT bus_create_table();
SELECT bus_sendone('c', 't', '1');
SELECT (SELECT count(*) FROM bus_bus_old) AS old, (SELECT count(*) FROM bus_bus) AS new;
DROP TABLE bus_bus;
ALTER TABLE bus_bus_old RENAME TO bus_bus;
SELECT bus_sendone('c', 't', '1');
ALTER SEQUENCE bus_bus_id_seq RENAME TO other_seq;
SELECT bus_sendone('c', 't', '1');
ALTER SCHEMA public RENAME TO other;
SELECT other.bus_sendone('c', 't', '1');
ALTER SCHEMA other RENAME TO public;
SELECT bus_sendone('c', 't', '1');
DROP TABLE bus_bus;
CREATE VIEW bus_bus AS SELECT 1 AS id;
SELECT bus_sendone('c', 't', '1');
DROP VIEW bus_bus;
CREATE TABLE bus_bus (id int);
SELECT bus_sendone('c', 't', '1');
DROP TABLE bus_bus;

-- Properties of the table apply: constraints and generated columns,
SELECT bus_create_table();
ALTER TABLE bus_bus ADD CONSTRAINT small CHECK (length(message) < 40),
    ADD COLUMN size int GENERATED ALWAYS AS (length(message)) STORED;
SELECT bus_sendone('c', 't', '1'), bus_sendone('c', 't', '"0123456789"');
\set VERBOSITY terse
SELECT bus_sendone('c', 't', to_jsonb(repeat('x', 40)));
\set VERBOSITY default
SELECT id, size FROM bus_bus ORDER BY id;
ALTER TABLE bus_bus DROP CONSTRAINT small;

-- foreign keys as Odoo's, now with a default,
CREATE TABLE res_users (id int PRIMARY KEY);
ALTER TABLE bus_bus ADD FOREIGN KEY (create_uid) REFERENCES res_users;
SELECT bus_sendone('c', 't', '1') IS NOT NULL AS sent;
ALTER TABLE bus_bus ALTER COLUMN create_uid SET DEFAULT 1;
SELECT bus_sendone('c', 't', '1');
INSERT INTO res_users VALUES (1);
SELECT bus_sendone('c', 't', '1') AS id \gset
SELECT create_uid, size, message FROM bus_bus WHERE id = :id;
ALTER TABLE bus_bus ALTER COLUMN create_uid DROP DEFAULT, DROP COLUMN size;

-- triggers of every kind,
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE '% % %', TG_WHEN, TG_LEVEL, CASE TG_LEVEL WHEN 'ROW' THEN NEW.message END;
    RETURN NEW;
END $$;
CREATE TRIGGER after_row AFTER INSERT ON bus_bus FOR EACH ROW EXECUTE FUNCTION note();
SELECT bus_sendone('c', 't', '1') IS NOT NULL AS sent;
CREATE TRIGGER before_row BEFORE INSERT ON bus_bus FOR EACH ROW EXECUTE FUNCTION note();
SELECT bus_sendone('c', 't', '1') IS NOT NULL AS sent;
CREATE TRIGGER before_statement BEFORE INSERT ON bus_bus EXECUTE FUNCTION note();
CREATE TRIGGER after_statement AFTER INSERT ON bus_bus EXECUTE FUNCTION note();
SELECT array_length(bus_sendmany(ARRAY['c', 'd'], 't', '2'), 1) AS sent;
DROP TRIGGER before_row ON bus_bus;
DROP TRIGGER before_statement ON bus_bus;
SELECT bus_sendone('c', 't', '3') IS NOT NULL AS sent;
DROP TRIGGER after_statement ON bus_bus;
DROP TRIGGER after_row ON bus_bus;
-- also one that sends,
CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.channel <> bus_channel('echo') THEN
        PERFORM bus_sendone('echo', 't', to_jsonb(NEW.id));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER echo AFTER INSERT ON bus_bus FOR EACH ROW EXECUTE FUNCTION echo();
TRUNCATE bus_bus RESTART IDENTITY;
SELECT bus_sendmany(ARRAY['c', 'd'], 't', '4');
SELECT channel::json ->> 1 AS channel, message FROM bus_bus ORDER BY id;
DROP TRIGGER echo ON bus_bus;
-- or is deferred to the end of the transaction,
CREATE CONSTRAINT TRIGGER echo AFTER INSERT ON bus_bus DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION echo();
TRUNCATE bus_bus RESTART IDENTITY;
BEGIN;
SELECT bus_sendone('c', 't', '5');
SELECT count(*) FROM bus_bus;
COMMIT;
SELECT channel::json ->> 1 AS channel, message FROM bus_bus ORDER BY id;
DROP TRIGGER echo ON bus_bus;

-- rules, row-level security,
CREATE TABLE log (message text);
CREATE RULE log AS ON INSERT TO bus_bus DO ALSO INSERT INTO log VALUES (NEW.message);
SELECT bus_sendone('c', 't', '6') IS NOT NULL AS sent;
SELECT * FROM log;
DROP RULE log ON bus_bus;
CREATE ROLE regress_bus_sender;
GRANT USAGE ON SCHEMA public TO regress_bus_sender;
GRANT INSERT ON bus_bus TO regress_bus_sender;
GRANT USAGE ON SEQUENCE bus_bus_id_seq TO regress_bus_sender;
ALTER TABLE bus_bus ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON bus_bus FOR INSERT TO regress_bus_sender WITH CHECK (channel = bus_channel('allowed'));
SET ROLE regress_bus_sender;
SELECT bus_sendone('allowed', 't', '7') IS NOT NULL AS sent;
SELECT bus_sendone('denied', 't', '7');
RESET ROLE;
ALTER TABLE bus_bus DISABLE ROW LEVEL SECURITY;
SET ROLE regress_bus_sender;
SELECT bus_sendone('denied', 't', '7') IS NOT NULL AS sent;
RESET ROLE;

-- domains, lengths, identity columns, other defaults, partitions, unlogged tables, inheritance.
CREATE DOMAIN given AS text DEFAULT 'by the domain' NOT NULL;
ALTER TABLE bus_bus ADD COLUMN extra given;
SELECT bus_sendone('c', 't', '8') AS id \gset
SELECT extra FROM bus_bus WHERE id = :id;
ALTER TABLE bus_bus DROP COLUMN extra;
ALTER TABLE bus_bus ALTER COLUMN message TYPE varchar(32) USING 'short';
SELECT bus_sendone('c', 't', '9') IS NOT NULL AS sent;
SELECT bus_sendone('c', 't', '"0123456789"');
DROP TABLE bus_bus;
CREATE TABLE bus_bus (message text, channel text, write_date timestamp, create_date timestamp,
    id bigint GENERATED ALWAYS AS IDENTITY);
SELECT bus_sendone('c', 't', '10'), bus_sendmany(ARRAY['c', 'd'], 't', '10');
ALTER TABLE bus_bus ALTER COLUMN id DROP IDENTITY;
SELECT bus_sendone('c', 't', '11');
CREATE SEQUENCE even INCREMENT 2 START 100;
ALTER TABLE bus_bus ALTER COLUMN id SET DEFAULT nextval('even') + 0;
SELECT bus_sendone('c', 't', '11'), bus_sendmany(ARRAY['c', 'd'], 't', '11');
ALTER TABLE bus_bus ALTER COLUMN id SET DEFAULT NULL::bigint;
SELECT bus_sendone('c', 't', '11');
DROP TABLE bus_bus;
CREATE TABLE bus_bus (id bigserial, channel text, message text, create_date timestamp, write_date timestamp)
    PARTITION BY RANGE (id);
CREATE TABLE bus_bus_1 PARTITION OF bus_bus FOR VALUES FROM (1) TO (3);
SELECT bus_sendone('c', 't', '12'), bus_sendone('c', 't', '12');
SELECT bus_sendone('c', 't', '12');
DROP TABLE bus_bus;
CREATE TABLE parent (id bigserial, channel text);
CREATE UNLOGGED TABLE bus_bus (message text, create_date timestamp, write_date timestamp) INHERITS (parent);
SELECT bus_sendone('c', 't', '13');
SELECT id, message FROM bus_bus;
DROP TABLE parent CASCADE;

-- A cursor, a prepared statement and a function do not keep an old table either.
SELECT bus_create_table();
PREPARE send AS SELECT bus_sendone('c', 't', '14');
EXECUTE send;
CREATE FUNCTION send() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN bus_sendone('c', 't', '14'); END $$;
SELECT send();
DROP TABLE bus_bus;
SELECT bus_create_table();
EXECUTE send;
SELECT send();
BEGIN;
DROP TABLE bus_bus;
SAVEPOINT dropped;
SELECT send();
ROLLBACK TO dropped;
ROLLBACK;
SELECT send();

DROP FUNCTION send(), note(), echo();
DROP TABLE bus_bus, log, res_users;
DROP SEQUENCE even;
DROP DOMAIN given;
DROP EXTENSION odoo_bus;
REVOKE USAGE ON SCHEMA public FROM regress_bus_sender;
DROP ROLE regress_bus_sender;
