"""A private HAProxy that runs deploy/proxies/haproxy.cfg."""
from .proxy import Proxy


class Haproxy(Proxy):
    program = "haproxy"
    snippet = "proxies/haproxy.cfg"
    websockets_over_http2 = True

    def adaptations(self):
        here = {"bind :80": f"bind 127.0.0.1:{self.port}"}
        if self.tls:
            pem = self.directory / "odoo.pem"
            pem.write_text(self.certificate.read_text() + self.key.read_text())
            here = {"    bind :80\n": "", "# bind :443": f"bind 127.0.0.1:{self.port}", "/etc/haproxy/odoo.pem": str(pem)}
        if self.compresses:
            here |= {"# filter compression": "filter compression", "# compression algo": "compression algo",
                     "# compression type": "compression type"}
        return here

    def command(self):
        site = self.directory / "haproxy.cfg"
        site.write_text("global\n    log stdout format raw local0\n" + self.site())
        return [self.path(), "-db", "-f", site]
