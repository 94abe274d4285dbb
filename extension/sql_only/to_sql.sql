-- to_sql.sql: replaces the extension odoo_bus by the functions of odoo_bus_sql--1.0.sql. The schema of the extension must be
-- the first one of the search_path. Rows, privileges and triggers stay; what else depends on a function is named in an
-- error, and nothing is changed then.
--
--     psql -X -1 -v ON_ERROR_STOP=1 -d mydb -f to_sql.sql
\ir save.sql
DROP EXTENSION odoo_bus;
\ir odoo_bus_sql--1.0.sql
\ir restore.sql
