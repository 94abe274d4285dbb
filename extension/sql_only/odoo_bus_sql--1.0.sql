-- odoo_bus_sql--1.0.sql: the functions of odoo_bus without C, for servers where no extension of one's own can be
-- installed (docs/managed.md). PostgreSQL 14 or later.
--
--     psql -X -1 -v ON_ERROR_STOP=1 -d mydb -f odoo_bus_sql--1.0.sql
--
-- They are created in the first schema of the search_path, which should be that of Odoo's tables, and write the same
-- bytes as the extension. Run the file again for a newer version.
--
-- Nothing is looked up in the caller's search_path. What users call is written in the SQL standard's way (BEGIN
-- ATOMIC): PostgreSQL stores what its names mean, and follows a renamed schema. The bodies in PL/pgSQL, which are
-- stored as text, name nothing but pg_catalog; 'bus_version()'::regprocedure, a constant, tells them the schema. What
-- looks an operator up by itself (IN, BETWEEN, NULLIF, IS DISTINCT FROM, CASE x WHEN) is not used.
-- Functions are SECURITY INVOKER: privileges on bus_bus and its sequence apply to the caller.

CREATE OR REPLACE FUNCTION bus_version() RETURNS pg_catalog.text LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC SELECT '1.0'::pg_catalog.text; END;
COMMENT ON FUNCTION bus_version() IS 'the version of these functions';

-- Text as JSON --------------------------------------------------------------------------------------------------------

-- JSON, of which every character that is not ASCII, and DEL, becomes \uXXXX. In an SQL_ASCII database it must be UTF-8.
CREATE OR REPLACE FUNCTION bus_sql_ascii(value pg_catalog.text) RETURNS pg_catalog.text
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    utf8 pg_catalog.bytea;
BEGIN
    IF NOT value COLLATE pg_catalog."C" OPERATOR(pg_catalog.~) '[^ -~]' THEN
        RETURN value;
    END IF;
    utf8 := pg_catalog.convert_to(value, 'UTF8');
    RETURN (
        SELECT pg_catalog.string_agg(CASE
                WHEN code OPERATOR(pg_catalog.<) 127 THEN pg_catalog.chr(code)
                WHEN code OPERATOR(pg_catalog.<) 65536 THEN
                    E'\\u' OPERATOR(pg_catalog.||) pg_catalog.lpad(pg_catalog.to_hex(code), 4, '0')
                ELSE pg_catalog.format(E'\\u%s\\u%s',
                    pg_catalog.to_hex(55296 OPERATOR(pg_catalog.+) ((code OPERATOR(pg_catalog.-) 65536) OPERATOR(pg_catalog.>>) 10)),
                    pg_catalog.to_hex(56320 OPERATOR(pg_catalog.+) (code OPERATOR(pg_catalog.&) 1023)))
                END, '' ORDER BY place)
        FROM (
            SELECT place, CASE
                WHEN lead OPERATOR(pg_catalog.<) 128 THEN lead
                WHEN lead OPERATOR(pg_catalog.<) 224 THEN
                    ((lead OPERATOR(pg_catalog.&) 31) OPERATOR(pg_catalog.<<) 6)
                    OPERATOR(pg_catalog.|) (pg_catalog.get_byte(utf8, place OPERATOR(pg_catalog.+) 1) OPERATOR(pg_catalog.&) 63)
                WHEN lead OPERATOR(pg_catalog.<) 240 THEN
                    ((lead OPERATOR(pg_catalog.&) 15) OPERATOR(pg_catalog.<<) 12)
                    OPERATOR(pg_catalog.|) ((pg_catalog.get_byte(utf8, place OPERATOR(pg_catalog.+) 1) OPERATOR(pg_catalog.&) 63) OPERATOR(pg_catalog.<<) 6)
                    OPERATOR(pg_catalog.|) (pg_catalog.get_byte(utf8, place OPERATOR(pg_catalog.+) 2) OPERATOR(pg_catalog.&) 63)
                ELSE
                    ((lead OPERATOR(pg_catalog.&) 7) OPERATOR(pg_catalog.<<) 18)
                    OPERATOR(pg_catalog.|) ((pg_catalog.get_byte(utf8, place OPERATOR(pg_catalog.+) 1) OPERATOR(pg_catalog.&) 63) OPERATOR(pg_catalog.<<) 12)
                    OPERATOR(pg_catalog.|) ((pg_catalog.get_byte(utf8, place OPERATOR(pg_catalog.+) 2) OPERATOR(pg_catalog.&) 63) OPERATOR(pg_catalog.<<) 6)
                    OPERATOR(pg_catalog.|) (pg_catalog.get_byte(utf8, place OPERATOR(pg_catalog.+) 3) OPERATOR(pg_catalog.&) 63)
                END AS code
            FROM (
                SELECT place, pg_catalog.get_byte(utf8, place) AS lead
                FROM pg_catalog.generate_series(0, pg_catalog.octet_length(utf8) OPERATOR(pg_catalog.-) 1) AS place
            ) AS bytes
            WHERE (lead OPERATOR(pg_catalog.&) 192) OPERATOR(pg_catalog.<>) 128 -- not a continuation
        ) AS characters);
END $function$;

-- jsonb without the spaces that its output has between values.
CREATE OR REPLACE FUNCTION bus_sql_compact(payload pg_catalog.jsonb) RETURNS pg_catalog.text
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT pg_catalog.regexp_replace(payload::pg_catalog.text COLLATE pg_catalog."C",
            E'("(?:[^"\\\\]|\\\\.)*")|([,:]) ', E'\\1\\2', 'g');
    END;

CREATE OR REPLACE FUNCTION bus_sql_string(value pg_catalog.text) RETURNS pg_catalog.text
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC SELECT bus_sql_ascii(pg_catalog.to_json(value)::pg_catalog.text); END;

-- Arguments -----------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION bus_sql_name(value pg_catalog.text, what pg_catalog.text) RETURNS pg_catalog.text
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
BEGIN
    IF value IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = pg_catalog.format('the %s must not be NULL', what),
            HINT = pg_catalog.format('Give the %s as text that is not empty.', what);
    ELSIF pg_catalog.octet_length(value) OPERATOR(pg_catalog.=) 0 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = pg_catalog.format('the %s must not be empty', what),
            HINT = pg_catalog.format('Give the %s as text that is not empty.', what);
    END IF;
    RETURN value;
END $function$;

CREATE OR REPLACE FUNCTION bus_sql_res_id(value pg_catalog.int8) RETURNS pg_catalog.int8
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
BEGIN
    IF value IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'the record''s id must not be NULL',
            HINT = 'Give the id of the record, or leave it out to send to a channel of that name.';
    END IF;
    RETURN value;
END $function$;

-- The elements of an array that are not NULL, or not empty either.
CREATE OR REPLACE FUNCTION bus_sql_elements(elements pg_catalog.anyarray, what pg_catalog.text) RETURNS pg_catalog.anyarray
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    element pg_catalog.text;
    place pg_catalog.int8;
BEGIN
    IF elements IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = pg_catalog.format('the array of %ss must not be NULL', what),
            HINT = 'Give an array; an empty one sends nothing.';
    END IF;
    SELECT e.place INTO place FROM pg_catalog.unnest(elements) WITH ORDINALITY AS e (element, place)
        WHERE e.element IS NULL ORDER BY e.place LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = pg_catalog.format('element %s of the %ss is NULL', place, what),
            HINT = 'Leave NULLs out, for example by array_remove(..., NULL).';
    END IF;
    RETURN elements;
END $function$;

CREATE OR REPLACE FUNCTION bus_sql_element_name(value pg_catalog.text, place pg_catalog.int8, hint pg_catalog.text)
    RETURNS pg_catalog.text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
BEGIN
    IF pg_catalog.octet_length(value) OPERATOR(pg_catalog.=) 0 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = pg_catalog.format('element %s of the channels is empty', place),
            HINT = hint;
    END IF;
    RETURN value;
END $function$;

CREATE OR REPLACE FUNCTION bus_sql_list(notifications pg_catalog.jsonb) RETURNS pg_catalog.jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
BEGIN
    IF notifications IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'the notifications must not be NULL',
            HINT = 'Give an array of [target, type, payload]; an empty one sends nothing.';
    ELSIF pg_catalog.jsonb_typeof(notifications) OPERATOR(pg_catalog.<>) 'array' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'the notifications are not a JSON array',
            HINT = 'Give an array of [target, type, payload]; an empty one sends nothing.';
    END IF;
    RETURN notifications;
END $function$;

-- One [target, type, payload].
CREATE OR REPLACE FUNCTION bus_sql_triple(element pg_catalog.jsonb, place pg_catalog.int8, OUT name pg_catalog.text,
        OUT res_id pg_catalog.int8, OUT subchannel pg_catalog.text, OUT notification_type pg_catalog.text,
        OUT payload pg_catalog.jsonb)
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    target pg_catalog.jsonb;
    parts pg_catalog.int4;
    wrong pg_catalog.text;
    digits pg_catalog.text;
