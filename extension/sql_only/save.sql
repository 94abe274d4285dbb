-- save.sql: writes down what the functions of odoo_bus would lose when they are replaced by the other kind, as statements
-- that restore.sql executes: their privileges, and the triggers that call one of them. Included by to_extension.sql and
-- to_sql.sql.
CREATE TEMPORARY TABLE odoo_bus_moved (place pg_catalog.int4 GENERATED ALWAYS AS IDENTITY, statement pg_catalog.text) ON COMMIT DROP;

-- bus_gc_all has one more argument here than in the extension.
INSERT INTO odoo_bus_moved (statement)
SELECT s.statement FROM (
    SELECT pg_catalog.format('ROUTINE %I.%I%s', n.nspname, p.proname, CASE WHEN p.proname <> 'bus_gc_all'
            THEN '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')' END) AS object, p.proacl AS acl
    FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = pg_catalog.current_schema() AND p.proname LIKE 'bus\_%' AND p.proname NOT LIKE 'bus\_sql\_%'
    UNION ALL
    SELECT pg_catalog.format('TABLE %I.bus_stat', n.nspname), c.relacl
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = pg_catalog.current_schema() AND c.relname = 'bus_stat'
) AS o CROSS JOIN LATERAL (
    SELECT 0 AS place, pg_catalog.format('REVOKE ALL ON %s FROM PUBLIC', o.object) AS statement WHERE o.acl IS NOT NULL
    UNION ALL
    SELECT 1, pg_catalog.format('GRANT %s ON %s TO %s%s', a.privilege_type, o.object,
        CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
        CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END)
    FROM pg_catalog.aclexplode(o.acl) AS a
) AS s ORDER BY o.object, s.place;

INSERT INTO odoo_bus_moved (statement)
SELECT s.statement
FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
CROSS JOIN LATERAL (VALUES
    (0, pg_catalog.pg_get_triggerdef(t.oid)),
    (1, pg_catalog.format('ALTER TABLE %s %s TRIGGER %I', t.tgrelid::pg_catalog.regclass,
        CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END, t.tgname)),
    (2, 'COMMENT ON TRIGGER ' || pg_catalog.format('%I ON %s IS %L', t.tgname, t.tgrelid::pg_catalog.regclass,
        pg_catalog.obj_description(t.oid, 'pg_trigger')))) AS s (place, statement)
WHERE n.nspname = pg_catalog.current_schema() AND p.proname = 'bus_record_changed' AND NOT t.tgisinternal AND t.tgparentid = 0
ORDER BY t.tgrelid, t.tgname, s.place;

DO $$
DECLARE
    moved pg_catalog.pg_trigger;
BEGIN
    FOR moved IN SELECT t.* FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
            WHERE p.pronamespace = pg_catalog.quote_ident(pg_catalog.current_schema())::pg_catalog.regnamespace AND p.proname = 'bus_record_changed'
                AND NOT t.tgisinternal AND t.tgparentid = 0 LOOP
        EXECUTE pg_catalog.format('DROP TRIGGER %I ON %s', moved.tgname, moved.tgrelid::pg_catalog.regclass);
    END LOOP;
END $$;
