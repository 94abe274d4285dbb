"""What was sent and stayed committed, what each client received of it, and the comparison of both.

Numbers of notifications may be large: what is kept of each is its key, its id and its causes.
"""
import bisect
import collections
import json
from array import array

from harness.http_clients import TRANSPORTS

from writers import finish_prepared

MARKER = "everything has been sent"

# `key`: of the writer and its number; `transaction`: 0 takes no part in the order; `after`: of each writer the last
# transaction that had been committed.
Sent = collections.namedtuple("Sent", "key writer transaction after")


def key_of(payload):
    return payload["w"] << 40 | payload["n"]


def sent_of(payload):
    after = array("q")
    for writer, transaction in payload["after"].items():
        after.extend((int(writer), transaction))
    return Sent(key_of(payload), payload["w"], payload["t"], after)


class Received:
    """Takes the place of a client's list of notifications."""

    def __init__(self):
        self.ids, self.keys, self.others = array("q"), array("q"), []

    def append(self, element):
        payload = element["message"]["payload"]
        if isinstance(payload, dict):
            self.ids.append(element["id"])
            self.keys.append(key_of(payload))
        else:
            self.others.append(element)

    def __len__(self):
        return len(self.keys) + len(self.others)

    def __reversed__(self):
        return reversed(self.others)


class Forgotten:
    def append(self, _):
        pass


def watch(client):
    """Before it starts."""
    client.notifications, client.frames, client.received_at = Received(), Forgotten(), Forgotten()
    return client


async def settle(database, clients, choice, max_row_bytes=16 << 20):
    """Waits until every client has got the last notification; returns what stayed committed and may be delivered, by
    channel, and the keys of what is too large."""
    with database.connect() as connection:
        finish_prepared(connection, choice)
    database.sendone("broadcast", "chaos", MARKER)
    for client in clients:
        await client.wait_payload(MARKER, timeout=120)
    expected, too_large = collections.defaultdict(list), set()
    with database.connect(autocommit=False) as connection, connection.cursor("rows") as cursor:
        cursor.itersize = 5000
        cursor.execute("SELECT channel, message, octet_length(channel) + octet_length(message) FROM bus_bus ORDER BY id")
        for channel, message, size in cursor:
            payload = json.loads(message)["payload"]
            if not isinstance(payload, dict):
                continue
            if size > max_row_bytes:
                too_large.add(key_of(payload))
            else:
                expected[json.loads(channel)[1]].append(sent_of(payload))
    return expected, too_large


def judge(clients, expected, faults, cut=0, too_large=frozenset()):
    lost = missed = twice = twice_moved = twice_by_id = vanished = out_of_order = delivered = outsized = 0
    reused = ids_drawn_twice(clients)
    for client in clients:
        wanted = {sent.key: sent for channel in client.channels for sent in expected[channel]}
        got = client.notifications.keys
        counts = collections.Counter(got)
        delivered += len(got)
        missing = wanted.keys() - counts.keys()
        if client.moves:  # a chosen id may be missed by who leaves a gateway that is far behind
            chosen = {number for number in missing if not wanted[number].transaction}
            missed += len(chosen)
            missing -= chosen
        if missing:
            print(f"{client.url} {client.channels} lost {[wanted[number] for number in sorted(missing)[:10]]}")
        lost += len(missing)
        outsized += len(counts.keys() & too_large)
        # What a crash took from a writer that did not wait for the disk may have been delivered before.
        vanished += len(counts.keys() - wanted.keys())
        repeated = sum(count - 1 for count in counts.values())
        if client.moves:
            twice_moved += repeated
        elif client.resumed_from & reused:
            twice_by_id += repeated
        else:
            if repeated:
                print(f"{client.url} {client.channels} twice {[number for number, count in counts.items() if count > 1][:10]}")
            twice += repeated
        wrong = effects_before_causes(got, wanted)
        if wrong:
            print(f"{type(client).__name__} {client.url} moves={client.moves}: {len(wrong)} out of order, first {wrong[:3]}")
        out_of_order += len(wrong)
    committed = sum(map(len, expected.values()))
    for transport in TRANSPORTS.values():
        group = [client for client in clients if type(client) is transport]
        print(f"{transport.__name__}: {len(group)} clients, {sum(len(c.notifications) for c in group)} deliveries, "
              f"{sum(c.connections for c in group)} connections")
    print(f"faults: {sum(faults.values())} {dict(faults)}; they cut {cut} connections of clients\n"
          f"{committed} notifications committed, {delivered} deliveries to {len(clients)} clients, "
          f"{sum(client.connections for client in clients)} connections, {len(too_large)} rows too large\n"
          f"lost {lost}, twice {twice}, out of causal order {out_of_order}; "
          f"lost by the server in a crash after delivery {vanished}, twice after a move {twice_moved}, "
          f"chosen ids missed by a move {missed}, "
          f"after coming back with an id that was drawn twice {twice_by_id}")
    assert committed and delivered and faults
    assert (lost, twice, out_of_order, outsized) == (0, 0, 0, 0)


def ids_drawn_twice(clients):
    """Whoever comes back with one of them goes on after the first of the two, and may get some again."""
    first, reused = {}, set()
    for client in clients:
        for number, known in zip(client.notifications.ids, client.notifications.keys):
            if first.setdefault(number, known) != known:
                reused.add(number)
    return reused


def effects_before_causes(got, wanted):
    """Which notifications came before one of their causes, or before an earlier one of their transaction."""
    arrival = {}
    for index, key in enumerate(got):
        arrival.setdefault(key, index)
    wrong = []
    newest = {}  # of each transaction
    for key in sorted(wanted.keys() & arrival.keys()):
        sent = wanted[key]
        if sent.transaction:
            transaction = sent.writer, sent.transaction
            if arrival[key] < newest.get(transaction, -1):
                wrong.append((sent, "an earlier one of its transaction", newest[transaction]))
            newest[transaction] = max(arrival[key], newest.get(transaction, -1))
    # For each writer: its transactions, and the latest arrival among these up to each of them.
    causes = collections.defaultdict(lambda: ([], []))
    for sent in sorted(wanted.values(), key=lambda sent: sent.transaction):
        if sent.key in arrival and sent.transaction:
            transactions, arrivals = causes[sent.writer]
            transactions.append(sent.transaction)
            arrivals.append(max([arrival[sent.key], *arrivals[-1:]]))
    for sent in wanted.values():
        if sent.key not in arrival:
            continue
        for writer, transaction in zip(sent.after[::2], sent.after[1::2]):
            transactions, arrivals = causes[writer]
            known = bisect.bisect_right(transactions, transaction)
            if known and arrivals[known - 1] > arrival[sent.key]:
                wrong.append((sent, wanted[got[arrivals[known - 1]]], arrival[sent.key], arrivals[known - 1], len(got)))
                break
    return wrong
