"""Cases of tests/streamer/run: a function marked @case each, with a broker of its own."""
import json
import os
import signal
import struct
import subprocess
import tempfile
import urllib.request

from raw import API_VERSIONS, CREATE_TOPICS, DESCRIBE_LOG_DIRS, FETCH, METADATA, PRODUCE, Raw, metadata, request, until
from servers.memorystreamer import BINARY, MemoryStreamer

MIB = 1 << 20


def case(function):
    function.is_case = True
    return function


def resident(server):
    """Bytes of memory that are the broker's, now and at most. A sanitizer's own memory says nothing: 0."""
    if any(variant in BINARY for variant in ("/asan/", "/tsan/")):
        return 0, 0
    with open("/proc/%d/status" % server.process.pid, encoding="ascii") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmRSS"].split()[0]) << 10, int(lines["VmHWM"].split()[0]) << 10


def well(server):
    """Others are served."""
    with Raw(server.address) as other:
        assert other.ask(metadata(None)) is not None


# --- frames -----------------------------------------------------------------------------------------------------------------

@case
def sizes_that_are_none_end_the_connection():
    with MemoryStreamer() as server:
        for size in (-1, -2147483648, 0, 7, 2147483647, MIB + 1):
            with Raw(server.address) as raw:
                raw.send(struct.pack(">i", size))
                assert raw.is_closed(), size
        well(server)
        assert resident(server)[1] < 32 * MIB


@case
def a_frame_may_be_large_once_a_request_was_understood():
    with MemoryStreamer() as server, Raw(server.address) as raw:
        raw.understood()
        assert raw.ask(metadata(["x" * 200] * 20000)) is not None
        raw.send(struct.pack(">i", 100 * MIB + 1))
        assert raw.is_closed()
        well(server)


@case
def what_is_announced_takes_no_memory_before_it_comes():
    with MemoryStreamer() as server:
        raws = [Raw(server.address).understood() for _ in range(100)]
        for raw in raws:
            raw.send(struct.pack(">i", 100 * MIB) + b"\0\3")
        well(server)
        assert resident(server)[1] < 64 * MIB
        for raw in raws:
            raw.socket.close()


@case
def half_frames_of_many_are_bounded():
    """They send what they announce, but for the end: what a shard holds has an end."""
    with MemoryStreamer() as server:
        raws = [Raw(server.address).understood() for _ in range(6)]
        for raw in raws:
            raw.send(struct.pack(">i", 8 * MIB) + b"\0" * (8 * MIB - 1))
        well(server)
        held = resident(server)[0]
        assert held < 160 * MIB, held
        for raw in raws:
            raw.socket.close()
        until(lambda: resident(server)[0] < 32 * MIB, "memory that is given back")


@case
def frames_in_pieces_are_read():
    with MemoryStreamer() as server, Raw(server.address) as raw:
        frame = metadata(["t" * 100] * 50)
        for byte in frame[:64]:
            raw.send(bytes([byte]))
        raw.send(frame[64:] + frame[:3])
        assert raw.frame() is not None
        raw.send(frame[3:])
        assert raw.frame() is not None


# --- requests ---------------------------------------------------------------------------------------------------------------

@case
def apis_and_versions_that_are_not_there_end_the_connection():
    with MemoryStreamer() as server:
        for key, version in ((999, 0), (-1, 0), (METADATA, 99), (METADATA, -1), (PRODUCE, 12), (68, 0), (26, 0)):
            with Raw(server.address) as raw:
                raw.send(request(key, version))
                assert raw.is_closed(), (key, version)
        well(server)


@case
def a_version_of_tomorrow_is_told_in_version_0():
    with MemoryStreamer() as server, Raw(server.address) as raw:
        answer = raw.ask(request(API_VERSIONS, 77, correlation=5))
        correlation, error, count = struct.unpack(">ihi", answer[:10])
        assert (correlation, error) == (5, 35) and count >= 10, (correlation, error, count)
        keys = {struct.unpack(">hhh", answer[10 + 6 * i:16 + 6 * i]) for i in range(count)}
        assert (API_VERSIONS, 0, 4) in keys
        assert raw.ask(request(API_VERSIONS, 0)) is not None


