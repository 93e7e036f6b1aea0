"""Client 2: HTTP/JSON by curl, one process a call. Server streams are read as NDJSON or as Server-Sent Events in turn."""
import itertools
import json
import subprocess

from google.protobuf import json_format

from . import failure
from .stubs import interface_id, message_class


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def curl(url, data=None, headers=(), method=None, options=()):
    """One request. data: bytes of the body, None for none. Answers status, headers (lower case, last wins) and body."""
    command = ["curl", "-sS", "-i", "--max-time", "60", "-H", "Expect:"] + list(options)
    for header in headers:
        command += ["-H", header]
    if data is not None:
        command += ["--data-binary", "@-"]
    if method:
        command += ["-X", method]
    done = subprocess.run(command + [url], input=data, capture_output=True, check=False)
    if done.returncode:
        raise AssertionError("curl %s: exit %d: %s" % (url, done.returncode, done.stderr.decode()))
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:])
    return Answer(int(lines[0].split()[1]), {k.strip().lower(): v.strip() for k, _, v in pairs}, body)


class HttpClient:
    name = "curl"

    def __init__(self, address):
        self.base = "http://" + address
        self.streams = itertools.count()

    def close(self):
        pass

    def call(self, method, request, metadata, timeout):
        headers = ["content-type: application/json"]
        namespace = "-"
        for name, value in metadata:
            if name == "prism-namespace":
                namespace = value
            else:
                headers.append("%s: %s" % (name, value))
        headers.append("grpc-timeout: %dm" % max(1, int(timeout * 1000)))
        sse = method.server_streaming and next(self.streams) % 2 == 1
        if method.server_streaming:
            headers.append("accept: " + ("text/event-stream" if sse else "application/x-ndjson"))
        url = "%s/v1/namespaces/%s/%s/%s" % (self.base, namespace, interface_id(method), method.name)
        answer = curl(url, json_format.MessageToJson(request).encode(), headers)
        if answer.status != 200:
            raise failure.from_json(answer.body, answer.headers, answer.status)
        texts = self.messages(method, answer, sse)
        response = message_class(method.output_type)
        return [json_format.Parse(text, response()) for text in texts], answer.headers

    @staticmethod
    def messages(method, answer, sse):
        """JSON texts of an answer. A stream that failed half-way raises."""
        if not method.server_streaming:
            return [answer.body]
        return list(events(answer) if sse else lines(answer))


def events(answer):
    """Messages of Server-Sent Events; the last event is "end", or "error"."""
    name = None
    for event in answer.body.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in event.splitlines() if line and not line.startswith(":"))
        if not fields:
            continue
        name = fields.get("event", "message")
        if name == "error":
            raise failure.from_json(fields["data"], answer.headers, answer.status)
        if name == "message":
            yield fields["data"]
    if name != "end":
        raise AssertionError("the events end with %r, not with end" % name)


def lines(answer):
    """Messages of NDJSON; an error is the last line."""
    for line in answer.body.decode().splitlines():
        if "error" in json.loads(line):
            raise failure.from_json(line, answer.headers, answer.status)
        yield line
