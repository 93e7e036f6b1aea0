#!/usr/bin/python3
"""Long forms of the proofs, and the page about them: what `make proof` runs.

usage: tests/proof/page.py [--scale S] [--seed N] [--out docs/PROOF.md]

S scales the sizes (PROOF_SCALE; 1: the full forms, hours on 2 cores at most). Each proof prints a JSON object as its last line;
the page is made of these objects alone. Exit code 0: all proofs hold. The page is written either way."""
import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

NOT_TESTED = """\
- Loss of power, and disks that lie about what they have written: `kill -9` ends the process, not the machine; what the kernel has
  taken stays taken. SQLite runs with the settings of docs/reference/configuration.md, and its own tests cover the rest.
- More than one proxy on the same data: the lock of data_dir refuses it (tests/e2e).
- Linearizability over several keys: transactions are snapshot-isolated, batches are not atomic, and neither is in the histories.
  Time to live is not in them either (tests/unit/drivers/model.c has it, without concurrency).
- Networks: all of it is over 127.0.0.1; connections break, packets are not lost, delayed or reordered.
- Histories of operations cut off by a kill of the proxy: kills are proven by what is there afterwards, not by the checker.
- Days: the soak takes minutes, and its data are bounded; growth by idempotency keys within their retention is by design.
"""


def proofs(scale, seed):
    """(title, command) of each."""
    def sized(full, least):
        return str(max(least, round(full * scale)))
    history = ["build/proof/history", "--histories", sized(500, 1), "--operations", "2000", "--seed", str(seed)]
    return [("Linearizable histories, memory", history + ["--namespace", "memory"]),
            ("Linearizable histories, SQLite", history + ["--namespace", "sqlite"]),
            ("kill -9 under write load, SQLite", ["tests/proof/killed.py", "--rounds", sized(200, 1), "--seed", str(seed)]),
            ("Soak with faults", ["build/proof/soak", "--calls", sized(10 ** 7, 10000), "--seed", str(seed)])]


def run(command):
    """The proof's object, with how long it took; progress goes to standard error."""
    print("\n" + " ".join(command), file=sys.stderr, flush=True)
    start = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    lines = done.stdout.decode().strip().splitlines()
    try:
        result = json.loads(lines[-1])
    except (IndexError, ValueError):
        result = {"ok": False, "said": " ".join(lines[-1:]) or "nothing"}
    result["ok"] = bool(result["ok"]) and done.returncode == 0
    result["seconds"] = round(time.monotonic() - start, 1)
    return result


def said_by(*command):
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.decode().strip()


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo", encoding="utf-8") as info:
        memory_gib = int(info.readline().split()[1]) / 2 ** 20
    return "%s, %d cores, %.0f GiB, Linux %s" % (model, os.cpu_count(), memory_gib, platform.release())


def facts(results, scale, seed):
    commit = said_by("git", "rev-parse", "HEAD")
    changed = said_by("git", "status", "--porcelain", "--untracked-files=no")
    wrong = [title for title, result in results if not result["ok"]]
    return [("Date", datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
            ("Commit", commit + (" and uncommitted changes" if changed else "")),
            ("Machine", machine() + "; load %.1f at the end" % os.getloadavg()[0]),
            ("Scale", "%g of the full size" % scale),
            ("Seed", "%d, one more for each further history and round" % seed),
            ("Result", "all hold" if not wrong else "**failed: %s**" % ", ".join(wrong))]


def summary(results):
    """Faults by kind, acknowledged, lost: over all proofs."""
    def total(*names):
        return sum(result.get(name, 0) for _, result in results for name in names)
    good = sum(result.get("good_answered_ok", 0) for _, result in results)
    return [("Acknowledged: operations answered in histories", total("answered")),
            ("Acknowledged: writes before a kill", total("acknowledged")),
            ("Acknowledged: good calls of the soak", good),
            ("Lost, torn, half or repeated writes", total("lost", "torn", "half_transactions", "repeated")),
            ("Histories that are not linearizable, or undecided", total("violations", "undecided")),
            ("Fault: proxy killed", total("rounds")),
            ("Fault: call cancelled", total("cancelled")),
            ("Fault: connection dropped with calls in flight", total("connections_dropped")),
            ("Fault: connection reset in its first bytes", total("connections_reset")),
            ("Fault: bad request", total("bad")),
            ("Fault: message over the limit", total("oversize"))]


def table(rows, heads=("", "")):
    def text(value):
        return "{:,}".format(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)
    lines = ["| %s | %s |" % heads, "|---|---|"] + ["| %s | %s |" % (name, text(value)) for name, value in rows]
    return "\n".join(lines) + "\n"


def section(title, command, result):
    rows = [(name.replace("_", " "), str(value) if name == "seed" else value) for name, value in result.items()
            if name not in ("proof", "ok")]
    return "### %s: %s\n`%s`\n\n%s" % (title, "holds" if result["ok"] else "FAILED", " ".join(command), table(rows))


def page(runs, scale, seed):
    results = [(title, result) for title, _, result in runs]
    parts = ["# Proof\nWritten by `make proof`; not by hand. What each proof does is in [tests/proof](../tests/proof/README.md).\n",
             table(facts(results, scale, seed)), "## In all\n" + table(summary(results)), "## Each\n"]
    parts += [section(*one) for one in runs]
    return "\n".join(parts + ["## What is not tested\n" + NOT_TESTED])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=float(os.environ.get("PROOF_SCALE") or 1))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default=os.path.join(ROOT, "docs", "PROOF.md"))
    options = parser.parse_args()
    runs = [(title, command, run(command)) for title, command in proofs(options.scale, options.seed)]
    with open(options.out, "w", encoding="utf-8") as out:
        out.write(page(runs, options.scale, options.seed))
    failed = sum(not result["ok"] for _, _, result in runs)
    print("%s: %d passed, %d failed" % (os.path.relpath(options.out), len(runs) - failed, failed))
    return 1 if failed else 0


sys.exit(main())