BEGIN
    IF pg_catalog.jsonb_typeof(element) OPERATOR(pg_catalog.<>) 'array'
            OR pg_catalog.jsonb_array_length(CASE WHEN pg_catalog.jsonb_typeof(element) OPERATOR(pg_catalog.=) 'array'
                THEN element ELSE '[]' END) OPERATOR(pg_catalog.<>) 3 THEN
        wrong := 'it is not an array of three';
    ELSE
        target := element OPERATOR(pg_catalog.->) 0;
        IF pg_catalog.jsonb_typeof(target) OPERATOR(pg_catalog.=) 'string'
                AND (element OPERATOR(pg_catalog.->>) 0) OPERATOR(pg_catalog.<>) '' THEN
            name := element OPERATOR(pg_catalog.->>) 0;
        ELSIF pg_catalog.jsonb_typeof(target) OPERATOR(pg_catalog.=) 'array' THEN
            parts := pg_catalog.jsonb_array_length(target);
            name := target OPERATOR(pg_catalog.->>) 0;
            digits := target OPERATOR(pg_catalog.->>) 1;
            IF (parts OPERATOR(pg_catalog.<>) 2 AND parts OPERATOR(pg_catalog.<>) 3)
                    OR pg_catalog.jsonb_typeof(target OPERATOR(pg_catalog.->) 0) OPERATOR(pg_catalog.<>) 'string'
                    OR name OPERATOR(pg_catalog.=) ''
                    OR pg_catalog.jsonb_typeof(target OPERATOR(pg_catalog.->) 1) OPERATOR(pg_catalog.<>) 'number'
                    OR NOT digits COLLATE pg_catalog."C" OPERATOR(pg_catalog.~) '^-?[0-9]{1,19}$'
                    OR digits::pg_catalog.numeric OPERATOR(pg_catalog.>) 9223372036854775807
                    OR digits::pg_catalog.numeric OPERATOR(pg_catalog.<) '-9223372036854775808'::pg_catalog.numeric THEN
                wrong := 'the target is not a model with the id of a record';
            ELSE
                res_id := digits::pg_catalog.int8;
                IF parts OPERATOR(pg_catalog.=) 3 THEN
                    subchannel := target OPERATOR(pg_catalog.->>) 2;
                    IF pg_catalog.jsonb_typeof(target OPERATOR(pg_catalog.->) 2) OPERATOR(pg_catalog.<>) 'string'
                            OR subchannel OPERATOR(pg_catalog.=) '' THEN
                        wrong := 'the subchannel is empty or not a text';
                    END IF;
                END IF;
            END IF;
        ELSE
            wrong := 'the target is empty, or neither a text nor an array';
        END IF;
        notification_type := element OPERATOR(pg_catalog.->>) 1;
        IF wrong IS NULL AND (pg_catalog.jsonb_typeof(element OPERATOR(pg_catalog.->) 1) OPERATOR(pg_catalog.<>) 'string'
                OR notification_type OPERATOR(pg_catalog.=) '') THEN
            wrong := 'the type is empty or not a text';
        END IF;
        payload := element OPERATOR(pg_catalog.->) 2;
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = pg_catalog.format('element %s of the notifications is not valid: %s', place, wrong),
            HINT = 'Each element is [target, type, payload] with a target like "name", ["model", id] or '
                '["model", id, "subchannel"]; texts must not be empty.';
    END IF;
END $function$;

-- Channels and messages -----------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION bus_sql_checked_channel(channel pg_catalog.text) RETURNS pg_catalog.text
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
BEGIN
    IF pg_catalog.octet_length(channel) OPERATOR(pg_catalog.>) 7997 THEN
        RAISE EXCEPTION USING ERRCODE = '54000',
            MESSAGE = pg_catalog.format('the channel is too long: %s bytes as JSON, of 7997 that a NOTIFY can carry',
                pg_catalog.octet_length(channel)),
            HINT = 'Use a shorter name; a character that is not ASCII takes 6 or 12 bytes.';
    END IF;
    RETURN channel;
END $function$;

-- Of checked arguments; without a record, and without a part of it, where these are NULL.
CREATE OR REPLACE FUNCTION bus_sql_channel(name pg_catalog.text, res_id pg_catalog.int8, subchannel pg_catalog.text)
    RETURNS pg_catalog.text LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT bus_sql_checked_channel(pg_catalog.concat('[', bus_sql_string(pg_catalog.current_database()::pg_catalog.text),
            ',', bus_sql_string(name), ',' OPERATOR(pg_catalog.||) res_id::pg_catalog.text,
            ',' OPERATOR(pg_catalog.||) bus_sql_string(subchannel), ']'));
    END;

-- odoo_bus.max_payload_size, 1 MB unless it is set.
CREATE OR REPLACE FUNCTION bus_sql_checked_payload(payload pg_catalog.text) RETURNS pg_catalog.text
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    setting pg_catalog.text := pg_catalog.current_setting('odoo_bus.max_payload_size', true);
    most pg_catalog.int8 := 1048576;
BEGIN
    IF pg_catalog.octet_length(setting) OPERATOR(pg_catalog.>) 0 THEN
        most := pg_catalog.pg_size_bytes(setting);
    END IF;
    IF pg_catalog.octet_length(payload) OPERATOR(pg_catalog.>) most THEN
        RAISE EXCEPTION USING ERRCODE = '54000',
            MESSAGE = pg_catalog.format('the payload is larger than odoo_bus.max_payload_size (%s bytes)', most),
            HINT = 'Send ids and let the client fetch what they stand for.';
    END IF;
    RETURN payload;
END $function$;

CREATE OR REPLACE FUNCTION bus_sql_message_of(notification_type pg_catalog.text, payload pg_catalog.text)
    RETURNS pg_catalog.text LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT pg_catalog.concat('{"type":', bus_sql_string(notification_type), ',"payload":',
            bus_sql_checked_payload(bus_sql_ascii(payload)), '}');
    END;

CREATE OR REPLACE FUNCTION bus_sql_message(notification_type pg_catalog.text, payload pg_catalog.jsonb)
    RETURNS pg_catalog.text LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT bus_sql_message_of(bus_sql_name(notification_type, 'notification type'),
            bus_sql_compact(COALESCE(payload, 'null'::pg_catalog.jsonb)));
    END;

CREATE OR REPLACE FUNCTION bus_channel(channel pg_catalog.text) RETURNS pg_catalog.text LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC SELECT bus_sql_channel(bus_sql_name(channel, 'channel'), NULL, NULL); END;
COMMENT ON FUNCTION bus_channel(pg_catalog.text) IS 'a channel of this name, as it is stored';

CREATE OR REPLACE FUNCTION bus_channel(model pg_catalog.text, res_id pg_catalog.int8) RETURNS pg_catalog.text
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC SELECT bus_sql_channel(bus_sql_name(model, 'model'), bus_sql_res_id(res_id), NULL); END;
COMMENT ON FUNCTION bus_channel(pg_catalog.text, pg_catalog.int8) IS 'the channel of a record, as it is stored';

CREATE OR REPLACE FUNCTION bus_channel(model pg_catalog.text, res_id pg_catalog.int8, subchannel pg_catalog.text)
    RETURNS pg_catalog.text LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT bus_sql_channel(bus_sql_name(model, 'model'), bus_sql_res_id(res_id), bus_sql_name(subchannel, 'subchannel'));
    END;
COMMENT ON FUNCTION bus_channel(pg_catalog.text, pg_catalog.int8, pg_catalog.text) IS
    'a subchannel of a record, as it is stored';

-- The table -----------------------------------------------------------------------------------------------------------

-- The quoted name of bus_bus in the schema of the function `home`. Raises an error if there is no such table, or if it
-- is a view: what a view calls would run as the reader.
CREATE OR REPLACE FUNCTION bus_sql_table(home pg_catalog.regprocedure) RETURNS pg_catalog.text
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    schema_name pg_catalog.text;
    relation pg_catalog.oid;
    kind pg_catalog."char";
    wrong pg_catalog.text;
BEGIN
    SELECT n.nspname, c.oid, c.relkind INTO schema_name, relation, kind
        FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
        LEFT JOIN pg_catalog.pg_class AS c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
            AND c.relname OPERATOR(pg_catalog.=) 'bus_bus'
        WHERE p.oid OPERATOR(pg_catalog.=) home::pg_catalog.oid;
    IF relation IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42P01', MESSAGE = pg_catalog.format(
                'there is no table "bus_bus" in schema "%s", in which odoo_bus is installed', schema_name),
            HINT = pg_catalog.format('Install Odoo''s module "bus" or, in a database without Odoo, run SELECT %I.bus_create_table().',
                schema_name);
    END IF;
    IF kind OPERATOR(pg_catalog.<>) 'r' AND kind OPERATOR(pg_catalog.<>) 'p' THEN
        wrong := 'it is not an ordinary table';
    ELSE
        SELECT CASE WHEN a.atttypid IS NULL THEN pg_catalog.format('there is no column "%s"', w.name)
                ELSE pg_catalog.format('the column "%s" is of type %s', w.name, pg_catalog.format_type(a.atttypid, NULL)) END
            INTO wrong
            FROM (VALUES (1, 'id', 'pg_catalog.int4'::pg_catalog.regtype, 'pg_catalog.int8'::pg_catalog.regtype),
                (2, 'channel', 'pg_catalog.varchar', 'pg_catalog.text'), (3, 'message', 'pg_catalog.varchar', 'pg_catalog.text'),
                (4, 'create_date', 'pg_catalog.timestamp', 'pg_catalog.timestamp'),
                (5, 'write_date', 'pg_catalog.timestamp', 'pg_catalog.timestamp')) AS w (place, name, one, other)
            LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) relation
                AND a.attname OPERATOR(pg_catalog.=) w.name::pg_catalog.name AND NOT a.attisdropped
            WHERE a.atttypid IS NULL OR (a.atttypid OPERATOR(pg_catalog.<>) w.one AND a.atttypid OPERATOR(pg_catalog.<>) w.other)
            ORDER BY w.place LIMIT 1;
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42809', MESSAGE = pg_catalog.format('"bus_bus" is not a table of Odoo''s bus: %s', wrong),
            HINT = 'It needs the columns id (integer or bigint, with a default), channel and message (varchar or text), '
                'create_date and write_date (timestamp without time zone).';
    END IF;
    RETURN pg_catalog.format('%I.bus_bus', schema_name);
END $function$;