@case
def bodies_that_are_none_end_the_connection():
    bodies = {
        "an array of 2^31-1": (METADATA, 1, struct.pack(">i", 2147483647)),
        "a negative array": (METADATA, 1, struct.pack(">i", -2)),
        "an array longer than the message": (METADATA, 1, struct.pack(">i", 1000) + b"\0\1a"),
        "a string behind the end": (METADATA, 1, struct.pack(">ih", 1, 32767) + b"a"),
        "a negative string": (METADATA, 1, struct.pack(">ih", 1, -5)),
        "nothing": (METADATA, 1, b""),
        "an array of arrays": (CREATE_TOPICS, 2, struct.pack(">ih", 1, 1) + b"a" + struct.pack(">ihi", 1, 1, 2147483647)),
        "no partitions": (PRODUCE, 3, struct.pack(">hhii", -1, 1, 1000, 1 << 30)),
        "a fetch of nothing": (FETCH, 4, b"\xff" * 20),
        "a flood of tags": (METADATA, 9, b"\xff\xff\xff\xff\x0f" * 100),
    }
    with MemoryStreamer() as server:
        for what, (key, version, body) in bodies.items():
            with Raw(server.address) as raw:
                raw.send(request(key, version, body))
                assert raw.is_closed(), what
        well(server)
        assert resident(server)[1] < 48 * MIB


@case
def noise_ends_the_connection():
    with MemoryStreamer() as server:
        for noise in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x02\x00\x01" * 50, b"\0" * 4096, os.urandom(100000)):
            with Raw(server.address) as raw:
                raw.try_send(noise)
                assert raw.is_closed()
        well(server)


# --- slow ones --------------------------------------------------------------------------------------------------------------

@case
def who_does_not_read_answers_is_not_read_from():
    with MemoryStreamer() as server, Raw(server.address) as raw:
        assert raw.ask(metadata(["topic-%d" % i for i in range(200)])) is not None
        question = request(METADATA, 1, struct.pack(">i", -1), client=b"c" * 10000)
        raw.socket.settimeout(2)
        sent = 0
        while sent < 100000 and raw.try_send(question):
            sent += 1
        assert sent < 100000, "all questions were taken"
        well(server)
        assert resident(server)[1] < 64 * MIB, resident(server)
        raw.socket.settimeout(60)
        for _ in range(sent):
            assert raw.frame() is not None


@case
def as_many_connections_as_are_allowed():
    with MemoryStreamer(config="connections: 20\n") as server:
        raws = [Raw(server.address).understood() for _ in range(20)]
        assert not opens(server)
        for raw in raws:
            raw.socket.close()
        until(lambda: opens(server), "room for others")


def opens(server):
    try:
        with Raw(server.address) as raw:
            return raw.try_send(request(API_VERSIONS, 0)) and raw.frame() is not None
    except ConnectionError:
        return False


@case
def resets_in_the_middle_leave_nothing_behind():
    with MemoryStreamer() as server:
        well(server)
        files = len(os.listdir("/proc/%d/fd" % server.process.pid))
        for _ in range(200):
            raw = Raw(server.address)
            raw.socket.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: a reset
            raw.try_send(metadata(["a", "b"]) * 20 + b"\0\0")
            raw.socket.close()
        until(lambda: len(os.listdir("/proc/%d/fd" % server.process.pid)) <= files + 4, "closed connections")
        well(server)


# --- the program ------------------------------------------------------------------------------------------------------------

