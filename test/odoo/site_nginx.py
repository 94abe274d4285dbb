"""nginx in front of a real Odoo, as Odoo documents it; beside it a shop of somebody else with static pages."""
from pathlib import Path

from harness.nginx import Nginx

SHOP = """\
<!DOCTYPE html>
<meta charset="utf-8">
<title>A shop</title>
<h1>A shop of somebody else</h1>
<script defer src="{odoo}/im_livechat/loader/{channel}"></script>
<script defer src="{odoo}/im_livechat/assets_embed.js"></script>
"""


class SiteNginx(Nginx):
    """`bus_port`: who answers below /websocket."""

    def __init__(self, odoo, bus_port):
        super().__init__(bus_port)
        self.odoo = odoo

    def site(self):
        text = (Path(__file__).parent / "site.conf").read_text()
        for mark, port in [("ODOO", self.odoo.port), ("BUS", self.gateway_port), ("LISTEN", self.port)]:
            text = text.replace(f"@{mark}@", str(port))
        return text

    def url(self, path="/"):
        return f"http://{self.odoo.host}:{self.port}{path}"

    def shop(self, livechat_channel):
        """The address of a page from another origin that embeds this live chat."""
        page = self.directory / "www" / "shop.html"
        page.write_text(SHOP.format(odoo=self.url("").rstrip("/"), channel=livechat_channel))
        return f"http://127.0.0.1:{self.odoo_port}/shop.html"
