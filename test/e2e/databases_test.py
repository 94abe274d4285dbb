"""Several databases: each has its own ledger, and what happens to one is no business of the others."""
import asyncio
import contextlib

from harness.client import BusClient
from harness.cluster import Cluster


def rename(cluster, name, to):
    """As Odoo's database manager does it: nobody may be connected, and the gateway always comes back."""
    cluster.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
    while True:
        cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        with contextlib.suppress(Exception):  # somebody is still connected
            cluster.execute(f'ALTER DATABASE "{name}" RENAME TO "{to}"')
            break
    cluster.execute(f'ALTER DATABASE "{to}" WITH ALLOW_CONNECTIONS true')


@contextlib.asynccontextmanager
async def client_in(gateway, name, **options):
    """Subscribed to the channel "a" of that database."""
    async with BusClient(f"{gateway.url}?db={name}", ["a"], **options) as client:
        await client.subscribed()
        yield client


async def delivered(database, client, payload):
    await asyncio.to_thread(database.sendone, "a", payload=payload)
    await client.wait_payload(payload)


async def test_a_database_that_is_renamed_goes_on_when_it_is_renamed_back(make_database, make_gateway, cluster):
    renamed, other = make_database(), make_database()
    gateway = make_gateway(renamed, other).start()
    name, elsewhere = renamed.name, renamed.name + "_elsewhere"
    async with client_in(gateway, name, check_outdated=True) as client, client_in(gateway, other.name) as bystander:
        await delivered(renamed, client, "before")
        with renamed.connect(autocommit=False) as late:
            late.execute("SELECT bus_sendone('a', 't', '\"rolled back\"')")
            await delivered(renamed, client, "leaves a gap")
            late.rollback()
        await asyncio.to_thread(rename, cluster, name, elsewhere)
        try:
            await asyncio.to_thread(gateway.wait_for_line, f'"{name}".*does not exist')
            await delivered(other, bystander, "meanwhile")
            # The channel names the database, as it is called by those who listen.
            cluster.execute("INSERT INTO bus_bus (channel, message) VALUES (%s, %s)",
                            (renamed.channel("a"), '{"type":"t","payload":"under another name"}'), dbname=elsewhere)
        finally:
            await asyncio.to_thread(rename, cluster, elsewhere, name)
        await client.wait_payload("under another name")
        await delivered(renamed, client, "after")
        assert client.payloads == ["before", "leaves a gap", "under another name", "after"]
        assert client.connections == bystander.connections == 1
        assert not client.internal


async def test_another_database_under_the_name_is_a_new_beginning(make_database, make_gateway, cluster):
    first, other = make_database(), make_database()
    gateway = make_gateway(first, other).start()
    name, elsewhere = first.name, first.name + "_elsewhere"
    async with client_in(gateway, name, check_outdated=True) as client, client_in(gateway, other.name) as bystander:
        for n in range(5):
            await delivered(first, client, n)
        await asyncio.to_thread(rename, cluster, name, elsewhere)
        try:
            second = make_database(name)
            await client.until(lambda: client.internal, "a word that it is outdated")
            assert client.internal[0]["type"] == "bus/subscription_outdated"
            await delivered(second, client, "of the second")
            await delivered(other, bystander, "meanwhile")
            assert client.payloads == [*range(5), "of the second"]
        finally:
            cluster.drop_database(elsewhere)


async def test_a_server_that_stops_does_not_disturb_the_database_of_another(make_database, make_gateway):
    database = make_database()
    with Cluster() as elsewhere:
        doomed = elsewhere.create_database("doomed").install()
        gateway = make_gateway(database, doomed).start()
        async with client_in(gateway, database.name) as client, client_in(gateway, "doomed") as other:
            await delivered(doomed, other, "before")
            await asyncio.to_thread(elsewhere.stop, "immediate")
            for n in range(20):
                await delivered(database, client, n)
            assert await asyncio.to_thread(gateway.wait_healthy)
            await asyncio.to_thread(elsewhere.start)
            await delivered(doomed, other, "after")
            await delivered(database, client, "both")
            assert client.payloads == [*range(20), "both"]
            assert other.payloads == ["before", "after"]
            assert client.connections == other.connections == 1
        gateway.finish()
