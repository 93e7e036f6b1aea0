"""What a suite's run does: finds the functions marked @case in the modules of a package, runs those that are asked for, says
"N passed, N failed"."""
import argparse
import importlib
import pkgutil
import time
import traceback


def found(package):
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        name = package.__name__ + "." + module
        for function in vars(importlib.import_module(name)).values():
            if getattr(function, "is_case", False) and function.__module__ == name:
                yield "%s.%s" % (module, function.__name__), function


def passes(name, function, verbose):
    start = time.monotonic()
    try:
        function()
    except Exception:  # pylint: disable=broad-except
        print("FAILED %s\n%s" % (name, traceback.format_exc(limit=-4)), flush=True)
        return False
    if verbose:
        print("ok %6.0f ms  %s" % ((time.monotonic() - start) * 1000, name), flush=True)
    return True


def parse(doc, add=None):
    """add(parser): further options of the suite."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    if add:
        add(parser)
    return parser.parse_args()


def run(package, options):
    """The exit code."""
    chosen = [(n, f) for n, f in found(package) if options.only in n]
    if options.list:
        print("\n".join(n for n, _ in chosen))
        return 0
    results = [passes(n, f, options.verbose) for n, f in chosen]
    print("%d passed, %d failed" % (sum(results), len(results) - sum(results)))
    return 0 if results and all(results) else 1
