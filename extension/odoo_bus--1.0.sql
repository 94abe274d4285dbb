-- odoo_bus--1.0.sql: the SQL objects of odoo_bus 1.0.
\echo Use "CREATE EXTENSION odoo_bus" to load this file. \quit

-- The schema's name is substituted in identifiers only, never within quotes: its owner chooses it (CVE-2023-39417).
-- Functions are SECURITY INVOKER: privileges on bus_bus and its sequence apply to the caller.
-- They are not strict: a NULL argument raises an error that names it, except that a NULL payload is JSON null.

CREATE FUNCTION @extschema@.bus_sendone(channel text, notification_type text, payload jsonb) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendone';
COMMENT ON FUNCTION @extschema@.bus_sendone(text, text, jsonb) IS
    'sends a notification to a channel of this name; returns its id';

CREATE FUNCTION @extschema@.bus_sendone(model text, res_id bigint, notification_type text, payload jsonb) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendone_record';
COMMENT ON FUNCTION @extschema@.bus_sendone(text, bigint, text, jsonb) IS
    'sends a notification to the channel of a record, for example of a partner; returns its id';

CREATE FUNCTION @extschema@.bus_sendone(
    model text, res_id bigint, subchannel text, notification_type text, payload jsonb) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendone_subchannel';
COMMENT ON FUNCTION @extschema@.bus_sendone(text, bigint, text, text, jsonb) IS
    'sends a notification to a subchannel of a record; returns its id';

CREATE FUNCTION @extschema@.bus_sendone_user(user_id bigint, notification_type text, payload jsonb) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendone_user';
COMMENT ON FUNCTION @extschema@.bus_sendone_user(bigint, text, jsonb) IS
    'sends a notification to a user of Odoo, on the channel that the installed release prefers; returns its id';

CREATE FUNCTION @extschema@.bus_sendmany(notifications jsonb) RETURNS bigint[]
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendmany';
COMMENT ON FUNCTION @extschema@.bus_sendmany(jsonb) IS
    'sends an array of [target, type, payload], target being "name", ["model", id] or ["model", id, "subchannel"]; returns their ids in order';

CREATE FUNCTION @extschema@.bus_sendmany(channels text[], notification_type text, payload jsonb) RETURNS bigint[]
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendmany_channels';
COMMENT ON FUNCTION @extschema@.bus_sendmany(text[], text, jsonb) IS
    'sends the same notification to each of these channels; returns their ids in order';

CREATE FUNCTION @extschema@.bus_sendmany(model text, res_ids bigint[], notification_type text, payload jsonb)
    RETURNS bigint[]
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendmany_records';
COMMENT ON FUNCTION @extschema@.bus_sendmany(text, bigint[], text, jsonb) IS
    'sends the same notification to the channel of each of these records; returns their ids in order';

CREATE FUNCTION @extschema@.bus_sendnow(channel text, notification_type text, payload jsonb) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendnow';
COMMENT ON FUNCTION @extschema@.bus_sendnow(text, text, jsonb) IS
    'sends a notification to a channel of this name at once, independent of the calling transaction; returns its id';

CREATE FUNCTION @extschema@.bus_sendnow(model text, res_id bigint, notification_type text, payload jsonb) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendnow_record';
COMMENT ON FUNCTION @extschema@.bus_sendnow(text, bigint, text, jsonb) IS
    'sends a notification to the channel of a record at once, independent of the calling transaction; returns its id';

CREATE FUNCTION @extschema@.bus_sendnow(
    model text, res_id bigint, subchannel text, notification_type text, payload jsonb) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendnow_subchannel';
COMMENT ON FUNCTION @extschema@.bus_sendnow(text, bigint, text, text, jsonb) IS
    'sends a notification to a subchannel of a record at once, independent of the calling transaction; returns its id';

-- The same for a payload that is json. Since the type is varchar, no literal is ambiguous: see json_payload.h.
CREATE FUNCTION @extschema@.bus_sendone(channel text, notification_type varchar, payload json) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendone_json';
COMMENT ON FUNCTION @extschema@.bus_sendone(text, varchar, json) IS
    'the same with a payload that is json';

CREATE FUNCTION @extschema@.bus_sendone(
    model text, res_id bigint, notification_type varchar, payload json) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendone_record_json';
COMMENT ON FUNCTION @extschema@.bus_sendone(text, bigint, varchar, json) IS
    'the same with a payload that is json';

CREATE FUNCTION @extschema@.bus_sendone(
    model text, res_id bigint, subchannel text, notification_type varchar, payload json) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendone_subchannel_json';
COMMENT ON FUNCTION @extschema@.bus_sendone(text, bigint, text, varchar, json) IS
    'the same with a payload that is json';

