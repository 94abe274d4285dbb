"""Two things that answer Odoo's routes, with one interface for the contract: a real Odoo, and the stand-in."""
import itertools
import json
import time
from dataclasses import dataclass

from harness.deadline import scaled
from standin import Standin

import rpc

ADMIN = ("admin", "admin")


@dataclass
class Person:
    """A user or a guest."""

    id: int
    partner_id: int = 0
    login: str = ""
    password: str = ""
    token: str = ""  # of a guest


class Site:
    """`port`, `host`, `version` and `database` are set by its kinds."""

    def call(self, path, parameters, cookie="", headers=(), host=None):
        return rpc.call(self.port, host or self.host, path, parameters, cookie, headers)

    def get(self, path, cookie="", headers=(), host=None):
        return rpc.request(self.port, host or self.host, "GET", path,
                           headers=list(headers) + ([("Cookie", cookie)] if cookie else []))

    def peek(self, channels=(), cookie="", first=True, last=0, **options):
        return self.call("/websocket/peek_notifications",
                         {"channels": list(channels), "last": last, "is_first_poll": first}, cookie, **options)

    def presence(self, inactivity_period, cookie="", **options):
        return self.call("/websocket/update_bus_presence",
                         {"inactivity_period": inactivity_period, "im_status_ids_by_model": {}}, cookie, **options)


class RealSite(Site):
    _numbers = itertools.count(1)  # of whatever was made in the one Odoo that all modules of tests share

    def __init__(self, server):
        self.server = server
        self.port = server.port
        self.host = server.host
        self.version = server.version
        self.database = server.name
        self._admin = None

    def orm(self, model, method, *arguments, **options):
        """As the administrator, in the way the web client does it."""
        if self._admin is None:
            self._admin = self._authenticate(*ADMIN)
        answer = self.call(f"/web/dataset/call_kw/{model}/{method}",
                           {"model": model, "method": method, "args": list(arguments), "kwargs": options},
                           f"session_id={self._admin}")
        return answer.result

    def sql(self, statement, *parameters):
        return self.server.cluster.execute(statement, parameters, dbname=self.database)

    def add_user(self, login=None, internal=True):
        name = (login or "user").title()
        login = f"{login or 'user'}{next(self._numbers)}"
        groups = "group_ids" if int(self.version.split(".")[0]) >= 19 else "groups_id"
        values = {"name": name, "login": login, "password": f"{login}-secret", "email": f"{login}@example.com"}
        if not internal:
            portal, = self.sql("SELECT res_id FROM ir_model_data WHERE module = 'base' AND name = 'group_portal'")[0]
            values[groups] = [[6, 0, [portal]]]
        user, = self.orm("res.users", "create", [values])
        partner, = self.sql("SELECT partner_id FROM res_users WHERE id = %s", user)[0]
        return Person(user, partner, login, values["password"])

    def add_guest(self):
        guest, = self.orm("mail.guest", "create", [{"name": "Visitor"}])
        token, = self.sql("SELECT access_token FROM mail_guest WHERE id = %s", guest)[0]
        return Person(guest, token=f"{guest}|{token}")

    def add_channel(self, *members, public=True):
        """A discuss channel; members have a partner (users) or none (guests)."""
        lines = [[0, 0, {"partner_id": m.partner_id, "guest_id": False} if m.partner_id else
                  {"partner_id": False, "guest_id": m.id}] for m in members]
        values = {"name": f"channel {next(self._numbers)}", "channel_type": "channel", "channel_member_ids": lines,
                  "group_public_id": False}
        if not public:
            values["channel_type"] = "group"
        channel, = self.orm("discuss.channel", "create", [values])
        return channel

    def login(self, user):
        return self._authenticate(user.login, user.password)

    def logout(self, sid):
        self.get("/web/session/logout", f"session_id={sid}")

    def age(self, sid, seconds):
        def change(content):
            content["create_time"] = content.get("create_time", time.time()) - seconds
        self.server.edit_session(sid, change)

    def pass_deletion_timer(self, sid):
        """As if the two minutes after the rotation of `sid` had passed."""
        def change(content):
            content["deletion_time"] = time.time() - 1
        self.server.edit_session(sid, change)

    def expire(self, sid):
        self.server.session_file(sid).unlink()

    def change_password(self, user):
        user.password += "-changed"
        self.orm("res.users", "write", [user.id], {"password": user.password})

    def archive(self, user):
        self.orm("res.users", "write", [user.id], {"active": False})

    def send(self, channel, message_type, payload, age=0):
        """`channel`: the parts after the database's name."""
        text = json.dumps([self.database, *channel], separators=(",", ":"))
        message = json.dumps({"type": message_type, "payload": payload}, separators=(",", ":"))
        return self.sql("""INSERT INTO bus_bus (channel, message, create_date)
                           VALUES (%s, %s, now() AT TIME ZONE 'utc' - %s * interval '1 second') RETURNING id""",
                        text, message, age)[0][0]

    def last_id(self):
        return self.sql("SELECT coalesce(max(id), 0) FROM bus_bus")[0][0]

    def wait_status(self, person, status, timeout=60):
        deadline = time.monotonic() + scaled(timeout)
        while (seen := self.status(person)) != status:
            assert time.monotonic() < deadline, f"{person.login or person.id} is {seen}, not {status}"
            time.sleep(0.1)

    def status(self, person):
        """online, away, offline or None."""
        table = "mail_presence" if int(self.version.split(".")[0]) >= 19 else "bus_presence"
        column = "user_id" if person.partner_id else "guest_id"
        rows = self.sql(f"SELECT status FROM {table} WHERE {column} = %s", person.id)
        return rows[0][0] if rows else None

    def was_told(self, person, status):
        """Whether pages were sent this status of the user."""
        told = {"type": "bus.bus/im_status_updated", "payload": {"partner_id": person.partner_id, "im_status": status}}
        return self.sql("SELECT count(*) FROM bus_bus WHERE message::jsonb @> %s::jsonb", json.dumps(told))[0][0] > 0

    def _authenticate(self, login, password):
        answer = self.call("/web/session/authenticate", {"db": self.database, "login": login, "password": password})
        assert answer.result["uid"], f"{login} cannot log in"
        return answer.set_sid


