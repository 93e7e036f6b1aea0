"""A peer that speaks HTTP/2 in raw frames, right or wrong, to a real server. Only HPACK is Debian's."""
import socket
import struct

import hpack

DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
CANCEL, ENHANCE_YOUR_CALM = 8, 11
PATIENCE_S = 30


class Peer:
    """Frames are sent at once, or gathered between hold() and release()."""

    def __init__(self, address, path, namespace, window=65535):
        host, port = address.rsplit(":", 1)
        self.path, self.namespace = path, namespace
        self.encoder = hpack.Encoder()
        self.held = None
        self.received = b""
        self.socket = socket.create_connection((host, int(port)), PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.frame(SETTINGS, 0, 0, struct.pack(">HI", 4, window))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        if self.held is None:
            self.socket.sendall(data)
        else:
            self.held += data

    def hold(self):
        self.held = b""

    def release(self):
        data, self.held = self.held, None
        self.socket.sendall(data)

    def frame(self, kind, flags, stream, payload=b""):
        self.send(struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload)

    def headers(self, stream, flags=0):
        block = self.encoder.encode([(":method", "POST"), (":scheme", "http"), (":path", self.path), (":authority", "x"),
                                     ("content-type", "application/grpc"), ("te", "trailers"),
                                     ("prism-namespace", self.namespace)])
        self.frame(HEADERS, END_HEADERS | flags, stream, block)

    def reset(self, stream):
        self.frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL))

    def open_window(self, stream, size):
        self.frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", size))

    def request(self, stream, message):
        self.headers(stream)
        self.frame(DATA, END_STREAM, stream, struct.pack(">BI", 0, len(message)) + message)

    def read(self):
        """(kind, flags, stream, payload), or None once the server has closed."""
        while len(self.received) < 9 or len(self.received) < 9 + int.from_bytes(self.received[:3], "big"):
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            self.received += more
        size = int.from_bytes(self.received[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.received[3:9])
        payload, self.received = self.received[9:9 + size], self.received[9 + size:]
        if kind == SETTINGS and not flags & ACK:
            self.frame(SETTINGS, ACK, 0)
        return kind, flags, stream & 0x7fffffff, payload

    def await_frame(self, wanted, stream=0):
        """The next of this kind on this stream."""
        while True:
            frame = self.read()
            if frame is None:
                raise AssertionError("the server closed the connection before frame %d of stream %d" % (wanted, stream))
            if frame[0] == wanted and frame[2] == stream:
                return frame

    def await_end(self, stream):
        while True:
            frame = self.read()
            if frame is None:
                raise AssertionError("the server closed the connection before the end of stream %d" % stream)
            if frame[2] == stream and frame[0] in (DATA, HEADERS) and frame[1] & END_STREAM:
                return

    def await_close(self):
        """The code of the last GOAWAY before the server closed; None: there was none."""
        code = None
        while True:
            frame = self.read()
            if frame is None:
                return code
            if frame[0] == GOAWAY:
                code = struct.unpack(">I", frame[3][4:8])[0]