CREATE FUNCTION @extschema@.bus_sendone_user(user_id bigint, notification_type varchar, payload json) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendone_user_json';
COMMENT ON FUNCTION @extschema@.bus_sendone_user(bigint, varchar, json) IS
    'the same with a payload that is json';

CREATE FUNCTION @extschema@.bus_sendmany(channels text[], notification_type varchar, payload json) RETURNS bigint[]
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendmany_channels_json';
COMMENT ON FUNCTION @extschema@.bus_sendmany(text[], varchar, json) IS
    'the same with a payload that is json';

CREATE FUNCTION @extschema@.bus_sendmany(
    model text, res_ids bigint[], notification_type varchar, payload json) RETURNS bigint[]
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendmany_records_json';
COMMENT ON FUNCTION @extschema@.bus_sendmany(text, bigint[], varchar, json) IS
    'the same with a payload that is json';

CREATE FUNCTION @extschema@.bus_sendnow(channel text, notification_type varchar, payload json) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendnow_json';
COMMENT ON FUNCTION @extschema@.bus_sendnow(text, varchar, json) IS
    'the same with a payload that is json';

CREATE FUNCTION @extschema@.bus_sendnow(
    model text, res_id bigint, notification_type varchar, payload json) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendnow_record_json';
COMMENT ON FUNCTION @extschema@.bus_sendnow(text, bigint, varchar, json) IS
    'the same with a payload that is json';

CREATE FUNCTION @extschema@.bus_sendnow(
    model text, res_id bigint, subchannel text, notification_type varchar, payload json) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_sendnow_subchannel_json';
COMMENT ON FUNCTION @extschema@.bus_sendnow(text, bigint, text, varchar, json) IS
    'the same with a payload that is json';

CREATE FUNCTION @extschema@.bus_notify(channel text, payload text) RETURNS void
    LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'odoo_bus_notify';
COMMENT ON FUNCTION @extschema@.bus_notify(text, text) IS
    'pg_notify() by the doorbell worker: commits do not wait for each other; for ODOO_NOTIFY_FUNCTION, in the database postgres';

CREATE FUNCTION @extschema@.bus_channel(channel text) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'odoo_bus_channel';
COMMENT ON FUNCTION @extschema@.bus_channel(text) IS 'a channel of this name, as it is stored';

CREATE FUNCTION @extschema@.bus_channel(model text, res_id bigint) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'odoo_bus_channel_record';
COMMENT ON FUNCTION @extschema@.bus_channel(text, bigint) IS 'the channel of a record, as it is stored';

CREATE FUNCTION @extschema@.bus_channel(model text, res_id bigint, subchannel text) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'odoo_bus_channel_subchannel';
COMMENT ON FUNCTION @extschema@.bus_channel(text, bigint, text) IS 'a subchannel of a record, as it is stored';

CREATE FUNCTION @extschema@.bus_poll(channels text[], last bigint) RETURNS TABLE (id bigint, message jsonb)
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'odoo_bus_poll';
COMMENT ON FUNCTION @extschema@.bus_poll(text[], bigint) IS
    'the notifications that a client with these channels (names, or as bus_channel() returns them) and this last id has not received; 0 stands for the last 50 seconds';

CREATE FUNCTION @extschema@.bus_last_id() RETURNS bigint
    LANGUAGE c STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'odoo_bus_last_id';
COMMENT ON FUNCTION @extschema@.bus_last_id() IS 'the newest id, 0 when there is none';

CREATE FUNCTION @extschema@.bus_gc(retention interval DEFAULT '24 hours', max_rows bigint DEFAULT 10000) RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_gc';
COMMENT ON FUNCTION @extschema@.bus_gc(interval, bigint) IS
    'deletes at most max_rows notifications that are older than retention; returns their number';

CREATE PROCEDURE @extschema@.bus_gc_all(retention interval DEFAULT '24 hours', max_rows bigint DEFAULT 10000)
    LANGUAGE c AS 'MODULE_PATHNAME', 'odoo_bus_gc_all';
COMMENT ON PROCEDURE @extschema@.bus_gc_all(interval, bigint) IS
    'deletes all notifications that are older than retention, and commits after every max_rows of them';

CREATE FUNCTION @extschema@.bus_version() RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'odoo_bus_version';
COMMENT ON FUNCTION @extschema@.bus_version() IS 'the version of the shared library';

CREATE FUNCTION @extschema@.bus_create_table(bigint_ids boolean DEFAULT false) RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_create_table';
COMMENT ON FUNCTION @extschema@.bus_create_table(boolean) IS
    'creates the table bus_bus as Odoo does, and an index for bus_gc, in a database without Odoo; old rows are deleted, see odoo_bus.retention';

