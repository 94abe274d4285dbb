"""Whole databases are copied, renamed and dropped while the doorbell's worker, a worker of bus_sendnow() and a gateway are
connected; nobody ends their connections, unless the test does."""
import asyncio
import re
import uuid

import pytest

from harness.client import BusClient
from harness.database import Database
from harness.doorbell import preloaded_cluster
from harness.wait import until

# What Odoo's database manager does first.
END_CONNECTIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"


@pytest.fixture
def cluster(preloaded):
    return preloaded


@pytest.fixture
def prefix(cluster):
    """Of the databases of one test; whatever has it goes at its end."""
    chosen = f"w{uuid.uuid4().hex[:8]}_"
    yield chosen
    for name, in cluster.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (chosen + "%",)):
        cluster.drop_database(name)


@pytest.fixture
def create(cluster, prefix, make_database):
    return lambda name: make_database(prefix + name)


@pytest.fixture(params=[False, True], ids=["named", "found"])
def make_reading(request, cluster, make_gateway, prefix):
    """A gateway that reads these databases, which are named to it or found."""
    def make(*databases):
        gateway = make_gateway(cluster.conninfo("postgres"), database_match=f"^{prefix}") if request.param \
            else make_gateway(*databases)
        gateway.finds = request.param
        gateway.start()
        for database in databases:
            gateway.wait_for_line(f'"{database.name}": reading')
        return gateway
    return make


async def in_thread(function, *arguments, **options):
    return await asyncio.to_thread(function, *arguments, **options)


async def delivered(database, client, payload):
    """Also by a worker of bus_sendnow(), which stays connected to the database."""
    await in_thread(database.sendone, "a", payload=payload)
    await client.wait_payload(payload)
    await in_thread(database.execute, "SELECT bus_sendnow('a', 't', to_jsonb(%s::text))", (f"{payload} now",))
    await client.wait_payload(f"{payload} now")


def client_of(gateway, database, **options):
    return BusClient(f"{gateway.url}?db={database.name}", ["a"], **options)


def twice(*payloads):
    return [each for payload in payloads for each in (payload, f"{payload} now")]


@pytest.mark.parametrize("force", [False, True], ids=["plain", "force"])
async def test_a_database_is_dropped_and_comes_back(cluster, create, make_reading, force):
    doomed, other = create("doomed"), create("other")
    gateway = await in_thread(make_reading, doomed, other)
    async with client_of(gateway, other) as bystander, client_of(gateway, doomed) as client:
        await delivered(doomed, client, "before")
        await delivered(other, bystander, "before")
        mark = len(gateway.lines)
        await in_thread(cluster.execute, f'DROP DATABASE "{doomed.name}"' + (" WITH (FORCE)" if force else ""))
        await delivered(other, bystander, "meanwhile")
        if gateway.finds:
            await in_thread(gateway.wait_for_line, f'"{doomed.name}": it is not there any more', mark)
        else:
            await in_thread(gateway.wait_for_line, f'"{doomed.name}":.*does not exist; trying again', mark)
        about = [line for line in gateway.lines[mark:] if re.search(f' (info|warning) database "{doomed.name}"', line)]
        # Of what PostgreSQL says of a database that has just gone there are two versions.
        assert len(about) <= 4, f"what ended the connection, and that the database is gone: {about}"
        await in_thread(cluster.execute, f'CREATE DATABASE "{doomed.name}"')
        again = await in_thread(Database(cluster, doomed.name).install)
        await in_thread(gateway.wait_for_line, f'"{doomed.name}": reading', mark)
        async with client_of(gateway, again) as new:
            await delivered(again, new, "of the next one")
            assert new.payloads == twice("of the next one")
        assert "before" not in client.payloads[2:]
        assert bystander.payloads == twice("before", "meanwhile")
        assert bystander.connections == 1


async def test_a_database_is_renamed_and_back(cluster, create, make_reading, prefix):
    database, other = create("before"), create("other")
    gateway = await in_thread(make_reading, database, other)
    async with client_of(gateway, database) as client, client_of(gateway, other) as bystander:
        await delivered(database, client, "before")
        mark = len(gateway.lines)
        await in_thread(cluster.execute, f'ALTER DATABASE "{database.name}" RENAME TO "{prefix}after"')
        renamed = Database(cluster, prefix + "after")
        await in_thread(gateway.wait_for_line, f'"{database.name}": it is to be copied, renamed or dropped', mark)
        await delivered(other, bystander, "meanwhile")
        if gateway.finds:
            await in_thread(gateway.wait_for_line, f'"{renamed.name}": reading', mark)
            async with client_of(gateway, renamed) as new:
                await delivered(renamed, new, "renamed")
        else:
            await in_thread(gateway.wait_for_line, f'"{database.name}":.*does not exist; trying again', mark)
            await in_thread(renamed.execute, "SELECT bus_sendnow('a', 't', '1')")
        back = len(gateway.lines)
        await in_thread(cluster.execute, f'ALTER DATABASE "{renamed.name}" RENAME TO "{database.name}"')
        await in_thread(gateway.wait_for_line, f'"{database.name}": reading', back)
        await delivered(database, client, "back")
        if gateway.finds:  # which was forgotten, so that what is younger than ten seconds may come again
            assert set(client.payloads) == set(twice("before", "back")) and client.payloads[-2:] == twice("back")
        else:
            assert client.payloads == twice("before", "back") and client.connections == 1
        assert bystander.payloads == twice("meanwhile") and bystander.connections == 1


