"""Error bodies as Odoo writes them: a traceback that shows what was asked, and so channels and tokens."""
import json


class Refused(Exception):
    """A call that Odoo answers with an error."""

    def __init__(self, name, message=""):
        super().__init__(message)
        self.name = name
        self.message = message


class Expired(Refused):
    def __init__(self):
        super().__init__("odoo.http.SessionExpiredException")


class NotFound(Exception):
    """No such route."""


def error_of(refused, build, path, arguments):
    expired = isinstance(refused, Expired)
    last = refused.name.removeprefix("builtins.") + (f": {refused.message}" if refused.message else "")
    debug = (
        "Traceback (most recent call last):\n"
        '  File "/opt/odoo/odoo/http.py", line 2275, in _serve_db\n'
        "    return service_model.retrying(serve_func, env=self.env)\n"
        '  File "/opt/odoo/odoo/http.py", line 788, in route_wrapper\n'
        "    result = endpoint(self, *args, **params_ok)\n"
        f"psycopg2.errors: SELECT channel FROM bus_bus -- {path} {json.dumps(arguments)}\n"
        f"{last}\n")
    return {
        "code": 100 if expired else build.error_code,
        "message": "Odoo Session Expired" if expired else "Odoo Server Error",
        "data": {
            "name": refused.name,
            "message": refused.message,
            "arguments": [refused.message] if refused.message else [],
            "context": {},
            "debug": debug,
        },
    }
