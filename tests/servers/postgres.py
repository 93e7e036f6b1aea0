#!/usr/bin/python3
"""A real PostgreSQL for tests and benchmarks: Debian's own programs, data in a folder that is removed afterwards, a free port of
127.0.0.1, fsync on.

    with Postgres() as server:               started; stopped and removed at the end
        server.url()                         "postgresql://prism:…@127.0.0.1:PORT/prism"
        server.psql("SELECT 1")              rows as text, by the superuser
        server.stop("immediate")             as after a crash; "fast" and "smart" as pg_ctl knows them; "kill": SIGKILL
        server.start()                       the same data, the same port
        server.pause(), server.resume()      every process of it is stopped (SIGSTOP), and goes on: a server that hangs
        with server.standby() as second: …   a streaming replica that answers reads

    Postgres(tls=True)                       takes encrypted connections alone; server.ca_file verifies them
    Postgres(settings={"max_connections": 20})

PostgreSQL refuses to run as root: then its programs run as the user that its package has made (postgres). initdb runs once; its
result is kept in build/servers and copied. The role prism owns the database prism and may do no more.

On the command line, until SIGTERM, SIGINT or the end of standard input:

    cd tests && python3 -m servers.postgres [--tls] [--port N] [--set NAME=VALUE]…
    {"event": "ready", "url": "postgresql://…", "admin_url": "…", "pid": 4711, "folder": "/tmp/…"}
"""
import argparse
import atexit
import fcntl
import glob
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(ROOT, "build", "servers")
SYSTEM_USER = "postgres"
START_S = 60
STOP_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
# Small, and durable as out of the box: what a test proves about acknowledged writes needs fsync.
SETTINGS = {"fsync": "on", "synchronous_commit": "on", "shared_buffers": "64MB", "max_connections": 200,
            "listen_addresses": "127.0.0.1", "autovacuum_naptime": "10s", "log_min_messages": "warning",
            "log_line_prefix": "%m [%p] ", "max_wal_senders": 4, "wal_level": "replica", "hot_standby": "on",
            "lc_messages": "C", "timezone": "UTC", "log_timezone": "UTC"}


def programs():
    """The folder of initdb, postgres and psql: the newest version that is installed."""
    found = glob.glob("/usr/lib/postgresql/*/bin/postgres")
    if not found:
        raise RuntimeError("PostgreSQL is not installed: run tooling/setup")
    return os.path.dirname(max(found, key=lambda path: float(path.split("/")[4])))


def as_server_user(command):
    """The command as the user that PostgreSQL accepts; setpriv keeps the process id."""
    if os.geteuid() != 0:
        return command
    user = pwd.getpwnam(SYSTEM_USER)
    return ["setpriv", "--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"] + command


def give_to_server_user(folder):
    if os.geteuid() == 0:
        user = pwd.getpwnam(SYSTEM_USER)
        for path, _, files in os.walk(folder):
            for name in [path] + [os.path.join(path, f) for f in files]:
                os.lchown(name, user.pw_uid, user.pw_gid)


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", **options)
    if done.returncode != 0:
        raise RuntimeError("%s failed: %s%s" % (" ".join(command), done.stdout, done.stderr))
    return done.stdout


