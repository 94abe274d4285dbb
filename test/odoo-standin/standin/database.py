"""What an Odoo database knows of who may see what: users, guests, discuss channels, and the rows of its bus."""
import hashlib
import os
from dataclasses import dataclass, field


@dataclass
class User:
    id: int
    login: str
    partner_id: int
    groups: list
    internal: bool = True
    active: bool = True
    password: str = "secret"
    database: object = field(default=None, repr=False)

    def token(self, sid):
        """What a session must hold to count as this user's: another password, or none while archived, ends it."""
        text = f"{self.database.secret}{self.id}{self.login}{self.password}{self.active}{sid[:42]}"
        return hashlib.sha256(text.encode()).hexdigest() if self.active else ""


@dataclass
class Guest:
    id: int
    name: str
    access_token: str

    @property
    def token(self):
        return f"{self.id}|{self.access_token}"

    @property
    def cookie(self):
        return f"dgid={self.token}"

    @property
    def channel(self):
        """The string channel by which a page without cookies names its guest."""
        return f"mail.guest_{self.token}"


@dataclass
class DiscussChannel:
    id: int
    members: list  # of User and Guest
    public: bool = True  # anyone who names it may follow it


class Database:
    def __init__(self, name, clock):
        self.name = name
        self.clock = clock
        self.secret = os.urandom(16).hex()
        self.users = {}
        self.guests = {}
        self.discuss_channels = {}
        self.readable = {}  # (model, id) -> set of user ids, for form_watch and collaborative editing
        self.public_groups = [10]
        self.presence = {}  # ("user" or "guest", id) -> online, away or offline
        self.mail = True  # the module is installed
        self.refusal = None  # name of the exception that a module raises at each subscribe
        self._rows = []  # (id, create time, channel as a tuple, message)
        self._last_id = 0

    def add_user(self, login, groups=(1,), internal=True):
        user_id = max(self.users, default=1) + 1
        user = User(user_id, login, user_id + 1, list(groups), internal, database=self)
        self.users[user_id] = user
        return user

    def add_guest(self, name="Visitor"):
        guest = Guest(len(self.guests) + 1, name, os.urandom(16).hex())
        self.guests[guest.id] = guest
        return guest

    def add_channel(self, *members, public=True):
        channel = DiscussChannel(len(self.discuss_channels) + 1, list(members), public)
        self.discuss_channels[channel.id] = channel
        return channel

    def let_read(self, user, model, record_id):
        self.readable.setdefault((model, record_id), set()).add(user.id)

    def send(self, channel, message_type, payload, age=0):
        """A row of bus_bus, made `age` seconds ago; `channel` without the database's name."""
        self._last_id += 1
        parts = (channel,) if isinstance(channel, str) else tuple(channel)
        self._rows.append((self._last_id, self.clock.now() - age, (self.name, *parts),
                           {"type": message_type, "payload": payload}))
        return self._last_id

    def delete_rows(self):
        self._rows.clear()

    @property
    def last_id(self):
        return self._rows[-1][0] if self._rows else 0

    @property
    def has_row(self):
        return {row[0] for row in self._rows}.__contains__

    def rows_after(self, last, channels, zero_is_all=False):
        wanted = {tuple(channel) for channel in channels}
        oldest = 0 if zero_is_all else self.clock.now() - 50
        return [{"id": row, "message": message} for row, created, channel, message in self._rows
                if channel in wanted and (row > last if last else created > oldest)]
