"""From a request to Odoo's answer: database, session, user, route, rotation."""
import json
import re
from email.utils import formatdate
from http import HTTPStatus

from . import routes
from .errors import Expired, NotFound, Refused, error_of
from .sessions import ROTATION_INTERVAL, TRACE_INTERVAL

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
NO_DATABASE = ("<!DOCTYPE html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>No database is selected and the "
               "requested URL was not found in the server-wide controllers.</p>\n")
SESSION_LIFETIME = 7 * 24 * 3600


def parse_cookies(header):
    """Of two cookies of one name the first counts."""
    cookies = {}
    for pair in (header or "").split(";"):
        name, equals, value = pair.strip().partition("=")
        if equals:
            cookies.setdefault(name, value.strip('"'))
    return cookies


class Application:
    """Not aware of connections; `odoo` is the Standin."""

    def __init__(self, odoo):
        self.odoo = odoo

    def answer(self, request):
        """The bytes of the answer; notes in `request` what became of it."""
        environment = {}
        for name, value in request.headers:  # as WSGI joins them
            key = name.lower()
            environment[key] = f"{environment[key]},{value}" if key in environment else value
        request.cookies = parse_cookies(environment.get("cookie"))
        request.host = environment.get("host", "")
        if self.odoo.proxy_mode and "x-forwarded-host" in environment:
            request.host = environment["x-forwarded-host"].split(",")[-1].strip()
            request.scheme = environment.get("x-forwarded-proto", "http").split(",")[-1].strip()
        session = self.odoo.sessions.get(request.cookies.get("session_id"))
        request.sid = request.cookies.get("session_id", "")
        forced = environment.get("x-odoo-database")
        database = self._choose_database(session, request.host, forced)
        if database is Refused:
            return self._respond(request, 403, HTML, "<title>403 Forbidden</title>")
        if database is None:
            return self._without_database(request)
        request.database = database.name
        session.dirty = False
        if request.route not in routes.ROUTES:
            return self._respond(request, 404, HTML, "<!doctype html><title>404 Not Found</title>",
                                 self._set_cookie(request, session))
        is_json, function = routes.ROUTES[request.route]
        if is_json != environment.get("content-type", "").startswith("application/json"):
            return self._respond(request, 415, HTML, "<!doctype html><title>415 Unsupported Media Type</title>")
        return self._call(request, function, is_json, session, database, environment)

    def _choose_database(self, session, host, forced):
        """The session's own; else the only one that dbfilter leaves for the host; else none."""
        own = session.get("db")
        if own and self._listed(own, host):
            return Refused if forced and forced != own else self.odoo.databases[own]
        if forced:
            return self.odoo.databases[forced] if self._listed(forced, host) else None
        names = [name for name in self.odoo.databases if self._listed(name, host)]
        chosen = self.odoo.databases[names[0]] if len(names) == 1 else None
        if own:
            session.log_out()
        session["db"] = chosen.name if chosen else None
        return chosen

    def _listed(self, name, host):
        if name not in self.odoo.databases:
            return False
        host = host.partition(":")[0].removeprefix("www.")
        pattern = (self.odoo.dbfilter or "").replace("%h", re.escape(host))
        return re.match(pattern.replace("%d", re.escape(host.partition(".")[0])), name) is not None

    def _without_database(self, request):
        if request.route == "login":
            return self._respond(request, 303, HTML, "<!doctype html>", [("Location", "/web/database/selector")])
        return self._respond(request, 404, HTML, NO_DATABASE)

    def _call(self, request, function, is_json, session, database, environment):
        build = self.odoo.build
        identifier = None
        user = self._authenticate(request, session, database, environment)
        request.login = user.login if user else ""
        try:
            parameters = {}
            if is_json:
                try:
                    document = json.loads(request.body)
                except ValueError:
                    return self._respond(request, 400, HTML, "Invalid JSON data", self._set_cookie(request, session))
                if not isinstance(document, dict):
                    return self._respond(request, 400, HTML, "Invalid JSON-RPC data",
                                         self._set_cookie(request, session))
                identifier = document.get("id")
                parameters = request.params = document.get("params", {})
            call = routes.Call(self.odoo, request, session, database, user)
            result = function(call, **parameters)
        except NotFound:
            return self._respond(request, 404, HTML, "<!doctype html><title>404 Not Found</title>",
                                 self._set_cookie(request, session))
        except Refused as refused:
            return self._refuse(request, refused, identifier, parameters)
        except (TypeError, ValueError, AttributeError) as error:
            name = f"builtins.{type(error).__name__}"
            return self._refuse(request, Refused(name, str(error)), identifier, parameters)
        cookies = self._save(request, session, database, user)
        if is_json:
            content = {"jsonrpc": "2.0", "id": identifier}
            if result is not None:
                content["result"] = result
            return self._respond(request, 200, JSON, json.dumps(content),
                                 [("Access-Control-Allow-Origin", "*"), *cookies])
        content_type, text = result
        return self._respond(request, 200, content_type, text, cookies)

    def _authenticate(self, request, session, database, environment):
        """The session's user, or None for the public; a session that no longer counts is emptied."""
        if session.uid is None:
            return None
        now = self.odoo.clock.now()
        if self.odoo.build.rotation != "none":
            self.odoo.sessions.delete_former(session)
        user = database.users.get(session.uid)
        ended = "deletion_time" in session and session["deletion_time"] <= now
        if ended or user is None or not user.active or session.get("token") != user.token(session.sid):
            session.log_out()
            return None
        if self.odoo.build.rotation != "none":
            # A device is noted in the session when it is new, and once an hour: the answer sets the same id again.
            forwarded = environment.get("x-forwarded-for", "").split(",")[-1].strip()
            device = f"{environment.get('user-agent', '')} {forwarded}"
            traces = session.setdefault("_trace", {})
            if now - traces.get(device, 0) >= TRACE_INTERVAL:
                traces[device] = now
                session.dirty = True
        return user

    def _save(self, request, session, database, user):
        rotates = (self.odoo.build.rotation == "all" or
                   (self.odoo.build.rotation == "excluded" and request.route not in ("peek", "presence", "closed")))
        if session.should_rotate:
            self.odoo.sessions.rotate_hard(session)
        elif rotates and user and self.odoo.clock.now() >= session["create_time"] + ROTATION_INTERVAL:
            self.odoo.sessions.rotate_soft(session, lambda new: user.token(new.sid))
        elif session.dirty:
            self.odoo.sessions.save(session)
        return self._set_cookie(request, session)

    def _set_cookie(self, request, session):
        if not session.dirty and request.sid == session.sid:
            return []
        request.set_sid = session.sid
        expires = formatdate(self.odoo.clock.now() + SESSION_LIFETIME, usegmt=True)
        return [("Set-Cookie", f"session_id={session.sid}; Expires={expires}; Max-Age={SESSION_LIFETIME}; HttpOnly; "
                               "Path=/")]

    def _refuse(self, request, refused, identifier, parameters):
        request.error = refused.name
        error = error_of(refused, self.odoo.build, request.target, parameters)
        if isinstance(refused, Expired) and request.route not in ("peek", "presence", "closed", "missed"):
            return self._respond(request, 303, HTML, "", [("Location", "/web/login")])
        return self._respond(request, 200, JSON, json.dumps({"jsonrpc": "2.0", "id": identifier, "error": error}))

    def _respond(self, request, status, content_type, text, headers=()):
        request.status = status
        body = text.encode()
        lines = [
            # Prefork workers speak HTTP/1.0 and end the connection.
            f"HTTP/1.0 {status} {HTTPStatus(status).phrase.upper()}", "Server: Werkzeug/2.2.2 Python/3.11.2",
            f"Date: {formatdate(self.odoo.clock.now(), usegmt=True)}", f"Content-Type: {content_type}",
            f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers),
            "Connection: close"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
