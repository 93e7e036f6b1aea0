"""A client program as a process: a line of JSON in, a line out. clients/ has the programs."""
import json
import os
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import install  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ANSWER_S = 90


class Unsupported(Exception):
    """The client's interface has no such thing."""


class Refused(Exception):
    """The client answered with an error; its text."""


def python(name):
    return lambda: ["/usr/bin/python3", "-B", os.path.join(HERE, "clients", name)]


def node(name):
    return lambda: [install.node(), os.path.join(install.scripts(), name)]


def java(name):
    return lambda: [install.java(), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", install.java_client(name), "Client"]


# name in tables: (what starts it, what it is)
CLIENTS = {
    "kcat": (python("kcat.py"), "kcat of Debian (librdkafka 2.0)"),
    "librdkafka 2.0": (python("librdkafka.py"), "librdkafka of Debian, through python3-confluent-kafka"),
    "kafka-python": (python("kafka_python.py"), "python3-kafka of Debian"),
    "kafkajs": (node("kafkajs.js"), "npm kafkajs"),
    "librdkafka 2.15": (node("confluent.js"), "npm @confluentinc/kafka-javascript, which brings librdkafka"),
    "platformatic": (node("platformatic.mjs"), "npm @platformatic/kafka"),
    "Java 3.9": (java("kafka-clients-3"), "org.apache.kafka:kafka-clients"),
    "Java 4": (java("kafka-clients-4"), "org.apache.kafka:kafka-clients"),
}


class Client:
    """Calls are made by one thread at a time."""

    def __init__(self, name, address, log=None):
        self.name, self.lock = name, threading.Lock()
        self.log = open(log, "ab") if log else subprocess.DEVNULL
        self.process = subprocess.Popen([*CLIENTS[name][0](), address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        self.version = self._answer("start").get("version", "?")

    def _answer(self, what):
        timer = threading.Timer(ANSWER_S, self.process.kill)
        timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            raise RuntimeError("%s ended, or did not answer within %d s: %s" % (self.name, ANSWER_S, what))
        return json.loads(line)

    def send(self, name, **arguments):
        self.process.stdin.write(json.dumps(dict(arguments, op=name)).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self, name):
        answer = self._answer(name)
        if answer.get("unsupported"):
            raise Unsupported(name)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer

    def call(self, name, **arguments):
        self.send(name, **arguments)
        return self.receive(name)

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:  # it has ended by itself, which its case has told
            pass
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        if self.log is not subprocess.DEVNULL:
            self.log.close()