-- The table, unless one of the columns may not be read or, where rows are deleted, that is not allowed. In the hint, the
-- first %s stands for the table, the second one for the role.
CREATE OR REPLACE FUNCTION bus_sql_granted(bus pg_catalog.text, columns pg_catalog.text[], deletes pg_catalog.bool,
        hint pg_catalog.text) RETURNS pg_catalog.text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
BEGIN
    IF (deletes AND NOT pg_catalog.has_table_privilege(bus, 'DELETE'))
            OR (NOT pg_catalog.has_table_privilege(bus, 'SELECT') AND EXISTS (SELECT FROM pg_catalog.unnest(columns) AS c (name)
                WHERE NOT pg_catalog.has_column_privilege(bus, c.name, 'SELECT'))) THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = (SELECT pg_catalog.format('permission denied for table %s', c.relname)
                FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) bus::pg_catalog.regclass::pg_catalog.oid),
            HINT = pg_catalog.format(hint, bus, pg_catalog.quote_ident(CURRENT_USER));
    END IF;
    RETURN bus;
END $function$;

CREATE OR REPLACE FUNCTION bus_sql_readable(columns pg_catalog.text[]) RETURNS pg_catalog.text
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT bus_sql_granted(bus_sql_table('bus_version()'::pg_catalog.regprocedure), columns, false,
            'Reading requires: GRANT SELECT ON %s TO %s.');
    END;

-- Raises an error if the transaction is read-only.
CREATE OR REPLACE FUNCTION bus_sql_writes(what pg_catalog.text) RETURNS pg_catalog.text
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
BEGIN
    IF pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'on' THEN
        RAISE EXCEPTION USING ERRCODE = '25006', MESSAGE = pg_catalog.format('cannot execute %s in a read-only transaction', what);
    END IF;
    RETURN what;
END $function$;

-- Sending -------------------------------------------------------------------------------------------------------------

-- Inserts a row for each channel with its message, and announces each channel once by NOTIFY in this transaction.
-- The table is locked before an id is drawn: a reader decides by that lock when a missing id is dead.
CREATE OR REPLACE FUNCTION bus_sql_send(channels pg_catalog.text[], messages pg_catalog.text[], what pg_catalog.text,
        bus pg_catalog.text) RETURNS pg_catalog.int8[]
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $function$
DECLARE
    count pg_catalog.int4 := pg_catalog.cardinality(channels);
    sequence pg_catalog.regclass;
    id_default pg_catalog.text;
    id_type pg_catalog.oid;
    identity pg_catalog."char";
    ids pg_catalog.int8[];
    sent_at pg_catalog.timestamp := pg_catalog.timezone('UTC', pg_catalog.now());
    channel pg_catalog.text;
    announced pg_catalog.text := '';
BEGIN
    SELECT pg_catalog.pg_get_serial_sequence(bus, 'id')::pg_catalog.regclass, pg_catalog.pg_get_expr(d.adbin, d.adrelid),
            a.atttypid, a.attidentity INTO sequence, id_default, id_type, identity
        FROM pg_catalog.pg_attribute AS a LEFT JOIN pg_catalog.pg_attrdef AS d
            ON d.adrelid OPERATOR(pg_catalog.=) a.attrelid AND d.adnum OPERATOR(pg_catalog.=) a.attnum
        WHERE a.attrelid OPERATOR(pg_catalog.=) bus::pg_catalog.regclass::pg_catalog.oid AND a.attname OPERATOR(pg_catalog.=) 'id';
    IF NOT pg_catalog.has_table_privilege(bus, 'INSERT') THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'permission denied for table bus_bus',
            HINT = pg_catalog.format('Sending, also by a trigger on another table, requires: GRANT INSERT ON %s TO %I; '
                'and USAGE on the sequence of its ids.', bus, CURRENT_USER);
    ELSIF sequence IS NOT NULL AND NOT pg_catalog.has_sequence_privilege(sequence::pg_catalog.oid, 'USAGE, UPDATE') THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = (SELECT pg_catalog.format('permission denied for sequence %s', c.relname)
                FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.=) sequence::pg_catalog.oid),
            HINT = pg_catalog.format('Sending, also by a trigger on another table, requires: GRANT USAGE ON SEQUENCE %s TO %I; '
                'and INSERT on the table.', pg_catalog.pg_get_serial_sequence(bus, 'id'), CURRENT_USER);
    END IF;
    EXECUTE pg_catalog.format('LOCK TABLE ONLY %s IN ROW EXCLUSIVE MODE', bus);

    IF sequence IS NOT NULL AND (identity OPERATOR(pg_catalog.<>) ''
            OR id_default OPERATOR(pg_catalog.=) pg_catalog.format('nextval(%L::regclass)', sequence)) THEN
        ids := ARRAY(SELECT pg_catalog.nextval(sequence) FROM pg_catalog.generate_series(1, count));
    ELSIF id_default IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42809', MESSAGE = 'the column "id" of bus_bus has no default',
            HINT = 'Give it a sequence as its default, as Odoo does.';
    ELSE
        EXECUTE pg_catalog.format('SELECT ARRAY(SELECT (%s)::pg_catalog.int8 FROM pg_catalog.generate_series(1, $1))', id_default)
            INTO ids USING count;
        IF pg_catalog.array_position(ids, NULL) IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = '23502', MESSAGE = 'the default of the column "id" of bus_bus is NULL',
                HINT = 'Give it a sequence as its default, as Odoo does.';
        END IF;
    END IF;

    IF count OPERATOR(pg_catalog.=) 1 THEN
        EXECUTE pg_catalog.format('INSERT INTO %s (id, channel, message, create_date, write_date) OVERRIDING SYSTEM VALUE '
            'VALUES ($1, $2, $3, $4, $4)', bus) USING ids[1], channels[1], messages[1], sent_at;
        PERFORM pg_catalog.pg_notify('imbus', pg_catalog.concat('[', channels[1], ']'));
    ELSE
        EXECUTE pg_catalog.format('INSERT INTO %s (id, channel, message, create_date, write_date) OVERRIDING SYSTEM VALUE '
            'SELECT r.id, r.channel, r.message, $4, $4 FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), '
            'pg_catalog.unnest($3)) AS r (id, channel, message)', bus) USING ids, channels, messages, sent_at;
        FOR channel IN SELECT c.channel FROM (SELECT u.channel COLLATE pg_catalog."C", pg_catalog.min(u.place) AS place
                FROM pg_catalog.unnest(channels) WITH ORDINALITY AS u (channel, place) GROUP BY 1) AS c ORDER BY c.place LOOP
            IF pg_catalog.octet_length(announced) OPERATOR(pg_catalog.+) pg_catalog.octet_length(channel) OPERATOR(pg_catalog.>) 7996
                    AND announced OPERATOR(pg_catalog.<>) '' THEN
                PERFORM pg_catalog.pg_notify('imbus', pg_catalog.concat('[', announced, ']'));
                announced := '';
            END IF;
            announced := pg_catalog.concat(announced, CASE WHEN announced OPERATOR(pg_catalog.<>) '' THEN ',' END, channel);
        END LOOP;
        PERFORM pg_catalog.pg_notify('imbus', pg_catalog.concat('[', announced, ']'));
    END IF;

    IF ids[count] OPERATOR(pg_catalog.>) 1932735282 AND id_type OPERATOR(pg_catalog.=) 23
            AND pg_catalog.current_setting('odoo_bus_sql.warned', true) IS NULL THEN
        PERFORM pg_catalog.set_config('odoo_bus_sql.warned', 'ids', false); -- once in each session
        RAISE WARNING USING MESSAGE = pg_catalog.format('the ids of bus_bus will run out: %s are left, less than 10 %% of the '
                'range of an integer', 2147483647 OPERATOR(pg_catalog.-) ids[count]),
            HINT = 'Empty the table and restart its sequence in a quiet hour, or change the column to bigint where nothing but '
                'this extension and its gateway uses it.';
    END IF;
    RETURN ids;
END $function$;

CREATE OR REPLACE FUNCTION bus_sql_send_many(channels pg_catalog.text[], messages pg_catalog.text[])
    RETURNS pg_catalog.int8[] LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT CASE WHEN bus_sql_writes('bus_sendmany()') IS NULL OR channels IS NULL THEN ARRAY[]::pg_catalog.int8[]
            ELSE bus_sql_send(channels, messages, 'bus_sendmany()', bus_sql_table('bus_version()'::pg_catalog.regprocedure)) END;
    END;

CREATE OR REPLACE FUNCTION bus_sql_send_one(channel pg_catalog.text, message pg_catalog.text, what pg_catalog.text)
    RETURNS pg_catalog.int8 LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT (bus_sql_send(ARRAY[channel], ARRAY[message], bus_sql_writes(what),
            bus_sql_table('bus_version()'::pg_catalog.regprocedure)))[1];
    END;

CREATE OR REPLACE FUNCTION bus_sendone(channel pg_catalog.text, notification_type pg_catalog.text, payload pg_catalog.jsonb)
    RETURNS pg_catalog.int8 LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT bus_sql_send_one(bus_channel(channel), bus_sql_message(notification_type, payload), 'bus_sendone()');
    END;
COMMENT ON FUNCTION bus_sendone(pg_catalog.text, pg_catalog.text, pg_catalog.jsonb) IS
    'sends a notification to a channel of this name; returns its id';

CREATE OR REPLACE FUNCTION bus_sendone(model pg_catalog.text, res_id pg_catalog.int8, notification_type pg_catalog.text,
        payload pg_catalog.jsonb) RETURNS pg_catalog.int8 LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT bus_sql_send_one(bus_channel(model, res_id), bus_sql_message(notification_type, payload), 'bus_sendone()');
    END;
COMMENT ON FUNCTION bus_sendone(pg_catalog.text, pg_catalog.int8, pg_catalog.text, pg_catalog.jsonb) IS
    'sends a notification to the channel of a record, for example of a partner; returns its id';

