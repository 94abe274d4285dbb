"""Runs the stand-in alone: a database, users and a guest, and their cookies on standard output.

    cd test/odoo-standin && python3 -m standin --version 19.0 --port 8069 --users 3
    build/odoo-bus-gateway --database dbname=mydb --auth odoo --odoo-url http://127.0.0.1:8069
"""
import argparse
import ast
import json
import signal
import sys

from . import Standin, faults


def main():
    parser = argparse.ArgumentParser(prog="standin", description="A stand-in for Odoo's HTTP port.")
    parser.add_argument("--version", default="19.0", help="17.0, 18.0, 19.0, 19.4 or 20.0")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--database", action="append", help="a database's name; several may be given")
    parser.add_argument("--dbfilter")
    parser.add_argument("--users", type=int, default=2)
    parser.add_argument("--workers", type=int, help="requests that are answered at once; all, when not given")
    parser.add_argument("--cost", type=float, default=0.0, metavar="SECONDS", help="that each request takes")
    parser.add_argument("--rotation", choices=["none", "all", "excluded"])
    parser.add_argument("--data-dir", help="write session files below it")
    parser.add_argument("--orders", metavar="JSON", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.orders is not None:
        return obey(json.loads(options.orders))
    with Standin(options.version, options.port, options.workers, options.cost, options.rotation,
                 dbfilter=options.dbfilter, data_dir=options.data_dir) as odoo:
        print(f"{odoo.url}  Odoo {options.version}", flush=True)
        for name in options.database or ["mydb"]:
            database = odoo.add_database(name)
            for number in range(options.users):
                user = database.add_user(f"user{number + 1}")
                print(f"{name}  {user.login}  Cookie: {odoo.login(user).cookie}", flush=True)
            print(f"{name}  a guest  Cookie: {database.add_guest().cookie}", flush=True)
        signal.sigwait([signal.SIGINT, signal.SIGTERM])
    return 0


def obey(options):
    """One JSON string of Python a line on standard input, one JSON object a line on standard output."""
    with Standin(**options) as odoo:
        names = {"odoo": odoo, "faults": faults}
        say({"value": odoo.port})
        for line in sys.stdin:
            try:
                say({"value": run(json.loads(line), names)})
            except Exception as error:  # noqa: BLE001: whoever gave the order is told
                say({"error": f"{type(error).__name__}: {error}"})
    return 0


def run(code, names):
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "order", "exec"), names)  # noqa: S102: the test's own code
    return eval(compile(ast.Expression(last.value), "order", "eval"), names) if last else None  # noqa: S307


def say(answer):
    print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    sys.exit(main())
