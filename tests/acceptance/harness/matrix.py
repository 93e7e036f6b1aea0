"""What was run, as a table: a row a suite, a column a driver and client, "passed" or "passed/all" where some failed."""
import os

from .stubs import ROOT

PAGE = os.path.join(ROOT, "docs", "reference", "backends.md")
BEGIN, END = "<!-- acceptance: begin -->", "<!-- acceptance: end -->"
HEAD = """---
title: Backends
---

# Backends

What each driver implements, as `prismctl backend list` prints it from the drivers' own tables, and how many acceptance cases
of each interface it passes by each client. A driver that declares an interface is held to it by `tests/acceptance/run`; the
table below is written by `tests/acceptance/run --write`.

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


def write(counts, suites, drivers, clients):
    """Replaces the table between the marks, or makes the page."""
    old = open(PAGE).read() if os.path.exists(PAGE) else HEAD + BEGIN + "\n" + END + "\n"
    before, rest = old.split(BEGIN)
    text = before + BEGIN + "\n" + markdown(counts, suites, drivers, clients) + "\n" + END + rest.split(END)[1]
    os.makedirs(os.path.dirname(PAGE), exist_ok=True)
    with open(PAGE, "w") as out:
        out.write(text)
