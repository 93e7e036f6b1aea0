"""build/memorystreamer as a process, on a free port, with data in a folder that is removed."""
import json
import os
import shutil
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("MEMORYSTREAMER", os.path.join(ROOT, "build", "memorystreamer"))


class Broker:
    def __init__(self):
        self.folder, self.process, self.address = tempfile.mkdtemp(prefix="prism-streamer."), None, None

    def __enter__(self):
        command = [PROGRAM, "--data-dir", os.path.join(self.folder, "data"), "--listen", "127.0.0.1:0"]
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("%s did not start: %s" % (PROGRAM, self.log_text()))
        self.address = json.loads(line)["listen"]
        return self

    def __exit__(self, *_):
        """It must end by itself, without an error."""
        self.process.terminate()
        try:
            code = self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if code != 0:
            print("memorystreamer ended with %d: %s" % (code, self.log_text()))
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_text(self):
        with open(os.path.join(self.folder, "log"), errors="replace", encoding="utf-8") as log:
            return log.read()[-4000:]
