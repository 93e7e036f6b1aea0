"""What the cases stand on: a proxy, and commands run against it."""
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "acceptance"))
PRISMCTL = os.environ.get("PRISMCTL", os.path.join(ROOT, "build", "prismctl"))


class Done:
    """A command that has ended."""

    def __init__(self, command, done):
        self.command, self.code = command, done.returncode
        self.raw, self.out, self.err = done.stdout, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    def __repr__(self):
        return "%s → exit %d\n  stdout: %r\n  stderr: %r" % (" ".join(self.command), self.code, self.out[:800], self.err[:800])

    def ok(self):
        assert self.code == 0, self
        return self

    def fails(self, code, *texts):
        """Ended with this code; each text stands on standard error."""
        assert self.code == code, "exit code %d wanted: %r" % (code, self)
        for text in texts:
            assert text in self.err, "%r should be in the error: %r" % (text, self)
        return self

    def json(self):
        return json.loads(self.ok().out)

    def lines(self):
        return [json.loads(line) for line in self.ok().out.splitlines()]


class World:
    def __init__(self, proxy, folder):
        self.proxy, self.folder = proxy, folder

    def environment(self, **more):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PRISM_")}
        env.update(PRISM_ADDRESS=self.proxy.listen, PRISM_ADMIN_ADDRESS=self.proxy.metrics, PRISM_NAMESPACE="sqlite")
        env.update(more)
        return env

    def run(self, *command, stdin=b"", env=None, timeout=120, cwd=ROOT):
        done = subprocess.run(command, input=stdin, capture_output=True, env=self.environment(**(env or {})),
                              timeout=timeout, cwd=cwd, check=False)
        return Done(command, done)

    def ctl(self, *arguments, **options):
        return self.run(PRISMCTL, *arguments, **options)

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as out:
            out.write(content if isinstance(content, bytes) else content.encode())
        return path
