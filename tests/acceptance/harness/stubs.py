"""Message classes made by Debian's protoc and python3-protobuf at test time: the suites share no code with the product.

METHODS maps a method's short name ("Set") to its descriptor; build() makes a request from keywords.
"""
import glob
import importlib
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
OUT = os.path.join(ROOT, "build", "acceptance", "py")
OWN_PROTO = os.path.join(ROOT, "tests", "acceptance", "proto")


def proto_files():
    """The protos of the data API and of the operations API, relative to proto/."""
    found = sorted(glob.glob(os.path.join(ROOT, "proto", "prism", "**", "*.proto"), recursive=True))
    return [os.path.relpath(f, os.path.join(ROOT, "proto")) for f in found]


def generate():
    os.makedirs(OUT, exist_ok=True)
    protos = proto_files()
    subprocess.run(["protoc", "-I" + os.path.join(ROOT, "proto"), "-I/usr/include", "--python_out=" + OUT] + protos,
                   check=True)
    subprocess.run(["protoc", "-I" + OWN_PROTO, "-I/usr/include", "--python_out=" + OUT, "google/rpc/error.proto"],
                   check=True)
    return protos


def load():
    protos = generate()
    # google.protobuf comes from Debian, google.rpc from here: one package over two folders.
    import google
    google.__path__ = list(google.__path__) + [os.path.join(OUT, "google")]
    sys.path.insert(0, OUT)
    for p in protos:
        importlib.import_module(p[:-len(".proto")].replace("/", ".") + "_pb2")
    importlib.import_module("google.rpc.error_pb2")


load()

from google.protobuf import descriptor_pool, message_factory  # noqa: E402
from google.rpc import error_pb2  # noqa: E402,F401

POOL = descriptor_pool.Default()
SERVICES = {
    "keyvalue": ["KeyValueBasic", "KeyValueScan", "KeyValueTtl", "KeyValueBatch", "KeyValueCas", "KeyValueTransactional"],
    "list": ["ListBasic", "ListIndexing", "ListRange", "ListBlocking"],
    "set": ["SetBasic", "SetOperations", "SetCardinality", "SetRandom"],
    "sortedset": ["SortedSetBasic", "SortedSetRange", "SortedSetRank", "SortedSetOperations", "SortedSetLex"],
    "counter": ["CounterBasic"],
}
# Of each model, its methods by name.
METHODS = {model: {method.name: method for service in services
                   for method in POOL.FindServiceByName("prism.%s.v1.%s" % (model, service)).methods}
           for model, services in SERVICES.items()}
_factory = message_factory.MessageFactory(POOL)


def message_class(descriptor):
    return _factory.GetPrototype(descriptor)


def interface_id(method):
    """keyvalue_basic for KeyValueBasic: the name of the file that declares it."""
    return os.path.basename(method.containing_service.file.name)[:-len(".proto")]


def build(method, fields):
    """A request from keywords. ttl_ms is a short form for the Duration field ttl (or idle_timeout), timeout_ms for timeout."""
    fields = dict(fields)
    ttl_ms = fields.pop("ttl_ms", None)
    timeout_ms = fields.pop("timeout_ms", None)
    request = message_class(method.input_type)(**fields)
    if ttl_ms is not None:
        name = "idle_timeout" if method.name == "BeginTransaction" else "ttl"
        set_ms(getattr(request, name), ttl_ms)
    if timeout_ms is not None:
        set_ms(request.timeout, timeout_ms)
    return request


def set_ms(duration, ms):
    """Fills a Duration; negative ones keep both parts of one sign, as the specification asks."""
    sign = -1 if ms < 0 else 1
    duration.SetInParent()
    duration.seconds = sign * (abs(ms) // 1000)
    duration.nanos = sign * (abs(ms) % 1000) * 1000000


def new(name, **fields):
    """A message of prism.keyvalue.v1 by name, with the same short form as build()."""
    ttl_ms = fields.pop("ttl_ms", None)
    message = message_class(POOL.FindMessageTypeByName("prism.keyvalue.v1." + name))(**fields)
    if ttl_ms is not None:
        set_ms(message.ttl, ttl_ms)
    return message
