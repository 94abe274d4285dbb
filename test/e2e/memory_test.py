"""--max-memory is a ceiling: whatever clients make the gateway hold, the process stays near it, clients that hold the most are
ended, and the others notice nothing. ODOO_BUS_TEST_ATTACK_SECONDS says how long the attacks last."""
import asyncio
import contextlib
import os
import re
import threading
import time
from pathlib import Path

import pytest

from harness.attacks import ATTACKS, ON_ODOO, Attack
from harness.client import BusClient
from harness.deadline import scaled
from harness.shared_library import compile_shared_library
from harness.system import ROOT
from harness.wait import until
from metrics_test import Metrics, metrics  # noqa: F401
from odoo_auth_test import send
from standin import RemoteStandin

SECONDS = float(os.environ.get("ODOO_BUS_TEST_ATTACK_SECONDS", "8"))
CEILING = 256 << 20
# A notification of `everyone` is larger than what the kernel takes of it for a client that does not read.
BROADCAST = "x" * 600_000


class MemoryWatch:
    """The highest proportional memory (PSS) of a process."""

    def __init__(self, pid):
        self.rollup = Path(f"/proc/{pid}/smaps_rollup")
        self.highest = 0
        self.samples = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def look(self):
        return int(re.search(r"^Pss:\s+(\d+) kB", self.rollup.read_text(), re.M)[1]) << 10

    def _run(self):
        # Not more often: while it is read, the process can map no memory.
        while not self._ended.wait(0.1):
            self.highest = max(self.highest, self.look())
            self.samples += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()


