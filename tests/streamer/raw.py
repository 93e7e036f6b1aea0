"""A client of Kafka's protocol that does as it is told: bytes, right or wrong."""
import socket
import struct
import time

API_VERSIONS, METADATA, PRODUCE, FETCH, CREATE_TOPICS, DESCRIBE_LOG_DIRS = 18, 3, 0, 1, 19, 35
PATIENCE_S = 30


def request(key, version, body=b"", correlation=1, client=b"raw"):
    """A frame with a header of version 1, which no flexible version has."""
    head = struct.pack(">hhih", key, version, correlation, len(client)) + client
    return struct.pack(">i", len(head) + len(body)) + head + body


def metadata(topics, correlation=1):
    """Version 1: names of topics, None for all."""
    if topics is None:
        return request(METADATA, 1, struct.pack(">i", -1), correlation)
    names = [struct.pack(">h", len(name)) + name.encode() for name in topics]
    return request(METADATA, 1, struct.pack(">i", len(topics)) + b"".join(names), correlation)


class Raw:
    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def try_send(self, data):
        """Whether all of it went out before the broker closed."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def exactly(self, size):
        """So many bytes, or None where the connection ended before."""
        data = b""
        while len(data) < size:
            try:
                more = self.socket.recv(min(65536, size - len(data)))
            except ConnectionError:
                return None
            if not more:
                return None
            data += more
        return data

    def frame(self):
        head = self.exactly(4)
        return None if head is None else self.exactly(struct.unpack(">i", head)[0])

    def ask(self, data):
        self.send(data)
        return self.frame()

    def is_closed(self):
        """Waits for the end of the connection; an answer instead is False."""
        return self.exactly(1) is None

    def understood(self):
        """After this the large limit of frames holds."""
        assert self.ask(request(API_VERSIONS, 0)) is not None
        return self


def until(condition, what, patience_s=PATIENCE_S):
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "did not come: " + what
        time.sleep(0.01)
