"""The routes themselves. A Call is what Odoo's `request` is to a controller."""
import re
from dataclasses import dataclass

from .database import Guest
from .errors import Expired, NotFound, Refused

MARK = "is_websocket_session"


@dataclass
class Call:
    odoo: object
    request: object
    session: object
    database: object
    user: object  # None: the public

    @property
    def build(self):
        return self.odoo.build

    def guest_of(self, token):
        """The guest of `id|token`; None when there is no such guest, an exception when the id is no number."""
        parts = token.split("|")
        if len(parts) != 2:
            return None
        guest = self.database.guests.get(int(parts[0]))
        return guest if guest and guest.access_token == parts[1] else None

    @property
    def guest_of_cookie(self):
        return self.guest_of(self.request.cookies.get("dgid", ""))


def peek(call, channels, last, is_first_poll=False):
    if is_first_poll:
        call.session.put(MARK, True)
    elif MARK not in call.session:
        raise Expired()
    if call.database.refusal:
        raise Refused(call.database.refusal, "You are not allowed to follow " + ", ".join(map(str, channels)))
    if not all(isinstance(channel, str) for channel in channels):
        raise ValueError("bus.Bus only string channels are allowed.")
    last = 0 if last > call.database.last_id else last
    granted = list(dict.fromkeys(tuple(channel) for channel in resolve(call, channels)))
    return {"channels": granted, "notifications": call.database.rows_after(last, granted)}


def resolve(call, names):
    """The channels of a subscribe, as Odoo's modules mail, html_editor and web resolve the strings."""
    database, build, user = call.database, call.build, call.user
    name = database.name
    strings, named_ids, special = [], set(), []
    guest = call.guest_of_cookie if build.peek_reads_dgid else None
    for channel in names:
        if channel.startswith("mail.guest_"):
            guest = call.guest_of(channel.split("_")[1]) or guest
        elif match := re.findall(r"discuss\.channel_(\d+)", channel):
            named_ids.add(int(match[0]))
        elif channel.startswith("odoo-presence-"):
            special += presence_channel(call, channel, guest)
        elif channel.startswith("editor_collaboration:"):
            special += collaboration_channel(call, channel)
        elif build.knows_form_watch and channel.startswith("web.form_watch:"):
            special += form_watch_channel(call, channel)
        else:
            strings.append((name, channel))
    granted = special + strings
    if build.own_presence and user:
        granted.append((name, "res.partner", user.partner_id, "presence"))
    if guest:
        granted.append((name, "mail.guest", guest.id))
    followed = [c for c in database.discuss_channels.values()
                if user in c.members or (guest and guest in c.members) or (c.id in named_ids and c.public)]
    granted += [(name, "discuss.channel", c.id) for c in followed]
    for c in followed:
        if build.members_channel == "members" and c.id not in named_ids:
            granted.append((name, "discuss.channel", c.id, "members"))
        if build.members_channel == "internal_users" and user and user.internal:
            granted.append((name, "discuss.channel", c.id, "internal_users"))
    granted.append((name, "broadcast"))
    if build.group_channels:
        granted += [(name, "res.groups", group) for group in (user.groups if user else database.public_groups)]
    if user:
        granted.append((name, "res.partner", user.partner_id))
        if build.user_channel:
            granted.append((name, "res.users", user.id))
    return granted


def presence_channel(call, channel, guest):
    """Users may follow everyone, guests themselves."""
    match = re.match(r"odoo-presence-(res\.partner|mail\.guest)_(\d+)(?:-[0-9a-fox]+)?$", channel)
    if not match:
        return []
    model, record = match[1], int(match[2])
    itself = guest and (model, record) == ("mail.guest", guest.id)
    return [(call.database.name, model, record, "presence")] if itself or (call.user and call.user.internal) else []


def collaboration_channel(call, channel):
    match = re.match(r"editor_collaboration:([\w.]+):(\w+):(\d+)$", channel)
    if not match:
        return []
    model, field, record = match[1], match[2], int(match[3])
    if not call.user or call.user.id not in call.database.readable.get((model, record), ()):
        raise Refused("odoo.exceptions.AccessError", f"You are not allowed to access {model}({record})")
    return [(call.database.name, "editor_collaboration", model, field, record)]


def form_watch_channel(call, channel):
    """Channels of records that the user may not read are left out."""
    match = re.match(r"web\.form_watch:([\w.]+):(\d+)$", channel)
    may = match and call.user and call.user.id in call.database.readable.get((match[1], int(match[2])), ())
    return [(call.database.name, channel)] if may else []


def presence(call, inactivity_period, **others):
    if call.build.presence_needs_mail and not call.database.mail:
        raise NotFound()
    if call.build.presence_takes_ids:
        if "im_status_ids_by_model" not in others:
            raise TypeError("missing 1 required positional argument: 'im_status_ids_by_model'")
    if MARK not in call.session:
        raise Expired()
    status = "away" if int(inactivity_period) > 1800 * 1000 else "online"
    set_presence(call, status)
    return {}


def closed(call):
    set_presence(call, "offline")


def set_presence(call, status):
    who = call.user or call.guest_of_cookie
    if who:
        call.database.presence["guest" if isinstance(who, Guest) else "user", who.id] = status


def missed(call, last_notification_id):
    if not call.build.knows_missed:
        raise NotFound()
    return not call.database.has_row(last_notification_id)


def login(call):
    version = call.odoo.worker_version
    if call.build.bus_info:
        info = f'"bus_info": {{"last_id": {call.database.last_id}, "worker_version": "{version}"}}'
    else:
        info = f'"websocket_worker_version": "{version}"'
    return "text/html; charset=utf-8", (
        '<!DOCTYPE html>\n<html lang="en-US"><head><title>Odoo</title>\n<script id="web.layout.odooscript" '
        'type="text/javascript">var odoo = {csrf_token: "0"};\nodoo.__session_info__ = {"is_admin": false, '
        f'"is_frontend": true, {info}, "translationURL": "/web/webclient/translations"}};</script></head>\n'
        "<body><form class=\"oe_login_form\"></form></body></html>\n")


def bundle(call):
    return "application/javascript; charset=utf-8", "/* bus.websocket_worker_assets */ self.onconnect = () => {};\n"


def robots(call):
    """Of Odoo's module website: it names itself as it was asked for, unless that is not its domain."""
    request, domain = call.request, call.odoo.website
    if domain is None:
        return "text/plain", "User-agent: *\nDisallow: /"
    if domain and domain.partition("://")[2] != request.host:
        return "text/plain; charset=utf-8", f"\nUser-agent: *\n\nDisallow: /\nSitemap: {domain}/sitemap.xml\n\n"
    return "text/plain; charset=utf-8", f"\nUser-agent: *\n\nSitemap: {request.scheme}://{request.host}/sitemap.xml\n\n"


# Name: (JSON-RPC, function).
ROUTES = {
    "peek": (True, peek),
    "presence": (True, presence),
    "closed": (True, closed),
    "missed": (True, missed),
    "login": (False, login),
    "bundle": (False, bundle),
    "robots": (False, robots),
}
