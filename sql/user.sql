-- user.sql: bus_sendone_user() sends to the channel that the installed release of Odoo prefers.
CREATE EXTENSION odoo_bus;
SELECT bus_create_table();
SELECT bus_sendone_user(2, 't', '1'); -- no Odoo
CREATE TABLE ir_module_module (id serial, name varchar, latest_version varchar);
CREATE TABLE res_users (id serial PRIMARY KEY, login varchar, partner_id int);
INSERT INTO ir_module_module (name, latest_version) VALUES ('bus', '1.0'), ('base', NULL);
INSERT INTO res_users VALUES (2, 'demo', 3);
CREATE FUNCTION channel_in(version text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    sent bigint;
BEGIN
    UPDATE ir_module_module SET latest_version = version WHERE name = 'base';
    sent := bus_sendone_user(2, 'my_module.update', '{"record_id": 7}');
    RETURN (SELECT channel::jsonb - 0 FROM bus_bus WHERE id = sent);
END $$;
SELECT version, channel_in(version) FROM unnest(ARRAY[NULL, '17.0.1.3', '18.0.1.3', 'saas~18.4.1.3', '19.0.1.3', 'saas~19.2.1.3',
    'saas~19.3.1.3', 'saas~19.4.1.3', 'saas~19.10.1.3', '20.0.1.3', 'saas~20.1.1.3', '', 'x', '19', '20']) AS version;
SELECT message FROM bus_bus WHERE id = 1;

SELECT bus_sendone_user(NULL, 't', '1');
SELECT bus_sendone_user(4, 't', '1');
SELECT channel_in('17.0.1.3');
SELECT bus_sendone_user(4, 't', '1');
SELECT bus_sendone_user(2, '', '1');
SELECT bus_sendone_user(2, 't', json '1') > 0 AS sent;

-- The privileges that it needs are named; the caller's search_path does not matter.
CREATE ROLE regress_bus_sender;
GRANT USAGE ON SCHEMA public TO regress_bus_sender;
GRANT INSERT ON bus_bus TO regress_bus_sender;
GRANT USAGE ON SEQUENCE bus_bus_id_seq TO regress_bus_sender;
SET ROLE regress_bus_sender;
SELECT bus_sendone_user(2, 't', '1');
RESET ROLE;
GRANT SELECT (id, partner_id) ON public.res_users TO regress_bus_sender;
SET ROLE regress_bus_sender;
SELECT bus_sendone_user(2, 't', '1');
RESET ROLE;
GRANT SELECT (name, latest_version) ON public.ir_module_module TO regress_bus_sender;
SET ROLE regress_bus_sender;
SET search_path = '';
SELECT public.bus_sendone_user(2, 't', '1') > 0 AS sent;
RESET search_path;
RESET ROLE;

-- What a view calls would run as the sender.
ALTER TABLE res_users RENAME TO people;
CREATE VIEW res_users AS SELECT * FROM people;
SELECT bus_sendone_user(2, 't', '1');
DROP VIEW res_users;
DROP FUNCTION channel_in(text);
DROP TABLE bus_bus, people, ir_module_module;
DROP EXTENSION odoo_bus;
REVOKE USAGE ON SCHEMA public FROM regress_bus_sender;
DROP ROLE regress_bus_sender;
