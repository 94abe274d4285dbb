-- sendnow.sql: sends independent of the transaction. Without preloading (sendnow_1.out) it raises an error with a hint.
CREATE EXTENSION odoo_bus;
SELECT bus_create_table();
SELECT mode FROM bus_stat;

BEGIN;
SELECT bus_sendone('rolled back', 't', '1');
SELECT bus_sendnow('stays', 't', '{"percent": 10}');
SAVEPOINT s;
SELECT bus_sendnow('res.partner', 3, 't', '2') AS id;
ROLLBACK TO s;
SELECT bus_sendnow('res.partner', 3, 'sub', 't', NULL) AS id;
ROLLBACK;
SELECT id, channel::json ->> 1 AS channel, channel::json ->> 2 AS res_id, channel::json ->> 3 AS subchannel, message
    FROM bus_bus ORDER BY id;

-- A function shows its progress in a long transaction.
DO $$
BEGIN
    FOR step IN 1..4 LOOP
        PERFORM bus_sendnow('progress', 't', to_jsonb(step * 25));
    END LOOP;
    RAISE 'the task fails';
END $$;
SELECT message FROM bus_bus WHERE channel = bus_channel('progress') ORDER BY id;

-- Bad input is refused first.
SELECT bus_sendnow(NULL, 't', '1');
SELECT bus_sendnow('', 't', '1');
SELECT bus_sendnow('c', '', '1');
SELECT bus_sendnow('res.partner', NULL, 't', '1');
SELECT bus_sendnow('res.partner', 3, '', 't', '1');
SELECT bus_sendnow('c', 't', to_jsonb(repeat('x', 1024 * 1024)));

-- A lock of the caller is not waited for. (PostgreSQL 19 adds a line of context, with oids.)
\set SHOW_CONTEXT never
SET odoo_bus.sendnow_lock_timeout = '20ms';
BEGIN;
LOCK TABLE bus_bus IN SHARE MODE;
SELECT bus_sendnow('c', 't', '1');
ROLLBACK;
RESET odoo_bus.sendnow_lock_timeout;
\set SHOW_CONTEXT errors

-- The worker has the privileges of the current user.
CREATE ROLE regress_bus_sender;
GRANT USAGE ON SCHEMA public TO regress_bus_sender;
SET ROLE regress_bus_sender;
SELECT bus_sendnow('c', 't', '1');
RESET ROLE;
GRANT INSERT ON bus_bus TO regress_bus_sender;
GRANT USAGE ON SEQUENCE bus_bus_id_seq TO regress_bus_sender;
SET ROLE regress_bus_sender;
SELECT bus_sendnow('c', 't', '1') > 0 AS sent;
RESET ROLE;
DROP OWNED BY regress_bus_sender;
DROP ROLE regress_bus_sender;

DROP TABLE bus_bus;
DROP EXTENSION odoo_bus;
