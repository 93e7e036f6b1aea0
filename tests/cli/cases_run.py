"""make run: start, the three commands as printed, SIGTERM, start again."""
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time

from world import ROOT


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class MakeRun:
    """make run in the background, its output as it comes."""

    def __init__(self, w, data_dir, listen, metrics):
        self.process = subprocess.Popen(["make", "-s", "run", "DATA_DIR=" + data_dir], cwd=ROOT, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                                        env=w.environment(PRISM_LISTEN=listen, PRISM_METRICS_LISTEN=metrics))
        self.out = ""

    def until(self, text, seconds=300):
        end = time.monotonic() + seconds
        while text not in self.out:
            assert time.monotonic() < end, "not within %d s: %r\n%s" % (seconds, text, self.out)
            if select.select([self.process.stdout], [], [], 0.5)[0]:
                data = os.read(self.process.stdout.fileno(), 65536)
                assert data, "ended before %r: %s" % (text, self.out)
                self.out += data.decode()
        return self.out

    def stop(self, with_signal):
        """The signal goes to the script, as a terminal's or a service manager's would reach the group."""
        os.killpg(self.process.pid, with_signal)
        rest = self.process.communicate(timeout=60)[0].decode()
        self.out += rest
        return self.process.returncode


def test_make_run(w):
    data_dir = os.path.join(w.folder, "run-data")
    listen, metrics = ("127.0.0.1:%d" % free_port() for _ in range(2))
    run = MakeRun(w, data_dir, listen, metrics)
    try:
        out = run.until("Ctrl-C stops it")
        count = int(re.search(r"imported (\d+) records into demo", out).group(1))
        assert 10000 < count < 20000, out
        commands = re.findall(r"^  ((?:build/prismctl|curl) .*)$", out, re.M)
        assert len(commands) == 3, out
        got, scan, curl = (w.run("bash", "-c", c, env={"PRISM_NAMESPACE": "none", "PRISM_ADDRESS": ""}).ok().out for c in commands)
        assert '"name":"German"' in got, got
        assert len(scan.splitlines()) == 6 and "subdivision/DE-BB" in scan, scan
        assert '"found":true' in curl.replace(" ", ""), curl
        again = w.run("make", "-s", "run", env={"PRISM_LISTEN": listen, "PRISM_METRICS_LISTEN": metrics})
        assert again.code != 0 and listen + " is taken" in again.err, again
    finally:
        code = run.stop(signal.SIGTERM)
    assert "stopping" in run.out, run.out
    assert code in (0, -signal.SIGTERM), (code, run.out)
    run = MakeRun(w, data_dir, listen, metrics)
    try:
        out = run.until("Ctrl-C stops it")
        assert "imported" not in out, "a second start loads nothing: " + out
        assert w.ctl("kv", "count", "--address", listen, "-n", "demo").ok().out == "%d\n" % count
    finally:
        run.stop(signal.SIGINT)
        shutil.rmtree(data_dir, ignore_errors=True)


def test_run_script_exits_with_0_after_a_drain(w):
    for with_signal in (signal.SIGTERM, signal.SIGINT):
        data_dir = os.path.join(w.folder, "drain-data")
        os.makedirs(data_dir, exist_ok=True)
        with open(os.path.join(data_dir, "demo.loaded"), "w"):
            pass
        run = MakeRun.__new__(MakeRun)
        run.out = ""
        run.process = subprocess.Popen(["tooling/run", data_dir], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, start_new_session=True,
                                       env=w.environment(PRISM_LISTEN="127.0.0.1:0", PRISM_METRICS_LISTEN="127.0.0.1:0"))
        run.until("Ctrl-C stops it")
        assert run.stop(with_signal) == 0, run.out
        shutil.rmtree(data_dir, ignore_errors=True)
