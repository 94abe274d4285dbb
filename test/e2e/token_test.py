"""Authorization by signed tokens: who gets what, until when, and every token that must not be believed."""
import asyncio
import base64
import json
import os
import time

import pytest

from harness.client import HANDSHAKE, BusClient, RawClient
from harness.deadline import DEADLINE, scaled
from harness.gateway import run_gateway
from harness.http_clients import TRANSPORTS, EventsClient
from harness.tokens import KeyPair, Secret, claims, encode

SECRET = Secret()


@pytest.fixture
def make_token_gateway(make_gateway, database, tmp_path):
    def make(keys=SECRET, **options):
        path = tmp_path / "keys"
        path.write_text(keys) if isinstance(keys, str) else keys.write(path)
        path.chmod(0o600)
        return make_gateway(database, auth="token", token_keys=path, **{"token_skew": 0} | options).start()
    return make


@pytest.fixture
def gateway(make_token_gateway):
    return make_token_gateway()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def first_close(gateway, headers, channels=("a",)):
    """The code with which a WebSocket is closed after its first subscribe."""
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.upgrade(headers={**HANDSHAKE, **headers})
        raw.send_event("subscribe", {"channels": list(channels), "last": 0})
        return raw.receive_close()[0]


def status(gateway, headers):
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        return raw.request(path="/bus/events?channels=a", headers={"Host": "x", **headers}).response()[0]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_token_grants_its_channels_and_no_other(gateway, database, transport):
    headers = bearer(SECRET.token(claims(["a", "team_*"])))
    async with TRANSPORTS[transport](gateway.url, ["a", "team_1", "b", "team", "broadcast", "*"], headers=headers,
                                     extensions={"confirm": 1}) as client:
        await client.until(lambda: client.internal, "the confirmation")
        assert sorted(client.internal[0]["payload"]["refused"]) == ["*", "b", "broadcast", "team"]
        for channel in ("b", "team", "broadcast", "a", "team_1", "*", "team_2"):
            database.sendone(channel, payload=channel)
        database.sendone("a", payload="end")
        await client.wait_payload("end")
        assert client.payloads == ["a", "team_1", "end"]


def test_a_browser_s_ways_to_send_a_token(gateway):
    token = SECRET.token(claims(["a"]))
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.request(headers={**HANDSHAKE, "Sec-WebSocket-Protocol": f"odoo-bus, odoo-bus.token.{token}"})
        code, headers, _ = raw.response()
        assert code == 101 and headers["sec-websocket-protocol"] == "odoo-bus"
        raw.send_event("subscribe", {"channels": ["a"], "last": 0, "confirm": 1})
        assert b"bus/subscribed" in raw.receive_frame()[1]
    own = {"Origin": "http://x", "Cookie": f"odoo_bus_token={token}"}
    assert status(gateway, own) == 200
    assert status(gateway, {"Cookie": f"odoo_bus_token={token}"}) == 200
    assert status(gateway, own | {"Origin": "http://evil.example.com"}) == 401
    assert status(gateway, {"Cookie": f"odoo_bus_token={token}", "Sec-Fetch-Site": "cross-site"}) == 401
    # Never in an address, which is logged on its way.
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        assert raw.request(path=f"/bus/events?channels=a&token={token}&access_token={token}",
                           headers={"Host": "x"}).response()[0] == 401


def by_poll(gateway, headers, path="/longpolling/poll"):
    body = json.dumps({"id": 1, "params": {"channels": ["a"], "last": 0, "confirm": 1, "is_first_poll": True}}).encode()
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        headers = {"Host": "x", "Content-Type": "application/json", "Content-Length": len(body), **headers}
        return raw.request("POST", path, headers, body).response()[0]


def by_peek(gateway, headers):
    return by_poll(gateway, headers, "/websocket/peek_notifications")


def signed(payload=None, header=None):
    return SECRET.token(claims(["a"]) if payload is None else payload, header)


def with_header(header):
    text = f"{encode(header)}.{encode(claims(['a']))}"
    return f"{text}.{encode(SECRET.sign(text.encode()))}"


def replaced(token, part, text):
    parts = token.split(".")
    parts[part] = text
    return ".".join(parts)


def other_letter(text, index):
    """Another letter of base64url there, which stands for other bits: also of those that count in the last one."""
    return text[:index] + ("A" if text[index] not in "ABCD" else "Q") + text[index + 1:]


