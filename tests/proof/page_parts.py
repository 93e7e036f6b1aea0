"""The parts of `make proof`: what is run, at which size, and how its result is read.

A part's command prints a JSON object as its last line of standard output, or, where it is a suite of tests, "N passed, M failed".
Progress goes to standard error."""
import datetime
import json
import os
import platform
import re
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Part:
    def __init__(self, name, title, *command, env=None, counted=None):
        self.name, self.title, self.command = name, title, list(command)
        self.env = env or {}
        self.counted = counted or {}  # what a suite does not print itself

    def text(self):
        return " ".join(["%s=%s" % pair for pair in self.env.items()] + self.command)


def streamer_parts(scale, seed):
    """Of MemoryStreamer."""
    def sized(full, least=1):
        return str(max(least, round(full * scale)))

    return [Part("streamer-killed", "kill -9 under idempotent producers and a group", "tests/proof/stream_killed.py",
                 "--rounds", sized(500), "--seed", str(seed)),
            Part("streamer-many", "10,000 topics, 10,000 partitions", "tests/proof/stream_many.py", "--count", sized(10000))]


def gateway_parts(scale, seed):
    """Of the gateway. Suites that are not there (yet) are no parts."""
    def sized(full, least=1):
        return str(max(least, round(full * scale)))

    def history(kind, driver):
        return ["build/proof/" + kind, "--namespace", driver, "--histories", sized(500), "--operations", "2000", "--seed", str(seed)]

    def remote(kind, server):
        command = ["tests/proof/remote.py", kind, server]
        return command + ["--histories", sized(500), "--operations", "2000", "--seed", str(seed)]

    def model(driver):
        operations = int(sized(1000000, 1000))
        return Part("model-" + driver, "The model, " + driver, "build/unit/drivers/%s/test_model" % driver,
                    env={"PRISM_SEED": str(seed), "PRISM_OPERATIONS": str(operations)}, counted={"operations_of_model": operations})

    found = [Part("history-memory", "Linearizable histories, memory", *history("history", "memory")),
             Part("history-sqlite", "Linearizable histories, SQLite", *history("history", "sqlite"), "--expiry", "0"),
             Part("transactions-memory", "Snapshots of transactions, memory", *history("transactions", "memory")),
             Part("transactions-sqlite", "Snapshots of transactions, SQLite", *history("transactions", "sqlite")),
             Part("history-postgres", "Linearizable histories, PostgreSQL", *remote("history", "postgres")),
             Part("history-redis", "Linearizable histories, Redis", *remote("history", "redis")),
             Part("transactions-postgres", "Snapshots of transactions, PostgreSQL", *remote("transactions", "postgres")),
             Part("transactions-redis", "Snapshots of transactions, Redis", *remote("transactions", "redis")),
             model("memory"), model("sqlite"),
             Part("killed", "kill -9 under write load, SQLite", "tests/proof/killed.py", "--rounds", sized(200), "--seed", str(seed)),
             Part("storage", "Disks that are full, read-only, damaged", "tests/proof/storage.py", "-v"),
             Part("starved", "Allocations that fail", "tests/proof/starved.py", "--every", str(max(1, round(1 / scale))),
                  "--seed", str(seed)),
             Part("soak", "Soak with faults", "build/proof/soak", "--calls", sized(10 ** 7, 10000), "--seed", str(seed)),
             Part("abuse", "Abuse, the numbers of the catalogue", "tests/abuse/run", "--long"),
             Part("rolling", "Rolling restarts under load", "tests/rolling/run", env={"ROUNDS": sized(100)})]
    return [p for p in found if p.command[0].startswith("build/") or os.path.exists(os.path.join(ROOT, p.command[0]))]


def read(part, text, code):
    lines = text.strip().splitlines()
    try:
        result = json.loads(lines[-1])
    except (IndexError, ValueError):
        counts = re.search(r"(\d+) passed, (\d+) failed\s*$", text.strip())
        result = {"ok": bool(counts) and counts[2] == "0" and counts[1] != "0", **part.counted}
        result.update({"tests_passed": int(counts[1]), "tests_failed": int(counts[2])} if counts else {"said": " ".join(lines[-1:])})
    result["ok"] = bool(result["ok"]) and code == 0
    return result


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo", encoding="utf-8") as info:
        memory_gib = int(info.readline().split()[1]) / 2 ** 20
    return "%s, %d cores, %.0f GiB, Linux %s" % (model, os.cpu_count(), memory_gib, platform.release())


def run(part):
    """The part's result, with when, where and how long."""
    start = time.monotonic()
    done = subprocess.run(part.command, cwd=ROOT, stdout=subprocess.PIPE, check=False, env={**os.environ, **part.env})
    counted = read(part, done.stdout.decode(errors="replace"), done.returncode)
    return {"part": part.name, "command": part.text(), "ok": counted.pop("ok"), "machine": machine(),
            "load": round(os.getloadavg()[0], 1), "seconds": round(time.monotonic() - start, 1),
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "counts": {name: value for name, value in counted.items() if name not in ("proof", "seed")}}
