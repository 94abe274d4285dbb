-- presence.sql: the tables of members of channels, which gateways fill.
CREATE SCHEMA "the bus";
CREATE EXTENSION odoo_bus SCHEMA "the bus";
SELECT "the bus".bus_create_presence_table();
SELECT "the bus".bus_create_presence_table();
SET search_path = "the bus";
SELECT relname, relkind, relpersistence, obj_description(oid, 'pg_class') IS NOT NULL AS described FROM pg_class
    WHERE relnamespace = '"the bus"'::regnamespace AND relkind IN ('r', 'v') ORDER BY relname;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = 'bus_presence'::regclass AND attnum > 0 ORDER BY attnum;

SELECT attname, col_description(attrelid, attnum) FROM pg_attribute
    WHERE attrelid = 'bus_online'::regclass AND attnum > 0 ORDER BY attnum;

-- bus_online has each member of live gateways once.
INSERT INTO bus_presence_gateway VALUES ('g1', now() + '1 hour', now()), ('g2', now() + '1 hour', now()),
    ('dead', now() - interval '1 second', now());
INSERT INTO bus_presence VALUES (bus_channel('a'), 'ann', 'g1', '2026-01-02'), (bus_channel('a'), 'ann', 'g2', '2026-01-01'),
    (bus_channel('a'), 'bob', 'dead', '2026-01-01'), (bus_channel('res.partner', 3), 'ann', 'g1', '2026-01-03');
SELECT channel = bus_channel('a') AS a, member, since::date FROM bus_online ORDER BY since;
INSERT INTO bus_presence VALUES (bus_channel('a'), 'eve', 'nobody', now());
INSERT INTO bus_presence VALUES (bus_channel('a'), 'ann', 'g1', now());

-- The privileges that a gateway's role needs; other roles have none.
CREATE ROLE regress_bus_gateway;
CREATE ROLE regress_bus_reader;
GRANT USAGE ON SCHEMA "the bus" TO regress_bus_gateway, regress_bus_reader;
GRANT SELECT, INSERT, DELETE ON bus_presence TO regress_bus_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON bus_presence_gateway TO regress_bus_gateway;
SET ROLE regress_bus_gateway;
INSERT INTO bus_presence_gateway VALUES ('g3', now() + '1 hour', now());
INSERT INTO bus_presence VALUES (bus_channel('b'), 'cem', 'g3', now());
DELETE FROM bus_presence WHERE gateway = 'g3';
DELETE FROM bus_presence_gateway WHERE gateway = 'g3';
SET ROLE regress_bus_reader;
SELECT count(*) FROM bus_online;
SELECT count(*) FROM bus_presence;
RESET ROLE;
-- The view needs no privileges on the tables.
GRANT SELECT ON bus_online TO regress_bus_reader;
SET ROLE regress_bus_reader;
SELECT count(*) FROM bus_online;
RESET ROLE;

-- The tables survive DROP EXTENSION, as bus_bus does.
RESET search_path;
DROP EXTENSION odoo_bus;
SELECT count(*) FROM "the bus".bus_presence;
DROP SCHEMA "the bus" CASCADE;
DROP ROLE regress_bus_gateway, regress_bus_reader;