def kcat(server, *args, text=""):
    done = subprocess.run(["kcat", "-b", server.address, *args], input=text, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


@case
def kcat_lists_produces_and_consumes_on_one_and_on_two_workers():
    for workers in ("1", "2"):
        with MemoryStreamer(args=["--workers", workers]) as server:
            for topic in ("a", "b", "c"):
                kcat(server, "-P", "-t", topic, text="one\ntwo\nthree\n")
                assert kcat(server, "-C", "-t", topic, "-e", "-o", "beginning") == "one\ntwo\nthree\n"
            told = json.loads(kcat(server, "-L", "-J"))
            assert [t["topic"] for t in told["topics"]] == ["a", "b", "c"], told
            assert server.stop() == 0
            server.start()
            assert kcat(server, "-C", "-t", "b", "-e", "-o", "beginning") == "one\ntwo\nthree\n"


def lags(server):
    return sorted(line for line in page(server, "/metrics").splitlines() if line.startswith("memorystreamer_group_lag"))


@case
def the_number_of_workers_may_change():
    metrics = ["--metrics-listen", "127.0.0.1:0"]
    with MemoryStreamer(args=["--workers", "4", *metrics]) as server:
        for topic in ("a", "b", "c"):
            kcat(server, "-P", "-t", topic, text="one\ntwo\nthree\n")
        for group in range(4):
            kcat(server, "-G", "g%d" % group, "-c", "1", "-X", "auto.offset.reset=earliest", "a")
        before = lags(server)
        assert len(before) == 4 and all(line.endswith(" 2") for line in before), before
        for workers in ("1", "3"):
            assert server.stop() == 0
            server.args = ["--workers", workers, *metrics]
            server.start()
            assert lags(server) == before, (workers, lags(server))
            for topic in ("a", "b", "c"):
                assert kcat(server, "-C", "-t", topic, "-e", "-o", "beginning") == "one\ntwo\nthree\n"


@case
def killed_topics_and_records_are_there_again():
    with MemoryStreamer(args=["--workers", "2"]) as server:
        for i in range(10):
            kcat(server, "-P", "-t", "t%d" % i, text="%d\n" % i)
        server.stop(signal.SIGKILL)
        server.start()
        for i in range(10):
            assert kcat(server, "-C", "-t", "t%d" % i, "-e", "-o", "beginning") == "%d\n" % i


def page(server, path):
    with urllib.request.urlopen("http://%s%s" % (server.ready["metrics"], path), timeout=60) as answer:
        return answer.read().decode()


@case
def metrics_tell_of_topics_and_of_how_far_groups_lag():
    with MemoryStreamer(args=["--workers", "3", "--metrics-listen", "127.0.0.1:0"]) as server:
        kcat(server, "-P", "-t", "orders", text="a\nb\nc\nd\ne\n")
        kcat(server, "-G", "readers", "-c", "2", "-X", "auto.offset.reset=earliest", "-X", "enable.auto.offset.store=true", "orders")
        kcat(server, "-P", "-t", "orders", text="f\n")
        metrics = page(server, "/metrics").splitlines()
        for line in ('memorystreamer_topic_records_in_total{topic="orders"} 6', 'memorystreamer_topic_records{topic="orders"} 6',
                     'memorystreamer_topics 1', 'memorystreamer_journal_healthy 1',
                     'memorystreamer_group_members{group="readers",state="Empty"} 0',
                     'memorystreamer_group_lag{group="readers",topic="orders"} 4'):
            assert line in metrics, (line, [m for m in metrics if m.startswith(line.split("{")[0])])
        assert json.loads(page(server, "/health")) == {"status": "ok"}
        assert json.loads(page(server, "/ready")) == {"ready": True, "reasons": []}


@case
def topics_are_not_made_where_the_settings_say_so_until_a_reload():
    def partitions(server):
        return json.loads(kcat(server, "-L", "-J", "-t", "wanted"))["topics"][0]["partitions"]

    with MemoryStreamer(config="auto_create_topics: false\n") as server:
        assert partitions(server) == []
        server.write_config("partitions: 3\nworkers: 2\n")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "is in effect" in server.log_text(), "the reload")
        assert len(partitions(server)) == 3
        assert '"setting":"workers"' in server.log_text()
        server.write_config("partitons: 3\n")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: "did you mean `partitions`" in server.log_text(), "the problem")


def inspect(*args):
    done = subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@case
