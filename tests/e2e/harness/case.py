"""@case marks a function of a module in cases/ as a test; check, same and fails are what it says with."""
import contextlib

import grpc

from . import api


def case(function):
    function.is_case = True
    return function


def check(condition, what=""):
    if not condition:
        raise AssertionError("not true: %s" % (what,))


def same(got, wanted, what="value"):
    if got != wanted:
        raise AssertionError("%s: got %r, wanted %r" % (what, got, wanted))


@contextlib.contextmanager
def fails(code, reason=None):
    """The body's call must fail like this; what it said is in .error, .reason, .metadata, .fields."""
    caught = type("Caught", (), {})()
    try:
        yield caught
    except grpc.RpcError as error:
        caught.error, caught.text = error, error.details()
        caught.reason, caught.metadata, caught.fields = api.details(error)
        same(error.code().name, code, "code of %r" % caught.text)
        if reason:
            same(caught.reason, reason, "reason")
        return
    raise AssertionError("the call should have failed with " + code)
