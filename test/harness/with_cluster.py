"""Runs a command beside a private cluster, to which PGHOST, PGPORT and PGUSER point.

with_cluster.py [setting=value ...] -- command [argument ...]
"""
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.cluster import Cluster  # noqa: E402
from harness.system import clean_environment, server_user  # noqa: E402


def main(arguments):
    split = arguments.index("--")
    settings = dict(argument.split("=", 1) for argument in arguments[:split])
    with Cluster(**settings) as cluster:
        environment = clean_environment(PGHOST=cluster.host, PGPORT=str(cluster.port), PGUSER=cluster.user)
        done = subprocess.run(arguments[split + 1:], env=environment, stdin=subprocess.DEVNULL, **server_user())
        if done.returncode != 0:
            print(f"the end of the server's log:\n{cluster.log_text()[-3000:]}")
        return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
