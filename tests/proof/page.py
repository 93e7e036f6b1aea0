#!/usr/bin/python3
"""Long forms of the proofs, part by part, and the page about them: what `make proof` runs.

usage: tests/proof/page.py [--product gateway|streamer] [--part NAME[,NAME...]] [--scale S] [--seed N] [--out FILE] [--list]

Without --part all parts run; --part missing: those that have no result of this commit, scale and seed. Each part leaves its result
in build/proof/results/, and the page is made of what lies there, so a part can be run again alone. --scale (PROOF_SCALE) makes the
sizes smaller. Exit code 0: all results hold, and without
--part there is one of this commit for each."""
import argparse
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import page_parts  # noqa: E402
import page_text  # noqa: E402
from page_parts import ROOT  # noqa: E402

# Name: its parts, what the page says, and where.
PRODUCTS = {"gateway": (page_parts.gateway_parts, page_text.GATEWAY, "PROOF.md"),
            "streamer": (page_parts.streamer_parts, page_text.STREAMER, "PROOF-memorystreamer.md")}
RESULTS = os.path.join(ROOT, "build", "proof", "results")


def said_by(*command):
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.decode().strip()


def version():
    """The commit; the pages themselves may differ from it."""
    changed = said_by("git", "status", "--porcelain", "--untracked-files=no", "--", ":!docs/PROOF*.md")
    return said_by("git", "rev-parse", "HEAD") + (" and uncommitted changes" if changed else "")


def result_of(part):
    try:
        with open(os.path.join(RESULTS, part.name + ".json"), encoding="utf-8") as kept:
            return json.load(kept)
    except (OSError, ValueError):
        return None


def keep(part, result):
    os.makedirs(RESULTS, exist_ok=True)
    where = os.path.join(RESULTS, part.name + ".json")
    with open(where + ".new", "w", encoding="utf-8") as out:
        json.dump(result, out, indent=1)
    os.replace(where + ".new", where)


def is_current(result, of):
    return bool(result) and all(result[name] == of[name] for name in ("commit", "scale", "seed"))


def chosen(parts, names, of):
    if not names:
        return parts
    if names == ["missing"]:
        return [p for p in parts if not is_current(result_of(p), of)]
    known = {p.name: p for p in parts}
    unknown = [n for n in names if n not in known]
    if unknown:
        sys.exit("no such part: %s; there are %s" % (", ".join(unknown), ", ".join(known)))
    return [known[n] for n in names]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--product", choices=PRODUCTS, default="gateway")
    parser.add_argument("--part", default=os.environ.get("PART", ""))
    parser.add_argument("--scale", type=float, default=float(os.environ.get("PROOF_SCALE") or 1))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    parts_of, product, name = PRODUCTS[options.product]
    out_path = options.out or os.path.join(ROOT, "docs", name)
    parts = parts_of(options.scale, options.seed)
    if options.list:
        print("\n".join("%-22s %s" % (p.name, p.title) for p in parts))
        return 0
    of = {"commit": version(), "scale": options.scale, "seed": options.seed}
    todo = chosen(parts, [n for n in options.part.replace(",", " ").split()], of)
    for number, part in enumerate(todo):
        print("\nproof: part %d of %d, %s" % (number + 1, len(todo), part.name), file=sys.stderr, flush=True)
        keep(part, {**of, **page_parts.run(part)})
    results = [(part, result_of(part)) for part in parts]
    with open(out_path, "w", encoding="utf-8") as out:
        out.write(page_text.page(product, results, of))
    failed = sum(bool(r) and not r["ok"] for _, r in results)
    missing = sum(not is_current(r, of) for _, r in results)
    if missing:
        print("%d parts have no result of this commit: make proof PART=missing" % missing, file=sys.stderr)
    print("%s: %d passed, %d failed" % (os.path.relpath(out_path), len(parts) - failed - missing, failed))
    return 1 if failed or (missing and not options.part) else 0


if __name__ == "__main__":
    sys.exit(main())
