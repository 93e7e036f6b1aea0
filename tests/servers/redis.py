#!/usr/bin/python3
"""Redis servers for tests: Debian's redis-server on free loopback ports, with data in a folder that goes away with them.

    with Standalone(password="secret", users={"app": "on >pw ~* +@all"}, tls=True, append_only=True) as server: …
    with Cluster() as cluster: …      three masters, all 16,384 slots assigned, cluster_state:ok on each
    with Sentinel() as sentinel: …    a master, a replica and a sentinel that knows both

A server has address ("127.0.0.1:40001"), client() for a connection of the test's own, and kill(), pause(), resume(), stop(), start(). A
server that is started again has its port, and with append_only its data. Everything is ended by its process id.

From a shell: `tests/servers/redis.py standalone|cluster|sentinel [--password TEXT] [--tls] [--append-only]` prints one line of JSON
with the addresses once it serves, and ends it all when its standard input ends."""
import argparse
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

START_S = 30
SLOTS = 16384


def free_ports(count):
    """Ports that nobody listens on now; for a cluster their bus ports (10,000 above) too."""
    held, ports = [], []
    while len(ports) < count:
        with socket.socket() as bus:
            s = socket.socket()
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
            try:
                if port + 10000 > 65535:
                    raise OSError
                bus.bind(("127.0.0.1", port + 10000))
            except OSError:
                s.close()
                continue
            held.append(s)
            ports.append(port)
    for s in held:
        s.close()
    return ports


def await_that(what, probe):
    """Asks until the probe answers something true, and answers that."""
    until = time.monotonic() + START_S
    while True:
        try:
            value = probe()
        except (OSError, RedisError):
            value = None
        if value:
            return value
        if time.monotonic() > until:
            raise RuntimeError("not within %d s: %s" % (START_S, what))
        time.sleep(0.02)


class RedisError(Exception):
    """What a server answered with a minus sign."""


