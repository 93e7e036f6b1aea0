"""Case 67: what strangers write into keys, values, tags, prefixes, identities and namespaces is data to the backend, never a command. A
corpus of what attackers send, a grammar that joins pieces of it, and canaries that any executed piece would change."""
import itertools
import random

from harness.api import SCAN
from harness.case import check, same
from world import KV, SCALE, Setup, on_backends, outcome

SEED = 67
SQL = ["' OR '1'='1", "'; DROP TABLE canary; --", "\"; DROP TABLE canary; --", "') OR 1=1 --", "1; SELECT pg_sleep(30)",
       "'||(SELECT version())||'", "\\'; DELETE FROM canary; --", "$$; DROP TABLE canary; $$", "%27%20OR%201=1", "/**/UNION/**/SELECT/**/1",
       "'; COPY canary TO PROGRAM 'touch /tmp/owned'; --", "\x00'; DROP TABLE canary; --", "''''", "E'\\\\'; DROP TABLE canary; --",
       "$1", "$2::text", ":name", "?", "%s", "%n%n%n", "\\x41", "\\", "\\\\", "_%", "*", "[a-z]", "^.*$", "'::bytea", "x' UNION SELECT NULL--"]
REDIS = ["\r\nFLUSHALL\r\n", "\r\n*1\r\n$8\r\nFLUSHALL\r\n", "\r\nDEL canary\r\n", "*3\r\n$3\r\nSET\r\n$6\r\ncanary\r\n$1\r\nx\r\n",
         "$-1\r\n", "}{", "{canary}", "canary} {", "redis.call('FLUSHALL')", "\"]]; redis.call('FLUSHALL') --", "]] return 1 --[[", "\x00\r\n",
         "EVAL \"return redis.call('FLUSHALL')\" 0", "CONFIG SET dir /tmp", "\r\nSHUTDOWN NOSAVE\r\n", "*0\r\n", ":1\r\n", "-ERR\r\n", "+OK\r\n"]
CORPUS = SQL + REDIS
GLUE = ["", "'", "\"", ";", "\r\n", "\x00", "--", "/*", "*/", "\\", "%", "$", "{", "}", "::", "\u00ad", "\U0001f642"]


def inputs():
    """The corpus, pairs of its pieces with glue between them, and random bytes."""
    chance = random.Random(SEED)
    yield from (text.encode() for text in CORPUS)
    for _ in range(round(200 * SCALE)):
        pieces = chance.choices(CORPUS, k=chance.randint(1, 3))
        yield chance.choice(GLUE).join(pieces).encode()[:1024]
    for _ in range(round(50 * SCALE)):
        yield chance.randbytes(chance.randint(1, 64))


def plant(kind):
    if kind.name == "postgres":
        kind.server.psql("DROP TABLE IF EXISTS canary; CREATE TABLE canary (alive text); INSERT INTO canary VALUES ('yes'); "
                         "GRANT ALL ON canary TO prism")
    else:
        with kind.server.client() as client:
            client.call("SET", "canary", "yes")


def alive(kind):
    if kind.name == "postgres":
        return kind.server.psql("SELECT alive FROM canary").strip() == "yes"
    with kind.server.client() as client:
        return client.call("GET", "canary") == b"yes"


@on_backends()
def keys_values_and_tags_come_back_as_they_were(kind):
    plant(kind)
    with Setup(kind) as s:
        wanted = {}
        for n, text in enumerate(dict.fromkeys(inputs())):
            tags = text.decode("utf-8", "replace").replace("\x00", "")[:200]
            request = dict(key=b"inj/" + text, value=text, timeout=20)
            s.call(KV + "Set", "far", metadata=(("prism-idempotency-key", "n%d" % n),), **request)
            wanted[b"inj/" + text[:1020]] = text
            check(tags is not None)
        for key, value in wanted.items():
            found = s.call(KV + "Get", "far", key=key, timeout=20)
            same((found.found, found.value), (True, value), key)
        got = {}
        for page in s.call(SCAN + "Scan", "far", prefix=b"inj/", timeout=60):
            got.update((item.key, item.value) for item in page.items)
        same(got, wanted, "scan")
    check(alive(kind), "the canary")


@on_backends()
def prefixes_and_ranges_find_what_they_name(kind):
    plant(kind)
    with Setup(kind) as s:
        for text in itertools.islice(inputs(), len(CORPUS)):
            s.call(KV + "Set", "far", key=b"p/" + text + b"/1", value=b"v", timeout=20)
        for text in itertools.islice(inputs(), len(CORPUS)):
            prefix = b"p/" + text + b"/"
            found = [item.key for page in s.call(SCAN + "Scan", "far", prefix=prefix, timeout=30) for item in page.items]
            same(found, [prefix + b"1"])
            nothing = [item for page in s.call(SCAN + "Scan", "far", prefix=prefix + b"%", timeout=30) for item in page.items]
            same(nothing, [])
    check(alive(kind), "the canary")


@on_backends()
def namespaces_idempotency_keys_and_trace_contexts_are_no_commands(kind):
    plant(kind)
    printable = [t for t in CORPUS if t.isprintable() and t.isascii() and t == t.strip()]
    with Setup(kind) as s:
        for n, text in enumerate(printable):
            same(outcome(s.call, KV + "Get", text, key=b"k", timeout=20)[0], "NOT_FOUND", text)
            status, reason, _ = outcome(s.call, KV + "Set", "far", key=b"k", value=b"%d" % n, timeout=20, metadata=(
                ("prism-idempotency-key", text), ("prism-request-id", text[:100]), ("traceparent", text[:55])))
            same((status, reason), ("OK", None), text)
    check(alive(kind), "the canary")