CREATE OR REPLACE FUNCTION bus_sendone(model pg_catalog.text, res_id pg_catalog.int8, subchannel pg_catalog.text,
        notification_type pg_catalog.text, payload pg_catalog.jsonb) RETURNS pg_catalog.int8
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT bus_sql_send_one(bus_channel(model, res_id, subchannel), bus_sql_message(notification_type, payload),
            'bus_sendone()');
    END;
COMMENT ON FUNCTION bus_sendone(pg_catalog.text, pg_catalog.int8, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb) IS
    'sends a notification to a subchannel of a record; returns its id';

-- The quoted name of a table of Odoo with these columns, of one of these types, in the schema of the function `home`.
-- What a view, or a cast of another type, calls would run as the sender.
CREATE OR REPLACE FUNCTION bus_sql_odoo_table(home pg_catalog.regprocedure, relation pg_catalog.text, columns pg_catalog.text[],
        types pg_catalog.regtype[]) RETURNS pg_catalog.text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    schema_name pg_catalog.text;
    is_there pg_catalog.bool;
BEGIN
    SELECT n.nspname, c.oid IS NOT NULL INTO schema_name, is_there
        FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
        LEFT JOIN pg_catalog.pg_class AS c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
            AND c.relname OPERATOR(pg_catalog.=) relation::pg_catalog.name AND c.relkind OPERATOR(pg_catalog.=) 'r'
            AND (SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute AS a WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid
                AND a.attnum OPERATOR(pg_catalog.>) 0 AND a.attname OPERATOR(pg_catalog.=) ANY (columns::pg_catalog.name[])
                AND a.atttypid OPERATOR(pg_catalog.=) ANY (types::pg_catalog.oid[]))
                OPERATOR(pg_catalog.=) pg_catalog.cardinality(columns)
        WHERE p.oid OPERATOR(pg_catalog.=) home::pg_catalog.oid;
    IF NOT is_there THEN
        RAISE EXCEPTION USING ERRCODE = '42P01', MESSAGE = pg_catalog.format(
                'there is no table "%s" of Odoo in schema "%s", in which odoo_bus is installed', relation, schema_name),
            HINT = 'bus_sendone_user() sends to users of Odoo; use bus_sendone() for other channels.';
    END IF;
    RETURN pg_catalog.format('%I.%I', schema_name, relation);
END $function$;

CREATE OR REPLACE FUNCTION bus_sql_user_id(value pg_catalog.int8) RETURNS pg_catalog.int8
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
BEGIN
    IF value IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'the user''s id must not be NULL',
            HINT = 'Give the id of a row of res_users.';
    END IF;
    RETURN value;
END $function$;

-- The record to whose channel the installed release sends: the user from 19.3 on, the user's partner before. The version of
-- the module base is like 19.0.1.3 or saas~19.3.1.3.
CREATE OR REPLACE FUNCTION bus_sql_user(user_id pg_catalog.int8, users pg_catalog.text, modules pg_catalog.text,
        OUT model pg_catalog.text, OUT res_id pg_catalog.int8) LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    version pg_catalog.text;
    release pg_catalog.text[];
    major pg_catalog.int4;
BEGIN
    EXECUTE pg_catalog.format('SELECT u.partner_id::pg_catalog.int8, (SELECT m.latest_version::pg_catalog.text FROM ONLY %s AS m '
            'WHERE m.name::pg_catalog.text OPERATOR(pg_catalog.=) ''base'' LIMIT 1) '
            'FROM ONLY %s AS u WHERE u.id OPERATOR(pg_catalog.=) $1', modules, users) INTO res_id, version USING user_id;
    release := pg_catalog.regexp_match(version COLLATE pg_catalog."C",
        '^(?:saas~)?([0-9]{1,9})(?![0-9])(?:[.]([0-9]{1,9})(?![0-9]))?');
    major := release[1];
    IF major OPERATOR(pg_catalog.>) 19 OR (major OPERATOR(pg_catalog.=) 19
            AND release[2]::pg_catalog.int4 OPERATOR(pg_catalog.>=) 3) THEN
        model := 'res.users';
        res_id := user_id;
    ELSIF COALESCE(res_id, 0) OPERATOR(pg_catalog.=) 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'P0002', MESSAGE = pg_catalog.format('there is no user %s', user_id),
            HINT = 'Give the id of a row of res_users, not that of a partner.';
    ELSE
        model := 'res.partner';
    END IF;
END $function$;

CREATE OR REPLACE FUNCTION bus_sql_user_channel(user_id pg_catalog.int8) RETURNS pg_catalog.text
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT bus_sql_channel(u.model, u.res_id, NULL)
        FROM bus_sql_user(bus_sql_user_id(user_id),
            bus_sql_granted(bus_sql_odoo_table('bus_version()'::pg_catalog.regprocedure, 'res_users', ARRAY['id', 'partner_id'],
                    ARRAY['pg_catalog.int4', 'pg_catalog.int8']::pg_catalog.regtype[]), ARRAY['id', 'partner_id'], false,
                'Sending to a user requires: GRANT SELECT (id, partner_id) ON %s TO %s.'),
            bus_sql_granted(bus_sql_odoo_table('bus_version()'::pg_catalog.regprocedure, 'ir_module_module',
                    ARRAY['name', 'latest_version'], ARRAY['pg_catalog.varchar', 'pg_catalog.text']::pg_catalog.regtype[]),
                ARRAY['name', 'latest_version'], false,
                'Sending to a user requires: GRANT SELECT (name, latest_version) ON %s TO %s.')) AS u;
    END;

CREATE OR REPLACE FUNCTION bus_sendone_user(user_id pg_catalog.int8, notification_type pg_catalog.text, payload pg_catalog.jsonb)
    RETURNS pg_catalog.int8 LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT bus_sql_send_one(bus_sql_user_channel(user_id), bus_sql_message(notification_type, payload), 'bus_sendone()');
    END;
COMMENT ON FUNCTION bus_sendone_user(pg_catalog.int8, pg_catalog.text, pg_catalog.jsonb) IS
    'sends a notification to a user of Odoo, on the channel that the installed release prefers; returns its id';

CREATE OR REPLACE FUNCTION bus_sendmany(notifications pg_catalog.jsonb) RETURNS pg_catalog.int8[]
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT bus_sql_send_many(pg_catalog.array_agg(n.channel ORDER BY n.place), pg_catalog.array_agg(n.message ORDER BY n.place))
        FROM (SELECT e.place, bus_sql_channel(t.name, t.res_id, t.subchannel) AS channel,
                bus_sql_message(t.notification_type, t.payload) AS message
            FROM pg_catalog.jsonb_array_elements(bus_sql_list(notifications)) WITH ORDINALITY AS e (element, place)
            CROSS JOIN LATERAL bus_sql_triple(e.element, e.place) AS t) AS n;
    END;
COMMENT ON FUNCTION bus_sendmany(pg_catalog.jsonb) IS
    'sends an array of [target, type, payload], target being "name", ["model", id] or ["model", id, "subchannel"]; returns their ids in order';

CREATE OR REPLACE FUNCTION bus_sendmany(channels pg_catalog.text[], notification_type pg_catalog.text, payload pg_catalog.jsonb)
    RETURNS pg_catalog.int8[] LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT bus_sql_send_many(pg_catalog.array_agg(bus_sql_channel(bus_sql_element_name(e.name, e.place,
                'Give the channel as text that is not empty.'), NULL, NULL) ORDER BY e.place),
            pg_catalog.array_agg(m.message ORDER BY e.place))
        FROM (SELECT bus_sql_elements(channels, 'channel') AS names OFFSET 0) AS c
        CROSS JOIN LATERAL (SELECT bus_sql_message(notification_type, payload) AS message OFFSET 0) AS m
        CROSS JOIN LATERAL pg_catalog.unnest(c.names) WITH ORDINALITY AS e (name, place);
    END;
COMMENT ON FUNCTION bus_sendmany(pg_catalog.text[], pg_catalog.text, pg_catalog.jsonb) IS
    'sends the same notification to each of these channels; returns their ids in order';

CREATE OR REPLACE FUNCTION bus_sendmany(model pg_catalog.text, res_ids pg_catalog.int8[], notification_type pg_catalog.text,
        payload pg_catalog.jsonb) RETURNS pg_catalog.int8[] LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT bus_sql_send_many(pg_catalog.array_agg(bus_sql_channel(o.model, e.res_id, NULL) ORDER BY e.place),
            pg_catalog.array_agg(m.message ORDER BY e.place))
        FROM (SELECT bus_sql_name(model, 'model') AS model OFFSET 0) AS o
        CROSS JOIN LATERAL (SELECT bus_sql_elements(res_ids, 'record id') AS ids OFFSET 0) AS r
        CROSS JOIN LATERAL (SELECT bus_sql_message(notification_type, payload) AS message OFFSET 0) AS m
        CROSS JOIN LATERAL pg_catalog.unnest(r.ids) WITH ORDINALITY AS e (res_id, place);
    END;
COMMENT ON FUNCTION bus_sendmany(pg_catalog.text, pg_catalog.int8[], pg_catalog.text, pg_catalog.jsonb) IS
    'sends the same notification to the channel of each of these records; returns their ids in order';

-- The same for a payload that is json. Since the type is varchar, no literal is ambiguous: PostgreSQL prefers text.
CREATE OR REPLACE FUNCTION bus_sendone(channel pg_catalog.text, notification_type pg_catalog.varchar, payload pg_catalog.json)
    RETURNS pg_catalog.int8 LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC SELECT bus_sendone(channel, notification_type::pg_catalog.text, payload::pg_catalog.jsonb); END;
COMMENT ON FUNCTION bus_sendone(pg_catalog.text, pg_catalog.varchar, pg_catalog.json) IS
    'the same with a payload that is json';

