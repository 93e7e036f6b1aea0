#!/usr/bin/python3
"""Disks that are full, read-only or damaged, under the running proxy: refused with what to do, nothing lost, and on it goes.

usage: tests/proof/storage.py [--only TEXT] [-v]

Each case has a proxy and a file system of its own: the script runs itself again where it may mount (unshare -m, as root or in a user
namespace). Where it may not, the cases that mount are left out, and it says so. The last line is a JSON object."""
import argparse
import contextlib
import hashlib
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
sys.dont_write_bytecode = True

from harness.api import ADMIN, KV, SCAN, request_of, stub  # noqa: E402
from harness.case import check, fails, same  # noqa: E402
from harness.proxy import Proxy  # noqa: E402

MOUNTS = "PRISM_PROOF_MOUNTS"
VALUE_BYTES = 32 << 10
DISK_BYTES = 16 << 20
WAIT_S = 30
CASES = []


def case(mounts=False):
    def add(function):
        CASES.append((function, mounts))
        return function
    return add


# --- what cases are made of --------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def small_disk():
    with tempfile.TemporaryDirectory(prefix="prism-proof-") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % DISK_BYTES, "tmpfs", folder], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)


def value_of(number):
    return b"%d|" % number + bytes([97 + number % 26]) * VALUE_BYTES


def fill(call, first=0):
    """Writes until the disk is full; the number of the first write that was refused."""
    for number in range(first, 10000):
        try:
            call(KV + "Set", "default", key=b"k/%05d" % number, value=value_of(number))
        except Exception:  # pylint: disable=broad-except
            break
    check(number - first < 10000, "the disk does not become full")
    with fails("RESOURCE_EXHAUSTED", "DISK_FULL") as refused:
        call(KV + "Set", "default", key=b"k/%05d" % number, value=value_of(number))
    check("full" in refused.text, refused.text)
    return number


def holds(call, count):
    """Exactly the first values are there, whole, by Get and by Scan."""
    for number in range(0, count, 7):
        same(call(KV + "Get", "default", key=b"k/%05d" % number).value, value_of(number))
    pages = stub(call.channel, SCAN + "Scan")(request_of(SCAN + "Scan", {"prefix": b"k/"}), timeout=WAIT_S,
                                              metadata=(("prism-namespace", "default"),))
    same([i.value for page in pages for i in page.items], [value_of(n) for n in range(count)], "values")


def writes_again(call):
    """Without a restart."""
    until = time.monotonic() + WAIT_S
    while True:
        try:
            return call(KV + "Set", "default", key=b"room", value=b"again")
        except Exception:  # pylint: disable=broad-except
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def healthy(p):
    with p.admin() as admin:
        status = admin(ADMIN + "DescribeNamespace", name="default").status
        return status.healthy, status.reason


