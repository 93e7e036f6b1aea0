#!/usr/bin/python3
"""kcat of Debian, run as a user of a shell would: a process for each command; each member of a group is one too."""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading

from protocol import Unsupported, pack, record, serve, unpack

# Lengths first (-1: null), so that any bytes may follow; headers are on the first line, which is why they are last there.
FORMAT = "%p %o %T %K %S %h\\n%k%s\\n"
ENDS = ":--end--:"
KEYS = ":--key--:"


def records_of(out):
    """What kcat printed in FORMAT; the rest that is not a whole record yet."""
    found = []
    while True:
        line_end = out.find(b"\n")
        fields = out[:line_end].split(b" ", 5) if line_end >= 0 else []
        if len(fields) < 6:
            return found, out
        partition, offset, timestamp, key_size, value_size = map(int, fields[:5])
        at, size = line_end + 1, max(key_size, 0) + max(value_size, 0)
        if len(out) < at + size + 1:
            return found, out
        body = out[at:at + size]
        headers = [h.split(b"=", 1) for h in fields[5].split(b",") if h]
        found.append(record(partition, offset, timestamp, body[:key_size] if key_size >= 0 else None,
                            body[max(key_size, 0):] if value_size >= 0 else None,
                            [(name.decode(), value if value != b"NULL" else None) for name, value in headers]))
        out = out[at + size + 1:]


