"""prismctl stream: topics, records and groups of a broker."""
import contextlib
import json
import os
import subprocess
import tempfile

from world import ROOT

BROKER = os.environ.get("MEMORYSTREAMER", os.path.join(ROOT, "build", "memorystreamer"))


@contextlib.contextmanager
def broker(w):
    """A broker, and a function that runs `prismctl stream …` against it."""
    with tempfile.TemporaryDirectory(prefix="prism-cli-stream.") as folder:
        command = [BROKER, "--data-dir", os.path.join(folder, "data"), "--listen", "127.0.0.1:0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            address = json.loads(process.stdout.readline())["listen"]
            try:
                def ctl(*words, **more):
                    return w.ctl("stream", *words, env={"PRISM_BROKER": address}, **more)
                ctl.broker = address
                yield ctl
            finally:
                process.terminate()


def murmur2_partition(key, count):
    """As Java's clients choose a partition, written anew after Apache Kafka's Utils.murmur2."""
    mask, m = 0xffffffff, 0x5bd1e995
    h = 0x9747b28c ^ len(key)
    for i in range(0, len(key) - 3, 4):
        k = int.from_bytes(key[i:i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    rest = key[len(key) // 4 * 4:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return ((h ^ h >> 15) & 0x7fffffff) % count


def test_stream_topics(w):
    with broker(w) as ctl:
        assert ctl("topics", "-o", "json").json() == {"topics": []}
        assert ctl("create", "orders", "-p", "3").ok().out == "topic orders: created, 3 partitions\n"
        ctl("create", "orders").fails(25, "TOPIC_ALREADY_EXISTS")
        ctl("create", "a/b").fails(22, "INVALID_TOPIC")
        assert ctl("topics", "-o", "json").json()["topics"] == [{"name": "orders", "partitions": 3, "internal": False}]
        assert "orders  3" in ctl("topics").ok().out
        ctl("topics", "none").fails(24, "UNKNOWN_TOPIC_OR_PARTITION")
        assert ctl("delete", "orders").ok().out == "topic orders: deleted\n"
        ctl("delete", "orders").fails(24)


def test_stream_config(w):
    with broker(w) as ctl:
        ctl("create", "orders", "-c", "retention.ms=86400000").ok()

        def retention():
            config = ctl("config", "orders", "-o", "json").json()["config"]
            return [(c["value"], c["set"]) for c in config if c["name"] == "retention.ms"][0]
        assert retention() == ("86400000", True)
        ctl("config", "orders", "retention.ms=3600000", "max.message.bytes=2000").ok()
        assert retention() == ("3600000", True)
        ctl("config", "orders", "retention.ms=").ok()
        assert retention() == ("604800000", False)
        ctl("config", "orders", "retention.ms=soon").fails(22, "INVALID_CONFIG")
        ctl("config", "orders", "retention").fails(2, "NAME=VALUE")
        ctl("create", "other", "-c", "nonsense").fails(2, "NAME=VALUE")


def test_stream_records(w):
    with broker(w) as ctl:
        ctl("create", "log", "-p", "4").ok()
        assert ctl("produce", "log", "one", "--partition", "2").ok().out == "1 record to partition 2, offset 0\n"
        lines = b"".join(b"line %d\n" % i for i in range(2500))
        assert ctl("produce", "log", "--partition", "2", stdin=lines).ok().out == "2500 records to partition 2\n"
        assert ctl("consume", "log").ok().raw == b"one\n" + lines
        assert ctl("consume", "log", "--from", "2000", "--partition", "2", "-l", "2").ok().raw == b"line 1999\nline 2000\n"
        assert ctl("consume", "log", "--from", "end").ok().raw == b""
        assert ctl("topics", "log", "-o", "json").json()["partitions"][2] == {"partition": 2, "start": 0, "end": 2501}
        ctl("produce", "log", "x", "--partition", "4").fails(24, "0 to 3")
        ctl("consume", "log", "--partition", "9").fails(24)
        ctl("consume", "log", "--from", "yesterday").fails(2, "--from")
        ctl("consume", "log", "--from", "99999", "--partition", "2", "--follow").fails(30, "OFFSET_OUT_OF_RANGE")


def test_stream_keys_go_where_java_puts_them(w):
    with broker(w) as ctl:
        ctl("create", "keyed", "-p", "7").ok()
        for key in ["a", "21", "foobar", "a-little-bit-long-string", "a-little-bit-longer-string", "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", "äöü", "xyz"]:
            ctl("produce", "keyed", "v", "-k", key).ok()
        records = ctl("consume", "keyed", "-o", "json").lines()
        assert len(records) == 8
        for r in records:
            assert r["partition"] == murmur2_partition(r["key"].encode(), 7), r


def test_stream_bytes_stay_what_they_are(w):
    with broker(w) as ctl:
        ctl("create", "raw").ok()
        ctl("produce", "raw", "-", stdin=b"\xff\x00\n\xfe").ok()
        assert ctl("consume", "raw").ok().raw == b"\xff\x00\n\xfe\n"
        record = ctl("consume", "raw", "-o", "json").lines()[0]
        assert record["value_base64"] == "/wAK/g==" and record["key"] is None


def commit(address, group, topic, offset):
    """A commit by kcat, a client that others wrote: it reads `offset` records and leaves."""
    subprocess.run(["kcat", "-b", address, "-G", group, "-X", "auto.offset.reset=earliest", "-c", str(offset), topic],
                   check=True, capture_output=True, timeout=60)


def test_stream_groups(w):
    with broker(w) as ctl:
        ctl("create", "orders").ok()
        ctl("produce", "orders", stdin=b"".join(b"%d\n" % i for i in range(10))).ok()
        commit(ctl.broker, "billing", "orders", 4)
        assert ctl("groups", "-o", "json").json() == {"groups": [{"group": "billing", "state": "Empty", "type": "consumer"}]}
        assert "group billing: Empty, 0 members" in ctl("groups", "billing").ok().out
        lag = ctl("lag", "billing", "-o", "json").json()["lag"]
        assert lag == [{"group": "billing", "topic": "orders", "partition": 0, "committed": 4, "end": 10, "lag": 6}]
        assert ctl("lag").ok().out.splitlines()[1].split() == ["billing", "orders", "0", "4", "10", "6"]
        ctl("lag", "nobody").fails(24, "has committed no offsets")
        ctl("groups", "nobody").fails(24, "there is no group nobody")
        assert ctl("forget", "billing").ok().out == "group billing: forgotten, with its offsets\n"
        ctl("forget", "billing").fails(24, "GROUP_ID_NOT_FOUND")


def test_stream_nobody_there(w):
    w.ctl("stream", "topics", "-b", "127.0.0.1:1").fails(33, "fix: start the broker", "--broker")
    w.ctl("stream", "topics", "-b", w.proxy.listen, "--timeout", "3s").fails(33)