def use_all(path):
    """Takes what is left, to the last byte."""
    with open(path, "wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError:
            pass


def database(p):
    return os.path.join(p.folder, "data", "sqlite", "default.db")


def digest(path):
    with open(path, "rb") as data:
        return hashlib.sha256(data.read()).hexdigest()


def made():
    """A stopped proxy with 100 values."""
    p = Proxy().start()
    with p.client() as call:
        for number in range(100):
            call(KV + "Set", "default", key=b"k/%05d" % number, value=value_of(number))
    same(p.stop(), 0)
    return p


def refuses(p, code, *words):
    """It does not start, says why and what to do, and leaves the file as it is."""
    before = digest(database(p))
    got, _, said = Proxy(folder=p.folder).run_to_end()
    same(got, code, "exit code; it said %s" % said)
    for word in words:
        check(word in said, "%r in %s" % (word, said))
    same(digest(database(p)), before, "the file")


def serves(p, count):
    with Proxy(folder=p.folder) as again, again.client() as call:
        holds(call, count)
        writes_again(call)


# --- full ----------------------------------------------------------------------------------------------------------------------

@case(mounts=True)
def full_disk_reads_go_on_and_writes_come_back():
    with small_disk() as folder, Proxy(folder=folder) as p, p.client() as call:
        use_all_but(folder, 4 << 20)
        count = fill(call)
        holds(call, count)
        same(healthy(p)[0], False)
        check("DISK" in healthy(p)[1].upper() or "left" in healthy(p)[1], healthy(p)[1])
        with fails("RESOURCE_EXHAUSTED", "DISK_FULL"):
            call(KV + "Delete", "default", key=b"k/00000")
        call(KV + "Set", "memory", key=b"other", value=b"namespaces are not affected")
        os.unlink(os.path.join(folder, "ballast"))
        writes_again(call)
        holds(call, count)
        same(healthy(p), (True, ""))


def use_all_but(folder, left):
    disk = os.statvfs(folder)
    with open(os.path.join(folder, "ballast"), "wb") as ballast:
        ballast.write(bytes(disk.f_bavail * disk.f_frsize - left))


@case(mounts=True)
def full_disk_can_be_opened_after_a_kill():
    with small_disk() as folder:
        p = Proxy(folder=folder).start()
        with p.client() as call:
            use_all_but(folder, 4 << 20)
            count = fill(call)
        use_all(os.path.join(folder, "more"))
        p.kill()
        for _ in range(2):
            with Proxy(folder=folder) as again, again.client() as call:
                holds(call, count)
                with fails("RESOURCE_EXHAUSTED", "DISK_FULL"):
                    call(KV + "Set", "default", key=b"k/more", value=value_of(1))
        os.unlink(os.path.join(folder, "ballast"))
        with Proxy(folder=folder) as again, again.client() as call:
            writes_again(call)
            holds(call, count)


@case(mounts=True)
def full_disk_without_room_for_the_index_says_so():
    with small_disk() as folder:
        with Proxy(folder=folder) as p, p.client() as call:
            call(KV + "Set", "default", key=b"k/00000", value=value_of(0))
        use_all(os.path.join(folder, "ballast"))
        code, _, said = Proxy(folder=folder).run_to_end()
        check(code == 62, "exit code %d: %s" % (code, said))
        check("disk is full" in said and "default" in said, said)
        os.unlink(os.path.join(folder, "ballast"))
        serves(p, 1)


@case()
def a_limit_of_file_size_is_a_full_disk():
    with Proxy() as p, p.client() as call:
        limit = resource.prlimit(p.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(p.process.pid, resource.RLIMIT_FSIZE, (2 << 20, limit[1]))
        count = fill(call)
        holds(call, count)
        resource.prlimit(p.process.pid, resource.RLIMIT_FSIZE, limit)
        writes_again(call)
        holds(call, count)


# --- read-only -----------------------------------------------------------------------------------------------------------------

@case(mounts=True)
def a_read_only_file_system_is_refused():
    with small_disk() as folder:
        with Proxy(folder=folder) as p, p.client() as call:
            call(KV + "Set", "default", key=b"k/00000", value=value_of(0))
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        code, _, said = Proxy(folder=folder).run_to_end()
        check(code not in (0, 1) and code < 128, "exit code %d: %s" % (code, said))
        check("ead-only" in said and folder in said, said)
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
        serves(p, 1)


# --- damaged, and from the future ----------------------------------------------------------------------------------------------------

def damage(p, change):
    """Does change(bytes) to the file; what it was before."""
    with open(database(p), "rb") as data:
        old = data.read()
    with open(database(p), "wb") as data:
        data.write(change(bytearray(old)))
    return old


def restore(p, old):
    with open(database(p), "wb") as data:
        data.write(old)
    serves(p, 100)


def page_zeroed(data):
    data[8192:12288] = bytes(4096)
    return data


def tail_cut(data):
    return data[:len(data) // 2]


def no_database(data):
    data[:16] = b"not a database! "
    return data


@case()
def damaged_databases_are_refused_and_left_alone():
    p = made()
    for change in (page_zeroed, tail_cut, no_database):
        old = damage(p, change)
        refuses(p, 64, database(p), "restore it from a backup")
        restore(p, old)


def pragma(p, name, value):
    """Sets it, in the file itself; what it was before."""
    with contextlib.closing(sqlite3.connect(database(p))) as db:
        old = db.execute("PRAGMA " + name).fetchone()[0]
        db.execute("PRAGMA %s = %d" % (name, value))
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return old


@case()
def databases_of_the_future_and_of_others_are_refused():
    p = made()
    for name, value, code, words in (("user_version", 99, 65, ("schema version 99", "newer")),
                                     ("application_id", 7, 64, ("another program", "sqlite.directory"))):
        old = pragma(p, name, value)
        refuses(p, code, database(p), *words)
        pragma(p, name, old)
        serves(p, 100)


@case()
def a_damaged_namespace_is_refused_by_a_reload_and_the_others_serve():
    config = "namespaces:\n- {name: memory, backend: memory}\n"
    with Proxy(config=config) as p, p.client() as call:
        os.makedirs(os.path.join(p.folder, "data", "sqlite"), exist_ok=True)
        with open(database(p), "wb") as data:
            data.write(b"no database at all, for sure")
        p.write_config(config + "- {name: default, backend: sqlite}\n")
        with p.admin() as admin, fails("DATA_LOSS", "CORRUPT") as refused:
            admin(ADMIN + "ReloadConfig")
        check("restore it from a backup" in refused.text, refused.text)
        call(KV + "Set", "memory", key=b"k", value=b"v")
        os.unlink(database(p))
        with p.admin() as admin:
            same(admin(ADMIN + "ReloadConfig").namespaces_added, 1)
        call(KV + "Set", "default", key=b"k", value=b"v")


# --- running -------------------------------------------------------------------------------------------------------------------

def run_where_mounts_are_possible():
    """Again, in a mount namespace. Returns where there is none."""
    os.environ[MOUNTS] = "yes"
    for options in (["-m"], ["-r", "-m"]):
        command = ["unshare"] + options + ["--propagation", "private"]
        probe = "mount -t tmpfs tmpfs /tmp"
        if subprocess.run(command + ["sh", "-c", probe], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            os.execvp("unshare", command + [sys.executable] + sys.argv)
    os.environ[MOUNTS] = "no"


def passes(function, verbose):
    start = time.monotonic()
    try:
        function()
    except Exception:  # pylint: disable=broad-except
        print("FAILED %s\n%s" % (function.__name__, traceback.format_exc(limit=-5)), file=sys.stderr, flush=True)
        return False
    if verbose:
        print("storage: %5.1f s  %s" % (time.monotonic() - start, function.__name__), file=sys.stderr, flush=True)
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    if MOUNTS not in os.environ:
        run_where_mounts_are_possible()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    wanted = [c for c in CASES if options.only in c[0].__name__]
    run = [function for function, mounts in wanted if not mounts or os.environ[MOUNTS] == "yes"]
    if len(run) < len(wanted):
        print("storage: may not mount here, %d cases left out" % (len(wanted) - len(run)), file=sys.stderr)
    failed = [f.__name__ for f in run if not passes(f, options.verbose)]
    ok = bool(run) and not failed
    print(json.dumps({"proof": "storage", "ok": ok, "cases": len(run), "cases_left_out": len(wanted) - len(run),
                      "cases_failed": len(failed)}))
    return 0 if ok else 1


sys.exit(main())
