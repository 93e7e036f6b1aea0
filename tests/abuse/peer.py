"""A peer that speaks HTTP/2 in raw frames, right or wrong, to a real server. Only HPACK is Debian's."""
import select
import socket
import struct

import hpack

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
CANCEL, ENHANCE_YOUR_CALM = 8, 11
PATIENCE_S = 30
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


class Peer:
    """source: the address to come from. tls: an ssl.SSLContext."""

    def __init__(self, address, path, namespace, window=65535, source=None, tls=None):
        host, port = address.rsplit(":", 1)
        self.path, self.namespace = path, namespace
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.received = b""
        self.socket = socket.create_connection((host, int(port)), PATIENCE_S, source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.name = "%s:%d" % self.socket.getsockname()
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=host)
        self.send(PREFACE)
        self.frame(SETTINGS, 0, 0, struct.pack(">HI", 4, window))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def frame(self, kind, flags, stream, payload=b""):
        self.send(frame(kind, flags, stream, payload))

    def fields(self):
        return [(":method", "POST"), (":scheme", "http"), (":path", self.path), (":authority", "x"),
                ("content-type", "application/grpc"), ("te", "trailers"), ("prism-namespace", self.namespace)]

    def block(self, *more):
        """The fields of a request, encoded for this connection, and more."""
        return self.encoder.encode(self.fields() + list(more))

    def literal_block(self):
        """The same, without a table: what follows may have its own way with it. Sizes below 127."""
        return b"".join(b"\0%c%s%c%s" % (len(name), name.encode(), len(value), value.encode()) for name, value in self.fields())

    def headers(self, stream, flags=0, more=()):
        self.frame(HEADERS, END_HEADERS | flags, stream, self.block(*more))

    def reset(self, stream):
        self.frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL))

    def open_window(self, stream, size):
        self.frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", size))

    def request(self, stream, message, more=()):
        """In one write: the call arrives as a whole."""
        call = frame(HEADERS, END_HEADERS, stream, self.block(*more))
        self.send(call + frame(DATA, END_STREAM, stream, struct.pack(">BI", 0, len(message)) + message))

    def read(self):
        """(kind, flags, stream, payload), or None once the server has closed."""
        while len(self.received) < 9 or len(self.received) < 9 + int.from_bytes(self.received[:3], "big"):
            try:
                more = self.socket.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                more = b""
            if not more:
                return None
            self.received += more
        length = int.from_bytes(self.received[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.received[3:9])
        payload, self.received = self.received[9:9 + length], self.received[9 + length:]
        if kind == SETTINGS and not flags & ACK:
            try:
                self.frame(SETTINGS, ACK, 0)
            except (ConnectionResetError, BrokenPipeError):
                pass  # what the server still said can be read
        return kind, flags, stream & 0x7fffffff, payload

    def is_said_to(self):
        """Whether something waits to be read, the end too."""
        return bool(self.received) or bool(select.select([self.socket], [], [], 0)[0])

    def await_frame(self, wanted, stream=0):
        """The next of this kind on this stream."""
        while True:
            got = self.read()
            if got is None:
                raise AssertionError("the server closed the connection before frame %d of stream %d" % (wanted, stream))
            if got[0] == wanted and got[2] == stream:
                return got

    def frames_of(self, stream):
        """To its end."""
        while True:
            got = self.read()
            if got is None:
                raise AssertionError("the server closed the connection before the end of stream %d" % stream)
            if got[2] == stream:
                yield got
                if got[0] in (DATA, HEADERS) and got[1] & END_STREAM:
                    return

    def await_end(self, stream):
        for _ in self.frames_of(stream):
            pass

    def await_status(self, stream):
        """grpc-status of a call, on a connection that awaits all of its answers so: each header block has to be decoded."""
        fields = {}
        for kind, _, _, payload in self.frames_of(stream):
            if kind == HEADERS:
                fields.update(self.decoder.decode(payload))
        return int(fields["grpc-status"])

    def await_close(self):
        """The code of the last GOAWAY before the server closed; None: there was none."""
        code = None
        while True:
            got = self.read()
            if got is None:
                return code
            if got[0] == GOAWAY:
                code = struct.unpack(">I", got[3][4:8])[0]
