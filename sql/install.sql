-- install.sql: the extension is installed before or after the table, and keeps it when dropped.
CREATE SCHEMA odoo;
CREATE EXTENSION odoo_bus SCHEMA odoo;
SELECT count(*) AS tables FROM pg_class WHERE relname = 'bus_bus';
CREATE TABLE odoo.bus_bus (id serial PRIMARY KEY, channel varchar, message varchar, create_uid int, create_date timestamp,
    write_uid int, write_date timestamp);
SELECT odoo.bus_sendone('c', 't', '1');
DROP EXTENSION odoo_bus;
SELECT id, message FROM odoo.bus_bus;
CREATE EXTENSION odoo_bus SCHEMA odoo;
SELECT odoo.bus_sendone('c', 't', '2');
-- A table in another schema is not used.
DROP EXTENSION odoo_bus;
CREATE EXTENSION odoo_bus;
SELECT bus_sendone('c', 't', '3');
ALTER EXTENSION odoo_bus SET SCHEMA odoo;
DROP EXTENSION odoo_bus;

-- Each object has a comment; no function is SECURITY DEFINER, and those that write are PARALLEL UNSAFE.
CREATE EXTENSION odoo_bus SCHEMA odoo;
SELECT p.oid::regprocedure, prosecdef, provolatile, proparallel, proisstrict
    FROM pg_proc AS p JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
    JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'odoo_bus'
    ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT pg_describe_object(classid, objid, 0) FROM pg_depend AS d
    WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
        AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'odoo_bus')
        AND classid <> 'pg_type'::regclass -- the row types of views, members since 17
        AND obj_description(objid, classid::regclass::name) IS NULL;

-- So has each column of a view.
SELECT a.attrelid::regclass, a.attname FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
    WHERE c.relkind = 'v' AND c.relnamespace = 'odoo'::regnamespace AND a.attnum > 0
        AND col_description(a.attrelid, a.attnum) IS NULL;

-- The owner of a database may install it.
DROP EXTENSION odoo_bus;
CREATE ROLE regress_bus_owner;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_bus_owner', current_database()); END $$;
SET ROLE regress_bus_owner;
CREATE SCHEMA mine;
CREATE EXTENSION odoo_bus SCHEMA mine;
SELECT mine.bus_create_table();
SELECT mine.bus_sendone('c', 't', '4'), mine.bus_last_id();
SELECT last_id, ids_left FROM mine.bus_stat;
CALL mine.bus_gc_all('0');
DROP EXTENSION odoo_bus;
RESET ROLE;
DROP SCHEMA odoo, mine CASCADE;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_bus_owner', current_database()); END $$;
DROP ROLE regress_bus_owner;
