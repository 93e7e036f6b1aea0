"""kv: one key, ranges, import and export."""
import base64
import json
import os
import random


def test_set_get_delete(w):
    out = w.ctl("kv", "set", "one/a", "hello").ok().out
    assert out.startswith("stored one/a, 5 bytes, version "), out
    assert w.ctl("kv", "get", "one/a").ok().raw == b"hello", "the value, byte for byte"
    assert w.ctl("kv", "exists", "one/a").ok().out == "one/a exists\n"
    assert w.ctl("kv", "delete", "one/a").ok().out == "deleted one/a\n"
    assert w.ctl("kv", "delete", "one/a").ok().out == "there was no key one/a\n"
    w.ctl("kv", "get", "one/a").fails(24, 'there is no key "one/a" in namespace sqlite', "NOT_FOUND")
    w.ctl("kv", "exists", "one/a").fails(24)


def test_values_from_stdin_and_files(w):
    value = bytes(range(256)) * 300
    w.ctl("kv", "set", "two/a", "-", stdin=value).ok()
    assert w.ctl("kv", "get", "two/a").ok().raw == value
    w.ctl("kv", "set", "two/b", "@" + w.file("value", value)).ok()
    assert w.ctl("kv", "get", "two/b").ok().raw == value
    w.ctl("kv", "set", "two/c", "").ok()
    assert w.ctl("kv", "get", "two/c").ok().raw == b""
    w.ctl("kv", "set", "two/d", "@/nowhere").fails(73, "/nowhere cannot be read", "No such file")


def test_keys_that_are_no_text(w):
    w.ctl("kv", "set", "--hex", "00ff0a", "x").ok()
    assert w.ctl("kv", "get", "--hex", "00FF0a").ok().out == "x"
    assert w.ctl("kv", "get", "--base64", base64.b64encode(b"\0\xff\n").decode()).ok().out == "x"
    assert "\\x00\\xff\\n" in w.ctl("kv", "scan", "--hex", "--prefix", "00ff").ok().out
    w.ctl("kv", "get", "--hex", "0g").fails(2, "not hexadecimal")
    w.ctl("kv", "get", "--hex", "000").fails(2, "not hexadecimal")
    w.ctl("kv", "get", "--base64", "?").fails(2, "not base64")
    w.ctl("kv", "get", "--hex", "--base64", "00").fails(2, "exclude each other")


def test_get_as_json_and_yaml(w):
    w.ctl("kv", "set", "three/a", "hello", "--ttl", "1h", "--tag", "team=orders", "--tag", "x=").ok()
    got = w.ctl("kv", "get", "three/a", "-o", "json").json()
    assert (got["key"], got["value"], got["tags"]) == ("three/a", "hello", {"team": "orders", "x": ""}), got
    assert got["version"] and got["expires_at"].endswith("Z"), got
    import yaml
    assert {k: str(v) for k, v in yaml.safe_load(w.ctl("kv", "get", "three/a", "-o", "yaml").ok().out).items()
            if k in ("key", "value")} == {"key": "three/a", "value": "hello"}


def test_conditions(w):
    w.ctl("kv", "set", "four/a", "1", "--if-absent").ok()
    w.ctl("kv", "set", "four/a", "2", "--if-absent").fails(54, "VERSION_MISMATCH", "fix: read the key again")
    version = w.ctl("kv", "set", "four/a", "2", "-o", "json").json()["version"]
    w.ctl("kv", "set", "four/a", "3", "--if-version", version).ok()
    w.ctl("kv", "set", "four/a", "4", "--if-version", version).fails(54)
    w.ctl("kv", "delete", "four/a", "--if-version", version).fails(54)
    assert w.ctl("kv", "get", "four/a").ok().out == "3"
    w.ctl("kv", "set", "four/a", "4", "--if-version", "!").fails(2, "--if-version is not base64")


def test_idempotency(w):
    first = w.ctl("kv", "set", "five/a", "1", "--idempotency-key", "cli-5", "-o", "json").json()
    assert w.ctl("kv", "set", "five/a", "1", "--idempotency-key", "cli-5", "-o", "json").json() == first
    w.ctl("kv", "set", "five/a", "2", "--idempotency-key", "cli-5").fails(56, "IDEMPOTENCY_REUSED")


def test_ttl(w):
    w.ctl("kv", "set", "six/a", "1").ok()
    assert w.ctl("kv", "ttl", "six/a").ok().out == "never expires\n"
    assert w.ctl("kv", "expire", "six/a", "1h").ok().out.startswith("six/a expires at 20")
    left = w.ctl("kv", "ttl", "six/a").ok().out
    assert left.startswith(("expires in 59m", "expires in 1h")), left
    assert w.ctl("kv", "persist", "six/a").ok().out == "six/a never expires now\n"
    assert w.ctl("kv", "persist", "six/a").ok().out == "six/a had no time to live\n"
    assert w.ctl("kv", "expire", "six/a", "0").ok().out == "deleted six/a\n"
    for command in (["ttl"], ["persist"]):
        w.ctl("kv", *command, "six/a").fails(24)
    w.ctl("kv", "expire", "six/a", "1h").fails(24)
    w.ctl("kv", "expire", "six/a", "soon").fails(2, "TTL is a time")
    assert w.ctl("kv", "set", "six/b", "1", "--ttl", "90s").ok()
    assert "T" in w.ctl("kv", "scan", "six/").ok().out.splitlines()[1], "a scan shows when keys expire"


