-- errors.sql: bad input raises an error with a hint, and nothing is written.
CREATE EXTENSION odoo_bus;
\set VERBOSITY default

-- no table
SELECT bus_sendone('c', 't', '1');
SELECT bus_sendmany('[["c", "t", 1]]');
SELECT bus_last_id();
SELECT * FROM bus_poll(ARRAY['c'], 0);
SELECT bus_gc();
SELECT last_id, ids_left FROM bus_stat;

SELECT bus_create_table();
SELECT bus_create_table();

-- missing names
SELECT bus_sendone(NULL, 't', '1');
SELECT bus_sendone('', 't', '1');
SELECT bus_sendone('c', NULL, '1');
SELECT bus_sendone('c', '', '1');
SELECT bus_sendone(NULL, 3, 't', '1');
SELECT bus_sendone('', 3, 't', '1');
SELECT bus_sendone('res.partner', NULL, 't', '1');
SELECT bus_sendone('res.partner', 3, NULL, '1');
SELECT bus_sendone('res.partner', 3, '', '1');
SELECT bus_sendone('res.partner', 3, '', 't', '1');
SELECT bus_sendone('res.partner', 3, NULL, 't', '1');
SELECT bus_sendone('res.partner', 3, 's', '', '1');

-- elements that are not triples
SELECT bus_sendmany(NULL::jsonb);
SELECT bus_sendmany('{"a": 1}');
SELECT bus_sendmany('"a"');
SELECT bus_sendmany('[["c", "t", 1], 5]');
SELECT bus_sendmany('[["c", "t", 1], ["c", "t"]]');
SELECT bus_sendmany('[["c", "t", 1], ["c", "t", 1, 2]]');
SELECT bus_sendmany('[["c", "t", 1], {"target": "c"}]');
SELECT bus_sendmany('[["", "t", 1]]');
SELECT bus_sendmany('[[7, "t", 1]]');
SELECT bus_sendmany('[["c", "", 1]]');
SELECT bus_sendmany('[["c", null, 1]]');
SELECT bus_sendmany('[[[], "t", 1]]');
SELECT bus_sendmany('[[["res.partner"], "t", 1]]');
SELECT bus_sendmany('[[["", 3], "t", 1]]');
SELECT bus_sendmany('[[["res.partner", "3"], "t", 1]]');
SELECT bus_sendmany('[[["res.partner", 3.5], "t", 1]]');
SELECT bus_sendmany('[[["res.partner", 9223372036854775808], "t", 1]]');
SELECT bus_sendmany('[[["res.partner", 3, ""], "t", 1]]');
SELECT bus_sendmany('[[["res.partner", 3, 4], "t", 1]]');
SELECT bus_sendmany('[[["res.partner", 3, "s", "x"], "t", 1]]');
SELECT bus_sendmany('[[{"model": 3}, "t", 1]]');
SELECT bus_sendmany(NULL::text[], 't', '1');
SELECT bus_sendmany(ARRAY['c', NULL], 't', '1');
SELECT bus_sendmany(ARRAY['c', ''], 't', '1');
SELECT bus_sendmany(ARRAY['c'], '', '1');
SELECT bus_sendmany('res.partner', NULL, 't', '1');
SELECT bus_sendmany('res.partner', ARRAY[1, NULL], 't', '1');
SELECT bus_sendmany('', ARRAY[1], 't', '1');
SELECT bus_sendmany('res.partner', ARRAY[1], NULL, '1');

-- too large
SET odoo_bus.max_payload_size = '1kB';
SELECT bus_sendone('c', 't', to_jsonb(repeat('x', 1022))) > 0 AS sent;
SELECT bus_sendone('c', 't', to_jsonb(repeat('x', 1023)));
SELECT bus_sendmany(jsonb_build_array('["c", "t", 1]'::jsonb, jsonb_build_array('c', 't', repeat('x', 1023))));
RESET odoo_bus.max_payload_size;
SELECT bus_sendone('c', 't', to_jsonb(repeat('x', 1024 * 1024)));

-- read-only transactions
BEGIN READ ONLY;
SELECT bus_sendone('c', 't', '1');
ROLLBACK;
BEGIN READ ONLY;
SELECT bus_sendmany('[["c", "t", 1]]');
ROLLBACK;
BEGIN READ ONLY;
SELECT bus_gc();
ROLLBACK;

-- other arguments
SELECT * FROM bus_poll(NULL, 0);
SELECT * FROM bus_poll(ARRAY['c'], NULL);
SELECT bus_gc('-1 second');
SELECT bus_gc(NULL);
SELECT bus_gc('1 hour', 0);
SELECT bus_gc('1 hour', NULL);
CALL bus_gc_all('-1 second');

-- SQLSTATEs
\set VERBOSITY sqlstate
SELECT bus_sendone(NULL, 't', '1');
SELECT bus_sendone('', 't', '1');
SELECT bus_sendmany('[5]');
SELECT bus_sendone('c', 't', to_jsonb(repeat('x', 1024 * 1024)));
SELECT bus_sendone(repeat('x', 9000), 't', '1');
\set VERBOSITY default

-- privileges
SELECT count(*) AS written FROM bus_bus;
CREATE ROLE regress_bus_sender;
GRANT USAGE ON SCHEMA public TO regress_bus_sender;
SET ROLE regress_bus_sender;
SELECT bus_sendone('c', 't', '1');
SELECT last_id, ids_left FROM bus_stat;
SET odoo_bus.max_payload_size = '2kB';
SET odoo_bus.notify = off;
RESET ROLE;
GRANT INSERT ON bus_bus TO regress_bus_sender;
SET ROLE regress_bus_sender;
SELECT bus_sendone('c', 't', '1');
RESET ROLE;
GRANT USAGE ON SEQUENCE bus_bus_id_seq TO regress_bus_sender;
SET ROLE regress_bus_sender;
SELECT bus_sendone('c', 't', '1') > 0 AS sent;
SELECT bus_last_id();
SELECT * FROM bus_poll('{c}', 0);
SELECT bus_gc();
RESET ROLE;
GRANT SELECT (id, create_date) ON bus_bus TO regress_bus_sender;
SET ROLE regress_bus_sender;
SELECT bus_last_id() > 0 AS read;
SELECT * FROM bus_poll('{c}', 0);
SELECT bus_gc();
RESET ROLE;
GRANT DELETE ON bus_bus TO regress_bus_sender;
SET ROLE regress_bus_sender;
SELECT bus_gc();
RESET ROLE;
REVOKE INSERT ON bus_bus FROM regress_bus_sender;
GRANT INSERT (channel, message, create_date) ON bus_bus TO regress_bus_sender;
SET ROLE regress_bus_sender;
SELECT bus_sendone('c', 't', '1');
RESET ROLE;
GRANT INSERT (write_date) ON bus_bus TO regress_bus_sender;
SET ROLE regress_bus_sender;
SELECT bus_sendone('c', 't', '1') > 0 AS sent;
RESET ROLE;

DROP TABLE bus_bus;
DROP EXTENSION odoo_bus;
REVOKE USAGE ON SCHEMA public FROM regress_bus_sender;
DROP ROLE regress_bus_sender;
