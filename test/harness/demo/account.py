"""Whether a subscriber has received everything that was committed, once."""
from .scenario import AUDIT


class Account:
    """Compares what is received with what the audit has seen in the table."""

    def __init__(self):
        self.received = set()
        self.audits = 0
        self.missed = self.doubled = 0

    def receive(self, row, notification_type, payload):
        self.doubled += row in self.received
        self.received.add(row)
        if notification_type == AUDIT:
            self.audits += 1
            if self.audits > 2:
                self.missed += len(set(payload["ids"]) - self.received)

    def __str__(self):
        return f"{self.missed} missed, {self.doubled} doubled"
