"""Sessions as Odoo keeps them: files named by the session id, rotation, and what makes one count as ended."""
import base64
import hashlib
import json
import os
import re
from pathlib import Path

STATIC_BYTES = 42  # of an id survive a soft rotation
ROTATION_INTERVAL = 3 * 3600
DELETION_TIMER = 120
TRACE_INTERVAL = 3600


class Session(dict):
    """The content of a session file; `sid` is its name."""

    def __init__(self, sid, content=()):
        super().__init__(content)
        self.sid = sid
        self.dirty = False
        self.should_rotate = False

    @property
    def uid(self):
        return self.get("uid")

    @property
    def cookie(self):
        """As a browser sends it."""
        return f"session_id={self.sid}"

    def put(self, key, value):
        if key not in self or self[key] != value:
            self[key] = value
            self.dirty = True

    def log_out(self):
        database = self.get("db")
        self.clear()
        self.update(db=database)
        self.dirty = self.should_rotate = True


class Sessions:
    """With a `directory` the files exist: Odoo's `--data-dir`, in which a gateway watches their names."""

    def __init__(self, clock, directory=None, hex_ids=False):
        self._clock = clock
        self._hex_ids = hex_ids
        self._valid = re.compile(r"[a-f0-9]{40}" if hex_ids else r"[A-Za-z0-9_-]{84}")
        self._kept = {}
        self._directory = Path(directory) / "sessions" if directory else None

    def __len__(self):
        return len(self._kept)

    def __contains__(self, sid):
        return sid in self._kept

    def generate_id(self):
        digest = hashlib.sha512(os.urandom(64)).digest()
        return digest.hex()[:40] if self._hex_ids else base64.urlsafe_b64encode(digest[:-1]).decode()

    def new(self):
        return Session(self.generate_id(), {"create_time": self._clock.now()})

    def get(self, sid):
        """An id that nobody has given out is adopted, as Odoo does; one that is no id is replaced."""
        if sid is None or not self._valid.fullmatch(sid):
            return self.new()
        if sid not in self._kept:
            return Session(sid, {"create_time": self._clock.now()})
        return Session(sid, json.loads(self._kept[sid]))

    def save(self, session):
        self._kept[session.sid] = json.dumps(session)
        if self._directory:
            path = self._path(session.sid)
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.parent / f"tmp{os.urandom(4).hex()}.__wz_sess"
            unfinished.write_text(self._kept[session.sid])
            unfinished.rename(path)

    def delete(self, sid):
        if self._kept.pop(sid, None) is not None and self._directory:
            self._path(sid).unlink(missing_ok=True)

    def rotate_hard(self, session):
        """After login and logout: nothing of the former id remains."""
        self.delete(session.sid)
        session.sid = self.generate_id()
        session["create_time"] = self._clock.now()
        session.should_rotate = False
        self.save(session)

    def rotate_soft(self, session, compute_token):
        """After three hours: the former id stays valid for two minutes, and all who show it get the same new one."""
        former = self.get(session.sid)
        if "next_sid" in former:
            session.sid = former["next_sid"]
            return
        next_sid = session.sid[:STATIC_BYTES] + self.generate_id()[STATIC_BYTES:]
        session["next_sid"] = next_sid
        session["deletion_time"] = self._clock.now() + DELETION_TIMER
        self.save(session)
        del session["next_sid"], session["deletion_time"]
        session.sid = next_sid
        session["gc_previous_sessions"] = True
        session["token"] = compute_token(session)
        session["create_time"] = self._clock.now()
        self.save(session)

    def delete_former(self, session):
        """The first request of a rotated session that comes late enough removes what came before it."""
        if "gc_previous_sessions" in session and session["create_time"] + DELETION_TIMER < self._clock.now():
            prefix = session.sid[:STATIC_BYTES]
            for sid in [sid for sid in self._kept if sid.startswith(prefix)]:
                self.delete(sid)
            del session["gc_previous_sessions"]
            self.save(session)

    def _path(self, sid):
        return self._directory / sid[:2] / sid