CREATE OR REPLACE FUNCTION bus_sendone(
        model pg_catalog.text, res_id pg_catalog.int8, notification_type pg_catalog.varchar, payload pg_catalog.json)
    RETURNS pg_catalog.int8 LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC SELECT bus_sendone(model, res_id, notification_type::pg_catalog.text, payload::pg_catalog.jsonb); END;
COMMENT ON FUNCTION bus_sendone(pg_catalog.text, pg_catalog.int8, pg_catalog.varchar, pg_catalog.json) IS
    'the same with a payload that is json';

CREATE OR REPLACE FUNCTION bus_sendone(
        model pg_catalog.text, res_id pg_catalog.int8, subchannel pg_catalog.text, notification_type pg_catalog.varchar, payload pg_catalog.json)
    RETURNS pg_catalog.int8 LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC SELECT bus_sendone(model, res_id, subchannel, notification_type::pg_catalog.text, payload::pg_catalog.jsonb); END;
COMMENT ON FUNCTION bus_sendone(pg_catalog.text, pg_catalog.int8, pg_catalog.text, pg_catalog.varchar, pg_catalog.json) IS
    'the same with a payload that is json';

CREATE OR REPLACE FUNCTION bus_sendone_user(
        user_id pg_catalog.int8, notification_type pg_catalog.varchar, payload pg_catalog.json)
    RETURNS pg_catalog.int8 LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC SELECT bus_sendone_user(user_id, notification_type::pg_catalog.text, payload::pg_catalog.jsonb); END;
COMMENT ON FUNCTION bus_sendone_user(pg_catalog.int8, pg_catalog.varchar, pg_catalog.json) IS
    'the same with a payload that is json';

CREATE OR REPLACE FUNCTION bus_sendmany(channels pg_catalog.text[], notification_type pg_catalog.varchar, payload pg_catalog.json)
    RETURNS pg_catalog.int8[] LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC SELECT bus_sendmany(channels, notification_type::pg_catalog.text, payload::pg_catalog.jsonb); END;
COMMENT ON FUNCTION bus_sendmany(pg_catalog.text[], pg_catalog.varchar, pg_catalog.json) IS
    'the same with a payload that is json';

CREATE OR REPLACE FUNCTION bus_sendmany(
        model pg_catalog.text, res_ids pg_catalog.int8[], notification_type pg_catalog.varchar, payload pg_catalog.json)
    RETURNS pg_catalog.int8[] LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC SELECT bus_sendmany(model, res_ids, notification_type::pg_catalog.text, payload::pg_catalog.jsonb); END;
COMMENT ON FUNCTION bus_sendmany(pg_catalog.text, pg_catalog.int8[], pg_catalog.varchar, pg_catalog.json) IS
    'the same with a payload that is json';

CREATE OR REPLACE FUNCTION bus_notify(channel pg_catalog.text, payload pg_catalog.text) RETURNS pg_catalog.void
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED BEGIN ATOMIC SELECT pg_catalog.pg_notify(channel, payload); END;
COMMENT ON FUNCTION bus_notify(pg_catalog.text, pg_catalog.text) IS 'pg_notify(), under the name that it has in the extension';

-- Reading -------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION bus_sql_newest(bus pg_catalog.text) RETURNS pg_catalog.int8
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $function$
DECLARE
    newest pg_catalog.int8;
BEGIN
    EXECUTE pg_catalog.format('SELECT COALESCE(pg_catalog.max(b.id), 0)::pg_catalog.int8 FROM %s AS b', bus) INTO newest;
    RETURN newest;
END $function$;

CREATE OR REPLACE FUNCTION bus_last_id() RETURNS pg_catalog.int8 LANGUAGE sql STABLE PARALLEL RESTRICTED
    BEGIN ATOMIC SELECT bus_sql_newest(bus_sql_readable(ARRAY['id'])); END;
COMMENT ON FUNCTION bus_last_id() IS 'the newest id, 0 when there is none';

-- A client without a valid position gets the notifications of 50 seconds.
CREATE OR REPLACE FUNCTION bus_sql_poll(last pg_catalog.int8, newest pg_catalog.int8, bus pg_catalog.text,
        channels pg_catalog.text[]) RETURNS TABLE (id pg_catalog.int8, message pg_catalog.jsonb)
    LANGUAGE plpgsql STABLE PARALLEL UNSAFE AS $function$
DECLARE
    is_known CONSTANT pg_catalog.bool := last OPERATOR(pg_catalog.>) 0 AND last OPERATOR(pg_catalog.<=) newest;
    found pg_catalog.text;
BEGIN
    FOR id, found IN EXECUTE pg_catalog.format('SELECT b.id::pg_catalog.int8, b.message::pg_catalog.text FROM %s AS b '
            'WHERE b.channel::pg_catalog.text OPERATOR(pg_catalog.=) ANY ($1) AND b.%s ORDER BY b.id', bus, CASE
                WHEN is_known THEN 'id OPERATOR(pg_catalog.>) $2' ELSE 'create_date OPERATOR(pg_catalog.>) $3' END)
            USING channels, last, pg_catalog.timezone('UTC', pg_catalog.clock_timestamp())
                OPERATOR(pg_catalog.-) pg_catalog.make_interval(secs => 50) LOOP
        CONTINUE WHEN found IS NULL;
        -- Rows of other writers may hold what is no JSON, or what jsonb cannot hold.
        BEGIN
            message := found::pg_catalog.jsonb;
        EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
            IF id OPERATOR(pg_catalog.>) COALESCE(pg_catalog.current_setting('odoo_bus_sql.logged_id', true), '0')::pg_catalog.int8 THEN
                RAISE LOG USING MESSAGE = pg_catalog.format('row %s of bus_bus cannot be delivered: %s', id, SQLERRM),
                    HINT = 'Find the program that writes it.';
                PERFORM pg_catalog.set_config('odoo_bus_sql.logged_id', id::pg_catalog.text, false);
            END IF;
            CONTINUE;
        END;
        RETURN NEXT;
    END LOOP;
END $function$;

CREATE OR REPLACE FUNCTION bus_sql_polled(channels pg_catalog.text[], last pg_catalog.int8) RETURNS pg_catalog.int8
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
BEGIN
    IF channels IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'the channels must not be NULL',
            HINT = 'Give their names, or channels as bus_channel() returns them.';
    ELSIF last IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'the last id must not be NULL',
            HINT = 'Give the id of the last notification that was received, or 0.';
    END IF;
    RETURN last;
END $function$;

-- The channels as they are stored: a name, which does not begin like one of these, is that of a channel.
CREATE OR REPLACE FUNCTION bus_sql_stored(channels pg_catalog.text[]) RETURNS pg_catalog.text[]
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT pg_catalog.array_agg(CASE WHEN pg_catalog.starts_with(bus_sql_element_name(e.name, e.place,
                'Give the name of a channel, or a channel as bus_channel() returns it.') COLLATE pg_catalog."C", '[') THEN e.name
            ELSE bus_sql_channel(e.name, NULL, NULL) END ORDER BY e.place)
        FROM pg_catalog.unnest(channels) WITH ORDINALITY AS e (name, place) WHERE e.name IS NOT NULL;
    END;

CREATE OR REPLACE FUNCTION bus_poll(channels pg_catalog.text[], last pg_catalog.int8)
    RETURNS TABLE (id pg_catalog.int8, message pg_catalog.jsonb) LANGUAGE sql STABLE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT p.id, p.message
        FROM bus_sql_poll(bus_sql_polled(channels, last), bus_last_id(),
            bus_sql_readable(ARRAY['id', 'channel', 'message', 'create_date']), bus_sql_stored(channels)) AS p;
    END;
COMMENT ON FUNCTION bus_poll(pg_catalog.text[], pg_catalog.int8) IS
    'the notifications that a client with these channels (names, or as bus_channel() returns them) and this last id has not received; 0 stands for the last 50 seconds';

-- Old rows ------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION bus_sql_oldest_kept(retention pg_catalog.interval, max_rows pg_catalog.int8)
    RETURNS pg_catalog.timestamp LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    now pg_catalog.timestamp := pg_catalog.timezone('UTC', pg_catalog.clock_timestamp());
BEGIN
    IF retention IS NULL OR max_rows IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22004', MESSAGE = 'retention and max_rows must not be NULL',
            HINT = 'Leave them out for 24 hours and 10000 rows.';
    ELSIF now OPERATOR(pg_catalog.-) retention OPERATOR(pg_catalog.>) now THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'retention must not be negative',
            HINT = 'Give the age from which on rows are deleted, for example ''24 hours''.';
    ELSIF max_rows OPERATOR(pg_catalog.<=) 0 THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'max_rows must be greater than zero',
            HINT = 'Leave it out for 10000 rows at a time.';
    END IF;
    RETURN now OPERATOR(pg_catalog.-) retention;
END $function$;

-- A row that is dated in the future is as old as the next one that is not.
CREATE OR REPLACE FUNCTION bus_sql_gc(oldest_kept pg_catalog.timestamp, max_rows pg_catalog.int8, what pg_catalog.text,
        bus pg_catalog.text) RETURNS pg_catalog.int8 LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $function$
DECLARE
    deleted pg_catalog.int8;
BEGIN
    EXECUTE pg_catalog.format('DELETE FROM %1$s AS b WHERE b.id OPERATOR(pg_catalog.=) ANY (SELECT o.id FROM %1$s AS o WHERE o.id '
        'OPERATOR(pg_catalog.<=) (SELECT pg_catalog.max(a.id) FROM (SELECT a.id FROM %1$s AS a WHERE a.create_date '
        'OPERATOR(pg_catalog.<) $1 ORDER BY a.id LIMIT $2) AS a) AND (o.create_date OPERATOR(pg_catalog.<) $1 OR '
        'o.create_date OPERATOR(pg_catalog.>) $3) ORDER BY o.id LIMIT $2)', bus)
        USING oldest_kept, max_rows, pg_catalog.timezone('UTC', pg_catalog.clock_timestamp());
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END $function$;

