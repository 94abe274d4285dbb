"""A private PostgreSQL cluster in a temporary directory."""
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from .database import Database
from .deadline import scaled
from .hold import stand_still
from .ports import reserve_port
from .system import clean_environment, give_to_server_user, postgresql_bin, server_user
from .wait import until

DEFAULTS = {
    "max_connections": 200,
    "max_prepared_transactions": 20,
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "autovacuum_naptime": "1d",
}


class Cluster:
    """Listens on a unix socket and on a free port of 127.0.0.1, trusts everyone who can reach it.

    with Cluster(shared_preload_libraries="odoo_bus", wal_level="logical") as cluster: ...

    `bin`: the directory of another release's programs. `initdb`: further options of it.
    """

    user = "postgres"
    postgres = None  # another program to start instead of the server, for example a wrapper of it

    def __init__(self, fsync=False, initdb=(), bin=None, **settings):
        self.bin = bin or postgresql_bin()
        self.directory = Path(tempfile.mkdtemp(prefix="odoo_bus_pg."))
        self.directory.chmod(0o755)
        give_to_server_user(self.directory)
        self.data = self.directory / "data"
        self.host = str(self.directory)
        self.port = reserve_port()
        self.log = self.directory / "log"
        self._databases = 0
        self._run("initdb", "-D", self.data, "-U", self.user, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
                  "--no-sync", *initdb)
        self.configure(**DEFAULTS, fsync=fsync, full_page_writes=fsync, listen_addresses="127.0.0.1",
                       port=self.port, unix_socket_directories=self.host)
        self.configure(**settings)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()

    def configure(self, **settings):
        """Appends to postgresql.conf; takes effect at the next start(), restart() or reload()."""
        with open(self.data / "postgresql.conf", "a") as conf:
            for name, value in settings.items():
                if isinstance(value, bool):
                    value = "on" if value else "off"
                quoted = str(value).replace("'", "''")
                conf.write(f"{name} = '{quoted}'\n")

    def start(self, options=None):
        """`options`: of the server's command line."""
        self._pg_ctl("start", "-l", self.log, *(("-p", self.postgres) if self.postgres else ()), *(("-o", options) if options else ()))
        return self

    def stop(self, mode="fast"):
        self._pg_ctl("stop", "-m", mode)

    def restart(self, mode="fast"):
        self._pg_ctl("restart", "-m", mode, "-l", self.log)

    @contextlib.contextmanager
    def crashing(self):
        """with cluster.crashing() as crash: ...; crash()

        The server crashes and is started again, and what was committed with synchronous_commit = off meanwhile is lost. The
        process that writes it to the disk stands still: it does so at any moment, within wal_writer_delay.
        """
        [(writer,)] = self.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")

        def crash():
            os.kill(self.pid, signal.SIGQUIT)  # as pg_ctl stop -m immediate does, which would wait for the one that stands still
            os.kill(writer, signal.SIGKILL)
            until(lambda: not self.running, self.log_text)
            self.start()

        stand_still(writer)
        try:
            yield crash
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(writer, signal.SIGCONT)

    def reload(self):
        self._pg_ctl("reload")

    def remove(self):
        if self.running:
            self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def pid(self):
        """Of the postmaster; None while the server is down."""
        try:
            return int((self.data / "postmaster.pid").read_text().split()[0])
        except (FileNotFoundError, IndexError):
            return None

    @property
    def running(self):
        return self.pid is not None

    def conninfo(self, dbname="postgres", tcp=False, **parameters):
        host = "127.0.0.1" if tcp else self.host
        return make_conninfo(host=host, port=self.port, user=parameters.pop("user", self.user), dbname=dbname,
                             **parameters)

    def connect(self, dbname="postgres", autocommit=True, **parameters):
        return psycopg.connect(self.conninfo(dbname, **parameters), autocommit=autocommit)

    def execute(self, statement, parameters=None, dbname="postgres"):
        """One statement in a connection of its own; returns its rows, if it has any."""
        with self.connect(dbname) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else None

    def psql(self, *arguments, dbname="postgres", input=None, check=True, **options):
        """Runs psql; returns the completed process, with its output as text."""
        return self.run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *arguments, dbname=dbname, input=input,
                        check=check, **options)

    def run(self, program, *arguments, dbname="postgres", check=True, **options):
        """Runs a program of PostgreSQL (pg_dump, pgbench, ...) with its connection set by the environment."""
        environment = clean_environment(PGHOST=self.host, PGPORT=str(self.port), PGUSER=self.user, PGDATABASE=dbname)
        done = subprocess.run([self.bin / program, *map(str, arguments)], env=environment, capture_output=True,
                              text=True, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"{program} failed with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def create_database(self, name=None, **options):
        """CREATE DATABASE, with options as they stand in SQL, e.g. encoding="'LATIN1'", template="template0"."""
        if name is None:
            self._databases += 1
            name = f"db{self._databases}"
        clauses = " ".join(f"{key.upper()} {value}" for key, value in options.items())
        self.execute(f'CREATE DATABASE "{name}" {clauses}')
        return Database(self, name)

    def drop_database(self, name):
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _pg_ctl(self, *arguments):
        try:
            self._run("pg_ctl", "-D", self.data, "-w", "-s", "-t", int(scaled(60)), *arguments)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_text()[-3000:]}") from None

    def _run(self, program, *arguments):
        # A file instead of a pipe: the server that pg_ctl starts keeps its standard output open.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run([self.bin / program, *map(str, arguments)], env=clean_environment(), cwd="/",
                                  stdin=subprocess.DEVNULL, stdout=output, stderr=output, **server_user())
            if done.returncode != 0:
                output.seek(0)
                text = output.read().decode(errors="replace")
                raise AssertionError(f"{program} failed with exit code {done.returncode}:\n{text}")
