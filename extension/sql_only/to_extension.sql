-- to_extension.sql: replaces the functions of odoo_bus_sql--1.0.sql by the extension odoo_bus, in the first schema of the
-- search_path. Rows, privileges and triggers stay; what else depends on a function is named in an error, and nothing is
-- changed then.
--
--     psql -X -1 -v ON_ERROR_STOP=1 -d mydb -f to_extension.sql
\ir save.sql
DO $$
DECLARE
    routines pg_catalog.text;
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'odoo_bus_sql') THEN
        DROP EXTENSION odoo_bus_sql; -- by pg_tle
        RETURN;
    END IF;
    SELECT pg_catalog.string_agg(p.oid::pg_catalog.regprocedure::pg_catalog.text, ', ') INTO routines
        FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
        WHERE p.pronamespace = pg_catalog.quote_ident(pg_catalog.current_schema())::pg_catalog.regnamespace AND l.lanname IN ('sql', 'plpgsql')
            AND (p.proname LIKE 'bus\_sql\_%' OR p.proname IN ('bus_channel', 'bus_create_presence_table', 'bus_create_table',
                'bus_gc', 'bus_gc_all', 'bus_last_id', 'bus_notify', 'bus_poll', 'bus_record_changed', 'bus_sendmany', 'bus_sendnow',
                'bus_sendone', 'bus_sendone_user', 'bus_stat', 'bus_stat_reset', 'bus_version'));
    EXECUTE pg_catalog.format('DROP VIEW %I.bus_stat', pg_catalog.current_schema());
    EXECUTE 'DROP ROUTINE ' || routines;
END $$;
CREATE EXTENSION odoo_bus;
\ir restore.sql