PARTS, BASE64, HEADER = "does not have three parts", "is not base64url", "header of the token is not a JSON object"
ALGORITHM, KEY, CLAIMS = "algorithm is not HS256", "signed by no known key", "claims of the token are not a JSON object"
# The token, and what the log says of it.
BAD = {
    "none at all": (lambda: None, "a token is missing"),
    "empty": (lambda: "", "a token is missing"),
    "not a token": (lambda: "hello", PARTS),
    "two parts": (lambda: signed().rsplit(".", 1)[0], PARTS),
    "four parts": (lambda: signed() + ".x", PARTS),
    "alg none": (lambda: f"{encode({'alg': 'none'})}.{encode(claims(['a']))}.", ALGORITHM),
    "alg None": (lambda: f"{encode({'alg': 'None'})}.{encode(claims(['a']))}.", ALGORITHM),
    "alg none, signed": (lambda: signed(header={"alg": "none"}), ALGORITHM),
    "alg HS512": (lambda: signed(header={"alg": "HS512"}), ALGORITHM),
    "alg missing": (lambda: signed(header={"alg": None}), ALGORITHM),
    "wrong key": (lambda: Secret(b"another secret of more than 32 bytes").token(claims(["a"])), KEY),
    "no signature": (lambda: replaced(signed(), 2, ""), KEY),
    "signature changed": (lambda: replaced(t := signed(), 2, other_letter(t.split(".")[2], 0)), KEY),
    "signature cut": (lambda: signed()[:-3], KEY),
    "signature of another token": (lambda: replaced(signed(), 2, signed(claims(["b"])).split(".")[2]), KEY),
    "payload changed": (lambda: replaced(signed(claims(["b"])), 1, encode(claims(["a"]))), KEY),
    "header changed": (lambda: replaced(signed(), 0, encode({"typ": "JWT", "alg": "HS256"})), KEY),
    "expired": (lambda: signed(claims(["a"], seconds=-1)), "has expired"),
    "expires in a text": (lambda: signed(claims(["a"], exp="9" * 9)), "no time at which it expires"),
    "expires at the end of 64 bits": (lambda: signed(claims(["a"], exp=2**63 - 1)), "no time at which it expires"),
    "expires beyond 64 bits": (lambda: signed(claims(["a"], exp=2**63)), CLAIMS),
    "expires in 10^300 seconds": (lambda: signed(encode(b'{"exp":1e300,"channels":["a"]}')), "no time at which it expires"),
    "expires at the beginning of 64 bits": (lambda: signed(claims(["a"], exp=-2**63)), "no time at which it expires"),
    "expires before 1970": (lambda: signed(claims(["a"], exp=-1)), "has expired"),
    "valid from the beginning of 64 bits": (lambda: signed(claims(["a"], nbf=-2**63)), "is not valid yet"),
    "issued at the end of 64 bits": (lambda: signed(claims(["a"], iat=2**63 - 1)), "no time at which it was issued"),
    "issued at a text": (lambda: signed(claims(["a"], iat="now")), "no time at which it was issued"),
    "never expires": (lambda: signed({"sub": "x", "channels": ["a"]}), "no time at which it expires"),
    "expires at a text": (lambda: signed(claims(["a"], exp="2099-01-01")), "no time at which it expires"),
    "expires in infinity": (lambda: signed(encode(b'{"exp":1e999,"channels":["a"]}')), CLAIMS),
    "expires in milliseconds": (lambda: signed(claims(["a"], exp=int(time.time() + 60) * 1000)), "no time at which it expires"),
    "expires after the last microsecond": (lambda: signed(claims(["a"], exp=10**15)), "no time at which it expires"),
    "not yet valid": (lambda: signed(claims(["a"], nbf=int(time.time()) + 600)), "is not valid yet"),
    "another audience": (lambda: signed(claims(["a"], aud="somebody else")), "for another audience"),
    "another database": (lambda: signed(claims(["a"], db="not_served")), "a database that is not served"),
    "huge": (lambda: signed(claims(["a", *(f"number_{n}" for n in range(600))])), "is too large"),
    "malformed base64": (lambda: signed().replace(".", ".=", 1), BASE64),
    "signature with rest": (lambda: signed() + "B", KEY),
    "bits too many": (lambda: signed() + "BB", BASE64),
    "standard base64": (lambda: replaced(signed(), 1, base64.b64encode(b'{"a":"\xff\xfe\xfb"}').decode()), BASE64),
    "double claims": (lambda: signed(encode(b'{"channels":[],"exp":%d,"channels":["a"]}' % (time.time() + 60))), CLAIMS),
    "double headers": (lambda: with_header(b'{"alg":"none","alg":"HS256"}'), HEADER),
    "critical extension": (lambda: signed(header={"crit": ["b64"], "b64": False}), "an extension that is not known"),
    "claims are a list": (lambda: signed([1]), CLAIMS),
    "channels are a text": (lambda: signed(claims() | {"channels": "a"}), "channels of the token are not a list"),
    "deep": (lambda: signed(encode(b'{"x":' + b"[" * 1000 + b"]" * 1000 + b"}")), CLAIMS),
    "not UTF-8": (lambda: signed(encode(b'{"exp":99999999999,"sub":"\xff"}')), CLAIMS),
}


