"""A connection over HTTP/2, and a WebSocket on one of its streams (RFC 8441)."""
import socket
import ssl

import h2.config
import h2.connection
import h2.events

from .deadline import DEADLINE


class Http2Connection:
    """with Http2Connection(port, certificate) as http2: raw = RawClient(http2.open_websocket("/websocket"))"""

    def __init__(self, port, certificate):
        context = ssl.create_default_context(cafile=certificate)
        context.set_alpn_protocols(["h2"])
        self.authority = f"localhost:{port}"
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port), DEADLINE), server_hostname="localhost")
        assert self.socket.selected_alpn_protocol() == "h2", "HTTP/2 is not offered"
        self.http2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.http2.initiate_connection()
        self._flush()
        self.events = []
        self.wait(h2.events.RemoteSettingsChanged)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    @property
    def offers_websockets(self):
        return self.http2.remote_settings.enable_connect_protocol == 1

    def open_websocket(self, path):
        """What RawClient takes as a socket."""
        stream = self.http2.get_next_available_stream_id()
        self.http2.send_headers(stream, [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":authority", self.authority),
            (":path", path), ("origin", f"https://{self.authority}"), ("sec-websocket-version", "13")])
        self._flush()
        status = dict(self.wait(h2.events.ResponseReceived).headers)[":status"]
        assert status == "200", f"the stream is answered with {status}"
        return Http2Stream(self, stream)

    def wait(self, kind):
        """The next event of this kind; ConnectionError when the stream or the connection ends before it."""
        while True:
            for event in self.events:
                if isinstance(event, kind):
                    self.events.remove(event)
                    return event
                if isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)):
                    raise ConnectionError(repr(event))
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the connection ended")
            self.events += self.http2.receive_data(data)
            self._flush()

    def _flush(self):
        self.socket.sendall(self.http2.data_to_send())


class Http2Stream:
    def __init__(self, connection, stream):
        self.connection, self.stream = connection, stream

    def sendall(self, data):
        self.connection.http2.send_data(self.stream, data)
        self.connection._flush()

    def recv(self, _):
        event = self.connection.wait(h2.events.DataReceived)
        self.connection.http2.acknowledge_received_data(event.flow_controlled_length, self.stream)
        self.connection._flush()
        return event.data

    def close(self):
        pass
