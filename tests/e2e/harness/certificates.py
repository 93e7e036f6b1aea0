"""Certificates, made by openssl for a test."""
import os
import subprocess


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                     "/CN=" + name, "-keyout", self.path(name + ".key"), "-out", self.path(name + ".pem"))

    def path(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def openssl(*arguments):
        done = subprocess.run(["openssl"] + list(arguments), capture_output=True, check=False)
        if done.returncode:
            raise AssertionError("openssl %s: %s" % (arguments[0], done.stderr.decode()))

    def issue(self, name, san):
        with open(self.path(name + ".ext"), "w", encoding="ascii") as out:
            out.write("subjectAltName=" + san)
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-keyout",
                     self.path(name + ".key"), "-out", self.path(name + ".csr"))
        self.openssl("x509", "-req", "-in", self.path(name + ".csr"), "-CA", self.path(self.name + ".pem"), "-CAkey",
                     self.path(self.name + ".key"), "-CAcreateserial", "-days", "2", "-extfile", self.path(name + ".ext"), "-out",
                     self.path(name + ".pem"))

    def read(self, name):
        with open(self.path(name), "rb") as content:
            return content.read()
