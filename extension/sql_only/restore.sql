-- restore.sql: executes what save.sql has written down.
DO $$
DECLARE
    moved pg_catalog.text;
BEGIN
    FOR moved IN SELECT m.statement FROM odoo_bus_moved AS m ORDER BY m.place LOOP
        EXECUTE moved;
    END LOOP;
END $$;
