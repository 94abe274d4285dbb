"""JSON Web Tokens, right ones and wrong ones, made with nothing but Python and the program openssl."""
import base64
import hashlib
import hmac
import json
import subprocess
import time


def encode(data):
    if not isinstance(data, bytes):
        data = json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(channels=(), seconds=60, **more):
    return {"sub": "someone", "exp": int(time.time()) + seconds, "channels": list(channels)} | more


class Secret:
    """HS256."""

    algorithm = "HS256"

    def __init__(self, secret=b"0123456789abcdef0123456789abcdef"):
        self.secret = secret

    def write(self, path):
        path.write_bytes(self.secret + b"\n")
        path.chmod(0o600)
        return path

    def jwk(self, **more):
        return {"kty": "oct", "k": encode(self.secret)} | more

    def sign(self, text):
        return hmac.new(self.secret, text, hashlib.sha256).digest()

    def token(self, payload, header=None):
        head = {"alg": self.algorithm, "typ": "JWT"} | (header or {})
        text = f"{encode(head)}.{payload if isinstance(payload, str) else encode(payload)}"
        return f"{text}.{encode(self.sign(text.encode()))}"


class KeyPair(Secret):
    """RS256 or ES256; `directory` is where the keys are."""

    def __init__(self, directory, algorithm="RS256", name="key"):
        self.algorithm = algorithm
        self.private = directory / f"{name}-private.pem"
        self.public = directory / f"{name}-public.pem"
        options = (["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if algorithm == "RS256" else
                   ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
        self._openssl("genpkey", "-algorithm", *options, "-out", self.private)
        self._openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)

    def write(self, path):
        path.write_bytes(self.public.read_bytes())
        return path

    def jwk(self, **more):
        text = self._openssl("pkey", "-pubin", "-in", self.public, "-noout", "-text").decode()
        numbers = {}
        for line in text.splitlines():
            if line.startswith(" "):
                numbers[name] += line.strip().replace(":", "")
            else:
                name, _, rest = line.partition(":")
                numbers[name] = ""
                if name == "Exponent":
                    exponent = int(rest.split()[0])
        if self.algorithm == "RS256":
            modulus = bytes.fromhex(numbers["Modulus"]).lstrip(b"\0")
            return {"kty": "RSA", "n": encode(modulus), "e": encode(exponent.to_bytes(3, "big").lstrip(b"\0"))} | more
        point = bytes.fromhex(numbers["pub"])
        return {"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])} | more

    def sign(self, text):
        signature = self._openssl("dgst", "-sha256", "-sign", self.private, input=text)
        return signature if self.algorithm == "RS256" else self._raw(signature)

    @staticmethod
    def _raw(der):
        """r and s of SEQUENCE { INTEGER r, INTEGER s }, 32 bytes each."""
        length = der[3]
        r, rest = der[4:4 + length], der[4 + length:]
        return b"".join(number.lstrip(b"\0").rjust(32, b"\0") for number in (r, rest[2:2 + rest[1]]))

    @staticmethod
    def _openssl(*arguments, input=None):
        return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, input=input).stdout
