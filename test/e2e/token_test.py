"""Authorization by signed tokens: who gets what, until when, and every token that must not be believed."""
import asyncio
import base64
import json
import os
import time

import pytest

from harness.client import HANDSHAKE, BusClient, RawClient
from harness.http_clients import TRANSPORTS, EventsClient
from harness.tokens import KeyPair, Secret, claims, encode

SECRET = Secret()


@pytest.fixture
def make_token_gateway(make_gateway, database, tmp_path):
    def make(keys=SECRET, **options):
        path = tmp_path / "keys"
        path.write_text(keys) if isinstance(keys, str) else keys.write(path)
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


BAD = {
    "none at all": lambda keys: None,
    "empty": lambda keys: "",
    "not a token": lambda keys: "hello",
    "two parts": lambda keys: SECRET.token(claims(["a"])).rsplit(".", 1)[0],
    "four parts": lambda keys: SECRET.token(claims(["a"])) + ".x",
    "alg none": lambda keys: f"{encode({'alg': 'none'})}.{encode(claims(['a']))}.",
    "alg None": lambda keys: f"{encode({'alg': 'None'})}.{encode(claims(['a']))}.",
    "alg none, signed": lambda keys: SECRET.token(claims(["a"]), {"alg": "none"}),
    "alg HS512": lambda keys: SECRET.token(claims(["a"]), {"alg": "HS512"}),
    "alg missing": lambda keys: SECRET.token(claims(["a"]), {"alg": None}),
    "wrong key": lambda keys: Secret(b"another secret of more than 32 bytes").token(claims(["a"])),
    "no signature": lambda keys: SECRET.token(claims(["a"])).rsplit(".", 1)[0] + ".",
    "expired": lambda keys: SECRET.token(claims(["a"], seconds=-1)),
    "never expires": lambda keys: SECRET.token({"sub": "x", "channels": ["a"]}),
    "expires at a text": lambda keys: SECRET.token(claims(["a"], exp="2099-01-01")),
    "expires in infinity": lambda keys: SECRET.token('{"exp":1e999,"channels":["a"]}'.encode().hex()),
    "not yet valid": lambda keys: SECRET.token(claims(["a"], nbf=int(time.time()) + 600)),
    "another audience": lambda keys: SECRET.token(claims(["a"], aud="somebody else")),
    "huge": lambda keys: SECRET.token(claims(["a" * 20_000])),
    "malformed base64": lambda keys: SECRET.token(claims(["a"])).replace(".", ".=", 1),
    "base64 with rest": lambda keys: SECRET.token(claims(["a"])) + "B",
    "standard base64": lambda keys: SECRET.token(claims(["a"])).split(".")[0] + "." + base64.b64encode(b'{"a":"\xff\xfe\xfb"}').decode() + ".x",
    "double claims": lambda keys: SECRET.token(encode(b'{"channels":[],"exp":%d,"channels":["a"]}' % (time.time() + 60))),
    "double headers": lambda keys: with_header(b'{"alg":"none","alg":"HS256"}'),
    "critical extension": lambda keys: SECRET.token(claims(["a"]), {"crit": ["b64"], "b64": False}),
    "claims are a list": lambda keys: SECRET.token([1]),
    "channels are a text": lambda keys: SECRET.token(claims() | {"channels": "a"}),
    "deep": lambda keys: SECRET.token(encode(b'{"x":' + b"[" * 3000 + b"]" * 3000 + b"}")),
    "not UTF-8": lambda keys: SECRET.token(encode(b'{"exp":99999999999,"sub":"\xff"}')),
}


def with_header(header):
    text = f"{encode(header)}.{encode(claims(['a']))}"
    return f"{text}.{encode(SECRET.sign(text.encode()))}"


@pytest.mark.sanitized
def test_bad_tokens_are_refused_everywhere_and_logged_nowhere(gateway):
    for name, make in BAD.items():
        token = make(None)
        headers = {} if token is None else bearer(token)
        if name == "huge":
            headers = bearer(token[:12_000])
        assert status(gateway, headers) == 401, name
        assert first_close(gateway, headers) == 4001, name
        if token and len(token) < 7_000:
            protocols = {"Sec-WebSocket-Protocol": f"odoo-bus, odoo-bus.token.{token}"}
            if all(c.isalnum() or c in "-_." for c in token):
                assert first_close(gateway, protocols) == 4001, name
    reasons = [line for line in gateway.lines if "refused a subscribe" in line]
    assert reasons and all("token" in line for line in reasons)
    log = "\n".join(gateway.lines)
    for name, make in BAD.items():
        for part in (make(None) or "").split("."):
            assert len(part) < 20 or part not in log, name


def test_a_public_key_is_no_secret(make_token_gateway, tmp_path):
    """The confusion of algorithms: HS256 with the text of the public key as its secret."""
    pair = KeyPair(tmp_path)
    gateway = make_token_gateway(pair)
    assert status(gateway, bearer(pair.token(claims(["a"])))) == 200
    for secret in (pair.public.read_bytes(), pair.public.read_bytes().rstrip(), base64.b64decode(b"".join(pair.public.read_bytes().split(b"\n")[1:-2]))):
        assert status(gateway, bearer(Secret(secret).token(claims(["a"])))) == 401
        assert status(gateway, bearer(Secret(secret).token(claims(["a"]), {"alg": "RS256"}))) == 401
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


def test_keys_are_rotated_without_a_restart(make_token_gateway, tmp_path):
    gateway = make_token_gateway()
    newer = Secret(b"a newer secret of at least 32 bytes")
    fresh = tmp_path / "fresh"
    newer.write(fresh)
    os.replace(fresh, tmp_path / "keys")
    deadline = time.monotonic() + 30
    while status(gateway, bearer(newer.token(claims(["a"])))) != 200:
        assert time.monotonic() < deadline
    assert status(gateway, bearer(SECRET.token(claims(["a"])))) == 401
    (tmp_path / "keys").write_text("short")
    while not any("former keys are kept" in line for line in gateway.lines):
        assert status(gateway, bearer(newer.token(claims(["a"])))) == 200
        assert time.monotonic() < deadline


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_expired_token_closes_with_4001(gateway, database, transport):
    headers = bearer(SECRET.token(claims(["a"], seconds=3)))
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
    headers = carry(SECRET.token(claims(["a"], seconds=4)))
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
