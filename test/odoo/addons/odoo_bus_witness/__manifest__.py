{
    "name": "Witness of Odoo's bus server",
    "summary": "Writes down what ir.websocket is told, as modules of boxes and kiosks are told it. For tests only.",
    "version": "1.0",
    "license": "LGPL-3",
    "depends": ["mail"],
    "data": ["security/ir.model.access.csv"],
}
