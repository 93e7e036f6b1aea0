"""What each client has written in each codec is read by each client that knows the codec: a case is codec and reader."""
from client import Refused, Unsupported
from wire import CODECS
from world import numbered, unpack

EACH = 20


def run(clients, world, report, pool):
    topics = {codec: world.name("exchange." + codec) for codec in CODECS}
    for topic in topics.values():
        world.create(topic, 1, {})
    written = dict(zip([c.name for c in clients], pool.map(lambda client: _write(client, topics), clients)))
    for done in [pool.submit(_read_all, client, topics, written, report) for client in clients]:
        done.result()


def _write(client, topics):
    """The codecs that this client has."""
    known = []
    for codec, topic in topics.items():
        try:
            client.call("produce", topic=topic, records=numbered(EACH, client.name), codec=codec)
            known.append(codec)
        except (Unsupported, Refused):
            continue
    return known


def _read_all(client, topics, written, report):
    for codec, topic in topics.items():
        writers = [name for name, codecs in written.items() if codec in codecs]
        if codec not in written[client.name]:
            report.say(client.name, "exchange", codec, (None, ""))
            continue
        report.say(client.name, "exchange", codec, _reads(client, topic, writers))


def _reads(client, topic, writers):
    try:
        got = client.call("fetch", topic=topic, partition=0, start="earliest", count=EACH * len(writers), timeout_s=20)["records"]
    except Refused as refused:
        return False, str(refused)
    values = {r["value"] for r in got}
    missing = [name for name in writers if not {r["value"] for r in numbered(EACH, name)} <= values]
    if missing or len(got) != EACH * len(writers):
        return False, "%d records of %d; what these wrote is not whole: %s; first: %r" % (
            len(got), EACH * len(writers), ", ".join(missing), got and unpack(got[0]["value"])[:40])
    return True, ""