def reason_logged(gateway, ask):
    """What the log says of one refusal. It says so of ten in a second, and then how many it has left out."""
    while True:
        mark = len(gateway.lines)
        ask()
        line = gateway.wait_for_line("refused a subscribe: |refused subscribes: .* not logged", since=mark)
        if "refused a subscribe: " in line:
            return line.split("refused a subscribe: ")[1]


@pytest.mark.asan
def test_bad_tokens_are_refused_everywhere_and_logged_nowhere(make_token_gateway):
    gateway = make_token_gateway(log_level="debug")
    tokens = {name: make() for name, (make, _) in BAD.items()}

    def refuses(ask, name, carry, expected):
        assert ask(gateway, {} if tokens[name] is None else carry(tokens[name])) == expected, (name, ask)

    assert by_poll(gateway, bearer(signed())) == by_peek(gateway, bearer(signed())) == status(gateway, bearer(signed())) == 200
    for name, (_, reason) in BAD.items():
        assert reason in reason_logged(gateway, lambda: refuses(status, name, bearer, 401)), name
    for name, token in tokens.items():
        for ask in (by_poll, by_peek):
            refuses(ask, name, bearer, 401)
        refuses(first_close, name, bearer, 4001)
        if token and all(c.isalnum() or c in "-_." for c in token):
            refuses(first_close, name, CARRIERS["subprotocol"], 4001)
            refuses(status, name, CARRIERS["cookie"], 401)
    log = "\n".join(gateway.lines)
    for name, token in tokens.items():
        for part in (token or "").split("."):
            assert len(part) < 20 or part not in log, name


@pytest.mark.parametrize("signer", ["HS256", "RS256", "ES256"])
def test_no_letter_of_a_token_may_change(make_token_gateway, tmp_path, signer):
    signer = SECRET if signer == "HS256" else KeyPair(tmp_path, signer)
    gateway = make_token_gateway(signer)
    token = signer.token(claims(["a"], seconds=600))
    assert status(gateway, bearer(token)) == 200
    for index in range(len(token)):
        if token[index] != ".":
            assert status(gateway, bearer(other_letter(token, index))) == 401, index
    assert status(gateway, bearer(token)) == 200


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_public_key_is_no_secret(make_token_gateway, tmp_path, algorithm):
    """The confusion of algorithms: HS256 with the text of the public key as its secret."""
    pair = KeyPair(tmp_path, algorithm)
    gateway = make_token_gateway(pair)
    assert status(gateway, bearer(pair.token(claims(["a"])))) == 200
    for secret in (pair.public.read_bytes(), pair.public.read_bytes().rstrip(), base64.b64decode(b"".join(pair.public.read_bytes().split(b"\n")[1:-2]))):
        assert status(gateway, bearer(Secret(secret).token(claims(["a"])))) == 401
        assert status(gateway, bearer(Secret(secret).token(claims(["a"]), {"alg": algorithm}))) == 401
    tampered = pair.token(claims(["b"])).split(".")
    tampered[1] = encode(claims(["a"]))
    assert status(gateway, bearer(".".join(tampered))) == 401


def test_keys_of_every_kind_in_one_set(make_token_gateway, tmp_path):
    rsa, ec = KeyPair(tmp_path, "RS256", "rsa"), KeyPair(tmp_path, "ES256", "ec")
    other = KeyPair(tmp_path, "ES256", "other")
    keys = {"keys": [SECRET.jwk(kid="s"), rsa.jwk(kid="r", use="sig"), ec.jwk(kid="e", alg="ES256"),
                     other.jwk(kid="x", use="enc"), {"kty": "OKP", "crv": "Ed25519", "x": "x"}]}
    gateway = make_token_gateway(json.dumps(keys))
    for signer, key_id in ((SECRET, "s"), (rsa, "r"), (ec, "e")):
        assert status(gateway, bearer(signer.token(claims(["a"])))) == 200
        assert status(gateway, bearer(signer.token(claims(["a"]), {"kid": key_id}))) == 200
        assert status(gateway, bearer(signer.token(claims(["a"]), {"kid": "unknown"}))) == 401
    assert status(gateway, bearer(other.token(claims(["a"])))) == 401
    assert status(gateway, bearer(Secret(rsa.public.read_bytes()).token(claims(["a"]), {"kid": "r"}))) == 401


