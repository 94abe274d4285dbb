"""A private Caddy that runs deploy/proxies/Caddyfile."""
from .proxy import Proxy


class Caddy(Proxy):
    program = "caddy"
    snippet = "proxies/Caddyfile"
    gateway_timeout = None  # it has none

    def adaptations(self):
        here = {":80 {\n": f"http://127.0.0.1:{self.port} {{\n"}
        if self.tls:
            here = {":80 {\n": f"https://127.0.0.1:{self.port} {{\n\ttls {self.certificate} {self.key}\n"}
        if self.compresses:
            # Whatever the size of a first write is, by which it decides.
            here["# encode zstd gzip"] = "encode {\n\t\tzstd\n\t\tgzip\n\t\tminimum_length 1\n\t}"
        return here

    def environment(self):
        return {"XDG_DATA_HOME": str(self.directory), "XDG_CONFIG_HOME": str(self.directory)}

    def command(self):
        site = self.directory / "Caddyfile"
        site.write_text("{\n\tadmin off\n\tauto_https disable_redirects\n\tgrace_period 1s\n\tskip_install_trust\n}\n" + self.site())
        return [self.path(), "run", "--adapter", "caddyfile", "--config", site]
