"""Users, ports and paths: what differs between a developer's machine, CI and root."""
import os
import pwd
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def server_user():
    """PostgreSQL refuses to run as root; returns the keyword arguments of subprocess that change the user."""
    if os.geteuid() != 0:
        return {}
    account = pwd.getpwnam("postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def give_to_server_user(path):
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(path, account.pw_uid, account.pw_gid)


def clean_environment(**extra):
    """The environment without anything that would change what a server or client of PostgreSQL does."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "ODOO_BUS_", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C.UTF-8", "TZ": "UTC"} | extra


def postgresql_bin():
    """The directory of PostgreSQL's programs; PG_CONFIG chooses another version."""
    pg_config = os.environ.get("PG_CONFIG", "pg_config")
    return Path(subprocess.run([pg_config, "--bindir"], check=True, capture_output=True, text=True).stdout.strip())
