"""A prism-proxy process with a data folder of its own."""
import json
import os
import select
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from .api import ROOT, Client

BINARY = os.environ.get("PRISM_PROXY", os.path.join(ROOT, "build", "prism-proxy"))
READY_S = 30
EXIT_S = 45


class Proxy:
    """with Proxy(config="…") as p: p.listen, p.metrics, p.client(), p.admin(). folder: data and configuration of an earlier one."""

    def __init__(self, config=None, args=(), folder=None, env=None):
        self.temporary = None if folder else tempfile.TemporaryDirectory(prefix="prism-e2e-")
        self.folder = folder or self.temporary.name
        self.config_file = os.path.join(self.folder, "prism.yaml") if config is not None else None
        if config is not None:
            self.write_config(config)
        self.log_file = tempfile.NamedTemporaryFile(prefix="prism-e2e-log-")
        self.log = open(self.log_file.name, "ab")  # pylint: disable=consider-using-with
        self.args, self.env = list(args), env
        self.process = None

    def write_config(self, text):
        """Replaced in one step, as an editor or a deployment does it."""
        with open(self.config_file + ".new", "w", encoding="utf-8") as out:
            out.write(text)
        os.replace(self.config_file + ".new", self.config_file)

    def command(self):
        command = [BINARY, "--data-dir", os.path.join(self.folder, "data")]
        if "--listen" not in self.args:
            command += ["--listen", "127.0.0.1:0"]
        if "--metrics-listen" not in self.args:
            command += ["--metrics-listen", "127.0.0.1:0"]
        return command + (["--config", self.config_file] if self.config_file else []) + self.args

    def start(self):
        self.process = subprocess.Popen(self.command(), stdout=subprocess.PIPE, stderr=self.log, env=self.env)
        ready, _, _ = select.select([self.process.stdout], [], [], READY_S)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            raise AssertionError("no ready line; exit code %s: %s" % (self.process.poll(), self.log_text()))
        self.ready = json.loads(line)
        self.listen, self.metrics = self.ready["listen"], self.ready["metrics"]
        return self

    def run_to_end(self):
        """For starts that fail: (exit code, stdout, log)."""
        done = subprocess.run(self.command(), stdout=subprocess.PIPE, stderr=self.log, env=self.env, timeout=READY_S, check=False)
        return done.returncode, done.stdout.decode(), self.log_text()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if self.process and self.process.poll() is None:
            code = self.stop() if kind is None else self.kill()
            if kind is None and code != 0:
                raise AssertionError("exit code %s: %s" % (code, self.log_text()))
        if self.temporary:
            self.temporary.cleanup()

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(timeout=EXIT_S)

    def stop(self):
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        self.process.kill()
        return self.wait()

    def client(self, **options):
        return Client(self.listen, **options)

    def admin(self):
        return Client(self.metrics)

    def log_text(self):
        with open(self.log_file.name, "rb") as log:
            return log.read().decode()

    def log_lines(self):
        return [json.loads(line) for line in self.log_text().splitlines(keepends=True) if line.endswith("\n")]

    def await_log(self, message, count=1):
        """The lines with this message, once there are so many."""
        until = time.monotonic() + READY_S
        while True:
            found = [line for line in self.log_lines() if line["message"] == message]
            if len(found) >= count:
                return found
            if time.monotonic() > until:
                raise AssertionError("no log line %r: %s" % (message, self.log_text()))
            time.sleep(0.005)

    def page(self, path):
        """(status, body) of a page of the metrics port."""
        try:
            with urllib.request.urlopen("http://%s%s" % (self.metrics, path), timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
