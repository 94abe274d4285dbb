"""A project of somebody who installs the client from npm, and builds with the bundlers' own commands, without any option."""
import os
import shutil
import subprocess

from harness.system import ROOT

INSTALLED = ROOT / "build" / "bundlers" / "node_modules"
SOURCES = ROOT / "test" / "browser" / "bundlers"
TESTED = os.environ.get("ODOO_BUS_TEST_BUNDLERS", "esbuild").split()
COMMANDS = {
    "esbuild": "esbuild {entry} --bundle --format=esm --outdir={out}",
    "vite": "vite build --outDir {out}",
    "webpack": "webpack --mode production --entry ./{entry} --output-filename {entry} -o {out}",
}


class Project:
    def __init__(self, directory):
        self.directory = directory
        self.built = {}
        shutil.copytree(SOURCES, directory, ignore=shutil.ignore_patterns("package*.json"))
        self.write("package.json", '{"name": "application", "version": "1.0.0", "private": true, "type": "module"}')
        self.package = self.run("npm", "pack", "--silent", ROOT / "client").strip()
        self.run("npm", "install", "--offline", "--no-audit", "--no-fund", f"./{self.package}")
        self.installed = directory / "node_modules" / "odoo-bus-service"
        for path in INSTALLED.glob("[!.]*"):  # the bundlers and frameworks
            (directory / "node_modules" / path.name).symlink_to(path)

    def write(self, name, text):
        (self.directory / name).write_text(text)

    def run(self, *command):
        done = subprocess.run(command, cwd=self.directory, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def tool(self, name, *arguments):
        return self.run(INSTALLED / ".bin" / name, *arguments)

    def build(self, bundler, entry="app.js", output=None, options=()):
        """Returns the directory of what was built: index.html, and what that needs."""
        key = (bundler, entry, *options)
        if key not in self.built:
            page = (SOURCES / "index.html").read_text()
            self.write("index.html", page.replace("app.js", entry))
            out = self.directory / f"built-{len(self.built)}"
            tool, *arguments = COMMANDS[bundler].format(entry=entry, out=out).split()
            self.tool(tool, *arguments, *options)
            if bundler != "vite":  # which builds the page, too
                (out / "index.html").write_text(page.replace("app.js", output or entry))
            self.built[key] = out
        return self.built[key]
