from odoo import models


class IrWebsocket(models.AbstractModel):
    _inherit = "ir.websocket"

    def _subscribe(self, data):
        self.env["odoo_bus_witness"].write_down("subscribe", dict(data))
        return super()._subscribe(data)

    def _serve_ir_websocket(self, event_name, data):
        self.env["odoo_bus_witness"].write_down("event", [event_name, data])
        return super()._serve_ir_websocket(event_name, data)

    def _on_websocket_closed(self, cookies):
        self.env["odoo_bus_witness"].write_down("closed", sorted(cookies))
        return super()._on_websocket_closed(cookies)