CREATE OR REPLACE FUNCTION bus_gc(retention pg_catalog.interval DEFAULT '24 hours', max_rows pg_catalog.int8 DEFAULT 10000)
    RETURNS pg_catalog.int8 LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT bus_sql_gc(bus_sql_oldest_kept(retention, max_rows), max_rows, bus_sql_writes('bus_gc()'),
            bus_sql_granted(bus_sql_table('bus_version()'::pg_catalog.regprocedure), ARRAY['id', 'create_date'], true,
                'Deleting old rows requires: GRANT SELECT, DELETE ON %s TO %s.'));
    END;
COMMENT ON FUNCTION bus_gc(pg_catalog.interval, pg_catalog.int8) IS
    'deletes at most max_rows notifications that are older than retention; returns their number';

-- `gc` is not for callers: a body in PL/pgSQL, which alone can commit, finds its schema by it.
CREATE OR REPLACE PROCEDURE bus_gc_all(retention pg_catalog.interval DEFAULT '24 hours', max_rows pg_catalog.int8 DEFAULT 10000,
        gc pg_catalog.regprocedure DEFAULT 'bus_gc(pg_catalog.interval, pg_catalog.int8)'::pg_catalog.regprocedure)
    LANGUAGE plpgsql AS $procedure$
DECLARE
    call CONSTANT pg_catalog.text := (SELECT pg_catalog.format('SELECT %I.bus_gc($1, $2)', n.nspname)
        FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
        WHERE p.oid OPERATOR(pg_catalog.=) gc::pg_catalog.oid);
    begun CONSTANT pg_catalog.timestamptz := pg_catalog.clock_timestamp();
    deleted pg_catalog.int8;
BEGIN
    LOOP
        -- What was old when it began, so that it ends however much is being sent.
        EXECUTE call INTO deleted USING retention OPERATOR(pg_catalog.+) (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) begun),
            max_rows;
        COMMIT;
        EXIT WHEN deleted OPERATOR(pg_catalog.<) max_rows;
    END LOOP;
END $procedure$;
COMMENT ON PROCEDURE bus_gc_all(pg_catalog.interval, pg_catalog.int8, pg_catalog.regprocedure) IS
    'deletes all notifications that are older than retention, and commits after every max_rows of them';

-- Tables --------------------------------------------------------------------------------------------------------------

-- The schema of the function `home`, unless there is a relation of this name in it.
CREATE OR REPLACE FUNCTION bus_sql_schema_without(home pg_catalog.regprocedure, relation pg_catalog.text, hint pg_catalog.text)
    RETURNS pg_catalog.text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    schema_name pg_catalog.text;
    is_there pg_catalog.bool;
BEGIN
    SELECT n.nspname, c.oid IS NOT NULL INTO schema_name, is_there
        FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
        LEFT JOIN pg_catalog.pg_class AS c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
            AND c.relname OPERATOR(pg_catalog.=) relation::pg_catalog.name
        WHERE p.oid OPERATOR(pg_catalog.=) home::pg_catalog.oid;
    IF is_there THEN
        RAISE EXCEPTION USING ERRCODE = '42P07',
            MESSAGE = pg_catalog.format('there is a table "%s" in schema "%s" already', relation, schema_name), HINT = hint;
    END IF;
    RETURN schema_name;
END $function$;

-- The comment is the extension's: when it is installed later, it deletes old rows of a table with this comment.
CREATE OR REPLACE FUNCTION bus_sql_create_table(bigint_ids pg_catalog.bool, schema_name pg_catalog.text) RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $function$
BEGIN
    EXECUTE pg_catalog.format('CREATE TABLE %I.bus_bus (id %s PRIMARY KEY, channel pg_catalog.varchar, message pg_catalog.varchar, '
        'create_uid pg_catalog.int4, create_date pg_catalog.timestamp, write_uid pg_catalog.int4, write_date pg_catalog.timestamp)',
        schema_name, CASE WHEN bigint_ids THEN 'bigserial' ELSE 'serial' END);
    EXECUTE pg_catalog.format('CREATE INDEX ON %I.bus_bus (create_date)', schema_name);
    EXECUTE pg_catalog.format('COMMENT ON TABLE %I.bus_bus IS %L', schema_name,
        'made by bus_create_table() of odoo_bus: rows older than odoo_bus.retention (24 hours) are deleted');
    RAISE NOTICE USING MESSAGE = 'old rows of bus_bus are not deleted by themselves: these functions have no background worker',
        HINT = pg_catalog.format('Call them regularly, with pg_cron for example: '
            'SELECT cron.schedule(''bus_gc'', ''*/10 * * * *'', ''CALL %I.bus_gc_all()'').', schema_name);
END $function$;

CREATE OR REPLACE FUNCTION bus_create_table(bigint_ids pg_catalog.bool DEFAULT false) RETURNS pg_catalog.void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT bus_sql_create_table(bigint_ids, bus_sql_schema_without('bus_version()'::pg_catalog.regprocedure, 'bus_bus',
            'Nothing is left to do: the functions of odoo_bus use it.'));
    END;
COMMENT ON FUNCTION bus_create_table(pg_catalog.bool) IS
    'creates the table bus_bus as Odoo does, and an index for bus_gc, in a database without Odoo';

CREATE OR REPLACE FUNCTION bus_sql_create_presence_table(schema_name pg_catalog.text) RETURNS pg_catalog.void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $function$
BEGIN
    EXECUTE pg_catalog.format('CREATE UNLOGGED TABLE %I.bus_presence_gateway (gateway pg_catalog.text PRIMARY KEY, '
        'expires pg_catalog.timestamptz NOT NULL, begun pg_catalog.timestamptz NOT NULL)', schema_name);
    EXECUTE pg_catalog.format('CREATE UNLOGGED TABLE %1$I.bus_presence (channel pg_catalog.text NOT NULL, member pg_catalog.text '
        'NOT NULL, gateway pg_catalog.text NOT NULL REFERENCES %1$I.bus_presence_gateway, since pg_catalog.timestamptz NOT NULL, '
        'PRIMARY KEY (channel, member, gateway))', schema_name);
    EXECUTE pg_catalog.format('CREATE INDEX ON %I.bus_presence (gateway)', schema_name);
    EXECUTE pg_catalog.format('CREATE VIEW %1$I.bus_online AS SELECT p.channel, p.member, pg_catalog.min(p.since) AS since '
        'FROM %1$I.bus_presence AS p WHERE EXISTS (SELECT FROM %1$I.bus_presence_gateway AS g WHERE g.gateway '
        'OPERATOR(pg_catalog.=) p.gateway AND g.expires OPERATOR(pg_catalog.>) pg_catalog.now()) GROUP BY p.channel, p.member',
        schema_name);
    EXECUTE pg_catalog.format('COMMENT ON TABLE %I.bus_presence IS %L', schema_name,
        'made by bus_create_presence_table() of odoo_bus: who is on which channel (as stored), by gateway');
    EXECUTE pg_catalog.format('COMMENT ON TABLE %I.bus_presence_gateway IS %L', schema_name,
        'made by bus_create_presence_table() of odoo_bus: until when the rows of a gateway in bus_presence are to be believed; '
        'begun is the same in all rows until a crash empties the tables');
    EXECUTE pg_catalog.format('COMMENT ON VIEW %I.bus_online IS %L', schema_name,
        'made by bus_create_presence_table() of odoo_bus: who is on which channel (as stored) at the gateways that live, and since when');
    EXECUTE pg_catalog.format('COMMENT ON COLUMN %I.bus_online.channel IS %L', schema_name, 'the channel as it is stored');
    EXECUTE pg_catalog.format('COMMENT ON COLUMN %I.bus_online.member IS %L', schema_name, 'the name of the member');
    EXECUTE pg_catalog.format('COMMENT ON COLUMN %I.bus_online.since IS %L', schema_name,
        'since when, by the first of the member''s connections');
END $function$;

CREATE OR REPLACE FUNCTION bus_create_presence_table() RETURNS pg_catalog.void LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT bus_sql_create_presence_table(bus_sql_schema_without('bus_version()'::pg_catalog.regprocedure, 'bus_presence',
            'Nothing is left to do: gateways with --presence use it.'));
    END;
COMMENT ON FUNCTION bus_create_presence_table() IS
    'creates the tables in which gateways with --presence keep the members of channels, and the view bus_online on them';

-- Changed records -----------------------------------------------------------------------------------------------------

-- A key has one spelling, whatever the session's settings.
CREATE OR REPLACE FUNCTION bus_sql_key(key pg_catalog.anyelement) RETURNS pg_catalog.text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET "DateStyle" = 'ISO, YMD' SET "IntervalStyle" = 'postgres' SET "TimeZone" = 'UTC'
    SET bytea_output = 'hex' SET extra_float_digits = 1 SET lc_monetary = 'C' SET search_path = '' SET quote_all_identifiers = off
    AS $function$
BEGIN
    RETURN pg_catalog.format('%s', key);
END $function$;

CREATE OR REPLACE FUNCTION bus_sql_send_change(channel pg_catalog.text, notification_type pg_catalog.text, payload pg_catalog.text)
    RETURNS pg_catalog.int8 LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT bus_sql_send_one(bus_sql_channel(channel, NULL, NULL), bus_sql_message_of(notification_type, payload),
            'bus_record_changed()');
    END;

