"""--auth odoo with many sessions that stay for an hour and say nothing: what their re-checks cost Odoo.

An hour lasts ODOO_BUS_IDLE_SECONDS: the stand-in's clock runs faster by as much, and --recheck-interval (300 s) is as much
shorter. --recheck-rate is so low that not everybody can be asked about in time, as 10 a second are for 10,000 sessions.
"""
import asyncio
import bisect
import os
import time

from harness.deadline import SLOWNESS
from odoo_load_test import Crowd, many_descriptors, odoo, send_to_each, sender, sessions  # noqa: F401 (fixtures)

SESSIONS = int(os.environ.get("ODOO_BUS_IDLE_SESSIONS", "2000"))
HOUR_LASTS = float(os.environ.get("ODOO_BUS_IDLE_SECONDS", "40"))
INTERVAL = 300 * HOUR_LASTS / 3600
RATE = round(0.3 * SESSIONS / INTERVAL)  # 10 a second are 0.3 of 10,000 in 300 s


async def test_an_idle_hour_costs_odoo_no_more_than_the_recheck_rate(odoo, database, sender, make_gateway):  # noqa: F811
    people = sessions(odoo, SESSIONS)
    gateway = make_gateway(database, auth="odoo", odoo_url=odoo.url, odoo_concurrency=8, odoo_timeout=300,
                           max_connections_per_address=0, max_handshakes_per_address=0,
                           recheck_interval=INTERVAL, recheck_rate=RATE, log_level="info").start()
    async with Crowd(gateway, people) as crowd:
        await asyncio.to_thread(send_to_each, database, sender, crowd.partners, 0)
        await crowd.everyone_gets(0, timeout=240)
        connected = odoo.run("odoo.log.peeks_per_session(first=True)")
        assert set(connected.values()) == {1} and len(connected) == SESSIONS
        odoo.run(f"odoo.log.clear(); odoo.clock.speed = {3600 / HOUR_LASTS}")
        begin = time.monotonic()
        rounds = 0
        while time.monotonic() - begin < HOUR_LASTS:  # who receives nothing is not asked about
            rounds += 1
            await asyncio.to_thread(send_to_each, database, sender, crowd.partners, rounds)
            await crowd.everyone_gets(rounds, timeout=240)
            await asyncio.sleep(max(0, min(rounds * INTERVAL, HOUR_LASTS) - (time.monotonic() - begin)))
        lasted = time.monotonic() - begin
        odoo.run("odoo.clock.speed = 1.0")
        asked = odoo.run("[r.began for r in odoo.log.requests()]")
        high_water = odoo.run("odoo.log.high_water")
        most = max(bisect.bisect_left(asked, at + 1) - n for n, at in enumerate(asked))
        print(f"{SESSIONS} sessions, an hour in {lasted:.0f} s, {rounds} notifications each: Odoo was asked {len(asked)} "
              f"times, {len(asked) / lasted:.1f} a second of {RATE} allowed, {most} in the worst second, "
              f"{high_water} at a time")
        # What may be saved up is one second's worth; the rest is the clocks of two processes and a queue between them,
        # which a busy machine may hold up for seconds, and then let go.
        assert len(asked) <= RATE * (lasted + 5)
        assert most <= 5 * RATE < SESSIONS
        assert len(asked) >= RATE * lasted / 4 / SLOWNESS
        assert set(odoo.run("[r.params['is_first_poll'] for r in odoo.log.requests('peek', status=200)]")) == {False}
        assert set(odoo.run("[r.error for r in odoo.log.requests()]")) == {""}
        assert not any(client.closes or client.refusals for client in crowd.clients)
        assert {client.connections for client in crowd.clients} == {1}
        assert all(client.payloads == [[n, partner] for n in range(rounds + 1)]
                   for client, partner in zip(crowd.clients, crowd.partners))
