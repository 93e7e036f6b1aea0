"""The end of a proxy: SIGTERM under load, health first, calls in flight ended, the time limit, the second signal."""
import json
import os
import signal
import socket
import threading
import time

import grpc

from harness.api import HEALTH, KV, SCAN, Client, request_of, stub
from harness.case import case, check, same
from harness.proxy import Proxy

SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3


@case
def calls_in_flight_end_when_asked_to_stop():
    for number in (signal.SIGTERM, signal.SIGINT):
        with Proxy() as p:
            results, started = [], threading.Event()

            def run(index):
                with Client(p.listen, options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]) as call:
                    n = 0
                    while True:
                        n += 1
                        try:
                            call(KV + "Set", "default", key=b"%d-%d" % (index, n), value=b"v")
                            started.set()
                        except grpc.RpcError as error:
                            results.append((error.code(), error.details()))
                            return
            threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
            for thread in threads:
                thread.start()
            check(started.wait(20))
            p.signal(number)
            same(p.wait(), 0, "exit code")
            for thread in threads:
                thread.join()
            # The calls after the last good ones found nobody; of those that were taken none failed.
            same({code for code, _ in results}, {grpc.StatusCode.UNAVAILABLE}, results)
            same([line for line in p.log_lines() if line["message"] == "call failed"], [], "calls that the proxy cut off")


@case
def a_value_that_was_acknowledged_is_there_after_a_restart():
    with Proxy() as first:
        acknowledged = []

        def run():
            with Client(first.listen) as call:
                try:
                    while True:
                        key = b"%d" % len(acknowledged)
                        call(KV + "Set", "default", key=key, value=key)
                        acknowledged.append(key)
                except grpc.RpcError:
                    pass
        thread = threading.Thread(target=run)
        thread.start()
        while len(acknowledged) < 20:
            time.sleep(0.005)
        first.stop()
        thread.join()
        with Proxy(folder=first.folder) as second, second.client() as call:
            for key in acknowledged:
                same(call(KV + "Get", "default", key=key).value, key)


@case
def health_is_watched_to_the_end():
    with Proxy() as p, p.client() as call, p.admin() as admin:
        states = {}
        for name, client in (("data", call), ("metrics", admin)):
            states[name] = stub(client.channel, HEALTH + "Watch")(request_of(HEALTH + "Watch", {}), timeout=30)
            same(next(states[name]).status, SERVING, name)
        known = stub(call.channel, HEALTH + "Watch")(request_of(HEALTH + "Watch", {"service": "prism.keyvalue.v1.KeyValueBasic"}))
        same(next(known).status, SERVING)
        unknown = stub(call.channel, HEALTH + "Watch")(request_of(HEALTH + "Watch", {"service": "no.such.Service"}))
        same(next(unknown).status, SERVICE_UNKNOWN)
        p.signal(signal.SIGTERM)
        for stream in list(states.values()) + [known]:
            same(next(stream).status, NOT_SERVING)
            try:
                next(stream)
                raise AssertionError("the watch goes on")
            except grpc.RpcError as error:
                same(error.code(), grpc.StatusCode.UNAVAILABLE)
        same(p.wait(), 0, "exit code")


def open_half_a_call(p):
    """A call whose request never comes to its end: it holds the drain up."""
    connection = socket.create_connection(p.listen.rsplit(":", 1))
    connection.sendall(b"POST /v1/namespaces/memory/keyvalue_basic/Get HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                       b"content-length: 100\r\n\r\n{")
    return connection


def await_calls_in_flight(p, wanted):
    until = time.monotonic() + 20
    while 'prism_calls_in_flight{port="data"} %d\n' % wanted not in p.page("/metrics")[1]:
        check(time.monotonic() < until, "calls in flight")
        time.sleep(0.01)


@case
def the_drain_has_a_limit():
    with Proxy(config="drain_timeout: 1s\nnamespaces: [{name: memory, backend: memory}]\n") as p:
        with open_half_a_call(p):
            await_calls_in_flight(p, 1)
            start = time.monotonic()
            same(p.stop(), 0, "exit code")
            took = time.monotonic() - start
            check(0.9 < took < 5, took)


@case
def a_second_signal_ends_at_once():
    with Proxy() as p:
        with open_half_a_call(p):
            await_calls_in_flight(p, 1)
            start = time.monotonic()
            p.signal(signal.SIGTERM)
            p.await_log("draining")
            status, body = p.page("/ready")
            same((status, json.loads(body)["reasons"]), (503, ["draining"]))
            same(p.page("/health")[0], 200)
            p.signal(signal.SIGTERM)
            same(p.wait(), 0, "exit code")
            check(time.monotonic() - start < 5, "at once")


@case
def a_stream_in_flight_is_finished():
    with Proxy() as p, p.client(options=[("grpc.max_receive_message_length", -1)]) as call:
        for i in range(60):
            call(KV + "Set", "memory", key=b"k%03d" % i, value=b"x" * 100000)
        pages = stub(call.channel, SCAN + "Scan")(request_of(SCAN + "Scan", {"page_size": 1}),
                                                metadata=(("prism-namespace", "memory"),), timeout=30)
        seen = [next(pages)]
        p.signal(signal.SIGTERM)
        p.await_log("draining")
        seen += list(pages)
        same(sum(len(page.items) for page in seen), 60, "items")
        same(p.wait(), 0, "exit code")


@case
def killed_and_started_again_it_serves():
    with Proxy() as p, p.client() as call:
        call(KV + "Set", "default", key=b"k", value=b"v")
        p.kill()
        with Proxy(folder=p.folder) as again, again.client() as call2:
            same(call2(KV + "Get", "default", key=b"k").value, b"v")
    check(not os.path.exists(p.folder))
