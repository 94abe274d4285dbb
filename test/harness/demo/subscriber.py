"""A subscriber of the demo for the terminal."""
import collections
import json
import statistics
import subprocess
import threading
import time

from ..gateway import BINARY
from ..system import clean_environment
from .account import Account
from .scenario import AUDIT, CHANNELS, TRANSACTIONS

# What the demo itself sends; all other types were typed by somebody.
OWN_TYPES = {kind for _, sent in TRANSACTIONS for _, kind, _ in sent} | {
    AUDIT, "demo.order_updated", "demo.announcement", "simple_notification", "export_job/progress", "export_job/committed",
    "export_job/rolled_back"}


def percentiles(latencies):
    """The median, and what 99 % are within."""
    ordered = sorted(latencies)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


class Subscriber:
    """`odoo-bus-gateway tail`, behind nginx. `show(when, row, latency, type, payload)` is called with each notification."""

    def __init__(self, url, show):
        self.show = show
        self.latencies, self.types = [], collections.Counter()
        self.account = Account()
        self.connected = threading.Event()
        self._reported = 0  # of `latencies`
        self._total = 0
        self.process = subprocess.Popen([BINARY, "tail", "--json", url, *CHANNELS], env=clean_environment(),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, start_new_session=True)
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._receive, self._watch)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        for thread in self._threads:
            thread.join(10)

    def _watch(self):
        for line in self.process.stderr:
            if "not connected to" in line:
                self.connected.clear()
            elif "connected to" in line:
                self.connected.set()

    def _receive(self):
        for line in self.process.stdout:
            element = json.loads(line)
            row, kind, payload = element["id"], element["message"]["type"], element["message"]["payload"]
            latency = element.get("latency_ms")
            if latency is not None:
                self.latencies.append(latency)
            self.types[kind] += 1
            self.account.receive(row, kind, payload)
            self.show(element["received_at"], row, latency, kind, payload)

    def second(self):
        """One line about what has come since the last one."""
        total, latencies = self.types.total(), self.latencies[self._reported:]
        came, self._total = total - self._total, total
        self._reported += len(latencies)
        took = "median {:6.1f} ms, 99 % {:7.1f} ms".format(*percentiles(latencies)) if latencies else " " * 35
        where = "" if self.connected.is_set() else "  not connected"
        return f"{time.strftime('%H:%M:%S')} {came:4}/s  {took}  {self.account}{where}"

    def summary(self):
        if not self.latencies:
            return "nothing was received"
        return (f"{self.types.total()} notifications of {len(self.types)} types through nginx, {self.account}; latency from "
                "the SQL statement to the subscriber: median {:.1f} ms, 99 % within {:.1f} ms".format(*percentiles(self.latencies)))
