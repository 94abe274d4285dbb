"""A private Apache that runs deploy/proxies/apache.conf."""
import os
import subprocess
from pathlib import Path

from .proxy import Proxy
from .system import ROOT, clean_environment


class Apache(Proxy):
    program = "apache2"
    snippet = "proxies/apache.conf"
    gateway_timeout = "timeout=120"
    # Those of the line a2enmod of the snippet, and what Debian enables for everyone.
    modules = ("mpm_event", "authz_core", "deflate", "filter", "reqtimeout", "socache_shmcb", "slotmem_shm")

    def enabled(self):
        text = (ROOT / "deploy" / self.snippet).read_text()
        line, = [line for line in text.splitlines() if line.startswith("#   a2enmod ")]
        return line.split()[2:]

    @classmethod
    def version(cls):
        """Of `Apache/2.4.62 (Debian)`."""
        text = subprocess.run([cls.path(), "-v"], capture_output=True, text=True, env=clean_environment()).stdout
        return tuple(map(int, text.split("Apache/")[1].split()[0].split(".")))

    @property
    def websockets_over_http2(self):
        return self.version() >= (2, 4, 58)

    def adaptations(self):
        here = {"<VirtualHost *:80>": f"<VirtualHost 127.0.0.1:{self.port}>"}
        if self.tls:
            here |= {f"# {word}": word for word in ("SSLEngine", "SSLCertificateFile", "SSLCertificateKeyFile", "Protocols")}
            here |= {"/etc/ssl/certs/odoo.pem": str(self.certificate), "/etc/ssl/private/odoo.key": str(self.key)}
            if self.websockets_over_http2:
                here["# H2WebSockets"] = "H2WebSockets"
        if self.compresses:
            here["# SetOutputFilter"] = "SetOutputFilter"
        return here

    def command(self):
        configuration = self.directory / "apache2.conf"
        modules = Path("/usr/lib/apache2/modules")
        loaded = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in [*self.modules, *self.enabled()])
        user = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
        configuration.write_text(
            f"ServerRoot {self.directory}\nServerName localhost\nPidFile {self.directory}/pid\n"
            f"DefaultRuntimeDir {self.directory}\nListen 127.0.0.1:{self.port}\nErrorLog /dev/stderr\nLogLevel warn\n"
            f"{loaded}\n{user}{self.site()}")
        return [self.path(), "-DFOREGROUND", "-f", configuration]
