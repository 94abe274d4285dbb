"""What is stored equals what Python's json.dumps prints, whatever the text and the server's encoding."""
import json
import random

import psycopg
import pytest


def python_channel(*parts):
    return json.dumps(parts, separators=(",", ":"))


def random_text(rng, alphabet=None, longest=40):
    """At least one character; every plane of Unicode, with a bias to what needs escaping."""
    ranges = alphabet or [(1, 0x7F), (1, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x80, 0x7FF), (0x800, 0xD7FF),
                          (0xE000, 0xFFFF), (0x10000, 0x10FFFF)]
    return "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(1, longest)))


def random_payload(rng, text, depth=4):
    kind = rng.randrange(8 if depth else 6)
    if kind == 0:
        return None
    if kind == 1:
        return rng.random() < 0.5
    if kind == 2:
        return rng.randint(-2**70, 2**70)
    if kind == 3:
        return rng.uniform(-1e6, 1e6)
    if kind < 6:
        return text()
    if kind == 6:
        return [random_payload(rng, text, depth - 1) for _ in range(rng.randrange(5))]
    return {text(): random_payload(rng, text, depth - 1) for _ in range(rng.randrange(5))}


def stored(connection, id):
    return connection.execute("SELECT channel, message FROM bus_bus WHERE id = %s", (id,)).fetchone()


def test_a_thousand_random_channels_and_payloads(make_database):
    name = "my \\ db é 😀"
    database = make_database(name)
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    with database.connect() as connection:
        connection.execute("SET odoo_bus.notify = off")
        for number in range(1000):
            text = lambda: random_text(rng)
            channel, model, subchannel, kind = text(), text(), text(), text()
            res_id, payload = rng.randint(-2**63, 2**63 - 1), random_payload(rng, text)
            shape = number % 3
            if shape == 0:
                expected = python_channel(name, channel)
                call, arguments = "%s", (channel,)
            elif shape == 1:
                expected = python_channel(name, model, res_id)
                call, arguments = "%s, %s", (model, res_id)
            else:
                expected = python_channel(name, model, res_id, subchannel)
                call, arguments = "%s, %s, %s", (model, res_id, subchannel)
            if len(expected) > 7997:
                continue
            one = connection.execute(f"SELECT bus_sendone({call}, %s, %s::jsonb), bus_channel({call})",
                                     (*arguments, kind, json.dumps(payload), *arguments)).fetchone()
            assert one[1] == expected, f"seed {seed}"
            assert_stored(connection, one[0], expected, kind, payload, seed)
            target = arguments[0] if shape == 0 else list(arguments)
            [many] = connection.execute("SELECT bus_sendmany(%s::jsonb)",
                                        (json.dumps([[target, kind, payload]]),)).fetchone()[0]
            assert_stored(connection, many, expected, kind, payload, seed)


def assert_stored(connection, id, channel, kind, payload, seed):
    found_channel, message = stored(connection, id)
    assert found_channel == channel, f"seed {seed}"
    assert message.isascii() and message.isprintable(), f"seed {seed}: {message}"
    assert json.loads(message) == {"type": kind, "payload": payload}, f"seed {seed}"
    # Strings, punctuation and keywords are spelled as Python spells them; numbers are spelled by PostgreSQL.
    numbers_as_text = json.loads(message, parse_float=lambda digits: f"\0{digits}\0",
                                 parse_int=lambda digits: f"\0{digits}\0")
    printed = json.dumps(numbers_as_text, separators=(",", ":"))
    assert message == printed.replace('"\\u0000', "").replace('\\u0000"', ""), f"seed {seed}"


def test_every_character_that_python_escapes(database):
    """Each control character, DEL, the edges of each UTF-8 length and of the surrogates, one by one."""
    codes = [*range(1, 0x100), 0x7FF, 0x800, 0x2028, 0x2029, 0xD7FF, 0xE000, 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF, 0x10000,
             0x1F600, 0xFFFFF, 0x100000, 0x10FFFF]
    with database.connect() as connection:
        for code in codes:
            character = chr(code)
            [id] = connection.execute("SELECT bus_sendone(%s, %s, to_jsonb(%s::text))", (character,) * 3).fetchone()
            channel, message = stored(connection, id)
            assert channel == python_channel(database.name, character)
            assert message == json.dumps({"type": character, "payload": character}, separators=(",", ":"))


def test_latin1(make_database):
    database = make_database(encoding="'LATIN1'", template="template0", locale="'C'")
    every = "".join(chr(code) for code in [*range(1, 0x80), *range(0xA0, 0x100)])
    with database.connect(client_encoding="UTF8") as connection:
        connection.execute("CREATE TABLE t (id int, ä int)")
        connection.execute("CREATE TRIGGER t AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION bus_record_changed('ö%s', 'ü')")
        connection.execute("INSERT INTO t VALUES (1, 1)")
        id = connection.execute("SELECT bus_last_id()").fetchone()[0]
        assert stored(connection, id) == (
            python_channel(database.name, "ö1"),
            '{"type":"\\u00fc","payload":{"record_id":1,"operation":"insert","fields":["id","\\u00e4"]}}')
        id = connection.execute("SELECT bus_sendone(%s, %s, to_jsonb(%s::text))", (every,) * 3).fetchone()[0]
        channel, message = stored(connection, id)
        assert channel == python_channel(database.name, every)
        assert message == json.dumps({"type": every, "payload": every}, separators=(",", ":"))
        [id] = connection.execute("SELECT bus_sendmany(ARRAY[%s], 'é', '\"é\"')", (every,)).fetchone()[0]
        assert stored(connection, id)[0] == python_channel(database.name, every)
        # What LATIN1 has no character for does not even reach the function.
        with pytest.raises(psycopg.errors.UntranslatableCharacter):
            connection.execute("SELECT bus_sendone('€', 't', '1')")


def test_sql_ascii_takes_utf8_and_nothing_else(make_database):
    database = make_database(encoding="'SQL_ASCII'", template="template0", locale="'C'")
    sent = [
        ("bus_sendone({}, 't', '1')", psycopg.errors.CharacterNotInRepertoire),
        ("bus_sendone('c', {}, '1')", psycopg.errors.CharacterNotInRepertoire),
        ("bus_sendone('c', 't', to_jsonb({}::text))", psycopg.errors.CharacterNotInRepertoire),
        ("bus_sendone('c', 't', jsonb_build_object({}::text, 1))", psycopg.errors.CharacterNotInRepertoire),
        ("bus_sendone('m', 1, {}, 't', '1')", psycopg.errors.CharacterNotInRepertoire),
        ("bus_sendmany(ARRAY[{}], 't', '1')", psycopg.errors.CharacterNotInRepertoire),
    ]
    with database.connect() as connection:
        for call, error in sent:
            connection.execute("SELECT " + call.format("convert_from('\\xc3a9f09f9880', 'SQL_ASCII')"))
            for wrong in (r"\xe9", r"\xc3", r"\xc0af", r"\xeda080", r"\xf4908080", r"\x80", r"\xf0808080"):
                with pytest.raises(error):
                    connection.execute("SELECT " + call.format(f"convert_from('{wrong}', 'SQL_ASCII')"))
        assert len(database.rows()) == len(sent)
        channels = [channel for _, channel, _ in database.rows()]
        assert channels[0] == [database.name, "é😀"] and channels[4][3] == "é😀"
        assert database.rows()[2][2]["payload"] == "é😀"
