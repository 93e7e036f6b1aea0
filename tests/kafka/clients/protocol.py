"""What a client program speaks with the driver, for those written in Python; README.md has the list of commands."""
import base64
import json
import sys


class Unsupported(Exception):
    """This client has no such thing."""


def pack(data):
    return None if data is None else base64.b64encode(data).decode()


def unpack(text):
    return None if text is None else base64.b64decode(text)


def record(partition, offset, timestamp, key, value, headers):
    """As the driver wants it."""
    return {"partition": partition, "offset": offset, "timestamp": timestamp, "key": pack(key), "value": pack(value),
            "headers": [[name, pack(v)] for name, v in headers or []]}


def serve(client):
    """A line of JSON in, a line out, until standard input ends. A command is a method of the client."""
    answer({"version": client.version})
    for line in sys.stdin:
        command = json.loads(line)
        answer(run(client, command.pop("op"), command))
    client.close()


def run(client, name, arguments):
    method = getattr(client, name, None)
    if method is None:
        return {"unsupported": True}
    try:
        return method(**arguments) or {}
    except Unsupported:
        return {"unsupported": True}
    except Exception as error:  # pylint: disable=broad-except
        return {"error": "%s: %s" % (type(error).__name__, error)}


def answer(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