@pytest.mark.parametrize("size", [32, 64, 65, 1024, 1025, 100_000])
def test_a_secret_may_be_long(make_token_gateway, size):
    secret = Secret(b"s" * size)
    gateway = make_token_gateway(secret)
    assert status(gateway, bearer(secret.token(claims(["a"])))) == 200
    assert status(gateway, bearer(Secret(b"s" * (size - 1)).token(claims(["a"])))) == 401


def test_keys_that_cannot_be_used_are_named(make_token_gateway):
    gateway = make_token_gateway(json.dumps({"keys": [{"kty": "OKP", "kid": "ed"}, SECRET.jwk()]}))
    assert any('ignored key 1 (kid "ed")' in line for line in gateway.lines)
    assert status(gateway, bearer(SECRET.token(claims(["a"])))) == 200


def test_keys_are_rotated_without_a_restart(make_token_gateway, tmp_path):
    gateway = make_token_gateway()
    newer = Secret(b"a newer secret of at least 32 bytes")
    fresh = tmp_path / "fresh"
    newer.write(fresh)
    os.replace(fresh, tmp_path / "keys")
    deadline = time.monotonic() + DEADLINE
    while status(gateway, bearer(newer.token(claims(["a"])))) != 200:
        assert time.monotonic() < deadline
    assert status(gateway, bearer(SECRET.token(claims(["a"])))) == 401
    (tmp_path / "keys").write_text("short")
    while not any("former keys are kept" in line for line in gateway.lines):
        assert status(gateway, bearer(newer.token(claims(["a"])))) == 200
        assert time.monotonic() < deadline


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_expired_token_closes_with_4001(gateway, database, transport):
    headers = bearer(SECRET.token(claims(["a"], seconds=round(scaled(3)))))
    async with TRANSPORTS[transport](gateway.url, ["a"], headers=headers) as client:
        await client.subscribed()
        if transport == "poll":
            await client.until(lambda: 401 in client.statuses, "a refusal")
        else:
            assert (await client.wait_closed())[0] == 4001
        # With a new token it goes on where it was.
        database.sendone("a", payload="meanwhile")
        client.headers |= bearer(SECRET.token(claims(["a"])))
        await client.wait_payload("meanwhile")


# Where a page's browser puts a token, when the page may set no header.
CARRIERS = {
    "header": lambda token: bearer(token),
    "cookie": lambda token: {"Cookie": f"a=b; odoo_bus_token={token}; c=d"},
    "subprotocol": lambda token: {"Sec-WebSocket-Protocol": f"odoo-bus, odoo-bus.token.{token}"},
}
WAYS = [(transport, carrier) for transport in TRANSPORTS for carrier in CARRIERS
        if transport == "websocket" or carrier != "subprotocol"]


@pytest.mark.parametrize("transport, carrier", WAYS)
async def test_each_way_to_send_a_token_grants_and_expires(gateway, database, transport, carrier):
    """Its channels and no other, until it expires: 4001 on each transport. With another one it goes on."""
    carry = CARRIERS[carrier]
    headers = carry(SECRET.token(claims(["a"], seconds=round(scaled(4)))))
    async with TRANSPORTS[transport](gateway.url, ["a", "b"], headers=headers) as client:
        await client.subscribed()
        database.sendone("b", payload="not granted")
        database.sendone("a", payload="granted")
        await client.wait_payload("granted")
        if transport == "poll":
            await client.until(lambda: 401 in client.statuses, "a refusal")
        else:
            assert (await client.wait_closed())[0] == 4001
        database.sendone("a", payload="meanwhile")
        client.headers |= carry(SECRET.token(claims(["a"])))
        await client.wait_payload("meanwhile")
        assert client.payloads == ["granted", "meanwhile"]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_foreign_page_may_use_its_own_token_but_no_cookie(gateway, carrier):
    headers = CARRIERS[carrier](SECRET.token(claims(["a"])))
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        raw.upgrade(headers={**HANDSHAKE, **headers, "Origin": "http://evil.example.com"})
        raw.send_event("subscribe", {"channels": ["a"], "last": 0, "confirm": 1})
        if carrier == "cookie":
            assert raw.receive_close()[0] == 4001
        else:
            assert b"bus/subscribed" in raw.receive_frame()[1]


