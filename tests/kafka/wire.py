"""The protocol by hand, for what no client shows: which bytes lie in the log, what is answered to the odd request.

Only what the cases need, in versions without tagged fields unless a case asks for others."""
import socket
import struct
import time

PRODUCE, FETCH, LIST_OFFSETS, METADATA, JOIN_GROUP, API_VERSIONS, INIT_PRODUCER_ID, ADD_PARTITIONS_TO_TXN = 0, 1, 2, 3, 11, 18, 22, 24
COORDINATOR_LOAD_IN_PROGRESS = 14
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
BATCH_HEADER = struct.Struct(">qiibIhiqqqhii")


def _crc32c_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ 0x82F63B78 if n & 1 else n >> 1
        table.append(n)
    return table


TABLE = _crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def varint(value):
    value, out = (value << 1) ^ (value >> 63), b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def batch(values, producer=(-1, -1, -1), timestamp=None, attributes=0):
    """A record batch (magic 2) of records without keys. producer: id, epoch, base sequence. timestamp: now, as old ones are deleted."""
    timestamp = int(time.time() * 1000) if timestamp is None else timestamp
    body = b""
    for i, value in enumerate(values):
        fields = b"\x00" + varint(0) + varint(i) + varint(-1) + varint(len(value)) + value + varint(0)
        body += varint(len(fields)) + fields
    tail = struct.pack(">hiqqqhii", attributes, len(values) - 1, timestamp, timestamp, *producer, len(values)) + body
    return struct.pack(">qiibI", 0, len(tail) + 9, -1, 2, crc32c(tail)) + tail


class Batch:
    """What a batch's header says."""

    def __init__(self, data):
        (self.base_offset, self.length, self.epoch, self.magic, self.crc, attributes, last, self.first_time, self.max_time,
         self.producer_id, self.producer_epoch, self.sequence, self.count) = BATCH_HEADER.unpack_from(data)
        self.codec, self.last_offset = CODECS[attributes & 7], self.base_offset + last
        self.bytes = data[:self.length + 12]
        self.crc_ok = crc32c(self.bytes[21:]) == self.crc


def text(value):
    return struct.pack(">h", -1) if value is None else struct.pack(">h%ds" % len(value.encode()), len(value.encode()), value.encode())


def blob(value):
    return struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, layout):
        values = struct.unpack_from(">" + layout, self.data, self.at)
        self.at += struct.calcsize(">" + layout)
        return values[0] if len(values) == 1 else values

    def text(self):
        size = self.take("h")
        return None if size < 0 else self.take("%ds" % size).decode()

    def blob(self):
        size = self.take("i")
        return None if size < 0 else self.take("%ds" % size)

    def left(self):
        return len(self.data) - self.at


class Closed(Exception):
    """The broker has closed the connection instead of answering."""


class Wire:
    """One connection."""

    def __init__(self, address, timeout=20):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.next = 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, api, version, body, flexible=False):
        """Answers the correlation id."""
        number, self.next = self.next, self.next + 1
        header = struct.pack(">hhi", api, version, number) + text("wire") + (b"\x00" if flexible else b"")
        self.socket.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
        return number

    def send_raw(self, data):
        self.socket.sendall(data)

    def receive(self):
        """Correlation id and what follows it."""
        size = struct.unpack(">i", self._exactly(4))[0]
        answer = Reader(self._exactly(size))
        return answer.take("i"), answer

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            try:
                more = self.socket.recv(size - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                raise Closed()
            data += more
        return data

    def ask(self, api, version, body, flexible=False):
        number = self.send(api, version, body, flexible)
        got, answer = self.receive()
        assert got == number, "answer to request %d, not %d" % (got, number)
        return answer

    # --- requests ---

    def api_versions(self):
        """{api: (min, max)}"""
        answer = self.ask(API_VERSIONS, 0, b"")
        assert answer.take("h") == 0
        return {api: (low, high) for api, low, high in (answer.take("hhh") for _ in range(answer.take("i")))}

    def produce(self, topic, partition, records, acks=-1, version=3):
        """Error code and base offset."""
        self.send(PRODUCE, version, self.produce_body(topic, partition, records, acks, version))
        if acks == 0:
            return None
        return self.produced(self.receive()[1])

    @staticmethod
    def produce_body(topic, partition, records, acks=-1, version=3):
        transactional = text(None) if version >= 3 else b""
        return transactional + struct.pack(">hii", acks, 20000, 1) + text(topic) + struct.pack(">ii", 1, partition) + blob(records)

    @staticmethod
    def produced(answer):
        answer.take("i")
        answer.text()
        _, _, error, offset = answer.take("iihq")
        return error, offset

    def fetch_raw(self, topic, partition, offset, max_bytes=1 << 20, min_bytes=1, wait_ms=500, isolation=0):
        """(error, high watermark, bytes of whole and torn batches) by Fetch v4."""
        body = struct.pack(">iiiibi", -1, wait_ms, min_bytes, 1 << 26, isolation, 1) + text(topic)
        answer = self.ask(FETCH, 4, body + struct.pack(">iiqi", 1, partition, offset, max_bytes))
        answer.take("ii")
        answer.text()
        _, _, error, high, _ = answer.take("iihqq")
        for _ in range(max(answer.take("i"), 0)):
            answer.take("qq")
        return error, high, answer.blob() or b""

    def batches(self, topic, partition, offset=0):
        """All batches from an offset to the end."""
        found = []
        while True:
            error, high, data = self.fetch_raw(topic, partition, offset, wait_ms=0)
            assert error == 0, "Fetch: error %d" % error
            while len(data) >= BATCH_HEADER.size and len(data) >= Batch(data).length + 12:
                found.append(Batch(data))
                data = data[found[-1].length + 12:]
                offset = found[-1].last_offset + 1
            if offset >= high:
                return found

    def end(self, topic, partition, at=-1):
        error, offset = self.list_offset(topic, partition, at)
        assert error == 0, "ListOffsets: error %d" % error
        return offset

    def list_offset(self, topic, partition, at):
        answer = self.ask(LIST_OFFSETS, 1, struct.pack(">ii", -1, 1) + text(topic) + struct.pack(">iiq", 1, partition, at))
        answer.take("i")
        answer.text()
        _, _, error, _, offset = answer.take("iihqq")
        return error, offset

    def topic(self, name):
        """Error and partitions by Metadata v4, without creating it."""
        answer = self.ask(METADATA, 4, struct.pack(">i", 1) + text(name) + b"\x00")
        answer.take("i")
        for _ in range(answer.take("i")):
            answer.take("i"), answer.text(), answer.take("i"), answer.text()
        answer.text(), answer.take("ii")
        error = answer.take("h")
        answer.text(), answer.take("b")
        return error, answer.take("i")

    def init_producer_id(self, version=0):
        while True:
            answer = self.ask(INIT_PRODUCER_ID, version, text(None) + struct.pack(">i", 60000))
            _, error, producer, epoch = answer.take("ihqh")
            if error != COORDINATOR_LOAD_IN_PROGRESS:
                assert error == 0, "InitProducerId: error %d" % error
                return producer, epoch
