import json

from odoo import fields, models


class Witness(models.Model):
    _name = "odoo_bus_witness"
    _description = "What ir.websocket was told"

    hook = fields.Char()
    told = fields.Char()  # JSON

    def write_down(self, hook, told):
        self.sudo().create({"hook": hook, "told": json.dumps([self.env.user.login, told], sort_keys=True)})
