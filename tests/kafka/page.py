"""docs/reference/kafka-compatibility.md: client × feature with pass counts, from what a run has found."""
import os

from client import CLIENTS
from features import CASES

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "docs", "reference", "kafka-compatibility.md")
TEXT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page.md")
BY_HAND = "by hand"
ADMIN = ("connect", "topics", "settings", "group admin")


def features():
    """In the order of the columns: data first, then groups, then what administers."""
    named = list(dict.fromkeys(["codecs", "exchange"] + [feature for feature, _, _ in CASES]))
    return sorted(named, key=lambda f: f in ADMIN)


def cell(results, row, feature):
    """Passed of those that the client's interface has; how many it lacks is told in a row of its own."""
    found = [result for (r, f, _), result in results.items() if (r, f) == (row, feature) and result is not None]
    return "%d/%d" % (found.count(True), len(found)) if found else "–"


def lacks(results, row):
    missing = {}
    for (r, feature, case), result in results.items():
        if r == row and result is None:
            missing.setdefault(feature, []).append(case.replace("_", " "))
    order = features()
    return "; ".join("%s: %s" % (f, ", ".join(sorted(missing[f]))) for f in sorted(missing, key=order.index))


def table(head, rows):
    return "\n".join("| %s |" % " | ".join(r) for r in [head, ["---"] * len(head), *rows])


def text_of(results, versions):
    columns = features()
    passed = list(results.values()).count(True)
    counts = table(["client", *columns], [[name] + [cell(results, name, f) for f in columns] for name in CLIENTS])
    clients = table(["client", "what it is", "version", "lacks"],
                    [[name, what, versions[name], lacks(results, name) or "nothing"] for name, (_, what) in CLIENTS.items()])
    with open(TEXT, encoding="utf-8") as file:
        page = file.read()
    for mark, value in (("COUNTS", counts), ("CLIENTS", clients), ("PASSED", "%d" % passed), ("PROTOCOL", cell(results, BY_HAND, "protocol"))):
        page = page.replace("{%s}" % mark, value)
    return page


def write(results, versions):
    with open(PAGE, "w", encoding="utf-8") as out:
        out.write(text_of(results, versions))


def is_current(results, versions):
    if not os.path.exists(PAGE):
        return False
    with open(PAGE, encoding="utf-8") as file:
        return file.read() == text_of(results, versions)
