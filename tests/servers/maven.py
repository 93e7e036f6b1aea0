"""Jars that a pom.xml names, with all that they need, by Maven, once, into build/maven: pinned by the checksums beside it.

    jars("tests/servers/kafka-server.pom.xml")     the folder that has them; its classpath is FOLDER/*

kafka-server.sha256 lists each jar as sha256sum does. A jar that is missing there, is not what it says, or stands there and is not
fetched, is an error. After a change of the pom: `python3 tests/servers/maven.py tests/servers/kafka-server.pom.xml` writes the list
anew; look at what it changes."""
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(ROOT, "build", "maven")
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
FETCH_S = 300


def jars(pom):
    """The folder with the jars of this pom (a path from the root of the project), fetched where they are not there yet."""
    name = os.path.basename(pom).removesuffix(".pom.xml")
    wanted = checksums_path(pom)
    folder = os.path.join(CACHE, "%s-%s" % (name, _digest_of_files(os.path.join(ROOT, pom), wanted)[:16]))
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, name + ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(folder):
            _fetch_into(pom, folder + ".new")
            _verify(folder + ".new", wanted)
            os.rename(folder + ".new", folder)
    return folder


def checksums_path(pom):
    return os.path.join(ROOT, pom.removesuffix(".pom.xml") + ".sha256")


def _digest_of_files(*paths):
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def _fetch_into(pom, folder):
    if not shutil.which("mvn"):
        raise RuntimeError("Maven is not installed: run tooling/setup")
    shutil.rmtree(folder, ignore_errors=True)
    command = ["mvn", "-q", "-B", "-f", os.path.join(ROOT, pom), COPY, "-DincludeScope=runtime", "-DoutputDirectory=" + folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_S, check=False)
    if done.returncode != 0:
        errors = [line for line in done.stdout.splitlines() if "ERROR" in line]
        raise RuntimeError("Maven could not fetch the jars of %s (is there a network?): %s" % (pom, "\n".join(errors[:1] or [done.stderr])))


def _listed(folder):
    """Lines as sha256sum writes them."""
    return ["%s  %s" % (_digest_of_files(os.path.join(folder, name)), name) for name in sorted(os.listdir(folder))]


def _verify(folder, checksums):
    with open(checksums, encoding="ascii") as file:
        wanted = set(file.read().splitlines())
    wrong = wanted.symmetric_difference(_listed(folder))
    if wrong:
        raise RuntimeError("jars are not those of %s:\n%s" % (checksums, "\n".join(sorted(wrong))))


def main():
    for pom in sys.argv[1:]:
        folder = os.path.join(CACHE, "listing")
        _fetch_into(pom, folder)
        with open(checksums_path(pom), "w", encoding="ascii") as out:
            out.writelines(line + "\n" for line in _listed(folder))
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
