"""list, set, sortedset, counter: every command, in text and as JSON, with its exit codes."""
import base64
import threading


def test_list_ends(w):
    assert w.ctl("list", "push", "l1", "a", "b", "c").ok().out == "pushed 3, l1 has 3 values now\n"
    assert w.ctl("list", "push", "l1", "--left", "x", "y").ok().out == "pushed 2, l1 has 5 values now\n"
    assert w.ctl("list", "range", "l1").ok().out == "y\nx\na\nb\nc\n"
    assert w.ctl("list", "pop", "l1").ok().raw == b"y", "the value, byte for byte"
    assert w.ctl("list", "pop", "l1", "--right", "--count", "2").ok().out == "c\nb\n"
    assert w.ctl("list", "clear", "l1").ok().out == "removed 2 values\n"
    w.ctl("list", "pop", "l1").fails(24, 'there is no list "l1" in namespace sqlite', "NOT_FOUND")
    w.ctl("list", "push", "l1").fails(2, "VALUE is missing")


def test_list_positions(w):
    w.ctl("list", "push", "l2", *"abcde").ok()
    assert w.ctl("list", "get", "l2", "-1").ok().raw == b"e"
    w.ctl("list", "get", "l2", "5").fails(24)
    w.ctl("list", "get", "l2", "first").fails(2, 'INDEX is a whole number of at most 64 bits, not "first"')
    w.ctl("list", "set", "l2", "0", "A").ok()
    w.ctl("list", "set", "l2", "9", "A").fails(30, "INDEX_OUT_OF_RANGE", "index 9 lies outside the list, which has 5 values")
    assert w.ctl("list", "insert", "l2", "-1", "-").ok().out == "inserted, l2 has 6 values now\n"
    assert w.ctl("list", "range", "l2", "-3", "-1").ok().out == "d\n\ne\n", "standard input was empty"
    assert w.ctl("list", "remove", "l2", "-2").ok().out == "removed 1, l2 has 5 values now\n"
    assert w.ctl("list", "remove", "l2", "--value", "b", "--count", "-1").ok().out == "removed 1, l2 has 4 values now\n"
    w.ctl("list", "remove", "l2").fails(2, "one of INDEX and --value")
    assert w.ctl("list", "trim", "l2", "1", "-2").ok().out == "removed 2, l2 has 2 values now\n"
    assert w.ctl("list", "range", "l2").ok().out == "c\nd\n"


def test_list_pop_waits(w):
    w.ctl("list", "pop", "l3", "--block", "20ms").fails(24, 'no value in list "l3"')
    results = []
    waiting = threading.Thread(target=lambda: results.append(w.ctl("list", "pop", "l3", "--block", "60s")))
    waiting.start()
    w.ctl("list", "push", "l3", "now").ok()
    waiting.join()
    assert results[0].ok().raw == b"now"
    w.ctl("list", "pop", "l3", "--block", "1s", "--count", "2").fails(2, "--block pops one value")


def test_list_as_json_and_of_any_bytes(w):
    w.ctl("list", "push", "--hex", "00ff", "text", "@" + w.file("bytes", b"\xff\x00")).ok()
    lines = w.ctl("list", "range", "--hex", "00ff", "-o", "json").lines()
    assert lines == [{"value": "text"}, {"value_base64": base64.b64encode(b"\xff\x00").decode()}], lines
    assert w.ctl("list", "range", "--hex", "00ff").ok().out == "text\n\\xff\\x00\n"
    assert w.ctl("list", "pop", "--hex", "00ff", "--right").ok().raw == b"\xff\x00"
    assert w.ctl("list", "push", "l4", "a", "-o", "json").json() == {"length": "1"}
    assert "length: 2" in w.ctl("list", "push", "l4", "a", "-o", "yaml").ok().out.replace('"', "").replace("'", "")


def test_long_lists_come_page_by_page(w):
    values = ["%d" % i for i in range(900)]
    for _ in range(12):
        w.ctl("list", "push", "l5", *values).ok()
    assert w.ctl("list", "range", "l5").ok().out.split() == values * 12
    assert w.ctl("list", "range", "l5", "--limit", "3").ok().out.split() == values[:3]
    w.ctl("list", "clear", "l5").ok()


def test_sets(w):
    assert w.ctl("set", "add", "s1", "ann", "bob", "cid").ok().out == "added 3 to s1\n"
    assert w.ctl("set", "add", "s2", "bob", "dan").ok().out == "added 2 to s2\n"
    assert w.ctl("set", "members", "s1").ok().out == "ann\nbob\ncid\n"
    assert w.ctl("set", "members", "s1", "--limit", "2", "-o", "json").lines() == [{"member": "ann"}, {"member": "bob"}]
    assert w.ctl("set", "size", "s1").ok().out == "3\n"
    assert w.ctl("set", "contains", "s1", "ann").ok().out == "yes\tann\n"
    done = w.ctl("set", "contains", "s1", "ann", "zoe").fails(24)
    assert done.out == "yes\tann\nno\tzoe\n", done
    assert w.ctl("set", "union", "s1", "s2").ok().out == "ann\nbob\ncid\ndan\n"
    assert w.ctl("set", "intersection", "s1", "s2").ok().out == "bob\n"
    assert w.ctl("set", "difference", "s1", "s2").ok().out == "ann\ncid\n"
    assert w.ctl("set", "remove", "s1", "ann", "zoe").ok().out == "removed 1 from s1\n"
    drawn = w.ctl("set", "random", "s1", "--count", "5", "--pop").ok().out.split()
    assert sorted(drawn) == ["bob", "cid"], drawn
    w.ctl("set", "random", "s1").fails(24)
    assert w.ctl("set", "clear", "s2").ok().out == "removed 2 members\n"


