"""Client 3: gRPC by npm's @grpc/grpc-js and @grpc/proto-loader. A node process (js/bridge.js) makes the calls; requests go
to it as one JSON line each, in proto-loader's own object form (bytes as base64), answers come back the same way."""
import base64
import json
import math
import os
import subprocess
import threading

from . import failure
from .stubs import ROOT, message_class, proto_files

FOLDER = os.path.join(ROOT, "tests", "acceptance", "js")


def install():
    """Fetches what package-lock.json pins into build/acceptance/js, once."""
    target = os.path.join(ROOT, "build", "acceptance", "js")
    os.makedirs(target, exist_ok=True)
    wanted = [open(os.path.join(FOLDER, f)).read() for f in ("package.json", "package-lock.json")]
    stamp = os.path.join(target, ".installed")
    if not os.path.exists(stamp) or open(stamp).read() != "".join(wanted):
        for name, text in zip(("package.json", "package-lock.json"), wanted):
            with open(os.path.join(target, name), "w") as out:
                out.write(text)
        subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=target, check=True,
                       timeout=300)
        with open(stamp, "w") as out:
            out.write("".join(wanted))
    return target


class JsClient:
    name = "grpc-js"

    def __init__(self, address):
        target = install()
        self.process = subprocess.Popen(
            ["node", os.path.join(FOLDER, "bridge.js"), address, os.path.join(ROOT, "proto")] + proto_files(),
            env=dict(os.environ, NODE_PATH=os.path.join(target, "node_modules")),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lock = threading.Lock()
        self.waiting = {}
        self.next_id = 0
        threading.Thread(target=self._read, daemon=True).start()

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)

    def _read(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            with self.lock:
                slot = self.waiting.pop(answer["id"])
            slot["answer"] = answer
            slot["event"].set()

    def call(self, method, request, metadata, timeout):
        slot = {"event": threading.Event()}
        with self.lock:
            self.next_id += 1
            self.waiting[self.next_id] = slot
            self.process.stdin.write(json.dumps({
                "id": self.next_id, "service": method.containing_service.full_name, "method": method.name,
                "request": to_object(request), "metadata": [list(pair) for pair in metadata],
                "timeout_ms": int(timeout * 1000)}).encode() + b"\n")
            self.process.stdin.flush()
        if not slot["event"].wait(timeout + 30):
            raise AssertionError("grpc-js gave no answer to %s within %d s" % (method.name, timeout + 30))
        answer = slot["answer"]
        headers = {k: base64.b64decode(v) if k.endswith("-bin") else v for k, v in answer["headers"].items()}
        if answer["code"]:
            raise failure.from_details_bin(failure.CODES[answer["code"]], answer["details"],
                                           headers.get("grpc-status-details-bin"), headers)
        return [from_object(m, message_class(method.output_type)()) for m in answer["messages"]], headers


def to_object(message):
    """A message as protobuf.js takes it: proto names, bytes as base64, 64-bit integers as text, maps as objects."""
    return {field.name: value_to(field, value) for field, value in message.ListFields()}


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def value_to(field, value):
    if is_map(field):
        return dict(value)
    if field.label == field.LABEL_REPEATED:
        return [scalar_to(field, v) for v in value]
    return scalar_to(field, value)


def scalar_to(field, value):
    if field.type == field.TYPE_MESSAGE:
        return to_object(value)
    if field.type == field.TYPE_BYTES:
        return base64.b64encode(value).decode()
    if field.type == field.TYPE_DOUBLE and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return str(value) if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64) else value


def from_object(obj, message):
    for name, value in obj.items():
        field = message.DESCRIPTOR.fields_by_name[name]
        if is_map(field):
            getattr(message, name).update(value)
        elif field.label == field.LABEL_REPEATED:
            for v in value:
                if field.type == field.TYPE_MESSAGE:
                    from_object(v, getattr(message, name).add())
                else:
                    getattr(message, name).append(scalar_from(field, v))
        elif field.type == field.TYPE_MESSAGE:
            getattr(message, name).SetInParent()
            from_object(value, getattr(message, name))
        else:
            setattr(message, name, scalar_from(field, value))
    return message


def scalar_from(field, value):
    if field.type == field.TYPE_BYTES:
        return base64.b64decode(value)
    if field.type == field.TYPE_DOUBLE:
        return float(value)
    return int(value) if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64) else value