class StandinSite(Site):
    def __init__(self, version):
        self.odoo = Standin(version, dbfilter="^%d$").start()
        self.port = self.odoo.port
        self.host = "bus.localhost"
        self.version = version
        self.database = "bus"
        self._database = self.odoo.add_database("bus")
        self._numbers = itertools.count(1)

    def stop(self):
        self.odoo.stop()

    def add_user(self, login=None, internal=True):
        user = self._database.add_user(login or f"user{next(self._numbers)}", internal=internal)
        return Person(user.id, user.partner_id, user.login, user.password)

    def add_guest(self):
        guest = self._database.add_guest()
        return Person(guest.id, token=guest.token)

    def add_channel(self, *members, public=True):
        people = [self._database.users[m.id] if m.partner_id else self._database.guests[m.id] for m in members]
        return self._database.add_channel(*people, public=public).id

    def login(self, user):
        return self.odoo.login(self._database.users[user.id]).sid

    def logout(self, sid):
        self.odoo.logout(sid)

    def age(self, sid, seconds):
        self.odoo.age(sid, seconds)

    def pass_deletion_timer(self, sid):
        session = self.odoo.sessions.get(sid)
        session["deletion_time"] = self.odoo.clock.now() - 1
        self.odoo.sessions.save(session)

    def expire(self, sid):
        self.odoo.sessions.delete(sid)

    def change_password(self, user):
        self._database.users[user.id].password += "-changed"

    def archive(self, user):
        self._database.users[user.id].active = False

    def send(self, channel, message_type, payload, age=0):
        return self._database.send(channel, message_type, payload, age)

    def last_id(self):
        return self._database.last_id

    def status(self, person):
        return self._database.presence.get(("user" if person.partner_id else "guest", person.id))
