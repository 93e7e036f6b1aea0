#!/usr/bin/python3
"""A memorystreamer of this build for tests and benchmarks, with data in a folder that is removed afterwards, on a free port of
127.0.0.1.

    with MemoryStreamer() as server:          started; stopped and removed at the end
        server.address                        "127.0.0.1:PORT"
        server.process.pid                    the broker; it has no children
        server.ready                          what its ready line said
        server.pause(), server.resume()       SIGSTOP, SIGCONT
        server.stop(signal.SIGKILL)           the data stays
        server.start()                        the same data, the same port
        server.started_s                      how long the last start took, from exec to the ready line

    MemoryStreamer(args=["--workers", "2"])   further arguments
    MemoryStreamer(config="…")                the text of memorystreamer.yaml
    MemoryStreamer(folder=PATH, keep=True)    data there, not removed
    MemoryStreamer(env={"PRISM_FAULTS": …})   added to the environment

MEMORYSTREAMER in the environment names another binary (build/asan/memorystreamer)."""
import atexit
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("MEMORYSTREAMER", os.path.join(ROOT, "build", "memorystreamer"))
READY_S, EXIT_S = 60, 60


class MemoryStreamer:
    def __init__(self, args=(), config=None, folder=None, keep=False, env=None):
        self.folder = folder or tempfile.mkdtemp(prefix="prism-memorystreamer.")
        os.makedirs(self.folder, exist_ok=True)
        self.args, self.keep, self.env = list(args), keep, dict(os.environ, **(env or {}))
        self.address, self.process, self.ready, self.started_s = None, None, None, None
        if config is not None:
            self.write_config(config)
        atexit.register(self.remove)

    def write_config(self, text):
        """Replaced in one step, as an editor or a deployment does it."""
        path = os.path.join(self.folder, "memorystreamer.yaml")
        with open(path + ".new", "w", encoding="utf-8") as out:
            out.write(text)
        os.replace(path + ".new", path)

    def command(self):
        config = os.path.join(self.folder, "memorystreamer.yaml")
        return ([BINARY, "--data-dir", os.path.join(self.folder, "data"), "--listen", self.address or "127.0.0.1:0"] +
                (["--config", config] if os.path.exists(config) else []) + self.args)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        code = self.stop() if kind is None else None
        self.remove()
        if code:
            raise AssertionError("memorystreamer: exit code %s" % code)

    def start(self):
        assert self.process is None, "it runs already"
        begun = time.monotonic()
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=self.env)
        readable, _, _ = select.select([self.process.stdout], [], [], READY_S)
        line = self.process.stdout.readline() if readable else b""
        if not line:
            raise AssertionError("no ready line; exit code %s: %s" % (self.process.poll(), self.log_text()))
        self.started_s = time.monotonic() - begun
        self.ready = json.loads(line)
        self.address = self.ready["listen"]
        return self

    def stop(self, with_signal=signal.SIGTERM):
        """Ends it; answers the exit code. The data stays."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
            self.process.send_signal(signal.SIGCONT)
        code = self.process.wait(timeout=EXIT_S)
        self.process.stdout.close()
        self.process = None
        return code

    def remove(self):
        if self.process is not None:
            self.stop(signal.SIGKILL)
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def log_text(self):
        with open(os.path.join(self.folder, "log"), errors="replace", encoding="utf-8") as log:
            return log.read()[-4000:]
