"""keyvalue_scan: Scan, ScanKeys, Count; ranges, order, pages, limits, cursors."""
from harness.case import await_true, case, check, fails, items_of, keys_of, same
from harness.proxy import Proxy

MIB = 1 << 20
# Names that a pattern language, a C string or a text collation would get wrong, in bytewise order.
ODD = sorted([b"a", b"a\x00", b"a\x00b", b"a%", b"a%b", b"a*", b"a_", b"a_b", b"ab", b"A", b"a\xff", b"a\xff\xff", b"a\xffz", b"b",
              b"\x00", b"\xff", b"\xff\x00", b"\xff\xff", "aé".encode(), "a😀".encode(), b"a'", b"a\\", b'a"'])


def after(key):
    """The end of the range of all keys that begin with key: what a prefix means."""
    while key and key[-1] == 0xff:
        key = key[:-1]
    return key[:-1] + bytes([key[-1] + 1]) if key else b""


@case
def scan_streams_all_keys_of_a_prefix_in_order(t):
    keys = t.fill(["%03d" % i for i in range(250)])
    pages = t.kv.Scan(prefix=t.prefix)
    same(keys_of(pages), keys)
    same([len(p.items) for p in pages], [100, 100, 50], "items a page")
    check(all(p.ordered for p in pages), "ordered is said")
    same(pages[-1].next_cursor, b"", "cursor of the last page")
    check(all(p.next_cursor for p in pages[:-1]), "every page but the last has a cursor")


@case
def items_are_whole(t):
    version = t.kv.Set(key=t.k("a"), value=b"\x00\xff", tags={"x": "1"}, ttl_ms=3600_000).version
    item, = items_of(t.kv.Scan(prefix=t.prefix))
    same((item.key, item.value, item.version, dict(item.tags)), (t.k("a"), b"\x00\xff", version, {"x": "1"}))
    same(item.expires_at, t.kv.Get(key=t.k("a")).expires_at)


@case
def an_empty_range_is_one_empty_page(t):
    pages = t.kv.Scan(prefix=t.k("nothing"))
    same(keys_of(pages), [])
    same(len(pages), 1, "pages")
    same(pages[0].next_cursor, b"")
    same(keys_of(t.kv.ScanKeys(prefix=t.k("nothing"))), [])
    same(t.kv.Count(prefix=t.k("nothing")).count, 0)


@case
def order_is_bytewise(t):
    keys = t.fill(ODD)
    same(keys_of(t.kv.Scan(prefix=t.prefix)), keys)
    same(keys_of(t.kv.ScanKeys(prefix=t.prefix)), keys)
    same(keys_of(t.kv.Scan(prefix=t.prefix, reverse=True)), keys[::-1])


@case
def a_prefix_is_bytes_and_never_a_pattern(t):
    keys = t.fill(ODD)
    for name in ODD + [b"a\xff\xff\xff", b"c", "é".encode()]:
        wanted = [k for k in keys if k.startswith(t.k(name))]
        same(keys_of(t.kv.ScanKeys(prefix=t.k(name))), wanted, "keys with prefix %r" % name)
        same(t.kv.Count(prefix=t.k(name)).count, len(wanted), "count with prefix %r" % name)


@case
def a_prefix_of_0xff_alone_has_no_upper_end(t):
    tail = t.client.name.encode()
    keys = sorted([b"\xff" + tail, b"\xff\xff" + tail, b"\xff\xff\xff" + tail])
    for key in keys:
        t.kv.Set(key=key, value=b"v")
    for prefix in (b"\xff", b"\xff\xff", b"\xff\xff\xff"):
        got = [k for k in keys_of(t.kv.ScanKeys(prefix=prefix)) if k.endswith(tail)]
        same(got, [k for k in keys if k.startswith(prefix)], "prefix %r" % prefix)
        got = [k for k in keys_of(t.kv.ScanKeys(prefix=prefix, reverse=True)) if k.endswith(tail)]
        same(got, [k for k in keys if k.startswith(prefix)][::-1], "prefix %r, reversed" % prefix)
    for key in keys:
        t.kv.Delete(key=key)


