"""Calls of Odoo's routes, one connection each, and what came back."""
import http.client
import json
from dataclasses import dataclass

from harness.deadline import scaled


@dataclass
class Answer:
    status: int
    headers: list  # (name, value)
    body: bytes

    @property
    def document(self):
        return json.loads(self.body)

    @property
    def result(self):
        assert self.status == 200 and "error" not in self.document, f"{self.status} {self.body[:2000]}"
        return self.document.get("result")

    @property
    def error(self):
        """(code, data.name) of a JSON-RPC error."""
        error = self.document["error"]
        return error["code"], error["data"]["name"]

    @property
    def cookies(self):
        """Those that it sets, by name."""
        pairs = [value.partition(";")[0].partition("=") for name, value in self.headers if name == "Set-Cookie"]
        return {name: value for name, _, value in pairs}

    @property
    def set_sid(self):
        """The session id that it sets, or None."""
        return self.cookies.get("session_id")

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


def request(port, host, method, path, body=None, headers=()):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=scaled(120))
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in [("Host", host), *headers]:
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    answer = Answer(response.status, response.getheaders(), response.read())
    answer.http_version = response.version
    connection.close()
    return answer


def call(port, host, path, parameters, cookie="", headers=()):
    """JSON-RPC 2.0; `parameters` may be bytes, to send something else."""
    body = parameters if isinstance(parameters, bytes) else json.dumps(
        {"jsonrpc": "2.0", "method": "call", "params": parameters, "id": 7}).encode()
    sent = [("Content-Type", "application/json"), *headers]
    return request(port, host, "POST", path, body, sent + ([("Cookie", cookie)] if cookie else []))
