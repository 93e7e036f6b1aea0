"""Random messages between Python's protobuf and pb_echo. Usage: pb.py PATH_OF_PB_ECHO; SEED and COUNT from the environment."""
import math, os, random, re, string, struct, subprocess, sys, time, warnings
from google.protobuf import json_format, duration_pb2
from google.protobuf.message import DecodeError
from google.protobuf.descriptor import FieldDescriptor as F
from prism.test.v1 import kinds_pb2 as kinds

seed = int(os.environ.get("SEED", time.time_ns() % 10**6))
count = int(os.environ.get("COUNT", 600))
rnd = random.Random(seed)
passed = failed = 0


class Echo:
    def __init__(self, path):
        self.p = subprocess.Popen([path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def block(self):
        (size,) = struct.unpack("<I", self.p.stdout.read(4))
        return self.p.stdout.read(size)

    def ask(self, form, name, data):
        head = form + bytes([len(name)]) + name.encode()
        self.p.stdin.write(head + struct.pack("<I", len(data)) + data)
        self.p.stdin.flush()
        refused = self.p.stdout.read(1)
        return refused == b"\0", self.block(), self.block()


def check(ok, *what):
    global passed, failed
    if ok:
        passed += 1
    else:
        failed += 1
        if failed <= int(os.environ.get("SHOW", 10)):
            print("FAILED (seed %d):" % seed, *(repr(w)[:1500] for w in what))


INTS = {F.TYPE_INT64: (64, True), F.TYPE_SINT64: (64, True), F.TYPE_SFIXED64: (64, True), F.TYPE_UINT64: (64, False),
        F.TYPE_FIXED64: (64, False), F.TYPE_INT32: (32, True), F.TYPE_SINT32: (32, True), F.TYPE_SFIXED32: (32, True),
        F.TYPE_UINT32: (32, False), F.TYPE_FIXED32: (32, False)}


def integer(bits, signed):
    value = rnd.choice([0, 1, 2**bits - 1, 2**(bits - 1), rnd.getrandbits(bits), rnd.getrandbits(7), rnd.getrandbits(14)])
    return value - 2**bits if signed and value >= 2**(bits - 1) else value


def real(single):
    if single:  # without the largest: Python's JSON reader refuses what its writer writes for it
        return struct.unpack("<f", struct.pack("<I", rnd.choice([0, 1, 0x80000000, 0x3f800000, 0x3dcccccd, 0x7f7ffff0,
                                                                 0x7f800000, rnd.getrandbits(31) % 0x7f800000])))[0]
    return rnd.choice([0.0, -0.0, 1.0, 0.1, math.inf, -math.inf, math.nan, 1e300, 5e-324, rnd.uniform(-1e6, 1e6),
                       float(rnd.getrandbits(53)), rnd.random() * 10.0**rnd.randint(-300, 300)])


def text():
    alphabet = rnd.choice([string.ascii_letters, "aä€😀\"\\/\b\n\t\x01\x7f\u2028<>&", "z"])
    return "".join(rnd.choice(alphabet) for _ in range(rnd.choice([0, 1, 3, 20, 200])))


def scalar(f):
    if f.type in INTS:
        return integer(*INTS[f.type])
    if f.type in (F.TYPE_DOUBLE, F.TYPE_FLOAT):
        return real(f.type == F.TYPE_FLOAT)
    if f.type == F.TYPE_BOOL:
        return rnd.random() < 0.5
    if f.type == F.TYPE_STRING:
        return text()
    if f.type == F.TYPE_BYTES:
        return rnd.randbytes(rnd.choice([0, 1, 2, 3, 50]))
    if f.enum_type.name == "NullValue":
        return 0
    return rnd.choice([v.number for v in f.enum_type.values] + [77])


def plain(depth=0):
    kind = rnd.randrange(6 if depth < 3 else 4)
    if kind < 4:
        return [None, rnd.random() < 0.5, rnd.uniform(-10, 10), text()][kind]
    if kind == 4:
        return {text(): plain(depth + 1) for _ in range(rnd.randrange(4))}
    return [plain(depth + 1) for _ in range(rnd.randrange(4))]


def fill_known(m):
    name = m.DESCRIPTOR.name
    if name == "Timestamp":
        m.seconds, m.nanos = rnd.randrange(-62135596800, 253402300800), rnd.choice([0, 5 * 10**8, 123000, rnd.randrange(10**9)])
    elif name == "Duration":
        sign = rnd.choice([-1, 1])
        m.seconds, m.nanos = sign * rnd.randrange(315576000000), sign * rnd.choice([0, 5 * 10**8, rnd.randrange(10**9)])
    elif name == "Struct":
        m.update({text(): plain() for _ in range(rnd.randrange(4))})
    elif name == "ListValue":
        m.extend([plain() for _ in range(rnd.randrange(4))])
    elif name == "Value":
        json_format.ParseDict(plain(), m)
    elif name == "FieldMask":
        m.paths.extend(rnd.choice(["a", "foo_bar", "a.b_c", "long_path.with_more.parts"]) for _ in range(rnd.randrange(4)))
    elif name == "Any":
        inner = rnd.choice([kinds.Scalars, duration_pb2.Duration, kinds.Oneofs])()
        fill(inner, 3)
        m.Pack(inner)
    elif name.endswith("Value"):
        m.value = scalar(m.DESCRIPTOR.fields_by_name["value"])


def fill(m, depth=0):
    if m.DESCRIPTOR.file.package == "google.protobuf":
        fill_known(m)
        return
    for f in m.DESCRIPTOR.fields:
        if rnd.random() < (0.5 if depth < 2 else 0.75):
            continue
        if f.message_type and f.message_type.GetOptions().map_entry:
            key, value = f.message_type.fields
            for _ in range(rnd.choice([0, 1, 2, 12])):
                if value.message_type:
                    fill(getattr(m, f.name)[scalar(key)], depth + 1)
                else:
                    getattr(m, f.name)[scalar(key)] = scalar(value)
        elif f.label == F.LABEL_REPEATED:
            for _ in range(rnd.choice([0, 1, 3])):
                if f.message_type:
                    if depth < 4:
                        fill(getattr(m, f.name).add(), depth + 1)
                else:
                    getattr(m, f.name).append(scalar(f))
        elif f.message_type:
            if depth < 4:
                sub = getattr(m, f.name)
                sub.SetInParent()
                fill(sub, depth + 1)
        else:
            setattr(m, f.name, scalar(f))


TYPES = [kinds.Scalars, kinds.Optionals, kinds.Repeated, kinds.Maps, kinds.Oneofs, kinds.WellKnown, kinds.Awkward,
         kinds.Everything]


def same(a, b):
    """Equal as messages; NaN is equal to itself, which == does not say."""
    return a == b or a.SerializeToString(deterministic=True) == b.SerializeToString(deterministic=True)


def random_messages(echo):
    for i in range(count):
        m = TYPES[i % len(TYPES)]()
        fill(m)
        name, cls = m.DESCRIPTOR.full_name, type(m)
        ok, binary, text_ = echo.ask(b"b", name, m.SerializeToString())
        check(ok, "binary refused", name, binary, m)
        if not ok:
            continue
        back = cls()
        back.ParseFromString(binary)
        check(same(m, back), "binary differs", name, m, back)
        try:
            from_json = json_format.Parse(text_, cls())
            check(same(m, from_json), "JSON differs", name, text_, m, from_json)
        except json_format.ParseError as e:
            check(False, "Python refuses our JSON", name, str(e), text_)
        theirs = json_format.MessageToJson(m, preserving_proto_field_name=rnd.random() < 0.5,
                                           indent=rnd.choice([None, 2]), ensure_ascii=rnd.random() < 0.5)
        ok, binary, text_ = echo.ask(b"j", name, theirs.encode())
        check(ok, "JSON refused", name, binary, theirs)
        if ok:
            back = cls()
            back.ParseFromString(binary)
            check(same(m, back), "JSON read differently", name, theirs, m, back)


def cut_and_changed(echo):
    """Damaged inputs: both sides agree on whether they are messages, and on what they mean."""
    for i in range(count):
        m = TYPES[i % len(TYPES)]()
        fill(m, 1)
        data = bytearray(m.SerializeToString())
        for _ in range(rnd.randrange(1, 4)):
            if data:
                at = rnd.randrange(len(data))
                rnd.choice([lambda: data.__setitem__(at, rnd.getrandbits(8)), lambda: data.__delitem__(slice(at, at + 1)),
                            lambda: data.__delitem__(slice(at, None)), lambda: data.insert(at, rnd.getrandbits(8))])()
        theirs = type(m)()
        try:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                theirs.ParseFromString(bytes(data))
            accepted = not told  # an end group without its group is a warning there, malformed by the specification
        except DecodeError:
            accepted = False
        ok, binary, _ = echo.ask(b"b", m.DESCRIPTOR.full_name, bytes(data))
        if binary == b"JSON_MALFORMED" or (not ok and b"JSON" in binary):
            continue  # a message without a JSON form, such as a Timestamp out of range
        if accepted and not ok and re.search(rb"[\x80-\xff]{4}[\x10-\x7f]", data):
            continue  # a tag of more than 32 bits: C++ drops the bits, the specification has no such field number
        if ok != accepted:
            # Ours says no to what has no JSON form too; only a difference about the bytes counts.
            check(not ok and b"PB_" not in binary, "Python says", accepted, "we say", ok, binary, bytes(data).hex(), m.DESCRIPTOR.name)
        elif ok:
            back = type(m)()
            back.ParseFromString(binary)
            check(same(theirs, back), "damaged input read differently", m.DESCRIPTOR.name, bytes(data).hex(), theirs, back)
        else:
            check(True)


def main():
    echo = Echo(sys.argv[1])
    random_messages(echo)
    cut_and_changed(echo)
    echo.p.stdin.close()
    check(echo.p.wait() == 0, "pb_echo ended with", echo.p.returncode)
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(failed > 0)


main()