class Member:
    """kcat -G; partitions that it has are told on standard error."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.lock, self.out, self.assigned, self.trouble = threading.Lock(), b"", set(), None
        self.threads = [threading.Thread(target=t, daemon=True) for t in (self._read_out, self._read_err)]
        for thread in self.threads:
            thread.start()

    def _read_out(self):
        while True:
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return
            with self.lock:
                self.out += data

    def _read_err(self):
        for line in self.process.stderr:
            text = line.decode(errors="replace")
            if "rebalanced" in text:
                with self.lock:
                    named = {(topic, int(partition)) for topic, partition in re.findall(r"(\S+) \[(\d+)\]", text)}
                    self.assigned = self.assigned | named if "assign" in text else self.assigned - named
            elif "ERROR" in text:
                self.trouble = text.strip()

    def taken(self):
        with self.lock:
            records, self.out = records_of(self.out)
            return {"records": [[r["partition"], r["offset"], r["value"]] for r in records], "assignment": list(self.assigned),
                    "trouble": self.trouble}

    def leave(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        for thread in self.threads:
            thread.join()


class Client:
    version = re.search(r"Version (\S+)", subprocess.run(["kcat", "-V"], capture_output=True, text=True, check=True).stdout).group(1)

    def __init__(self, address):
        self.base = ["kcat", "-b", address, "-X", "log_level=0"]
        self.members = {}

    def close(self):
        for member in self.members.values():
            member.leave()

    def _run(self, *arguments, data=b"", timeout=60):
        done = subprocess.run([*self.base, *arguments], input=data, capture_output=True, timeout=timeout, check=False)
        if done.returncode != 0 or b"ERROR" in done.stderr:
            raise RuntimeError(done.stderr.decode(errors="replace").strip()[-400:] or "exit code %d" % done.returncode)
        return done.stdout

    # --- metadata ---

    def _list(self, topic):
        return json.loads(self._run("-L", "-J", *(["-t", topic] if topic else [])))

    def metadata(self, topic=None):
        found = self._list(topic)
        brokers = [dict(zip(("host", "port"), b["name"].rsplit(":", 1)), id=b["id"]) for b in found["brokers"]]
        return {"brokers": [dict(b, port=int(b["port"])) for b in brokers],
                "topics": {t["topic"]: len(t["partitions"]) for t in found["topics"] if not t.get("error")}}

    def cluster(self):
        found = self._list(None)
        return {"brokers": len(found["brokers"]), "controller": found["controllerid"], "id": None}

    # --- produce and consume ---

    def produce(self, topic, records, codec="none", acks=-1, idempotent=False, transactional=None):
        if any(r.get("timestamp") is not None for r in records):
            raise Unsupported
        options = ["-P", "-t", topic, "-z", codec, "-X", "enable.idempotence=%s" % str(idempotent).lower(), "-X",
                   "message.max.bytes=2000000", "-X", "linger.ms=20"]
        options += ["-m", "10", "-X", "transactional.id=" + transactional] if transactional else ["-X", "acks=%d" % acks]
        if all(not r.get("headers") and r["value"] and r.get("key") != "" for r in records):
            self._produce_lines(options, records)
        else:
            for r in records:
                self._produce_file(options, r)
        return {"offsets": None}

    def _produce_lines(self, options, records):
        """All of a partition, and with or without a key, in one run."""
        parts = {}
        for r in records:
            parts.setdefault((r.get("partition"), r.get("key") is None), []).append(r)
        for (partition, bare), some in parts.items():
            lines = [unpack(r["value"]) if bare else unpack(r["key"]) + KEYS.encode() + unpack(r["value"]) for r in some]
            self._run(*options, "-D", ENDS, *([] if bare else ["-K", KEYS]), *([] if partition is None else ["-p", str(partition)]),
                      data=ENDS.encode().join(lines))

    def _produce_file(self, options, r):
        """One record a run: the only way to give it headers of its own."""
        options = list(options)
        key = unpack(r.get("key"))
        if key == b"" or (not r["value"] and not key) or any(v is None or not unpack(v) for _, v in r.get("headers") or []):
            raise Unsupported
        if r.get("partition") is not None:
            options += ["-p", str(r["partition"])]
        for name, value in r.get("headers") or []:
            options += ["-H", os.fsdecode(name.encode() + b"=" + unpack(value))]
        if not r["value"]:  # an empty file is no record, a line of a key alone is; -Z makes its value null
            self._run(*options, *(["-Z"] if r["value"] is None else []), "-D", ENDS, "-K", KEYS, data=key + (KEYS + ENDS).encode())
            return
        if key is not None:
            options += ["-k", os.fsdecode(key)]
        with tempfile.NamedTemporaryFile() as file:
            file.write(unpack(r["value"]))
            file.flush()
            self._run(*options, file.name)

    def fetch(self, topic, partition, start, count, timeout_s, reset="error"):
        if isinstance(start, dict):
            start = "s@%d" % start["time_ms"]
        start = {"earliest": "beginning", "latest": "end"}.get(start, start)
        command = [*self.base, "-C", "-t", topic, "-p", str(partition), "-o", str(start), "-c", str(count), "-f", FORMAT, "-q",
                   "-X", "fetch.message.max.bytes=2000000", "-X", "topic.auto.offset.reset=" + reset]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.terminate()
            out, err = process.communicate()
        found, _ = records_of(out)
        if not found and b"ERROR" in err:
            raise RuntimeError(err.decode(errors="replace").strip())
        return {"records": found}

    def offsets(self, topic, partition, at):
        when = at["time_ms"] if isinstance(at, dict) else {"earliest": -2, "latest": -1}[at]
        out = self._run("-Q", "-t", "%s:%d:%d" % (topic, partition, when)).decode()
        return {"offset": int(re.search(r"offset (-?\d+)", out).group(1))}

    # --- groups ---

    def join(self, member, group, topics, instance=None, assignor="range"):
        more = ["-X", "group.instance.id=" + instance] if instance else []
        self.members[member] = Member([*self.base, "-u", "-f", FORMAT, "-X", "auto.offset.reset=earliest", "-X",
                                       "session.timeout.ms=10000", "-X", "heartbeat.interval.ms=300", "-X",
                                       "partition.assignment.strategy=" + assignor, *more, "-G", group, *topics])

    def poll(self, member):
        return self.members[member].taken()

    def leave(self, member):
        self.members.pop(member).leave()


if __name__ == "__main__":
    serve(Client(sys.argv[1]))