class Client:
    """A connection that speaks RESP2: client.call("SET", "a", "1")."""

    def __init__(self, port, context=None, password=None, user=None, timeout=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.file = self.socket.makefile("rb")
        if password:
            self.call(*(["AUTH"] + ([user] if user else []) + [password]))

    def call(self, *words):
        parts = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise OSError("the connection ended")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest.decode()
        if rest == b"-1":
            return None
        if kind == b"$":
            return self.file.read(int(rest) + 2)[:-2]
        return [self.reply() for _ in range(int(rest))]

    def info(self, section):
        text = self.call("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def make_certificates(folder):
    """ca.pem, and server.pem, client.pem with their keys, signed by it."""
    def openssl(*arguments):
        subprocess.run(["openssl"] + list(arguments), cwd=folder, check=True, capture_output=True)
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test ca")
    with open(os.path.join(folder, "names"), "w", encoding="ascii") as out:
        out.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl("req", *curve, "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + name)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "names", "-out", name + ".pem")


class Server:
    """One process. options: lines of redis.conf as a dictionary."""

    def __init__(self, folder, port, options, context=None, password=None, sentinel=False):
        self.folder, self.port, self.context, self.password = folder, port, context, password
        self.address = "127.0.0.1:%d" % port
        self.command, self.process = ["redis-server"], None
        os.makedirs(folder, exist_ok=True)
        self.config = os.path.join(folder, "redis.conf")
        self.command.append(self.config)
        lines = {"port": 0 if context else port, "bind": "127.0.0.1", "dir": folder, "save": '""', "daemonize": "no",
                 "logfile": os.path.join(folder, "log"), "enable-debug-command": "local"}
        if sentinel:
            self.command.append("--sentinel")
            lines = {k: v for k, v in lines.items() if k not in ("save", "enable-debug-command")}
        with open(self.config, "w", encoding="utf-8") as out:
            for name, value in {**lines, **options}.items():
                for one in value if isinstance(value, list) else [value]:
                    out.write("%s %s\n" % (name, one))

    def start(self):
        with open(os.path.join(self.folder, "output"), "ab") as output:
            self.process = subprocess.Popen(self.command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        await_that("%s answers" % self.address, self._answers)
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError("%s ended with %s: %s" % (" ".join(self.command), self.process.poll(), self.log_text()))
        with self.client() as client:
            return client.call("PING") == "PONG"

    def client(self, timeout=10):
        return Client(self.port, self.context, self.password, timeout=timeout)

    def log_text(self):
        text = ""
        for name in ("log", "output"):
            path = os.path.join(self.folder, name)
            if os.path.exists(path):
                with open(path, errors="replace", encoding="utf-8") as log:
                    text += log.read()[-3000:]
        return text

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        self.stop(signal.SIGKILL)

    def stop(self, with_signal=signal.SIGTERM):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
            self.process.send_signal(signal.SIGCONT)
        self.process.wait(timeout=60)
        self.process = None


class Group:
    """Servers with a folder of their own; ends them in reverse order."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="prism-redis.")
        self.servers = []

    def add(self, name, port, options, **more):
        server = Server(os.path.join(self.folder, name), port, options, **more)
        self.servers.append(server)
        return server

    def stop(self):
        for server in reversed(self.servers):
            server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Standalone(Group):
    """One server. users: ACL rules by name ("app": "on >pw ~* +@all"). With tls the port speaks TLS alone; ca_file, cert_file and
    key_file name what a client needs."""

    def __init__(self, password=None, users=None, tls=False, append_only=False, options=None):
        super().__init__()
        port = free_ports(1)[0]
        lines, context = dict(options or {}), None
        if password:
            lines["requirepass"] = password
        if users:
            lines["user"] = ["%s %s" % pair for pair in users.items()]
        if append_only:
            lines.update({"appendonly": "yes", "appendfsync": "always"})
        if tls:
            make_certificates(self.folder)
            self.ca_file, self.cert_file, self.key_file = (os.path.join(self.folder, n) for n in
                                                           ("ca.pem", "client.pem", "client.key"))
            lines.update({"tls-port": port, "tls-cert-file": os.path.join(self.folder, "server.pem"),
                          "tls-key-file": os.path.join(self.folder, "server.key"), "tls-ca-cert-file": self.ca_file,
                          "tls-auth-clients": "optional"})
            context = ssl.create_default_context(cafile=self.ca_file)
        self.server = self.add("server", port, lines, context=context, password=password)
        try:
            self.server.start()
        except BaseException:
            self.stop()
            raise

    def __getattr__(self, name):
        return getattr(self.server, name)

    def addresses(self):
        return [self.server.address]


class Cluster(Group):
    """Masters that share the slots evenly, without replicas."""

    def __init__(self, masters=3, password=None, append_only=False):
        super().__init__()
        try:
            for i, port in enumerate(free_ports(masters)):
                lines = {"cluster-enabled": "yes", "cluster-config-file": "nodes.conf", "cluster-node-timeout": "2000"}
                if password:
                    lines["requirepass"] = password
                if append_only:
                    lines.update({"appendonly": "yes", "appendfsync": "always"})
                self.add("master%d" % i, port, lines, password=password).start()
            self._join()
        except BaseException:
            self.stop()
            raise

    def _join(self):
        count = len(self.servers)
        for i, server in enumerate(self.servers):
            with server.client() as client:
                client.call("CLUSTER", "ADDSLOTSRANGE", i * SLOTS // count, (i + 1) * SLOTS // count - 1)
                client.call("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
                for other in self.servers[:i]:
                    client.call("CLUSTER", "MEET", "127.0.0.1", other.port)
        await_that("the cluster is whole", lambda: all(self._sees_all(s) for s in self.servers))

    def _sees_all(self, server):
        with server.client() as client:
            text = client.call("CLUSTER", "INFO").decode()
            return "cluster_state:ok" in text and len(client.call("CLUSTER", "SLOTS")) == len(self.servers)

    def addresses(self):
        return [s.address for s in self.servers]

    def move_slot(self, slot, source, target):
        """Gives a slot with its keys to another master, as `redis-cli --cluster reshard` does: ASK while it lasts, MOVED after."""
        with source.client() as old, target.client() as new:
            old_id, new_id = old.call("CLUSTER", "MYID").decode(), new.call("CLUSTER", "MYID").decode()
            new.call("CLUSTER", "SETSLOT", slot, "IMPORTING", old_id)
            old.call("CLUSTER", "SETSLOT", slot, "MIGRATING", new_id)
            while True:
                keys = old.call("CLUSTER", "GETKEYSINSLOT", slot, 100)
                if not keys:
                    break
                old.call("MIGRATE", "127.0.0.1", target.port, "", 0, 10000, *(["AUTH", source.password] if source.password else []),
                         "KEYS", *keys)
            new.call("CLUSTER", "SETSLOT", slot, "NODE", new_id)
        for server in [source] + [s for s in self.servers if s not in (source, target)]:
            with server.client() as client:
                client.call("CLUSTER", "SETSLOT", slot, "NODE", new_id)
        # Two nodes that take a slot each before they have heard of each other take one epoch, and their claims collide.
        await_that("all know where slot %d is" % slot, lambda: all(self.owner(slot, s) is target for s in self.servers)
                   and len({self._epoch(s) for s in self.servers}) == 1)

    @staticmethod
    def _epoch(server):
        with server.client() as client:
            text = client.call("CLUSTER", "INFO").decode()
            return next(line for line in text.split("\r\n") if line.startswith("cluster_current_epoch:"))

    def owner(self, slot, asked=None):
        """The server that has a slot, as one of them sees it."""
        with (asked or self.servers[0]).client() as client:
            for row in client.call("CLUSTER", "SLOTS"):
                if row[0] <= slot <= row[1]:
                    return next(s for s in self.servers if s.port == row[2][1])
        return None


class Sentinel(Group):
    """Master, replica and one sentinel (quorum 1) that fails over within seconds. name: of the master, for clients."""

    name = "main"

    def __init__(self, password=None):
        super().__init__()
        master, replica, sentinel = free_ports(3)
        lines = {"requirepass": password, "masterauth": password} if password else {}
        lines["repl-diskless-sync-delay"] = "0"
        try:
            self.master = self.add("master", master, lines, password=password).start()
            self.replica = self.add("replica", replica, {**lines, "replicaof": "127.0.0.1 %d" % master}, password=password).start()
            watch = ["monitor main 127.0.0.1 %d 1" % master, "down-after-milliseconds main 500", "failover-timeout main 2000"]
            if password:
                watch.append("auth-pass main %s" % password)
            self.sentinel = self.add("sentinel", sentinel, {"sentinel": watch}, sentinel=True).start()
            await_that("the replica follows", lambda: self._info(self.replica).get("master_link_status") == "up")
            await_that("the sentinel knows the replica", self._knows_replica)
        except BaseException:
            self.stop()
            raise

    @staticmethod
    def _info(server):
        with server.client() as client:
            return client.info("replication")

    def _knows_replica(self):
        with self.sentinel.client() as client:
            found = client.call("SENTINEL", "REPLICAS", self.name)
            fields = [dict(zip(f[::2], f[1::2])) for f in found]
            return len(fields) == 1 and fields[0][b"flags"] == b"slave" and fields[0][b"master-link-status"] == b"ok"

    def fail_over(self):
        """Kills the master; answers once the replica has taken its place."""
        self.master.kill()
        await_that("the replica is the master", lambda: self._info(self.replica)["role"] == "master")
        await_that("the sentinel says so", self._points_to_replica)

    def _points_to_replica(self):
        with self.sentinel.client() as client:
            return int(client.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)[1]) == self.replica.port

    def addresses(self):
        return [self.sentinel.address]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["standalone", "cluster", "sentinel"])
    parser.add_argument("--password")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--append-only", action="store_true")
    options = parser.parse_args()
    if options.kind == "standalone":
        group = Standalone(options.password, tls=options.tls, append_only=options.append_only)
    elif options.kind == "cluster":
        group = Cluster(password=options.password, append_only=options.append_only)
    else:
        group = Sentinel(options.password)
    with group:
        print(json.dumps({"kind": options.kind, "addresses": group.addresses(), "folder": group.folder,
                          "pids": [s.process.pid for s in group.servers]}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
