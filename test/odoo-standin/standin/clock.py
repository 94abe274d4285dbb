"""Odoo's clock: an hour of it may last a second."""
import time


class Clock:
    def __init__(self, speed=1.0):
        self._speed = speed
        self._base = time.time()
        self._since = time.monotonic()

    def now(self):
        """Seconds since the epoch, as Odoo would tell them."""
        return self._base + (time.monotonic() - self._since) * self._speed

    def advance(self, seconds=0, minutes=0, hours=0):
        self._base += seconds + 60 * minutes + 3600 * hours

    @property
    def speed(self):
        return self._speed

    @speed.setter
    def speed(self, speed):
        self._base, self._since, self._speed = self.now(), time.monotonic(), speed
