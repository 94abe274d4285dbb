"""A private copy of PostgreSQL's programs, in which a test installs other versions of the extension than this one."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from .system import ROOT, clean_environment

CONTROL = "extension/odoo_bus.control"


class Installation:
    """What is installed at first is what is installed in this machine's PostgreSQL, which stays as it is: the programs
    find everything else from where they are themselves.

    with Installation() as installation, Cluster(bin=installation.bin) as cluster: ...
    """

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="odoo_bus_installation."))
        self.directory.chmod(0o755)
        real = {name: Path(pg_config(f"--{name}")) for name in ("bindir", "sharedir", "pkglibdir", "includedir-server")}
        self._common = Path(os.path.commonpath(real.values()))
        self.bin, self.share, self.lib, _ = (self._inside(path) for path in real.values())
        shutil.copytree(real["bindir"], self.bin)
        link_all(real["pkglibdir"], self.lib)
        link_all(real["sharedir"], self.share)
        (self.share / "extension").unlink()
        link_all(real["sharedir"] / "extension", self.share / "extension")
        headers = self._inside(real["includedir-server"])
        headers.parent.mkdir(parents=True, exist_ok=True)
        headers.symlink_to(real["includedir-server"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory)

    def install(self, source):
        """Builds an extension with PGXS and installs it here."""
        # Debian's pg_config of PostgreSQL 13 names the real directories wherever it is.
        done = subprocess.run(["make", "-s", "-j", "2", "-C", source, "install", f"PG_CONFIG={self.bin / 'pg_config'}",
                               f"datadir={self.share}", f"pkglibdir={self.lib}"],
                              env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, f"make install failed:\n{done.stdout}{done.stderr}"
        library = self.lib / "odoo_bus.so"
        assert not library.is_symlink(), f"{library} was not installed"

    def _inside(self, path):
        return self.directory / path.relative_to(self._common)


class Source:
    """A copy of the extension's source that a test changes."""

    def __init__(self, directory):
        self.directory = Path(directory)
        for part in ("extension", "common"):
            shutil.copytree(ROOT / part, self.directory / part, ignore=shutil.ignore_patterns("*.o", "*.so"))
        shutil.copy(ROOT / "Makefile", self.directory)

    @property
    def version(self):
        line, = (line for line in (self.directory / CONTROL).read_text().splitlines() if line.startswith("default_version"))
        return line.split("'")[1]

    def set_version(self, version):
        control = self.directory / CONTROL
        control.write_text(control.read_text().replace(f"'{self.version}'", f"'{version}'"))

    def script(self, name):
        """The path of the script from one version to another ("1.0--1.1"), or of a whole version ("1.0")."""
        return self.directory / f"extension/odoo_bus--{name}.sql"


def pg_config(what):
    program = os.environ.get("PG_CONFIG", "pg_config")
    return subprocess.run([program, what], check=True, capture_output=True, text=True).stdout.strip()


def link_all(source, target):
    target.mkdir(parents=True)
    for path in source.iterdir():
        (target / path.name).symlink_to(path)