def fsck_names_the_place_of_damage_and_dump_shows_batches():
    with MemoryStreamer() as server:
        for text in ("one\n", "two\n", "three\n"):
            kcat(server, "-P", "-t", "orders", text=text)
        data = os.path.join(server.folder, "data")
        assert inspect("fsck", data)[0] != 0, "a broker has it open"
        assert server.stop() == 0
        code, said = inspect("fsck", data)
        assert code == 0 and "3 batches" in said and "0 damaged" in said, said
        segment = next(os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(data, "logs"))
                       for name in names if name.endswith(".log"))
        code, said = inspect("dump", segment)
        assert code == 0 and [line.split()[3] for line in said.splitlines()] == ["0", "1", "2"], said
        with open(segment, "r+b") as log:
            log.seek(100)
            byte = log.read(1)
            log.seek(100)
            log.write(bytes([byte[0] ^ 1]))
        code, said = inspect("fsck", data)
        assert code == 64 and segment in said and "damaged" in said, (code, said)
        with open(os.path.join(data, "meta", "catalog.ledger"), "r+b") as ledger:
            ledger.seek(40)
            ledger.write(b"\xff\xff")
        code, said = inspect("fsck", data)
        assert code == 64 and "catalog.ledger" in said, (code, said)


@case
def sizes_of_partitions_are_told():
    with MemoryStreamer(args=["--workers", "2"]) as server:
        for topic in ("a", "b"):
            kcat(server, "-P", "-t", topic, text="x" * 1000 + "\n")
        with Raw(server.address) as raw:
            answer = raw.ask(request(DESCRIBE_LOG_DIRS, 1, struct.pack(">i", -1)))
        data = os.path.join(server.folder, "data").encode()
        assert data in answer and answer.count(struct.pack(">hc", 1, b"a")) == 1, answer
        sizes = [struct.unpack(">q", answer[at + 11:at + 19])[0] for at in (answer.index(b"\0\1a"), answer.index(b"\0\1b"))]
        assert all(1000 < size < 1200 for size in sizes), (sizes, answer)


@case
def a_second_broker_does_not_take_the_same_data():
    with MemoryStreamer() as server:
        other = subprocess.run([BINARY, "--data-dir", os.path.join(server.folder, "data"), "--listen", "127.0.0.1:0"],
                               capture_output=True, text=True, timeout=60, check=False)
        assert other.returncode != 0 and not other.stdout, other
        well(server)


@case
def logs_without_their_catalogue_are_refused_and_stay():
    server = MemoryStreamer()
    server.start()
    kcat(server, "-P", "-t", "kept", text="one\n")
    server.stop()
    ledger = os.path.join(server.folder, "data", "meta", "catalog.ledger")
    os.rename(ledger, ledger + ".away")
    try:
        server.start()
        raise RuntimeError("it started without its catalogue")
    except AssertionError as error:
        assert "meta/catalog.ledger" in str(error), error
    server.stop()
    os.replace(ledger + ".away", ledger)
    server.start()
    assert "one" in kcat(server, "-C", "-t", "kept", "-e")
    server.stop()
    server.remove()


@case
def the_command_line_says_what_is_wrong():
    def run(*args):
        return subprocess.run([BINARY, *args], capture_output=True, text=True, timeout=60, check=False)

    assert run("--help").stdout.startswith("usage: memorystreamer") and run("--help").returncode == 0
    assert run("--version").stdout.startswith("memorystreamer ")
    assert run("--workers", "0").returncode == 2 and "1 to 64" in run("--workers", "0").stderr
    assert run("surplus").returncode == 2
    assert run("--no-such-option").returncode == 2
    assert run("--check-config").returncode == 0


@case
def a_configuration_is_checked_with_all_its_problems():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "memorystreamer.yaml")
        with open(path, "w", encoding="ascii") as out:
            out.write("listn: a\nworkers: 99\ntopics:\n  durability: quorum\n  segment_bytes: 1KiB\n")
        done = subprocess.run([BINARY, "--check-config", "--config", path], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 70, done
        for line, says in ((1, "did you mean `listen`"), (2, "at most 64"), (4, "flush, memory"), (5, "64KiB")):
            assert any(":%d:" % line in problem and says in problem for problem in done.stderr.splitlines()), (line, done.stderr)