def test_scan_and_count(w):
    for i in range(12):
        w.ctl("kv", "set", "seven/%02d" % i, "value %d" % i).ok()
    out = w.ctl("kv", "scan", "--prefix", "seven/").ok().out.splitlines()
    assert out[0].split() == ["KEY", "VALUE"] and out[1].split() == ["seven/00", "value", "0"] and len(out) == 13, out
    assert w.ctl("kv", "scan", "seven/", "-k").ok().out.split() == ["seven/%02d" % i for i in range(12)]
    assert w.ctl("kv", "scan", "seven/", "-rkl", "2").ok().out.split() == ["seven/11", "seven/10"]
    assert w.ctl("kv", "scan", "-k", "--start", "seven/03", "--end", "seven/05").ok().out.split() == ["seven/03", "seven/04"]
    assert w.ctl("kv", "count", "seven/").ok().out == "12\n"
    assert w.ctl("kv", "count", "--prefix", "seven/0", "-o", "json").json() == {"count": "10"}
    assert w.ctl("kv", "scan", "--prefix", "nothing/").ok().out == ""
    items = w.ctl("kv", "scan", "seven/", "-o", "json", "--page-size", "5").lines()
    assert [i["key"] for i in items] == ["seven/%02d" % i for i in range(12)] and items[3]["value"] == "value 3"
    page = w.ctl("kv", "scan", "seven/", "-k", "-v", "--page-size", "5")
    cursor = page.err.split("cursor: ")[1].split()[0]
    assert w.ctl("kv", "scan", "seven/", "-k", "--cursor", cursor).ok().out.split()[0] == "seven/05"
    w.ctl("kv", "scan", "a", "--prefix", "b").fails(2, "prefix is given twice")
    w.ctl("kv", "scan", "--prefix", "a", "--start", "b").fails(22, "reason: ")
    w.ctl("kv", "scan", "--cursor", "AAAA").fails(53, "CURSOR_INVALID")


def records(count):
    """Keys and values of all kinds: text, binary, empty, large, characters that JSON escapes."""
    source = random.Random(7)
    made = {}
    for i in range(count):
        key = b"r/%05d/" % i + source.choice([b"", b"\0", b"\xff\xfe", "ü\u2028😀".encode(), b'"\\\n', source.randbytes(9)])
        made[key] = source.choice([b"", b"plain", b"\0\1\2", "é\u0000".encode(), b"\x80", source.randbytes(40), b"x" * 5000])
    return made


def as_line(key, value):
    def part(name, data):
        try:
            return {name: data.decode()}
        except UnicodeDecodeError:
            return {name + "_base64": base64.b64encode(data).decode()}
    return json.dumps({**part("key", key), **part("value", value)})


def read_back(lines):
    def part(record, name):
        return base64.b64decode(record[name + "_base64"]) if name + "_base64" in record else record.get(name, "").encode()
    return {part(r, "key"): part(r, "value") for r in lines}


def test_import_and_export_are_exact(w):
    made = records(3000)
    path = w.file("records.ndjson", "\n".join(as_line(k, v) for k, v in made.items()) + "\n")
    out = w.ctl("kv", "import", "-n", "memory", path).ok()
    assert out.out.startswith("imported 3000 records into memory"), out
    assert out.err == "", "no progress bar without a terminal"
    first = os.path.join(w.folder, "first.ndjson")
    w.ctl("kv", "export", "-n", "memory", "--prefix", "r/", first).ok()
    with open(first) as f:
        assert read_back(json.loads(line) for line in f) == made
    w.ctl("kv", "import", "-n", "sqlite-other", first).ok()
    second = w.ctl("kv", "export", "-n", "sqlite-other", "--prefix", "r/").ok()
    with open(first, "rb") as f:
        assert f.read() == second.raw, "a second round gives the same file"
    assert "exported 3000 records" in second.err


def test_import_of_an_array_and_from_stdin(w):
    array = json.dumps([{"key": "eight/%d" % i, "value": "[%d, {" % i} for i in range(7)], indent=2)
    w.ctl("kv", "import", w.file("array.json", array)).ok()
    assert w.ctl("kv", "count", "eight/").ok().out == "7\n"
    out = w.ctl("kv", "import", "-", "--prefix", "eight/p/", "-o", "json", stdin=b'{"key":"a"}\n\n  {"key":"b","value":"2"}').json()
    assert (out["stored"], out["skipped"]) == (2, 0)
    assert w.ctl("kv", "get", "eight/p/b").ok().out == "2"
    assert w.ctl("kv", "import", "-", stdin=b"").ok().out.startswith("imported 0 records")
    assert w.ctl("kv", "import", "-", stdin=b"[]").ok().out.startswith("imported 0 records")


