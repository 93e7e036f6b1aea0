"""The page that the results of the proofs become."""

class Product:
    """What the summary adds up: text, and the counts that it is made of, in the order of the page."""

    def __init__(self, name, acknowledged, lost, faults, not_tested):
        self.name, self.acknowledged, self.lost, self.faults, self.not_tested = name, acknowledged, lost, faults, not_tested


NOT_TESTED = """\
- Loss of power, and disks that lie about what they have written: `kill -9` ends the process, not the machine; what the kernel has
  taken stays taken. SQLite runs with the settings of docs/reference/configuration.md, and its own tests cover the rest.
- More than one proxy on the same data: the lock of data_dir refuses it (tests/e2e).
- Transactions that delete, scan, or meet values that expire are in the model, which has one caller; the histories have gets and sets.
- Values that expire within milliseconds are in the histories of memory and Redis alone. SQLite and PostgreSQL judge expiry as of when
  a group of writes, or a statement, begins: a compare-and-swap may still swap a value that others have seen gone meanwhile.
- Networks: all of it is over 127.0.0.1; connections break, packets are not lost, delayed or reordered.
- Histories of operations cut off by a kill of the proxy: kills are proven by what is there afterwards, not by the checker.
- Memory of OpenSSL and libuv: it does not fail in the runs with failing allocations.
- Days: the soak takes minutes, and its data are bounded; growth by idempotency keys within their retention is by design.
"""

ACKNOWLEDGED = (("operations answered in histories", ("answered",)),
                ("writes before a kill", ("acknowledged",)),
                ("good calls of the soak", ("good_answered_ok",)),
                ("operations of the model", ("operations_of_model",)))
LOST = (("lost, torn, half or repeated writes", ("lost", "torn", "half_transactions", "repeated", "expiries_wrong", "resurrected")),
        ("histories that break a rule, or are undecided", ("violations", "undecided")),
        ("tests that failed: model, abuse, restarts", ("tests_failed", "cases_failed")),
        ("requests that end badly without memory", ("wrong",)))
FAULTS = (("proxy killed", ("rounds",)),
          ("allocation fails", ("allocations_failed",)),
          ("call cancelled", ("cancelled",)),
          ("connection dropped with calls in flight", ("connections_dropped",)),
          ("connection reset in its first bytes", ("connections_reset",)),
          ("statement or commit of SQLite fails", ("storage_faults",)),
          ("bad request", ("bad",)),
          ("message over the limit", ("oversize",)),
          ("disk full, read-only, damaged, newer", ("cases",)))

GATEWAY = Product("the gateway", ACKNOWLEDGED, LOST, FAULTS, NOT_TESTED)

STREAM_VIOLATIONS = (("acknowledged values lost", ("lost", "topics_lost", "one_topic_lost")),
                     ("values there twice", ("duplicate",)),
                     ("offsets that disagree", ("misplaced", "disagreement", "gap")),
                     ("values that nobody sent, or that were refused", ("invented", "aborted_read")),
                     ("consumers that went back or passed over values", ("backwards", "skipped")),
                     ("sends in another order", ("reordered", "stale")),
                     ("commits of groups lost, or never asked for", ("commit_lost", "commit_invented")))
STREAMER_NOT_TESTED = """\
- Loss of power on a real machine: `kill -9` ends the process, and what the kernel has taken stays taken. Lost, torn and reordered
  pages, flipped bits, failing and full disks are the simulator's (tests/sim) and the journal's unit tests, on the same code.
- Replication, transactions, compaction: they are not there yet.
- Networks: all of it is over 127.0.0.1; connections break, packets are not lost, delayed or reordered.
- Other clients than librdkafka under kill; they are in tests/kafka, without it.
"""
STREAMER = Product("MemoryStreamer",
                   (("values", ("acknowledged", "topics_acknowledged", "one_topic_acknowledged")),
                    ("commits of groups", ("commits",))),
                   STREAM_VIOLATIONS, (("broker killed", ("kills",)),), STREAMER_NOT_TESTED)


def table(rows):
    def text(value):
        return "{:,}".format(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return "\n".join(["|  |  |", "|---|---|"] + ["| %s | %s |" % (name, text(value)) for name, value in rows]) + "\n"


def facts(results, of):
    known = [(part, result) for part, result in results if result]
    wrong = [part.title for part, result in known if not result["ok"]]
    missing = [part.title for part, result in results if not result]
    older = [part.title for part, result in known if result["commit"] != of["commit"]]
    verdict = "**failed: %s**" % ", ".join(wrong) if wrong else "all hold" if not missing else "what was run holds"
    rows = [("Date", "%s to %s" % (min(r["date"] for _, r in known), max(r["date"] for _, r in known)) if known else "never"),
            ("Commit", of["commit"]),
            ("Machine", " and ".join(sorted({r["machine"] for _, r in known})) or "none"),
            ("Load at the end of a part", ", ".join("%.1f" % r["load"] for _, r in known)),
            ("Scale", "%g of the full size" % of["scale"]),
            ("Seed", "%d, one more for each further history and round" % of["seed"]),
            ("Seconds", round(sum(r["seconds"] for _, r in known))),
            ("Result", verdict)]
    if older:
        rows.append(("Of other commits", ", ".join(older)))
    return rows + ([("Not run", ", ".join(missing))] if missing else [])


def summary(results, groups):
    def total(names):
        return sum(r["counts"].get(name, 0) for _, r in results if r for name in names)
    return [(text, total(names)) for text, names in groups]


def section(part, result):
    if not result:
        return "### %s: not run\n`%s`\n" % (part.title, part.text())
    rows = [(name.replace("_", " "), value) for name, value in result["counts"].items()]
    rows += [("seconds", result["seconds"]), ("commit", result["commit"][:12])]
    return "### %s: %s\n`%s`\n\n%s" % (part.title, "holds" if result["ok"] else "FAILED", result["command"], table(rows))


def page(product, results, of):
    blocks = ["# Proof of %s\nWritten by %s; not by hand. What each proof does is in [tests/proof](../tests/proof/README.md).\n"
              % (product.name, "`make proof`" if product is GATEWAY else "`make proof-streamer`"),
              table(facts(results, of)),
              "## Acknowledged\n" + table(summary(results, product.acknowledged)),
              "## Lost, or wrong\n" + table(summary(results, product.lost)),
              "## Faults by kind\n" + table(summary(results, product.faults)),
              "## Each\n"]
    blocks += [section(part, result) for part, result in results]
    return "\n".join(blocks + ["## What is not tested\n" + product.not_tested])
