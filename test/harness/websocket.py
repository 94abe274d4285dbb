"""One WebSocket connection, whichever version of the package `websockets` a Debian has: names changed with 10 and 14."""
import importlib.metadata

import websockets

VERSION = int(importlib.metadata.version("websockets").split(".")[0])

if VERSION >= 14:
    from websockets.asyncio.client import ClientConnection, connect as _connect
    from websockets.protocol import State

    class Connection(ClientConnection):
        @property
        def open(self):
            return self.state is State.OPEN

        @property
        def response_headers(self):
            return self.response.headers

    def connect(url, headers, timeout, **options):
        no_proxy = {"proxy": None} if VERSION >= 15 else {}
        return _connect(url, additional_headers=headers, open_timeout=timeout, close_timeout=timeout,
                        create_connection=Connection, **no_proxy, **options)
else:
    if VERSION < 10:
        import websockets.framing

        # It takes the codes that were registered after RFC 6455 for wrong.
        websockets.framing.EXTERNAL_CLOSE_CODES += [1012, 1013, 1014]

    def connect(url, headers, timeout, **options):
        opens_in = {"open_timeout": timeout} if VERSION >= 10 else {}
        return websockets.connect(url, extra_headers=headers, close_timeout=timeout, **opens_in, **options)


def refused_with(error):
    """The HTTP status of an answer that is no handshake; None for any other error."""
    status = getattr(error, "status_code", None)
    return status or getattr(getattr(error, "response", None), "status_code", None)