def test_import_keeps_ttl_and_tags(w):
    lines = ['{"key":"nine/a","value":"1","ttl":"3600s","tags":{"x":"y"}}', '{"key":"nine/b","expires_at":"2001-01-01T00:00:00Z"}',
             '{"key":"nine/c","expires_at":"2999-01-01T00:00:00Z"}', '{"key":"nine/d"}']
    out = w.ctl("kv", "import", "-", "--ttl", "2h", stdin="\n".join(lines).encode()).ok().out
    assert "imported 3 records" in out and "1 expired ones left out" in out, out
    exported = {r["key"]: r for r in w.ctl("kv", "export", "--prefix", "nine/").lines()}
    assert exported["nine/a"]["tags"] == {"x": "y"} and set(exported) == {"nine/a", "nine/c", "nine/d"}
    assert exported["nine/c"]["expires_at"].startswith(("2998-12-31", "2999-01-01")), exported["nine/c"]
    assert all("expires_at" in r for r in exported.values())


BAD = b"""{"key":"ten/1","value":"a"}
{"key":"ten/2"
{"value":"no key"}
{"key":"ten/4","key_base64":"YQ=="}
{"key":"ten/5","surprise":1}
{"key":"","value":"empty"}
{"key":"ten/7","value":"b"}
"""


def test_bad_lines_stop_an_import(w):
    path = w.file("bad.ndjson", BAD)
    done = w.ctl("kv", "import", path).fails(43, path + ":2: ", "JSON_MALFORMED")
    assert done.out.startswith("imported 1 records")
    assert w.ctl("kv", "exists", "ten/7").code == 24


def test_bad_lines_can_be_skipped(w):
    path = w.file("bad.ndjson", BAD)
    done = w.ctl("kv", "import", "--on-error", "skip", path).ok()
    for line, text in ((2, ""), (3, "needs key or key_base64"), (4, "exclude each other"), (5, "surprise"), (6, "")):
        assert "%s:%d: skipped: " % (path, line) in done.err and text in done.err, done
    assert "imported 2 records" in done.out and "5 skipped" in done.out, done
    assert w.ctl("kv", "get", "ten/7").ok().out == "b"


def test_an_import_is_resumed(w):
    good = [as_line(b"resume/%04d" % i, b"v%d" % i) for i in range(2000)]
    broken = good[:1500] + ["{"] + good[1500:]
    path = w.file("long.ndjson", "\n".join(broken) + "\n")
    w.ctl("kv", "import", "--resume", "--batch", "100", path).fails(43, path + ":1501: ")
    with open(path + ".position") as f:
        assert int(f.read()) == 1500
    path = w.file("long.ndjson", "\n".join(good) + "\n")
    out = w.ctl("kv", "import", "--resume", path).ok().out
    assert out.startswith("imported 500 records") and "after 1500 of an earlier run" in out, out
    assert not os.path.exists(path + ".position") and w.ctl("kv", "count", "resume/").ok().out == "2000\n"
    w.ctl("kv", "import", "--resume", "-", stdin=b"").fails(2, "--resume needs a file")


def test_import_errors(w):
    w.ctl("kv", "import", "/nowhere").fails(73, "/nowhere cannot be read")
    w.ctl("kv", "import", "-", "-n", "nobody", stdin=b'{"key":"a"}').fails(51, "standard input:1", "NAMESPACE_UNKNOWN", "prismctl namespace list")
    w.ctl("kv", "import", "-", stdin=b'[{"key":"a"} {"key":"b"}]').fails(43, "standard input: line 1", "comma")
    w.ctl("kv", "import", "-", stdin=b'[{"key":"a"},').fails(43, "does not end")
    w.ctl("kv", "import", "-", stdin=b'[{"key":"a"}] x').fails(43, "behind the list")
    w.ctl("kv", "import", "-", "--batch", "1001").fails(2, "--batch is a number from 1 to 1000")
    w.ctl("kv", "import", "-", "--on-error", "ask").fails(2, "stop|skip")


def test_export_errors(w):
    w.ctl("kv", "export", "/nowhere/file").fails(73, "/nowhere/file cannot be written")
    w.ctl("kv", "export", "-n", "nobody").fails(51)


def test_a_progress_bar_on_a_terminal(w):
    from world import PRISMCTL
    path = w.file("many.ndjson", "".join('{"key":"bar/%05d","value":"%s"}\n' % (i, "x" * 300) for i in range(20000)))
    out = w.run("script", "-qec", "%s kv import -n memory --batch 20 --parallel 1 %s" % (PRISMCTL, path), "/dev/null",
                env={"TERM": "xterm"}).ok().out
    assert "importing [" in out and " records, " in out and "imported 20000 records" in out, out[-500:]