CREATE OR REPLACE FUNCTION bus_record_changed() RETURNS pg_catalog.trigger LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $function$
DECLARE
    key_column CONSTANT pg_catalog.name := COALESCE(TG_ARGV[2], 'id');
    columns pg_catalog.name[];
    observed pg_catalog.name[];
    missing pg_catalog.text;
    wrong pg_catalog.text;
    home pg_catalog.text;
    key_type pg_catalog.oid;
    is_integer pg_catalog.bool;
    key_of pg_catalog.text;
    key_before pg_catalog.text;
    key_after pg_catalog.text;
    moved pg_catalog.bool;
    changed pg_catalog.text[];
    given pg_catalog.text[];
    operation pg_catalog.text;
    key pg_catalog.text;
    fields pg_catalog.text[];
BEGIN
    IF TG_WHEN OPERATOR(pg_catalog.<>) 'AFTER' OR TG_LEVEL OPERATOR(pg_catalog.<>) 'ROW' THEN
        wrong := 'it must fire AFTER the change and FOR EACH ROW';
    ELSIF TG_NARGS OPERATOR(pg_catalog.<) 2 OR TG_NARGS OPERATOR(pg_catalog.>) 4 THEN
        wrong := 'it needs two to four arguments';
    ELSIF TG_ARGV[0] OPERATOR(pg_catalog.=) '' OR TG_ARGV[1] OPERATOR(pg_catalog.=) '' THEN
        wrong := 'the channel and the type must not be empty';
    ELSE
        columns := ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute AS a
            WHERE a.attrelid OPERATOR(pg_catalog.=) TG_RELID AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
            ORDER BY a.attnum);
        IF key_column OPERATOR(pg_catalog.<>) ALL (columns) THEN
            missing := key_column;
        ELSIF TG_NARGS OPERATOR(pg_catalog.=) 4 AND NOT TG_ARGV[3] COLLATE pg_catalog."C" OPERATOR(pg_catalog.~)
                '^[[:space:]]*("([^"]|"")+"|[^",[:space:]]+)[[:space:]]*(,[[:space:]]*("([^"]|"")+"|[^",[:space:]]+)[[:space:]]*)*$' THEN
            wrong := 'the fourth argument is not a list of columns';
        ELSIF TG_NARGS OPERATOR(pg_catalog.=) 4 THEN
            observed := ARRAY(SELECT CASE WHEN pg_catalog.left(m.name[1], 1) OPERATOR(pg_catalog.=) '"'
                    THEN pg_catalog.replace(pg_catalog.substr(m.name[1], 2, pg_catalog.length(m.name[1]) OPERATOR(pg_catalog.-) 2),
                        '""', '"')
                    ELSE pg_catalog.lower(m.name[1] COLLATE pg_catalog."C") END::pg_catalog.name
                FROM pg_catalog.regexp_matches(TG_ARGV[3] COLLATE pg_catalog."C", '("(?:[^"]|"")+"|[^",[:space:]]+)', 'g') AS m (name));
            missing := (SELECT o.name FROM pg_catalog.unnest(observed) WITH ORDINALITY AS o (name, place)
                WHERE o.name OPERATOR(pg_catalog.<>) ALL (columns) ORDER BY o.place LIMIT 1);
            columns := ARRAY(SELECT c.name FROM pg_catalog.unnest(columns) WITH ORDINALITY AS c (name, place)
                WHERE c.name OPERATOR(pg_catalog.=) ANY (observed) ORDER BY c.place);
        END IF;
        IF missing IS NOT NULL THEN
            wrong := pg_catalog.format('there is no column "%s" in "%s"', missing, TG_TABLE_NAME);
        END IF;
    END IF;
    IF wrong IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '39P01',
            MESSAGE = pg_catalog.format('the trigger "%s" does not fit bus_record_changed(): %s', TG_NAME, wrong),
            HINT = 'CREATE TRIGGER ... AFTER INSERT OR UPDATE OR DELETE ON ... FOR EACH ROW EXECUTE FUNCTION bus_record_changed('
                '''channel_%s'', ''notification.type'' [, ''key column'' [, ''columns, that, count'']]).';
    END IF;

    -- The schema of this function, and the type of the key; of a domain, what it is made from.
    WITH RECURSIVE type AS (
        SELECT n.nspname, t.oid, t.typtype, t.typbasetype
        FROM pg_catalog.pg_trigger AS g JOIN pg_catalog.pg_proc AS p ON p.oid OPERATOR(pg_catalog.=) g.tgfoid
        JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) g.tgrelid
            AND a.attname OPERATOR(pg_catalog.=) key_column
        JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
        WHERE g.tgrelid OPERATOR(pg_catalog.=) TG_RELID AND g.tgname OPERATOR(pg_catalog.=) TG_NAME
        UNION ALL
        SELECT d.nspname, t.oid, t.typtype, t.typbasetype
        FROM type AS d JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) d.typbasetype
        WHERE d.typtype OPERATOR(pg_catalog.=) 'd')
    SELECT d.nspname, d.oid INTO home, key_type FROM type AS d WHERE d.typtype OPERATOR(pg_catalog.<>) 'd';

    -- The text of integers, and of text, varchar, uuid, numeric and bool, does not depend on the session's settings.
    is_integer := key_type OPERATOR(pg_catalog.=) ANY (ARRAY[20, 21, 23]::pg_catalog.oid[]);
    key_of := pg_catalog.concat('CASE WHEN pg_catalog.num_nulls(%1$s.%2$I) OPERATOR(pg_catalog.=) 0 THEN ', CASE
        WHEN is_integer OR key_type OPERATOR(pg_catalog.=) ANY (ARRAY[25, 1043, 2950, 1700, 16]::pg_catalog.oid[])
            THEN 'pg_catalog.format(''%%s'', %1$s.%2$I)'
        ELSE '%3$I.bus_sql_key(%1$s.%2$I)' END, ' END');
    EXECUTE pg_catalog.format('SELECT %1$s, %2$s, NOT pg_catalog.record_image_eq(ROW(b.%3$I), ROW(a.%3$I)), '
            'pg_catalog.array_remove(ARRAY[%4$s]::pg_catalog.text[], NULL), '
            'pg_catalog.array_remove(ARRAY[%5$s]::pg_catalog.text[], NULL) FROM (SELECT ($1).*) AS b, (SELECT ($2).*) AS a',
            pg_catalog.format(key_of, 'b', key_column, home), pg_catalog.format(key_of, 'a', key_column, home), key_column,
            (SELECT pg_catalog.string_agg(pg_catalog.format(
                'CASE WHEN NOT pg_catalog.record_image_eq(ROW(b.%1$I), ROW(a.%1$I)) THEN %1$L END', c.name), ',' ORDER BY c.place)
                FROM pg_catalog.unnest(columns) WITH ORDINALITY AS c (name, place)),
            (SELECT pg_catalog.string_agg(pg_catalog.format(
                'CASE WHEN pg_catalog.num_nulls(a.%1$I) OPERATOR(pg_catalog.=) 0 THEN %1$L END', c.name), ',' ORDER BY c.place)
                FROM pg_catalog.unnest(columns) WITH ORDINALITY AS c (name, place)))
        INTO key_before, key_after, moved, changed, given
        USING CASE WHEN TG_OP OPERATOR(pg_catalog.=) 'INSERT' THEN NEW ELSE OLD END,
            CASE WHEN TG_OP OPERATOR(pg_catalog.=) 'DELETE' THEN OLD ELSE NEW END;

    -- A row without a key has no channel. A change of the key is a delete on one channel and an insert on another.
    FOR operation, key, fields IN
            SELECT t.operation, t.key, t.fields FROM (VALUES
                (1, 'delete', key_before, ARRAY[]::pg_catalog.text[], TG_OP OPERATOR(pg_catalog.=) 'DELETE' OR moved),
                (2, 'insert', key_after, given, TG_OP OPERATOR(pg_catalog.=) 'INSERT' OR moved),
                (3, 'update', key_after, changed, TG_OP OPERATOR(pg_catalog.=) 'UPDATE' AND NOT moved
                    AND pg_catalog.cardinality(changed) OPERATOR(pg_catalog.>) 0)) AS t (place, operation, key, fields, is_told)
            WHERE t.is_told AND t.key IS NOT NULL ORDER BY t.place LOOP
        EXECUTE pg_catalog.format('SELECT %I.bus_sql_send_change($1, $2, $3)', home)
            USING pg_catalog.replace(TG_ARGV[0], '%s', key), TG_ARGV[1], pg_catalog.concat('{"record_id":',
                CASE WHEN is_integer THEN key ELSE pg_catalog.to_json(key)::pg_catalog.text END,
                ',"operation":"', operation, '","fields":', pg_catalog.to_json(fields)::pg_catalog.text, '}');
    END LOOP;
    RETURN NULL;
END $function$;
COMMENT ON FUNCTION bus_record_changed() IS
    'trigger, arguments: channel with %s for the key, notification type, key column (id), observed columns (all); sends the names of the changed columns of the row';

-- State ---------------------------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION bus_sql_stat(home pg_catalog.regprocedure, OUT last_id pg_catalog.int8, OUT ids_left pg_catalog.int8,
        OUT warning pg_catalog.text) LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $function$
DECLARE
    sequence pg_catalog.regclass;
    highest pg_catalog.int8;
BEGIN
    SELECT pg_catalog.pg_get_serial_sequence(pg_catalog.format('%I.bus_bus', n.nspname), 'id')::pg_catalog.regclass,
            CASE WHEN a.atttypid OPERATOR(pg_catalog.=) 20 THEN 9223372036854775807 ELSE 2147483647 END INTO sequence, highest
        FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
        JOIN pg_catalog.pg_class AS c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
            AND c.relname OPERATOR(pg_catalog.=) 'bus_bus'
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attname OPERATOR(pg_catalog.=) 'id'
        WHERE p.oid OPERATOR(pg_catalog.=) home::pg_catalog.oid;
    IF sequence IS NULL OR NOT pg_catalog.has_sequence_privilege(sequence::pg_catalog.oid, 'USAGE, SELECT') THEN
        RETURN;
    END IF;
    last_id := COALESCE(pg_catalog.pg_sequence_last_value(sequence), 0);
    ids_left := highest OPERATOR(pg_catalog.-) last_id;
    IF ids_left OPERATOR(pg_catalog.<) (highest OPERATOR(pg_catalog./) 10) THEN
        warning := pg_catalog.format('the ids of bus_bus will run out: %s are left, less than 10 %% of their range; empty the '
            'table and restart its sequence in a quiet hour', ids_left);
    END IF;
END $function$;

CREATE OR REPLACE FUNCTION bus_stat(
    OUT mode pg_catalog.text, OUT last_id pg_catalog.int8, OUT ids_left pg_catalog.int8, OUT sent pg_catalog.int8,
    OUT doorbells pg_catalog.int8, OUT notifies pg_catalog.int8, OUT coalesced pg_catalog.int8, OUT fallbacks pg_catalog.int8,
    OUT queue_used pg_catalog.int8, OUT queue_size pg_catalog.int8, OUT worker_pid pg_catalog.int4,
    OUT last_error pg_catalog.text, OUT last_error_at pg_catalog.timestamptz, OUT stats_reset pg_catalog.timestamptz,
    OUT sent_now pg_catalog.int8, OUT failed_now pg_catalog.int8, OUT senders pg_catalog.int4, OUT deleted pg_catalog.int8,
    OUT warning pg_catalog.text, OUT retention pg_catalog.interval, OUT notified pg_catalog.int8)
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED
    BEGIN ATOMIC
        SELECT 'notify'::pg_catalog.text, s.last_id, s.ids_left, NULL::pg_catalog.int8, NULL::pg_catalog.int8, NULL::pg_catalog.int8,
            NULL::pg_catalog.int8, NULL::pg_catalog.int8, NULL::pg_catalog.int8, NULL::pg_catalog.int8, NULL::pg_catalog.int4,
            NULL::pg_catalog.text, NULL::pg_catalog.timestamptz, NULL::pg_catalog.timestamptz, NULL::pg_catalog.int8,
            NULL::pg_catalog.int8, NULL::pg_catalog.int4, NULL::pg_catalog.int8, s.warning, NULL::pg_catalog.interval,
            NULL::pg_catalog.int8
        FROM bus_sql_stat('bus_version()'::pg_catalog.regprocedure) AS s;
    END;
COMMENT ON FUNCTION bus_stat() IS 'the row of the view bus_stat';

CREATE OR REPLACE VIEW bus_stat AS SELECT s.* FROM bus_stat() AS s;
COMMENT ON VIEW bus_stat IS 'ids of this database; the counters of the extension are NULL';
COMMENT ON COLUMN bus_stat.mode IS 'notify: NOTIFY in the transaction';
COMMENT ON COLUMN bus_stat.last_id IS 'the last id that was drawn in this database; NULL without a privilege on its sequence';
COMMENT ON COLUMN bus_stat.ids_left IS 'the ids that are left; NULL without a privilege on their sequence';
COMMENT ON COLUMN bus_stat.sent IS 'NULL without the extension';
COMMENT ON COLUMN bus_stat.doorbells IS 'NULL without the extension';
COMMENT ON COLUMN bus_stat.notifies IS 'NULL without the extension';
COMMENT ON COLUMN bus_stat.coalesced IS 'NULL without the extension';
COMMENT ON COLUMN bus_stat.fallbacks IS 'NULL without the extension';
COMMENT ON COLUMN bus_stat.queue_used IS 'NULL without the extension';
COMMENT ON COLUMN bus_stat.queue_size IS 'NULL without the extension';
COMMENT ON COLUMN bus_stat.worker_pid IS 'NULL without the extension';
COMMENT ON COLUMN bus_stat.last_error IS 'NULL without the extension';
COMMENT ON COLUMN bus_stat.last_error_at IS 'NULL without the extension';
COMMENT ON COLUMN bus_stat.stats_reset IS 'NULL without the extension';
COMMENT ON COLUMN bus_stat.sent_now IS 'NULL without the extension';
COMMENT ON COLUMN bus_stat.failed_now IS 'NULL without the extension';
COMMENT ON COLUMN bus_stat.senders IS 'NULL without the extension';
COMMENT ON COLUMN bus_stat.deleted IS 'NULL without the extension';
COMMENT ON COLUMN bus_stat.warning IS 'ids that run out; else NULL';
COMMENT ON COLUMN bus_stat.retention IS 'NULL without the extension';
COMMENT ON COLUMN bus_stat.notified IS 'NULL without the extension';
GRANT SELECT ON bus_stat TO PUBLIC;

-- What needs the extension --------------------------------------------------------------------------------------------

CREATE OR REPLACE FUNCTION bus_sql_without_library(what pg_catalog.text, hint pg_catalog.text) RETURNS pg_catalog.int8
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE AS $function$
BEGIN
    RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = pg_catalog.format('%s, and these are the functions without it', what),
        HINT = hint;
END $function$;

CREATE OR REPLACE FUNCTION bus_sql_no_sendnow() RETURNS pg_catalog.int8 LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT bus_sql_without_library('bus_sendnow() needs a background worker of the extension odoo_bus',
            'bus_sendone() sends when the transaction commits: let a procedure COMMIT after each step.');
    END;

CREATE OR REPLACE FUNCTION bus_sendnow(channel pg_catalog.text, notification_type pg_catalog.text, payload pg_catalog.jsonb)
    RETURNS pg_catalog.int8 LANGUAGE sql VOLATILE PARALLEL UNSAFE BEGIN ATOMIC SELECT bus_sql_no_sendnow(); END;
COMMENT ON FUNCTION bus_sendnow(pg_catalog.text, pg_catalog.text, pg_catalog.jsonb) IS 'raises an error: it needs the extension';

CREATE OR REPLACE FUNCTION bus_sendnow(model pg_catalog.text, res_id pg_catalog.int8, notification_type pg_catalog.text,
        payload pg_catalog.jsonb) RETURNS pg_catalog.int8 LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC SELECT bus_sql_no_sendnow(); END;
COMMENT ON FUNCTION bus_sendnow(pg_catalog.text, pg_catalog.int8, pg_catalog.text, pg_catalog.jsonb) IS
    'raises an error: it needs the extension';

CREATE OR REPLACE FUNCTION bus_sendnow(model pg_catalog.text, res_id pg_catalog.int8, subchannel pg_catalog.text,
        notification_type pg_catalog.text, payload pg_catalog.jsonb) RETURNS pg_catalog.int8
    LANGUAGE sql VOLATILE PARALLEL UNSAFE BEGIN ATOMIC SELECT bus_sql_no_sendnow(); END;
COMMENT ON FUNCTION bus_sendnow(pg_catalog.text, pg_catalog.int8, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb) IS
    'raises an error: it needs the extension';

CREATE OR REPLACE FUNCTION bus_sendnow(channel pg_catalog.text, notification_type pg_catalog.varchar, payload pg_catalog.json)
    RETURNS pg_catalog.int8 LANGUAGE sql VOLATILE PARALLEL UNSAFE BEGIN ATOMIC SELECT bus_sql_no_sendnow(); END;
COMMENT ON FUNCTION bus_sendnow(pg_catalog.text, pg_catalog.varchar, pg_catalog.json) IS
    'raises an error: it needs the extension';

CREATE OR REPLACE FUNCTION bus_sendnow(
        model pg_catalog.text, res_id pg_catalog.int8, notification_type pg_catalog.varchar, payload pg_catalog.json)
    RETURNS pg_catalog.int8 LANGUAGE sql VOLATILE PARALLEL UNSAFE BEGIN ATOMIC SELECT bus_sql_no_sendnow(); END;
COMMENT ON FUNCTION bus_sendnow(pg_catalog.text, pg_catalog.int8, pg_catalog.varchar, pg_catalog.json) IS
    'raises an error: it needs the extension';

CREATE OR REPLACE FUNCTION bus_sendnow(
        model pg_catalog.text, res_id pg_catalog.int8, subchannel pg_catalog.text, notification_type pg_catalog.varchar, payload pg_catalog.json)
    RETURNS pg_catalog.int8 LANGUAGE sql VOLATILE PARALLEL UNSAFE BEGIN ATOMIC SELECT bus_sql_no_sendnow(); END;
COMMENT ON FUNCTION bus_sendnow(pg_catalog.text, pg_catalog.int8, pg_catalog.text, pg_catalog.varchar, pg_catalog.json) IS
    'raises an error: it needs the extension';

CREATE OR REPLACE FUNCTION bus_stat_reset() RETURNS pg_catalog.void LANGUAGE sql VOLATILE PARALLEL UNSAFE
    BEGIN ATOMIC
        SELECT bus_sql_without_library('bus_stat_reset() needs the counters of the extension odoo_bus', 'There is nothing to reset.');
    END;
COMMENT ON FUNCTION bus_stat_reset() IS 'raises an error: it needs the extension';
REVOKE ALL ON FUNCTION bus_stat_reset() FROM PUBLIC;

-- The parts of the functions above.
DO $comment$
DECLARE
    part pg_catalog.regprocedure;
BEGIN
    FOR part IN SELECT p.oid FROM pg_catalog.pg_proc AS p
            WHERE p.pronamespace OPERATOR(pg_catalog.=) pg_catalog.quote_ident(pg_catalog.current_schema())::pg_catalog.regnamespace::pg_catalog.oid
                AND pg_catalog.starts_with(p.proname, 'bus_sql_') LOOP
        EXECUTE pg_catalog.format('COMMENT ON FUNCTION %s IS ''a part of the functions of odoo_bus''', part);
    END LOOP;
END $comment$;