CREATE FUNCTION @extschema@.bus_create_presence_table() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_create_presence_table';
COMMENT ON FUNCTION @extschema@.bus_create_presence_table() IS
    'creates the tables in which gateways with --presence keep the members of channels, and the view bus_online on them';

CREATE FUNCTION @extschema@.bus_record_changed() RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_record_changed';
COMMENT ON FUNCTION @extschema@.bus_record_changed() IS
    'trigger, arguments: channel with %s for the key, notification type, key column (id), observed columns (all); sends the names of the changed columns of the row';

CREATE FUNCTION @extschema@.bus_stat(
    OUT mode text, OUT last_id bigint, OUT ids_left bigint, OUT sent bigint, OUT doorbells bigint, OUT notifies bigint,
    OUT coalesced bigint, OUT fallbacks bigint, OUT queue_used bigint, OUT queue_size bigint, OUT worker_pid int,
    OUT last_error text, OUT last_error_at timestamptz, OUT stats_reset timestamptz, OUT sent_now bigint,
    OUT failed_now bigint, OUT senders int, OUT deleted bigint, OUT warning text, OUT retention interval,
    OUT notified bigint)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'odoo_bus_stat';
COMMENT ON FUNCTION @extschema@.bus_stat() IS 'the row of the view bus_stat';

CREATE VIEW @extschema@.bus_stat AS
    SELECT mode, last_id, ids_left, sent, doorbells, notifies, coalesced, fallbacks, queue_used, queue_size, worker_pid,
        last_error, last_error_at, stats_reset, sent_now, failed_now, senders, deleted, warning, retention, notified
    FROM @extschema@.bus_stat();
COMMENT ON VIEW @extschema@.bus_stat IS
    'how notifications are announced (mode), ids of this database, and the counters of the whole cluster';
COMMENT ON COLUMN @extschema@.bus_stat.mode IS 'doorbell: odoo_bus is preloaded; notify: NOTIFY in the transaction';
COMMENT ON COLUMN @extschema@.bus_stat.last_id IS 'the last id that was drawn in this database; NULL without a privilege on its sequence';
COMMENT ON COLUMN @extschema@.bus_stat.ids_left IS 'the ids that are left; NULL without a privilege on their sequence';
COMMENT ON COLUMN @extschema@.bus_stat.sent IS 'notifications of committed transactions';
COMMENT ON COLUMN @extschema@.bus_stat.doorbells IS 'transactions that handed their channels to the worker';
COMMENT ON COLUMN @extschema@.bus_stat.notifies IS 'NOTIFYs that the worker has issued';
COMMENT ON COLUMN @extschema@.bus_stat.coalesced IS 'channels that were announced with those of another transaction';
COMMENT ON COLUMN @extschema@.bus_stat.fallbacks IS 'transactions that issued NOTIFY themselves';
COMMENT ON COLUMN @extschema@.bus_stat.queue_used IS 'bytes of shared memory that are used';
COMMENT ON COLUMN @extschema@.bus_stat.queue_size IS 'bytes of shared memory';
COMMENT ON COLUMN @extschema@.bus_stat.worker_pid IS 'process of the worker; NULL while there is none';
COMMENT ON COLUMN @extschema@.bus_stat.last_error IS 'the last error of the worker, or of one that deletes old rows';
COMMENT ON COLUMN @extschema@.bus_stat.last_error_at IS 'the time of the last error';
COMMENT ON COLUMN @extschema@.bus_stat.stats_reset IS 'the time at which the counters were reset';
COMMENT ON COLUMN @extschema@.bus_stat.sent_now IS 'calls of bus_sendnow() that have sent';
COMMENT ON COLUMN @extschema@.bus_stat.failed_now IS 'calls of bus_sendnow() that have failed';
COMMENT ON COLUMN @extschema@.bus_stat.senders IS 'workers of bus_sendnow()';
COMMENT ON COLUMN @extschema@.bus_stat.deleted IS 'rows that were deleted for their age by the background worker';
COMMENT ON COLUMN @extschema@.bus_stat.warning IS 'ids that run out, or old rows that are not deleted; else NULL';
COMMENT ON COLUMN @extschema@.bus_stat.retention IS 'age at which rows of this database are deleted; NULL: they are not';
COMMENT ON COLUMN @extschema@.bus_stat.notified IS 'what committed transactions have announced by bus_notify()';
-- The owner of the view is the superuser as whom a trusted extension is installed; bus_stat() checks privileges of the caller.
GRANT SELECT ON @extschema@.bus_stat TO PUBLIC;

CREATE FUNCTION @extschema@.bus_stat_reset() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'odoo_bus_stat_reset';
COMMENT ON FUNCTION @extschema@.bus_stat_reset() IS 'sets the counters of bus_stat to zero, for the whole cluster';
REVOKE ALL ON FUNCTION @extschema@.bus_stat_reset() FROM PUBLIC;
