"""Progress of an open transaction at a client of the gateway. bench/progress_latency measures how soon."""
import asyncio

import pytest

from harness.client import BusClient


@pytest.fixture(scope="module")
def cluster(preloaded):
    return preloaded


async def test_each_step_is_there_before_the_transaction_goes_on_and_nothing_else_ever(database, gateway):
    with database.connect(autocommit=False) as connection:
        async with BusClient(gateway.url, ["progress", "work", "after"]) as client:
            await client.subscribed()
            connection.execute("SELECT bus_sendone('work', 't', '\"undone\"')")
            for step in range(20):
                await asyncio.to_thread(connection.execute, "SELECT bus_sendnow('progress', 't', to_jsonb(%s::int))", (step,))
                await client.wait_payload(step)
            connection.rollback()
            database.sendone("after", payload="done")
            await client.wait_payload("done")
            assert client.payloads == [*range(20), "done"]
            assert client.ids == sorted(client.ids)