@pytest.mark.parametrize("ends_connections", [False, True], ids=["plain", "as Odoo"])
async def test_a_copy_has_a_bus_of_its_own(cluster, create, make_reading, make_gateway, prefix, ends_connections):
    original = create("original")
    gateway = await in_thread(make_reading, original)
    copy = Database(cluster, prefix + "copy")
    async with client_of(gateway, original) as client:
        await delivered(original, client, "before")
        with cluster.connect() as odoo:
            if ends_connections:
                odoo.execute(END_CONNECTIONS, (original.name,))
            await in_thread(odoo.execute, f'CREATE DATABASE "{copy.name}" TEMPLATE "{original.name}"')
        of_copy = gateway
        if gateway.finds:
            await in_thread(gateway.wait_for_line, f'"{copy.name}": reading')
        else:
            of_copy = await in_thread(make_gateway(copy).start)
        async with client_of(of_copy, copy) as other:
            # The same ids in both; and a channel of the other's in each, as in rows that were copied.
            await delivered(original, client, "of the original")
            await delivered(copy, other, "of the copy")
            for one, another in ((original, copy), (copy, original)):
                one.execute("INSERT INTO bus_bus (channel, message) VALUES (%s, %s)",
                            (another.channel("a"), '{"type":"t","payload":"astray"}'))
            await delivered(original, client, "end")
            await delivered(copy, other, "end")
            assert client.payloads == twice("before", "of the original", "end")
            assert other.payloads == twice("of the copy", "end")
            assert client.ids[-2:] == other.ids[-2:]
        assert client.connections == 1


async def test_a_template_is_left_alone(cluster, create, make_gateway, prefix):
    """A template database with Odoo's tables and the extension: it is not served, nobody connects to it, copies of it are
    served at once."""
    other, template = create("other"), create("template")
    cluster.execute(f'ALTER DATABASE "{template.name}" IS_TEMPLATE true')
    gateway = await in_thread(make_gateway(cluster.conninfo("postgres"), database_match=f"^{prefix}").start)
    await in_thread(gateway.wait_for_line, f'"{other.name}": reading')
    for n in range(3):
        copy = Database(cluster, f"{prefix}copy{n}")
        await in_thread(cluster.execute, f'CREATE DATABASE "{copy.name}" TEMPLATE "{template.name}"')
        await in_thread(gateway.wait_for_line, f'"{copy.name}": reading')
        async with client_of(gateway, copy) as client:
            await delivered(copy, client, "of the copy")
    assert not [line for line in gateway.lines if f'"{template.name}"' in line]
    assert cluster.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (template.name,)) == [(0,)]
    cluster.execute(f'ALTER DATABASE "{template.name}" IS_TEMPLATE false')
    await in_thread(gateway.wait_for_line, f'"{template.name}": reading')
    cluster.execute(f'ALTER DATABASE "{template.name}" IS_TEMPLATE true')
    await in_thread(gateway.wait_for_line, f'"{template.name}": it is not there any more, and forgotten')
    cluster.execute(f'ALTER DATABASE "{template.name}" IS_TEMPLATE false')


def test_an_extension_in_template1_is_in_every_new_database(make_database):
    """CREATE EXTENSION there, once; Odoo's tables come later."""
    with preloaded_cluster() as cluster:
        cluster.execute("CREATE EXTENSION odoo_bus", dbname="template1")
        database = cluster.create_database()
        database.execute("SELECT bus_create_table()")
        database.execute("SELECT bus_sendone('c', 't', '1')")
        database.execute("SELECT bus_sendnow('c', 't', '1')")
        assert [channel for _, channel, _ in database.rows()] == [[database.name, "c"]] * 2
        until(lambda: cluster.execute("SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'template%'") == [(0,)],
              lambda: "somebody stays in a template")
        other = cluster.create_database(template=f'"{database.name}"')
        other.execute("SELECT bus_sendone('c', 't', '2')")
        assert other.rows()[-1][1] == [other.name, "c"]
