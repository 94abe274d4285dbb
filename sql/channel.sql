-- channel.sql: channels are stored byte for byte as Python's json.dumps(v, separators=(',', ':')) prints them.
CREATE EXTENSION odoo_bus;
-- strips the name of the database, which comes first
CREATE FUNCTION shown(channel text) RETURNS text LANGUAGE sql AS $$
    SELECT replace(channel, to_json(current_database())::text, '"db"') $$;

SELECT shown(bus_channel('broadcast'));
SELECT shown(bus_channel('res.partner', 3));
SELECT shown(bus_channel('res.partner', 3, 'presence'));
SELECT shown(bus_channel('res.partner', -9223372036854775808)), shown(bus_channel('res.partner', 9223372036854775807));
SELECT shown(bus_channel(E'"\\/\b\f\n\r\t'));
SELECT shown(bus_channel(string_agg(chr(i), '' ORDER BY i))) FROM generate_series(1, 31) AS i;
SELECT shown(bus_channel(E' ~\x7f'));
SELECT shown(bus_channel(U&'\00e9\20ac\FFFF\+01F600\+10FFFF'));

-- A channel must fit into a NOTIFY of its own.
SELECT length(bus_channel(repeat('x', 7997 - length(bus_channel('x')) + 1)));
SELECT bus_channel(repeat('x', 7997 - length(bus_channel('x')) + 2));

-- Missing arguments are named.
SELECT bus_channel(NULL);
SELECT bus_channel('');
SELECT bus_channel(NULL, 3);
SELECT bus_channel('', 3);
SELECT bus_channel('res.partner', NULL);
SELECT bus_channel('res.partner', 3, NULL);
SELECT bus_channel('res.partner', 3, '');

DROP FUNCTION shown(text);
DROP EXTENSION odoo_bus;
