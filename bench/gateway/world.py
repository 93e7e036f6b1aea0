"""Servers and clients of the benchmark: what is started, on which core, and what it says of itself."""
import base64
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
SERVER_CORE, CLIENT_CORE, BOTH_CORES = "0", "1", "0,1"
KEY, VALUE, KEYS = b"bench/000000", b"v" * 100, 1000
SERVICE = "/prism.keyvalue.v1.KeyValueBasic/"
TIME_LIMIT_S = 60
TRIES = 5


def fail(text):
    sys.exit("bench: " + text)


# --- servers -----------------------------------------------------------------------------------------------------------------

class Server:
    """A process on its core. with Server(...) as s: s.port, s.cpu_ns(), s.memory_kib("VmRSS")."""

    def __init__(self, command, cores=SERVER_CORE):
        self.process = subprocess.Popen(["taskset", "-c", cores, *map(str, command)], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"(?:^|listen\":\"127\.0\.0\.1:)(\d+)", line)
        if not found:
            fail(f"{command[0]} did not start")
        self.port = int(found.group(1))

    def cpu_ns(self):
        return sum(int(f.read_text().split()[0]) for f in Path(f"/proc/{self.process.pid}/task").glob("*/schedstat"))

    def memory_kib(self, field):
        return int(re.search(field + r":\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text()).group(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(TIME_LIMIT_S)


def prism(folder, workers=1, cores=SERVER_CORE, transport=None):
    command = [BUILD / "prism-proxy", "--data-dir", folder, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0",
               "--workers", workers, "--log-level", "error"]
    if transport:
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".yaml", delete=False) as config:
            config.write("transport: {%s}\n" % transport)
        command += ["--config", config.name]
    return Server(command, cores)


def bare(answer_bytes):
    return Server([BUILD / "bench/gateway/bare_http2", 0, answer_bytes])


def post(port, method, message):
    """An HTTP/JSON call: fails where it is not answered with 200."""
    body = json.dumps(message).encode()
    with socket.create_connection(("127.0.0.1", port)) as s:
        s.sendall(b"POST /v1/namespaces/memory/keyvalue_basic/%s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                  b"content-length: %d\r\n\r\n%s" % (method.encode(), len(body), body))
        if not s.recv(4096).startswith(b"HTTP/1.1 200"):
            fail(f"{method} over HTTP was not answered")


def put_value(port, size):
    post(port, "Set", {"key": base64.b64encode(KEY).decode(), "value": base64.b64encode(b"v" * size).decode()})


# --- clients -----------------------------------------------------------------------------------------------------------------

def field(number, value):
    return bytes([number << 3 | 2, len(value)]) + value


def framed(message):
    return b"\0" + len(message).to_bytes(4, "big") + message


REQUESTS = {"Set": framed(field(1, KEY) + field(2, VALUE)), "Get": framed(field(1, KEY))}


class Clients:
    """h2load and the raw client on their core. folder holds the requests and h2load's log."""

    def __init__(self, folder):
        self.folder = Path(folder)
        for method, request in REQUESTS.items():
            (self.folder / method).write_bytes(request)

    def h2load(self, port, method, connections, streams, calls, answer_bytes):
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        command = ["taskset", "-c", CLIENT_CORE, "h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-n{calls}",
                   f"-d{self.folder / method}", f"--log-file={log}", "-Hcontent-type: application/grpc", "-Hte: trailers",
                   "-Hprism-namespace: memory", f"http://127.0.0.1:{port}{SERVICE}{method}"]
        out = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=True).stdout
        received = int(re.search(r"\((\d+)\) data", out).group(1))
        # A gRPC error is "succeeded" too, but has no body.
        if f"{calls} succeeded" not in out or received != calls * answer_bytes:
            fail(f"not every call was answered with {answer_bytes} bytes:\n{out}")
        times = sorted(int(line.rsplit("\t", 1)[1]) for line in log.read_text().splitlines())
        return {"calls": calls, "rate": float(re.search(r"([\d.]+) req/s", out).group(1)),
                **{name: times[min(len(times) - 1, int(part * len(times)))] for name, part in
                   (("p50", 0.5), ("p99", 0.99), ("p99_9", 0.999))}}

    def raw(self, port, method, *options, cores=CLIENT_CORE, keys=0):
        """The client of our own; fails where a call does. Latency in µs. Again where a busy machine let it answer nothing in its time."""
        for _ in range(TRIES):
            result = self.raw_once(port, method, options, cores, keys)
            if result["calls"]:
                return result
        return fail("no call was answered in time: the machine is too busy to measure anything")

    def raw_once(self, port, method, options, cores, keys):
        command = ["taskset", "-c", cores, BUILD / "bench/gateway/raw_client", port, "--path", SERVICE + method, "--message",
                   self.folder / method, *options, *(("--keys", keys) if keys else ())]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False)
        if done.returncode:
            fail(f"raw_client: {done.stderr}{done.stdout}")
        result = json.loads(done.stdout)
        return {**result, **result["latency_us"]}

    def fill(self, port):
        """Sets every key; bytes of an answer to Set, and to Get."""
        set_bytes = self.raw(port, "Set", "--calls", 4 * KEYS, "--streams", 20, keys=KEYS)["answer_bytes"]
        get_bytes = self.raw(port, "Get", "--calls", 4 * KEYS, "--streams", 20, keys=KEYS)["answer_bytes"]
        if get_bytes <= len(VALUE):
            fail("the keys are not there")
        return {"Set": set_bytes, "Get": get_bytes}


def with_cpu(server, run):
    """The result of run() with the server's CPU, µs a call: the kernel's own accounting in nanoseconds."""
    before = server.cpu_ns()
    result = run()
    return {**result, "cpu_us": (server.cpu_ns() - before) / result["calls"] / 1000}


def loadtest(port, *options):
    command = ["taskset", "-c", CLIENT_CORE, BUILD / "prism-loadtest", "--address", f"127.0.0.1:{port}", "-o", "json", "-q",
               "--method", "keyvalue_basic/Get", "--request", '{"key":"text:%s"}' % KEY.decode(), *options]
    return json.loads(subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=True).stdout)


def first_answer_ms(folder):
    """From the start of the process to the answer to a Get."""
    started = time.monotonic()
    with prism(folder) as proxy:
        post(proxy.port, "Get", {"key": "YQ=="})
        return (time.monotonic() - started) * 1000


# --- what it ran on ----------------------------------------------------------------------------------------------------------

def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    gib = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()).group(1)) / (1 << 20)
    congestion = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return (f"{os.cpu_count()} × {model.group(1) if model else 'processor'}, {gib:.0f} GiB, Linux {os.uname().release}, TCP "
            f"congestion control {congestion}")


def versions():
    def first_line(*command):
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")[0]
    return (f"{first_line(BUILD / 'prism-proxy', '--version')}, commit {first_line('git', 'rev-parse', '--short', 'HEAD')}; "
            f"{first_line('h2load', '--version')}; {first_line('gcc', '--version')}")