def template():
    """The result of initdb, made when it is first asked for."""
    os.makedirs(CACHE, exist_ok=True)
    kept = os.path.join(CACHE, "postgres-" + programs().split("/")[4])
    with open(kept + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(kept):
            made = tempfile.mkdtemp(prefix="prism-initdb.")
            try:
                give_to_server_user(made)
                run(as_server_user([os.path.join(programs(), "initdb"), "-D", os.path.join(made, "data"), "-U", "postgres",
                                    "-E", "UTF8", "--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256",
                                    "--no-sync"]))
                shutil.copytree(os.path.join(made, "data"), kept + ".new", symlinks=True)
                os.rename(kept + ".new", kept)
            finally:
                shutil.rmtree(made, ignore_errors=True)
    return kept


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def _await_end(pids):
    """Until they are gone: a server does not start while a child of the one before has its memory."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and any(_runs(pid) for pid in pids):
        time.sleep(0.005)


def _runs(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Postgres:
    def __init__(self, tls=False, settings=None, port=None):
        self.tls, self.port = tls, port or free_port()
        self.settings = dict(SETTINGS, **(settings or {}))
        self.password = secrets.token_hex(12)
        self.folder = tempfile.mkdtemp(prefix="prism-postgres.")
        os.chmod(self.folder, 0o755)
        self.data = os.path.join(self.folder, "data")
        self.ca_file = os.path.join(self.folder, "ca.pem")
        self.process = None
        atexit.register(self.remove)
        self._make_data()

    # --- data ---

    def _make_data(self):
        shutil.copytree(template(), self.data, symlinks=True)
        self._finish_data()

    def _finish_data(self):
        os.chmod(self.data, 0o700)
        if self.tls:
            self._make_certificate()
        self._write_settings()
        give_to_server_user(self.folder)

    def _write_settings(self):
        settings = dict(self.settings, port=self.port, unix_socket_directories=self.folder)
        if self.tls:
            settings.update(ssl="on", ssl_cert_file="server.crt", ssl_key_file="server.key")
        with open(os.path.join(self.data, "postgresql.auto.conf"), "a") as out:
            out.writelines("%s = '%s'\n" % (k, str(v).replace("'", "''")) for k, v in settings.items())
        host = "hostssl" if self.tls else "host"
        with open(os.path.join(self.data, "pg_hba.conf"), "w") as out:
            out.write("local all postgres trust\nlocal replication postgres trust\n"
                      "%s all prism 127.0.0.1/32 scram-sha-256\n" % host)

    def _make_certificate(self):
        """An authority of its own and a certificate for 127.0.0.1 and localhost."""
        def path(name):
            return os.path.join(self.data, name)
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
             "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", path("server.key"),
             "-out", path("server.crt")])
        os.chmod(path("server.key"), 0o600)
        shutil.copy(path("server.crt"), self.ca_file)
        os.chmod(self.ca_file, 0o644)

    # --- life ---

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.remove()

    def start(self):
        assert self.process is None, "it runs already"
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(as_server_user([os.path.join(programs(), "postgres"), "-D", self.data]), cwd="/",
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self._await_ready()
        self._make_role()
        return self

    def _await_ready(self):
        """Asks until it answers: a server that recovers takes its time."""
        until = time.monotonic() + START_S
        while self.psql("SELECT 1", "postgres", check=False).strip() != "1":
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("PostgreSQL did not start (exit %s): %s" % (self.process.poll(), self.log_text()))
            time.sleep(0.02)

    def _make_role(self):
        if self.psql("SELECT 1 FROM pg_roles WHERE rolname = 'prism'", "postgres").strip() != "1":
            self.psql("CREATE ROLE prism LOGIN PASSWORD '%s'" % self.password, "postgres")
            self.psql("CREATE DATABASE prism OWNER prism", "postgres")

    def stop(self, how="fast"):
        """Ends it; answers the exit code. The data stays."""
        if self.process is None:
            return None
        self.resume()
        children = self._processes()[1:]
        if how == "kill":
            self._signal_all(signal.SIGKILL)
        elif self.process.poll() is None:
            self.process.send_signal(STOP_SIGNALS[how])
        code = self.process.wait(timeout=60)
        self.process = None
        _await_end(children)
        return code

    def restart(self, how="fast"):
        self.stop(how)
        return self.start()

    def remove(self):
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- a server that hangs ---

    def _processes(self):
        """The server and its children, each of which leads a process group of its own."""
        pid = self.process.pid
        out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
        return [pid] + [int(child) for child in out.split()]

    def _signal_all(self, number):
        for pid in self._processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def pause(self):
        self._signal_all(signal.SIGSTOP)

    def resume(self):
        if self.process is not None and self.process.poll() is None:
            self._signal_all(signal.SIGCONT)

    # --- talking to it ---

    def url(self, **parameters):
        text = "postgresql://prism:%s@127.0.0.1:%d/prism" % (self.password, self.port)
        if self.tls:
            parameters = dict(sslmode="verify-full", sslrootcert=self.ca_file, **parameters)
        return text + ("?" + "&".join("%s=%s" % p for p in parameters.items()) if parameters else "")

    def admin_url(self, database="prism"):
        return "postgresql://postgres@/%s?host=%s&port=%d" % (database, self.folder, self.port)

    def psql(self, sql, database="prism", check=True, timeout=60):
        """What the superuser gets: rows as lines, columns joined by |."""
        done = subprocess.run([os.path.join(programs(), "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d",
                               self.admin_url(database), "-c", sql], capture_output=True, text=True, cwd="/", timeout=timeout)
        if check and done.returncode != 0:
            raise RuntimeError("psql: %s" % done.stderr.strip())
        return done.stdout

    def log_text(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as log:
            return log.read()[-4000:]

    def standby(self):
        """A streaming replica of it, not started yet: use it as a context."""
        return Standby(self)


class Standby(Postgres):
    """Reads answer, writes are refused; follows its primary over the unix socket."""

    def __init__(self, primary):
        self.primary = primary
        super().__init__(tls=primary.tls, settings=primary.settings)
        self.password = primary.password

    def _make_data(self):
        source = "host=%s port=%d user=postgres" % (self.primary.folder, self.primary.port)
        give_to_server_user(self.folder)
        run(as_server_user([os.path.join(programs(), "pg_basebackup"), "-D", self.data, "-R", "-X", "stream", "-c", "fast",
                            "--no-sync", "-d", source]))
        if self.tls:
            self.ca_file = self.primary.ca_file
            self.tls = False  # the certificate came with the backup, and so did the settings
        self._finish_data()

    def _make_role(self):
        """It has the primary's."""

    def await_caught_up(self):
        """Until it has replayed what the primary has written by now."""
        goal = self.primary.psql("SELECT pg_current_wal_lsn()").strip()
        until = time.monotonic() + START_S
        while self.psql("SELECT pg_last_wal_replay_lsn() >= '%s'" % goal).strip() != "t":
            if time.monotonic() > until:
                raise RuntimeError("the standby does not follow: " + self.log_text())
            time.sleep(0.01)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tls", action="store_true", help="encrypted connections alone")
    parser.add_argument("--port", type=int, help="default: a free one")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of postgresql.conf")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with Postgres(tls=options.tls, port=options.port, settings=dict(s.split("=", 1) for s in options.set)) as server:
        print(json.dumps({"event": "ready", "url": server.url(), "admin_url": server.admin_url(), "pid": server.process.pid,
                          "folder": server.folder}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