@case
def a_range_includes_its_start_and_excludes_its_end(t):
    keys = t.fill("abcdef")
    for method in (t.kv.Scan, t.kv.ScanKeys):
        same(keys_of(method(start=t.k("b"), end=t.k("e"))), keys[1:4])
        same(keys_of(method(start=t.k("b"), end=t.k("e"), reverse=True)), keys[1:4][::-1])
        same(keys_of(method(start=t.k("bb"), end=t.k("dd"))), keys[2:4])
        same(keys_of(method(start=t.k("b"), end=t.k("b\0"))), keys[1:2])
    same(t.kv.Count(start=t.k("b"), end=t.k("e")).count, 3)


@case
def an_open_bound_is_open(t):
    keys = t.fill("abcdef")
    beyond = after(t.prefix)
    got = [k for k in keys_of(t.kv.ScanKeys(start=t.k("d"))) if k < beyond]
    same(got, keys[3:])
    got = [k for k in keys_of(t.kv.ScanKeys(end=t.k("c"))) if k >= t.prefix]
    same(got, keys[:2])
    got = [k for k in keys_of(t.kv.ScanKeys()) if k.startswith(t.prefix)]
    same(got, keys)
    check(t.kv.Count().count >= 6)


@case
def prefix_and_bounds_together_are_refused(t):
    for fields in ({"start": b"a"}, {"end": b"b"}, {"start": b"a", "end": b"b"}):
        for method in ("Scan", "ScanKeys", "Count"):
            with fails("INVALID_ARGUMENT", "RANGE_INVALID", "FIELD_INVALID"):
                t.kv.call(method, dict(fields, prefix=b"p"))


@case
def an_empty_or_turned_range(t):
    # start == end holds nothing; start > end is refused or empty, and never an endless or wrong answer.
    t.fill("abc")
    same(keys_of(t.kv.Scan(start=t.k("b"), end=t.k("b"))), [])
    with fails("INVALID_ARGUMENT", "RANGE_INVALID", "FIELD_INVALID"):
        t.kv.Scan(start=t.k("c"), end=t.k("a"))


@case
def bounds_have_at_most_1024_bytes(t):
    for name in ("prefix", "start", "end"):
        with fails("INVALID_ARGUMENT", "FIELD_INVALID", field=name):
            t.kv.Scan(**{name: b"x" * 1025})
    t.kv.Scan(prefix=t.prefix + b"x" * (1024 - len(t.prefix)))


@case
def limit_ends_the_scan(t):
    keys = t.fill(["%03d" % i for i in range(150)])
    for limit in (1, 99, 100, 101, 150, 151):
        pages = t.kv.Scan(prefix=t.prefix, limit=limit)
        same(keys_of(pages), keys[:limit], "limit %d" % limit)
        same(keys_of(t.kv.ScanKeys(prefix=t.prefix, limit=limit, reverse=True)), keys[::-1][:limit])


@case
def page_size_is_kept_and_clamped(t):
    keys = t.fill(["%03d" % i for i in range(120)])
    same([len(p.items) for p in t.kv.Scan(prefix=t.prefix, page_size=50)], [50, 50, 20])
    same([len(p.keys) for p in t.kv.ScanKeys(prefix=t.prefix, page_size=1, limit=3)], [1, 1, 1])
    same([len(p.items) for p in t.kv.Scan(prefix=t.prefix, page_size=0)], [100, 20])
    same(keys_of(t.kv.Scan(prefix=t.prefix, page_size=4294967295)), keys)


@case
def a_page_has_at_most_10000_items(t):
    t.fill(["%05d" % i for i in range(10050)], value=b"")
    sizes = [len(p.keys) for p in t.kv.ScanKeys(prefix=t.prefix, page_size=20000)]
    same(sum(sizes), 10050)
    check(max(sizes) <= 10000, "a page has %d items", max(sizes))
    same(t.kv.Count(prefix=t.prefix).count, 10050)


