from . import ir_websocket, witness
