-- notify.sql: bus_notify() takes what pg_notify() takes, and refuses the rest in the same words.
CREATE EXTENSION odoo_bus; -- without a table bus_bus, as in the database postgres
SELECT bus_notify('imbus', '[["mydb","broadcast"],["mydb","res.partner",3]]');
SELECT bus_notify('cron_trigger', 'mydb'), bus_notify(repeat('x', 63), repeat('x', 7999)), bus_notify('c', NULL);
BEGIN READ ONLY;
SELECT bus_notify('imbus', 'no list');
SAVEPOINT s;
SELECT bus_notify('c', 'rolled back');
ROLLBACK TO s;
SELECT bus_notify('c', '');
COMMIT;
SELECT mode IN ('notify', 'doorbell') AS mode, last_id FROM bus_stat;

SELECT bus_notify('', 'p');
SELECT pg_notify('', 'p');
SELECT bus_notify(NULL, 'p');
SELECT pg_notify(NULL, 'p');
SELECT bus_notify(repeat('x', 64), 'p');
SELECT pg_notify(repeat('x', 64), 'p');
SELECT bus_notify('c', repeat('x', 8000));
SELECT pg_notify('c', repeat('x', 8000));
\set VERBOSITY sqlstate
SELECT bus_notify('', 'p');
SELECT pg_notify('', 'p');
SELECT bus_notify('c', repeat('x', 8000));
SELECT pg_notify('c', repeat('x', 8000));
\set VERBOSITY default

-- EXECUTE is the only privilege that it needs.
REVOKE EXECUTE ON FUNCTION bus_notify(text, text) FROM PUBLIC;
CREATE ROLE regress_bus_odoo;
SET ROLE regress_bus_odoo;
SELECT bus_notify('imbus', '[["mydb","broadcast"]]');
RESET ROLE;
GRANT EXECUTE ON FUNCTION bus_notify(text, text) TO regress_bus_odoo;
SET ROLE regress_bus_odoo;
SELECT bus_notify('imbus', '[["mydb","broadcast"]]');
RESET ROLE;
DROP EXTENSION odoo_bus;
DROP ROLE regress_bus_odoo;