@case
def a_page_has_at_most_1_mib_of_payload(t):
    keys = t.fill(["%02d" % i for i in range(24)], value=b"x" * 150000)
    pages = t.kv.Scan(prefix=t.prefix)
    same(keys_of(pages), keys)
    for page in pages:
        size = sum(len(i.key) + len(i.value) for i in page.items)
        check(size <= MIB, "a page has %d bytes", size)
    check(len(pages) >= 4, "24 × 150,000 bytes take %d pages", len(pages))
    check(max(len(p.items) for p in pages) >= 3, "pages are filled: %s", [len(p.items) for p in pages])


@case
def an_item_larger_than_a_page_is_a_page(t):
    keys = [t.k(n) for n in "abc"]
    for key in keys:
        t.kv.Set(key=key, value=b"y" * (MIB + 500000))
    pages = t.kv.Scan(prefix=t.prefix)
    same(keys_of(pages), keys)
    check(all(len(i.value) == MIB + 500000 for i in items_of(pages)))
    for name in "abc":
        t.kv.Delete(key=t.k(name))


# --- cursors --------------------------------------------------------------------------------------------------------------

@case
def a_cursor_continues_behind_its_page(t):
    keys = t.fill(["%03d" % i for i in range(95)])
    for method in ("Scan", "ScanKeys"):
        for reverse in (False, True):
            wanted = keys[::-1] if reverse else keys
            scan = dict(prefix=t.prefix, page_size=20, reverse=reverse)
            pages = t.kv.call(method, scan)
            same(keys_of(pages), wanted)
            for i, page in enumerate(pages[:-1]):
                rest = t.kv.call(method, dict(scan, cursor=page.next_cursor))
                same(keys_of(rest), wanted[(i + 1) * 20:], "%s after page %d" % (method, i))


@case
def walking_by_cursors_returns_every_key_once(t):
    keys = t.fill(ODD)
    got, cursor = [], b""
    for _ in range(len(keys) + 1):
        page = t.kv.Scan(prefix=t.prefix, page_size=1, limit=0, cursor=cursor)[0]
        got += [i.key for i in page.items]
        cursor = page.next_cursor
        if not cursor:
            break
    same(got, keys)


@case
def a_cursor_may_be_used_with_another_page_size(t):
    keys = t.fill(["%02d" % i for i in range(30)])
    cursor = t.kv.Scan(prefix=t.prefix, page_size=10)[0].next_cursor
    pages = t.kv.Scan(prefix=t.prefix, page_size=7, cursor=cursor)
    same(keys_of(pages), keys[10:])
    same(len(pages[0].items), 7)


@case
def the_limit_counts_over_a_cursor(t):
    # A scan of 25 that stopped after 10 has 15 left.
    keys = t.fill(["%02d" % i for i in range(40)])
    cursor = t.kv.Scan(prefix=t.prefix, page_size=10, limit=25)[0].next_cursor
    same(keys_of(t.kv.Scan(prefix=t.prefix, page_size=10, limit=25, cursor=cursor)), keys[10:25])


@case
def a_cursor_works_where_its_key_is_gone(t):
    keys = t.fill("abcdef")
    cursor = t.kv.Scan(prefix=t.prefix, page_size=3)[0].next_cursor
    for name in "cd":
        t.kv.Delete(key=t.k(name))
    same(keys_of(t.kv.Scan(prefix=t.prefix, cursor=cursor)), keys[4:])