class Honest:
    """Clients that are connected before, to which something is sent all the time, and others that come meanwhile.

    How late they get it is compared with a client of another gateway, which nobody attacks: that tells what the machine, under
    such a load, makes of it."""

    def __init__(self, gateway, quiet, deliver):
        self.gateway = gateway
        self.deliver = deliver  # deliver(channel, payload)
        self.clients = [BusClient(gateway.url, ["honest", "everyone"] if n == 0 else ["honest"]) for n in range(5)]
        self.quiet = BusClient(quiet.url, ["honest"])
        self.late, self.admitted = [], []

    async def __aenter__(self):
        for client in (*self.clients, self.quiet):
            client.start()
        for client in (*self.clients, self.quiet):
            await client.subscribed()
        return self

    async def __aexit__(self, *_):
        await asyncio.gather(*(client.stop() for client in (*self.clients, self.quiet)))

    async def round(self, number):
        await asyncio.to_thread(self.deliver, "honest", f"{number}")
        for client in (self.quiet, *self.clients):
            await client.wait_payload(f"{number}")
        self.late.append(max(client.received_at[-1] for client in self.clients) - self.quiet.received_at[-1])

    async def come(self):
        begin = time.monotonic()
        payload = f"new {begin}"
        async with BusClient(self.gateway.url, ["honest"]) as new:
            await new.subscribed()
            await asyncio.to_thread(self.deliver, "honest", payload)
            await new.wait_payload(payload)
        self.admitted.append(time.monotonic() - begin)

    async def live(self, attack):
        """Until the attack is over."""
        number = 0
        while not attack.is_over():
            number += 1
            await asyncio.to_thread(self.deliver, "everyone", BROADCAST)
            await self.round(f"{id(attack)} {number}")
            if number % 3 == 0:
                await self.come()
            await asyncio.sleep(0.1)

    def judge(self):
        late = sorted(self.late)
        # The kernel may let one of two gateways wait for a while, when a machine has far more to do than it can.
        assert late[len(late) * 9 // 10] < scaled(1) and late[-1] < scaled(3), f"notifications were late: {late[-5:]}"
        assert self.admitted and max(self.admitted) < scaled(5), f"newcomers took up to {max(self.admitted):.2f} s"
        assert all(client.connections == 1 for client in self.clients), [client.closes for client in self.clients]


async def attack_with(gateways, metrics, deliver, phases):  # noqa: F811
    """`phases`: lists of attacks at the same time, and for how many seconds."""
    gateway, quiet = gateways
    with MemoryWatch(gateway.process.pid) as memory:
        async with Honest(gateway, quiet, deliver) as honest:
            for attacks, seconds in phases:
                with Attack(attacks, gateway.port, seconds) as attack:
                    await honest.live(attack)
                print(f"{[attack.__name__ for attack, _ in attacks]}: at most {memory.highest >> 20} MiB, "
                      f"{metrics.values().get('odoo_bus_shed_connections_total', 0):.0f} connections shed, "
                      f"slowest notification {max(honest.late):.3f} s, newcomer {max(honest.admitted, default=0):.3f} s")
            honest.judge()
    assert memory.samples > 5
    assert memory.highest < 1.1 * CEILING, f"{memory.highest >> 20} MiB"


@pytest.fixture
def start(make_gateway, metrics):  # noqa: F811
    """The gateway that is attacked, and one that is not."""
    def start(database, **options):
        attacked = make_gateway(database, **metrics.options, **{
            "max_memory": CEILING, "trusted_proxy": "none", "log_level": "info", "rate_limit_burst": 20,
            "max_receive_rate": "1GiB", "history_bytes": "32MiB", **options}).start()
        return attacked, make_gateway(database, log_level="info").start()
    return start


async def test_attacks_one_after_the_other(start, database, metrics):  # noqa: F811
    seconds = max(2, SECONDS / len(ATTACKS))
    await attack_with(start(database), metrics, lambda channel, payload: database.sendone(channel, payload=payload),
                      [([attack], seconds) for attack in ATTACKS.values()])


async def test_attacks_all_at_once(start, database, metrics):  # noqa: F811
    await attack_with(start(database), metrics, lambda channel, payload: database.sendone(channel, payload=payload),
                      [(list(ATTACKS.values()), SECONDS)])
    assert metrics.values()["odoo_bus_shed_connections_total"] > 0


async def test_attacks_by_way_of_a_slow_odoo(start, database, metrics):  # noqa: F811
    with RemoteStandin(version="19.0") as odoo:
        odoo.run(f"odoo.add_database({database.name!r})")
        odoo.run("odoo.break_with(faults.delay(0.1))")
        gateways = start(database, auth="odoo", odoo_url=odoo.url)
        await attack_with(gateways, metrics, lambda channel, payload: send(database, channel, payload=payload),
                          [([attack], SECONDS / 2) for attack in ON_ODOO.values()] + [(list(ON_ODOO.values()), SECONDS / 2)])


async def test_what_is_held_is_counted_and_named(start, database, metrics):  # noqa: F811
    gateway, _ = start(database, max_memory="64MiB")
    metrics.wait_for("odoo_bus_memory_ceiling_reached", 0)
    before = metrics.values()["odoo_bus_client_memory_bytes"]
    with Attack([ATTACKS["unfinished_body"]], gateway.port, 60):
        gateway.wait_for_line(r"closing connections of \d address(es)?, as memory is at --max-memory: those of 127\.10\.0\.\d hold")
        # It has fallen by now, and rises again.
        until(lambda: metrics.values()["odoo_bus_client_memory_bytes"] > before + (20 << 20), lambda: "it is not counted")
        until(lambda: metrics.values()["odoo_bus_memory_bytes"] > 30 << 20, lambda: "it is not in the metrics")
    metrics.wait_for("odoo_bus_memory_ceiling_reached", 0)


async def test_histories_give_way_when_they_are_most_of_it(make_gateway, database, metrics):  # noqa: F811
    gateway = make_gateway(database, **metrics.options, max_memory="96MiB", history_bytes="1GiB", log_level="info").start()
    with MemoryWatch(gateway.process.pid) as memory:
        async with BusClient(gateway.url, ["a"]) as client:
            await client.subscribed()
            for n in range(300):
                await asyncio.to_thread(database.sendone, "a", payload=f"{n} " + "x" * 500_000)
                await client.wait_for(n + 1)
                client.notifications[-1]["message"]["payload"] = client.frames[-1] = None  # it may forget, too
            assert client.connections == 1
    gateway.wait_for_line("the history of each database is limited to")
    assert metrics.values()[f'odoo_bus_history_bytes{{database="{database.name}"}}'] < 80 << 20
    assert memory.highest < 1.1 * (96 << 20), f"{memory.highest >> 20} MiB"


async def test_without_memory_for_a_row_its_database_is_read_again(make_gateway, database, tmp_path):
    """And the process goes on."""
    library = compile_shared_library(ROOT / "test/e2e/no_memory.c", tmp_path)
    gateway = make_gateway(database, log_level="info", environment={"LD_PRELOAD": str(library), "NO_MEMORY": "2"}).start()
    async with BusClient(gateway.url, ["a"]) as client:
        await client.subscribed()
        for payload in ("before", "x" * 10_000_000, "after"):
            await asyncio.to_thread(send, database, "a", payload=payload)
        await client.wait_for(3)
        assert [len(payload) for payload in client.payloads] == [6, 10_000_000, 5]
        assert client.connections == 1
    assert sum("out of memory" in line for line in gateway.lines) >= 1
