"""What was run, as a table: a row a suite, a column a driver and client, "passed" or "passed/all" where some failed; and the page
of the reference that keeps it beside what the drivers declare."""
import json
import os
import subprocess

from .stubs import ROOT

PAGE = os.path.join(ROOT, "docs", "reference", "backends.md")
BEGIN, END = "<!-- acceptance: begin -->", "<!-- acceptance: end -->"
HEAD = """---
title: Backends
---

# Backends

What each driver implements, from the drivers' own tables (`prismctl backend list`), and how many acceptance cases of each
interface it passes by each client. A driver that declares an interface is held to it. Written by
`tests/acceptance/run --write`; what stands between the marks is replaced.

"""


def cell(count):
    if not count:
        return "–"
    passed, failed = count
    return str(passed) if not failed else "%d/%d" % (passed, passed + failed)


def rows(counts, suites, drivers, clients):
    head = ["suite"] + ["%s %s" % (d, c) for d in drivers for c in clients]
    body = [[s] + [cell(counts.get((s, d, c))) for d in drivers for c in clients] for s in suites]
    return [head] + [r for r in body if set(r[1:]) != {"–"}]


def table(counts, suites, drivers, clients):
    lines = rows(counts, suites, drivers, clients)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in lines)


def markdown(counts, suites, drivers, clients):
    lines = rows(counts, suites, drivers, clients)
    lines.insert(1, ["---"] + ["---:"] * (len(lines[0]) - 1))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def backends(admin_address):
    """What ProxyAdmin.ListBackends answers."""
    done = subprocess.run([os.path.join(ROOT, "build", "prismctl"), "backend", "list", "-o", "json", "--admin-address",
                           admin_address], check=True, capture_output=True)
    return json.loads(done.stdout)


def interfaces_missing(admin_address):
    """Of each driver, the interfaces of the catalogue that it does not declare."""
    answer = backends(admin_address)
    return {d["name"]: set(answer["interfaces"]) - set(d["interfaces"]) for d in answer["drivers"]}


def declared(admin_address):
    """Drivers across, interfaces down."""
    answer = backends(admin_address)
    drivers = answer["drivers"]

    def line(first, cells):
        return "| " + " | ".join([first] + cells) + " |"
    text = [line("", [d["name"] for d in drivers]), line("---", ["---"] * len(drivers)),
            line("what it is", [d["summary"] for d in drivers]),
            line("an acknowledged write survives a crash", ["yes" if d["durable"] else "no" for d in drivers]),
            line("scans are in key order", ["yes" if d["ordered_scan"] else "no" for d in drivers])]
    text += [line("`%s`" % i, ["yes" if i in d["interfaces"] else "–" for d in drivers]) for i in answer["interfaces"]]
    return "\n".join(text)


def write(counts, suites, drivers, clients, admin_address):
    """Replaces what stands between the marks, or makes the page."""
    old = open(PAGE).read() if os.path.exists(PAGE) else HEAD + BEGIN + "\n" + END + "\n"
    before, rest = old.split(BEGIN)
    made = "\n\n".join([BEGIN, "## Declared", declared(admin_address), "## Passed", markdown(counts, suites, drivers, clients), END])
    os.makedirs(os.path.dirname(PAGE), exist_ok=True)
    with open(PAGE, "w") as out:
        out.write(before + made + rest.split(END)[1])