@case
def a_cursor_of_another_scan_is_refused(t):
    t.fill(["%02d" % i for i in range(30)])
    cursor = t.kv.Scan(prefix=t.prefix, page_size=10)[0].next_cursor
    for fields in ({"prefix": t.prefix + b"0"}, {"start": t.prefix}, {"prefix": t.prefix, "reverse": True}, {}):
        with fails("INVALID_ARGUMENT", "CURSOR_OTHER_SCAN") as f:
            t.kv.Scan(cursor=cursor, **fields)
        check("cursor of another scan" in f.message, "the message says what: %s", f.message)
    with fails("INVALID_ARGUMENT", "CURSOR_OTHER_SCAN", "CURSOR_INVALID"):
        t.namespace("other").Scan(prefix=t.prefix, cursor=cursor)


@case
def a_damaged_cursor_is_refused(t):
    t.fill(["%02d" % i for i in range(30)])
    cursor = t.kv.Scan(prefix=t.prefix, page_size=10)[0].next_cursor
    bad = [cursor[:-1], cursor[1:], cursor + b"x", b"x", b"\x00" * 64, cursor[::-1]]
    bad += [cursor[:i] + bytes([cursor[i] ^ 1]) + cursor[i + 1:] for i in range(0, len(cursor), max(1, len(cursor) // 12))]
    for damaged in bad:
        with fails("INVALID_ARGUMENT", "CURSOR_INVALID", "CURSOR_OTHER_SCAN"):
            t.kv.Scan(prefix=t.prefix, cursor=damaged)
    with fails("INVALID_ARGUMENT", "FIELD_INVALID", field="cursor"):
        t.kv.Scan(prefix=t.prefix, cursor=b"c" * 4097)


@case(clients=("grpcio",))
def a_cursor_survives_a_restart_of_the_server(t):
    proxy = Proxy().start()
    client = type(t.client)(proxy.listen)
    try:
        there = t.kv.with_()
        there.client = client
        keys = t.fill(["%02d" % i for i in range(30)], kv=there)
        cursor = there.Scan(prefix=t.prefix, page_size=10)[0].next_cursor
        client.close()
        proxy.restart()
        there.client = client = type(t.client)(proxy.listen)
        if t.driver == "memory":
            t.fill(["%02d" % i for i in range(30)], kv=there)
        same(keys_of(there.Scan(prefix=t.prefix, cursor=cursor)), keys[10:])
    finally:
        client.close()
        proxy.remove()


@case
def keys_present_all_along_are_returned_once_while_others_change(t):
    keep = t.fill(["%03d-keep" % i for i in range(100)])
    got, cursor, step = [], b"", 0
    while True:
        page = t.kv.ScanKeys(prefix=t.prefix, page_size=10, limit=0, cursor=cursor)[0]
        got += list(page.keys)
        cursor = page.next_cursor
        if not cursor:
            break
        # Behind, in front, and over what is there.
        t.kv.Set(key=t.k("000-new-%d" % step), value=b"n")
        t.kv.Set(key=t.k("099-a-new-%d" % step), value=b"n")
        t.kv.Set(key=keep[50], value=b"again")
        step += 1
    same([k for k in got if k.endswith(b"-keep")], keep)
    same(len(set(got)), len(got), "no key twice")


@case
def expired_keys_are_not_there(t):
    t.fill(["a", "b"])
    t.kv.Set(key=t.k("c"), value=b"v", ttl_ms=50)
    await_true("the key expires", lambda: not t.kv.GetTTL(key=t.k("c")).exists)
    same(keys_of(t.kv.Scan(prefix=t.prefix)), [t.k("a"), t.k("b")])
    same(keys_of(t.kv.ScanKeys(prefix=t.prefix)), [t.k("a"), t.k("b")])
    same(t.kv.Count(prefix=t.prefix).count, 2)


@case
def deleted_keys_are_not_there(t):
    keys = t.fill("abc")
    t.kv.Delete(key=t.k("b"))
    same(keys_of(t.kv.Scan(prefix=t.prefix)), [keys[0], keys[2]])
    same(t.kv.Count(prefix=t.prefix).count, 2)


@case
def a_scan_sees_its_own_namespace_only(t):
    t.fill("abc")
    same(keys_of(t.namespace("other").Scan(prefix=t.prefix)), [])
