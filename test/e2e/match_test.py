"""--database-match: databases that come, go and change their names while the gateway runs."""
import asyncio
import json
import re
import time
import urllib.error
import urllib.request
import uuid

import pytest

from harness.client import BusClient
from harness.database import Database
from harness.deadline import DEADLINE
from harness.ports import reserve_port
from harness.wait import until


@pytest.fixture
def prefix():
    """Of the databases of one test."""
    return f"m{uuid.uuid4().hex[:8]}_"


@pytest.fixture
def create(cluster, make_database, prefix):
    """Creates a database with this prefix; whatever has it goes at the end of the test."""
    def make(name, **options):
        return make_database(prefix + name, **options)
    yield make
    for name, in cluster.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (prefix + "%",)):
        cluster.drop_database(name)


@pytest.fixture
def make_matching(cluster, create, make_gateway, prefix):
    """A gateway that finds the databases with the prefix of this test."""
    def make(**options):
        metrics_port = reserve_port()
        options = {"database_match": f"^{prefix}", "metrics_listen": f"127.0.0.1:{metrics_port}"} | options
        gateway = make_gateway(cluster.conninfo("postgres", application_name=prefix), **options)
        gateway.metrics_port = metrics_port
        return gateway
    return make


def get(gateway, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{gateway.metrics_port}{path}", timeout=DEADLINE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_ready(gateway):
    until(lambda: get(gateway, "/ready")[0] == 200, lambda: get(gateway, "/ready")[1])


def served(gateway):
    return set(re.findall(r'^odoo_bus_database_up\{database="(.*)"\} 1$', get(gateway, "/metrics")[1], re.M))


def wait_served(gateway, *databases):
    names = {getattr(database, "name", database) for database in databases}
    until(lambda: served(gateway) == names, lambda: f"served are {served(gateway)}, not {names}\n{gateway.tail()}")


def connections(cluster, prefix):
    """Of the gateway, by database."""
    rows = cluster.execute("SELECT datname, count(*) FROM pg_stat_activity WHERE application_name = %s GROUP BY 1",
                           (prefix,))
    return dict(rows)


async def in_thread(function, *arguments):
    return await asyncio.to_thread(function, *arguments)


async def delivered(database, client, payload):
    await in_thread(lambda: database.sendone("a", payload=payload))
    await client.wait_payload(payload)


def client_of(gateway, database, **options):
    return BusClient(f"{gateway.url}?db={getattr(database, 'name', database)}", ["a"], **options)


async def test_databases_are_found_while_it_runs(create, make_matching, make_database):
    first, stranger = create("first"), make_database()
    gateway = make_matching().start()
    await in_thread(wait_ready, gateway)
    await in_thread(wait_served, gateway, first)
    second = await in_thread(create, "second")
    await in_thread(wait_served, gateway, first, second)
    async with client_of(gateway, first) as one, client_of(gateway, second) as two, \
            client_of(gateway, stranger) as nowhere:
        await delivered(first, one, "of the first")
        await delivered(second, two, "of the second")
        assert one.payloads == ["of the first"] and two.payloads == ["of the second"]
        assert one.connections == two.connections == 1
        assert (await nowhere.wait_closed())[0] == 1013


async def test_a_database_that_is_dropped_is_forgotten(cluster, create, make_matching, tmp_path):
    doomed, other = create("doomed"), create("other")
    gateway = make_matching(state_dir=tmp_path).start()
    await in_thread(wait_served, gateway, doomed, other)
    async with client_of(gateway, doomed) as client, client_of(gateway, other) as bystander:
        await delivered(doomed, client, 1)
        await delivered(other, bystander, 1)
        assert any(doomed.name in file.name for file in tmp_path.iterdir())
        # Nobody ends its connections: it lets go by itself, well before the server's five seconds have passed.
        await in_thread(cluster.execute, f'DROP DATABASE "{doomed.name}"')
        code, reason = await client.wait_closed()
        assert code == 1013 and "not served" in reason
        await in_thread(wait_served, gateway, other)
        await in_thread(wait_ready, gateway)
        assert gateway.health()[0] == 200
        assert doomed.name not in get(gateway, "/metrics")[1]
        assert not [file for file in tmp_path.iterdir() if doomed.name in file.name]
        await delivered(other, bystander, 2)
        assert bystander.connections == 1
        # Another one under its name.
        again = await in_thread(create, "doomed")
        await in_thread(wait_served, gateway, again, other)
        async with client_of(gateway, again) as new:
            await delivered(again, new, "of the next one")


async def test_a_database_that_is_renamed_is_both(cluster, create, make_matching, prefix):
    database, other = create("before"), create("other")
    gateway = make_matching().start()
    await in_thread(wait_served, gateway, database, other)
    async with client_of(gateway, database) as client, client_of(gateway, other) as bystander:
        await delivered(database, client, 1)
        await in_thread(cluster.execute, f'ALTER DATABASE "{database.name}" RENAME TO "{prefix}after"')
        renamed = Database(cluster, prefix + "after")
        await in_thread(wait_served, gateway, renamed, other)
        await client.wait_closed()
        async with client_of(gateway, renamed) as new:
            await delivered(renamed, new, 2)
        await delivered(other, bystander, 2)
        assert bystander.connections == 1


@pytest.mark.parametrize("found", [True, False], ids=["found", "named"])
async def test_a_database_can_be_copied_while_it_is_read(cluster, create, make_matching, make_gateway, prefix, found):
    """As Odoo duplicates one, and without ending connections before it, as anybody may."""
    original = create("original")
    gateway = make_matching().start() if found else make_gateway(original).start()
    await in_thread(gateway.wait_healthy)
    async with client_of(gateway, original) as client:
        for n, ends_connections in enumerate([False, True, True]):
            await delivered(original, client, f"before {n}")
            if ends_connections:
                await in_thread(cluster.execute, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                "WHERE datname = %s", (original.name,))
            await in_thread(cluster.execute, f'CREATE DATABASE "{prefix}copy{n}" TEMPLATE "{original.name}"')
            await delivered(original, client, f"after {n}")
            if found:
                copy = Database(cluster, f"{prefix}copy{n}")
                await in_thread(until, lambda name=copy.name: name in served(gateway), gateway.tail)
                async with client_of(gateway, copy) as new:
                    await delivered(copy, new, f"of copy {n}")
        assert client.payloads == [f"{when} {n}" for n in range(3) for when in ("before", "after")]
        assert client.connections == 1


async def test_what_is_no_database_of_odoo_is_set_aside(cluster, create, make_matching, prefix):
    usable = create("usable")
    foreign = create("foreign", extension=False)
    gateway = make_matching().start()
    await in_thread(wait_ready, gateway)
    await in_thread(wait_served, gateway, usable)
    line = f'"{foreign.name}".*no table bus_bus.*set aside'
    await in_thread(gateway.wait_for_line, line)
    await in_thread(until, lambda: "odoo_bus_databases_set_aside 1" in get(gateway, "/metrics")[1], gateway.tail)
    assert gateway.health()[0] == 200
    # While it is looked at again it has a connection and metrics, and the server needs a moment to see that one has gone.
    await in_thread(until, lambda: f'database="{foreign.name}"' not in get(gateway, "/metrics")[1], gateway.tail)
    await in_thread(until, lambda: foreign.name not in connections(cluster, prefix), lambda: connections(cluster, prefix))
    async with client_of(gateway, usable) as client:
        await delivered(usable, client, 1)
    # Odoo creates its tables some time after the database, and then something is sent.
    await in_thread(foreign.install)
    await in_thread(foreign.sendone, "a")
    await in_thread(wait_served, gateway, usable, foreign)
    assert sum(bool(re.search(line, each)) for each in gateway.lines) == 1


async def test_a_database_without_privileges_is_set_aside(cluster, create, make_matching, make_gateway, prefix):
    allowed, locked = create("allowed"), create("locked")
    role = prefix + "reader"
    cluster.execute(f'CREATE ROLE "{role}" LOGIN')
    try:
        for database in (allowed, locked):
            database.execute(f'REVOKE ALL ON DATABASE "{database.name}" FROM public')
        allowed.execute(f'GRANT CONNECT ON DATABASE "{allowed.name}" TO "{role}"')
        allowed.execute(f'GRANT SELECT ON bus_bus, bus_bus_id_seq TO "{role}"')
        gateway = make_matching()
        gateway.databases = [cluster.conninfo("postgres", user=role)]
        gateway.start()
        await in_thread(wait_ready, gateway)
        await in_thread(wait_served, gateway, allowed)
        locked.execute(f'GRANT CONNECT ON DATABASE "{locked.name}" TO "{role}"')
        await in_thread(gateway.wait_for_line, f'"{locked.name}".*GRANT SELECT.*set aside')
        assert get(gateway, "/ready")[0] == 200
        locked.execute(f'GRANT SELECT ON bus_bus, bus_bus_id_seq TO "{role}"')
        await in_thread(wait_served, gateway, allowed, locked)
        gateway.finish()
    finally:
        for database in (allowed, locked):
            database.execute(f'DROP OWNED BY "{role}"')
        cluster.execute(f'DROP ROLE "{role}"')


async def test_many_idle_databases_cost_one_connection_each(cluster, create, make_matching, prefix, tmp_path):
    template = create("00")
    names = [template.name]
    for n in range(1, 30):
        names.append(f"{prefix}{n:02}")
        cluster.execute(f'CREATE DATABASE "{names[-1]}" TEMPLATE "{template.name}"')
    databases = [Database(cluster, name) for name in names]
    gateway = make_matching(max_databases=29, state_dir=tmp_path).start()
    await in_thread(wait_ready, gateway)
    await in_thread(wait_served, gateway, *databases[:29])
    await in_thread(gateway.wait_for_line, "1 more databases match")
    await in_thread(until, lambda: connections(cluster, prefix) == {name: 1 for name in names[:29]} | {"postgres": 2},
                    lambda: connections(cluster, prefix))
    clients = [client_of(gateway, database).start() for database in databases[:29]]
    try:
        for n, (database, client) in enumerate(zip(databases, clients)):
            await client.subscribed()
            await delivered(database, client, n)
        assert [client.payloads for client in clients] == [[n] for n in range(29)]
        begin, used = time.monotonic(), gateway_seconds(gateway)
        await asyncio.sleep(1)  # of what is printed
        took = time.monotonic() - begin
        print(f"29 idle databases: {(gateway_seconds(gateway) - used) / took * 100:.1f} % of one processor, "
              f"{(gateway_memory(gateway)) >> 20} MiB resident, "
              f"{sum(file.stat().st_size for file in tmp_path.iterdir()) >> 20} MiB of state")
        assert connections(cluster, prefix) == {name: 1 for name in names[:29]} | {"postgres": 2}
        # Room for the one that was left out.
        await in_thread(cluster.execute, f'DROP DATABASE "{names[3]}"')
        await in_thread(wait_served, gateway, *databases[:3], *databases[4:])
        async with client_of(gateway, databases[29]) as last:
            await delivered(databases[29], last, "in")
        assert all(client.connections == 1 for n, client in enumerate(clients) if n != 3)
    finally:
        await asyncio.gather(*(client.stop() for client in clients))


def gateway_seconds(gateway):
    with open(f"/proc/{gateway.process.pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def gateway_memory(gateway):
    with open(f"/proc/{gateway.process.pid}/statm") as statm:
        return int(statm.read().split()[1]) * 4096


async def test_a_restarted_gateway_resumes_in_each(create, make_matching, tmp_path):
    one, two = create("one"), create("two")
    gateway = make_matching(state_dir=tmp_path).start()
    await in_thread(wait_served, gateway, one, two)
    async with client_of(gateway, one) as first, client_of(gateway, two) as second:
        await delivered(one, first, 1)
        await delivered(two, second, 1)
        await in_thread(gateway.kill9)
        await in_thread(one.sendone, "a", "t", 2)
        await in_thread(two.sendone, "a", "t", 2)
        await in_thread(gateway.start)
        await first.wait_payload(2)
        await second.wait_payload(2)
        assert first.payloads == second.payloads == [1, 2]


async def test_without_any_it_waits(create, make_matching):
    gateway = make_matching().start(healthy=False)
    await in_thread(wait_ready, gateway)
    status, body = gateway.health()
    assert status == 503 and "--database-match" in json.dumps(body)
    database = await in_thread(create, "late")
    await in_thread(gateway.wait_healthy)
    async with client_of(gateway, database) as client:
        await delivered(database, client, 1)
