"""The relay itself: it does what it says, to connections of an echo server."""
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time

from harness.case import case, check, same
from relay import Relay

RELAY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "relay.py")


def _serve(listener):
    def echo(connection):
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                connection.sendall(data)
    with contextlib.suppress(OSError):
        while True:
            threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()


@contextlib.contextmanager
def echo_server():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        yield "127.0.0.1:%d" % listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def relayed():
    with echo_server() as server, Relay(server) as relay:
        yield relay


def connect(relay):
    host, port = relay.address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def echoed(connection, data):
    connection.sendall(data)
    got = b""
    while len(got) < len(data):
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("it ended")
        got += part
    return got


def ends(connection):
    """"rst" or "fin", whichever comes."""
    try:
        same(connection.recv(1), b"")
        return "fin"
    except ConnectionResetError:
        return "rst"


@case
def passes_bytes_and_ends():
    with relayed() as relay, connect(relay) as c:
        data = os.urandom(1 << 20)
        threading.Thread(target=c.sendall, args=(data,)).start()
        got = b""
        while len(got) < len(data):
            got += c.recv(65536)
        check(got == data)
        c.shutdown(socket.SHUT_WR)
        same(ends(c), "fin")
        same(relay.stats()["up_bytes"], len(data))


@case
def delays_without_adding_up():
    with relayed() as relay, connect(relay) as c:
        echoed(c, b"x")
        relay.set(down={"delay_ms": 200})
        began = time.monotonic()
        for _ in range(20):
            c.sendall(b"y")
        got = b""
        while len(got) < 20:
            got += c.recv(100)
        took = time.monotonic() - began
        check(took >= 0.2, took)
        check(took < 20 * 0.2, took)  # as it would be if each waited for the one before


@case
def throttles():
    with relayed() as relay, connect(relay) as c:
        relay.set(up={"bytes_per_s": 100000})
        began = time.monotonic()
        echoed(c, bytes(50000))
        check(time.monotonic() - began >= 0.5)


@case
def resets_and_closes():
    for kind in ("rst", "fin"):
        with relayed() as relay:
            connections = [connect(relay) for _ in range(10)]
            for c in connections:
                echoed(c, b"x")
            same(relay.cut(kind, part=0.5), 5)
            ended = 0
            for c in connections:
                c.setblocking(True)
                with contextlib.suppress(ConnectionError):
                    c.sendall(b"z")
                try:
                    ended += c.recv(1) == b""
                except ConnectionResetError:
                    same(kind, "rst")
                    ended += 1
                c.close()
            same(ended, 5, kind)


@case
def refuses_and_listens_again():
    with relayed() as relay:
        with connect(relay) as open_one:
            echoed(open_one, b"x")
            relay.set(refuse=True)
            try:
                connect(relay).close()
                raise AssertionError("it listens")
            except ConnectionRefusedError:
                pass
            same(echoed(open_one, b"still"), b"still")
        relay.set(refuse=False)
        with connect(relay) as again:
            same(echoed(again, b"x"), b"x")


@case
def swallows_in_a_black_hole():
    with relayed() as relay, connect(relay) as c:
        relay.set(down={"black_hole": True})
        c.sendall(b"x")
        c.settimeout(0.2)
        try:
            c.recv(1)
            raise AssertionError("something came")
        except socket.timeout:
            pass
        same(relay.stats()["up_bytes"], 1)


@case
def corrupts_one_bit_a_chunk():
    with relayed() as relay, connect(relay) as c:
        relay.set(up={"corrupt": 1.0})
        got = echoed(c, bytes(100))
        same(sum(bin(byte).count("1") for byte in got), 1)


@case
def cuts_when_the_answer_comes():
    with relayed() as relay, connect(relay) as c:
        relay.set(cut_on_answer=1.0)
        c.sendall(b"request")
        same(ends(c), "rst")
        same(relay.stats()["up_bytes"], 7, "the server got it")


@case
def obeys_its_standard_input():
    with echo_server() as server:
        with subprocess.Popen([sys.executable, RELAY, server], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tool:
            address = json.loads(tool.stdout.readline())["listen"]
            host, port = address.rsplit(":", 1)

            def say(command):
                tool.stdin.write(json.dumps(command) + "\n")
                tool.stdin.flush()
                return json.loads(tool.stdout.readline())
            with socket.create_connection((host, int(port)), timeout=10) as c:
                same(echoed(c, b"x"), b"x")
                same(say({"stats": {}})["ok"]["open"], 1)
                same(say({"set": {"down": {"delay_ms": 1}}}), {"ok": None})
                same(say({"cut": {"kind": "rst"}}), {"ok": 1})
                check("no setting 'delay'" in say({"set": {"delay": 1}})["error"])
                check("rst or fin" in say({"cut": {"kind": "hard"}})["error"])
            tool.stdin.close()
            same(tool.wait(20), 0)
