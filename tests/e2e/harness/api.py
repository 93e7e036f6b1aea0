"""Messages and methods of proto/, made at test time by Debian's protoc, and generic gRPC calls on them. No code or table is
shared with what is tested."""
import os
import subprocess
import tempfile

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def descriptor_set():
    files = []
    for folder, _, names in os.walk(os.path.join(ROOT, "proto")):
        files += [os.path.join(folder, n) for n in names if n.endswith(".proto")]
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["protoc", "-I" + os.path.join(ROOT, "proto"), "-I/usr/include", "--include_imports",
                        "--descriptor_set_out=" + out.name] + sorted(files), check=True)
        return descriptor_pb2.FileDescriptorSet.FromString(out.read())


SET = descriptor_set()
POOL = descriptor_pool.DescriptorPool()
for file in SET.file:
    POOL.Add(file)
FACTORY = message_factory.MessageFactory(POOL)


def message(full_name):
    return FACTORY.GetPrototype(POOL.FindMessageTypeByName(full_name))


def method(path):
    service, name = path.strip("/").split("/")
    return POOL.FindServiceByName(service).methods_by_name[name]


def request_of(path, fields):
    found = method(path)
    value = FACTORY.GetPrototype(found.input_type)()
    for key, field in fields.items():
        if isinstance(field, (list, tuple)):
            getattr(value, key).extend(field)
        elif isinstance(field, bool) or not hasattr(field, "DESCRIPTOR"):
            setattr(value, key, field)
        else:
            getattr(value, key).CopyFrom(field)
    return value


def stub(channel, path, client_streaming=False):
    found = method(path)
    server_streaming = path.endswith(("/Watch", "/Scan", "/ScanKeys", "/ServerReflectionInfo"))
    kind = ("stream" if client_streaming else "unary") + "_" + ("stream" if server_streaming else "unary")
    return getattr(channel, kind)(path, lambda m: m.SerializeToString(), FACTORY.GetPrototype(found.output_type).FromString)


KV = "/prism.keyvalue.v1.KeyValueBasic/"
SCAN = "/prism.keyvalue.v1.KeyValueScan/"
ADMIN = "/prism.admin.v1.ProxyAdmin/"
HEALTH = "/grpc.health.v1.Health/"


class Client:
    """One channel. client(KV + "Get", namespace="memory", key=b"x") answers the response or raises grpc.RpcError."""

    def __init__(self, address, credentials=None, options=()):
        self.channel = (grpc.secure_channel(address, credentials, list(options)) if credentials
                        else grpc.insecure_channel(address, list(options)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def __call__(self, path, namespace=None, metadata=(), timeout=20, **fields):
        pairs = tuple(metadata) + ((("prism-namespace", namespace),) if namespace else ())
        return stub(self.channel, path)(request_of(path, fields), metadata=pairs, timeout=timeout)


def details(error):
    """(reason, metadata, field violations) of a failed call's grpc-status-details-bin."""
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        reason, metadata, fields = None, {}, []
        for item in message("google.rpc.Status").FromString(value).details:
            if item.type_url.endswith("ErrorInfo"):
                info = message("google.rpc.ErrorInfo").FromString(item.value)
                reason, metadata = info.reason, dict(info.metadata)
            if item.type_url.endswith("BadRequest"):
                bad = message("google.rpc.BadRequest").FromString(item.value)
                fields = [(v.field, v.description) for v in bad.field_violations]
        return reason, metadata, fields
    return None, {}, []