def test_audience_skew_and_database(make_token_gateway, database):
    gateway = make_token_gateway(token_audience="bus", token_skew=30)
    for payload, expected in [
            (claims(["a"], aud="bus"), 200), (claims(["a"], aud=["x", "bus"]), 200), (claims(["a"]), 401),
            (claims(["a"], aud=["x"]), 401), (claims(["a"], aud={"bus": 1}), 401),
            (claims(["a"], aud="bus", seconds=-20), 200), (claims(["a"], aud="bus", seconds=-31), 401),
            (claims(["a"], aud="bus", nbf=time.time() + 20), 200), (claims(["a"], aud="bus", db=database.name), 200)]:
        assert status(gateway, bearer(SECRET.token(payload))) == expected, payload
    with RawClient(("127.0.0.1", gateway.port)) as raw:
        headers = {"Host": "x", **bearer(SECRET.token(claims(["a"], aud="bus")))}
        assert raw.request(path="/bus/events?channels=a&db=other", headers=headers).response()[0] == 401


def test_issuers(make_token_gateway):
    gateway = make_token_gateway(token_issuer=["https://id.example", "backup"])
    for payload, expected in [
            (claims(["a"], iss="https://id.example"), 200), (claims(["a"], iss="backup"), 200), (claims(["a"]), 401),
            (claims(["a"], iss="https://id.example/"), 401), (claims(["a"], iss=["backup"]), 401), (claims(["a"], iss=None), 401)]:
        assert status(gateway, bearer(SECRET.token(payload))) == expected, payload
    assert "from another issuer" in reason_logged(gateway, lambda: status(gateway, bearer(signed())))
    assert status(make_token_gateway(), bearer(signed(claims(["a"], iss="anyone")))) == 200


def test_a_token_names_one_of_the_databases_that_are_served(make_gateway, make_database, tmp_path):
    first, second, third = make_database(), make_database(), make_database()
    gateway = make_gateway(first, second, auth="token", token_keys=SECRET.write(tmp_path / "keys")).start()

    def granted(**more):
        headers = bearer(signed(claims(["a"], **more)))
        with RawClient(("127.0.0.1", gateway.port)) as raw:
            raw.upgrade(headers={**HANDSHAKE, **headers})
            raw.send_event("subscribe", {"channels": ["a"], "last": 0, "confirm": 1})
            opcode, payload = raw.receive_frame()
        over_websocket = b"bus/subscribed" in payload or int.from_bytes(payload[:2], "big")
        return over_websocket, status(gateway, headers), by_poll(gateway, headers), by_peek(gateway, headers)

    assert granted() == granted(db=first.name) == granted(db=second.name) == (True, 200, 200, 200)
    for name in (third.name, first.name + "x", "postgres", " ", "\0"):
        assert granted(db=name) == (4001, 401, 401, 401), name


def test_a_token_names_a_database_that_matches(make_gateway, make_database, tmp_path):
    database = make_database()
    gateway = make_gateway(database, auth="token", token_keys=SECRET.write(tmp_path / "keys"),
                           database_match=f"{database.name}$").start()
    gateway.wait_healthy()
    assert by_poll(gateway, bearer(signed(claims(["a"], db=database.name)))) == 200
    assert status(gateway, bearer(signed(claims(["a"], db="postgres")))) == 401
    assert first_close(gateway, bearer(signed(claims(["a"], db="postgres")))) == 4001


def test_files_without_usable_keys(make_gateway, database, tmp_path):
    pair = KeyPair(tmp_path)
    path = tmp_path / "keys"
    for text in ("", "short", "{}", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "c2hvcnQ"}]}', "{",
                 pair.private.read_text(), "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"):
        path.write_text(text)
        gateway = make_gateway(database, auth="token", token_keys=path)
        gateway.expected_exit = None
        gateway.spawn()
        assert gateway.wait() != 0, text
        assert any("--token-keys" in line for line in gateway.lines), text
        assert "PRIVATE KEY-----" not in "\n".join(gateway.lines)
        assert "--token-keys" in check_config(path).stderr, text
    SECRET.write(path)
    assert check_config(path).returncode == 0


def check_config(keys):
    return run_gateway("--check-config", "--database", "dbname=x", "--auth", "token", "--token-keys", str(keys))
