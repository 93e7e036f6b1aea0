"""Texts that are kept: golden/<name>.yaml and golden/<name>.txt, what is said about it. PRISM_GOLDEN=write keeps what is said now."""
import os

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden")


def configurations():
    names = sorted(n[:-len(".yaml")] for n in os.listdir(FOLDER) if n.endswith(".yaml"))
    assert names, FOLDER
    for name in names:
        with open(os.path.join(FOLDER, name + ".yaml"), encoding="utf-8") as text:
            yield name, text.read()


def same(name, said):
    path = os.path.join(FOLDER, name + ".txt")
    if os.environ.get("PRISM_GOLDEN") == "write":
        with open(path, "w", encoding="utf-8") as out:
            out.write(said)
    with open(path, encoding="utf-8") as kept:
        wanted = kept.read()
    if said != wanted:
        raise AssertionError("%s: said\n%s\nwanted\n%s" % (name, said, wanted))
