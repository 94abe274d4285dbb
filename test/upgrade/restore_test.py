"""A database of the older release is dumped, and restored into the newer one."""
from copy import copy

import pytest
import used_cluster

from harness.database import Database
from harness.system import postgresql_bin


@pytest.mark.parametrize("kind", ["plain, by the older pg_dump", "custom, by the newer pg_dump"])
def test_restore_into_the_newer_release(old, make_new, settings, kind, tmp_path):
    used_cluster.fill(old).sendone("a")
    before = used_cluster.seen(old)
    is_plain = kind.startswith("plain")
    dumped = copy(old)  # the same server
    if not is_plain:
        dumped.bin = postgresql_bin()
    roles = dumped.run("pg_dumpall", "--globals-only").stdout
    for name in before:
        dumped.run("pg_dump", "-C", "-Fp" if is_plain else "-Fc", "-f", tmp_path / name, dbname=name)
    old.stop()

    new = make_new().start()
    new.psql(input=roles.replace("CREATE ROLE postgres;", ""))
    for name in before:
        if is_plain:
            new.psql("-f", tmp_path / name)
        else:
            new.run("pg_restore", "--exit-on-error", "-C", "-d", "postgres", tmp_path / name)
    used_cluster.check_that_all_is_there(new, before)
    last = before["odoo"]["sequence"][0][0]
    ids = used_cluster.use_odoo(Database(new, "odoo"), bool(settings))
    assert ids == list(range(last + 1, last + 1 + len(ids)))
    assert used_cluster.use_plain(new, bool(settings)) == before["plain"]["sequence"][0][0] + 1