def test_large_sets_come_page_by_page(w):
    members = ["m%05d" % i for i in range(10500)]
    for i in range(0, len(members), 1000):
        w.ctl("set", "add", "s3", *members[i:i + 1000]).ok()
    assert w.ctl("set", "members", "s3").ok().out.split() == members
    assert w.ctl("set", "union", "s3", "s4", "--limit", "10001").ok().out.split() == members[:10001]
    w.ctl("set", "clear", "s3").ok()


def test_sorted_sets(w):
    assert w.ctl("sortedset", "add", "z1", "120", "ann", "95.5", "bob", "-inf", "cid").ok().out == \
        "added 3 to z1, 0 have a new score\n"
    assert w.ctl("sortedset", "add", "z1", "-1", "bob").ok().out == "added 0 to z1, 1 have a new score\n"
    assert w.ctl("sortedset", "range", "z1").ok().out == "-inf\tcid\n-1\tbob\n120\tann\n"
    assert w.ctl("sortedset", "range", "z1", "0", "0", "--reverse").ok().out == "120\tann\n"
    assert w.ctl("sortedset", "range", "z1", "-o", "json").lines()[1] == {"member": "bob", "score": -1}
    assert w.ctl("sortedset", "score", "z1", "ann").ok().out == "120\n"
    assert w.ctl("sortedset", "rank", "z1", "ann").ok().out == "2\n"
    assert w.ctl("sortedset", "rank", "z1", "ann", "--reverse").ok().out == "0\n"
    for command in ("score", "rank"):
        w.ctl("sortedset", command, "z1", "zoe").fails(24)
    assert w.ctl("sortedset", "scores", "z1", "--min", "(-inf", "--max", "120").ok().out == "-1\tbob\n120\tann\n"
    assert w.ctl("sortedset", "scores", "z1", "--reverse", "--limit", "1").ok().out == "120\tann\n"
    w.ctl("sortedset", "scores", "z1", "--min", "low").fails(2, "is a number")
    w.ctl("sortedset", "add", "z1", "nan", "x").fails(2, "is a number")
    w.ctl("sortedset", "add", "z1", "1", "x", "2").fails(2, 'the score "2" has no member')
    w.ctl("sortedset", "lex", "z1").fails(28, "SCORES_DIFFER")
    assert w.ctl("sortedset", "remove", "z1", "bob", "zoe").ok().out == "removed 1 from z1\n"
    assert w.ctl("sortedset", "clear", "z1").ok().out == "removed 2 members\n"


def test_sorted_sets_joined_and_by_bytes(w):
    w.ctl("sortedset", "add", "z2", "1", "a", "2", "b").ok()
    w.ctl("sortedset", "add", "z3", "10", "b", "20", "c").ok()
    assert w.ctl("sortedset", "union", "z2", "z3").ok().out == "1\ta\n12\tb\n20\tc\n"
    assert w.ctl("sortedset", "union", "z2", "z3", "--weight", "1", "--weight", "-1", "--aggregate", "min").ok().out == \
        "-20\tc\n-10\tb\n1\ta\n"
    assert w.ctl("sortedset", "intersection", "z2", "z3", "--aggregate", "max").ok().out == "10\tb\n"
    w.ctl("sortedset", "union", "z2", "z3", "--weight", "1").fails(22, "weights must be none, or one for each key")
    w.ctl("sortedset", "add", "z4", "0", "a", "0", "b", "0", "ba", "0", "c").ok()
    assert w.ctl("sortedset", "lex", "z4", "--min", "b", "--max", "(c").ok().out == "b\nba\n"


def test_counters(w):
    assert w.ctl("counter", "get", "c1").ok().out == "0\n"
    assert w.ctl("counter", "add", "c1").ok().out == "1\n"
    assert w.ctl("counter", "add", "c1", "-5").ok().out == "-4\n"
    for _ in range(2):
        assert w.ctl("counter", "add", "c1", "10", "--idempotency-key", "cli-c1").ok().out == "6\n"
    assert w.ctl("counter", "get", "c1", "-o", "json").json() == {"value": "6"}
    assert w.ctl("counter", "clear", "c1").ok().out == "cleared c1, which was 6\n"
    w.ctl("counter", "add", "c1", str(2**63 - 1)).ok()
    w.ctl("counter", "add", "c1").fails(30, "COUNTER_OVERFLOW")
    w.ctl("counter", "add", "c1", str(2**63)).fails(2, "at most 64 bits")
