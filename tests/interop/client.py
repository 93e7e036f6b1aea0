"""The gRPC interoperability cases with Debian's python3-grpcio.

usage: client.py HOST:PORT DESCRIPTORS      one line a case: "NAME ok" or "NAME FAILED: why"

Source of the cases: grpc/doc/interop-test-descriptions.md; half_duplex is ours. Messages and stubs are made here, from the descriptor set that
protoc writes: generated modules would hide behind the installed package grpc.
"""
import queue
import sys
import time
import traceback

import grpc
from google.protobuf import descriptor_pb2, message_factory


class Messages:
    """The message classes of a descriptor set, by their short names."""

    def __init__(self, path):
        with open(path, "rb") as file:
            files = descriptor_pb2.FileDescriptorSet.FromString(file.read()).file
        for name, message in message_factory.GetMessages(files).items():
            setattr(self, name.rsplit(".", 1)[1], message)


pb = Messages(sys.argv[2])

SERVICE = "/grpc.testing.TestService/"
REQUEST_SIZES = (27182, 8, 1828, 45904)
RESPONSE_SIZES = (31415, 9, 2653, 58979)
CASES = []


def case(function):
    CASES.append(function)
    return function


def stub(kind, name, request, response, service=SERVICE):
    def make(channel):
        return getattr(channel, kind)(
            service + name, request_serializer=request.SerializeToString, response_deserializer=response.FromString)
    return make


empty_call = stub("unary_unary", "EmptyCall", pb.Empty, pb.Empty)
unary_call = stub("unary_unary", "UnaryCall", pb.SimpleRequest, pb.SimpleResponse)
output_call = stub("unary_stream", "StreamingOutputCall", pb.StreamingOutputCallRequest,
                   pb.StreamingOutputCallResponse)
input_call = stub("stream_unary", "StreamingInputCall", pb.StreamingInputCallRequest,
                  pb.StreamingInputCallResponse)
duplex_call = stub("stream_stream", "FullDuplexCall", pb.StreamingOutputCallRequest,
                   pb.StreamingOutputCallResponse)
half_duplex_call = stub("stream_stream", "HalfDuplexCall", pb.StreamingOutputCallRequest,
                        pb.StreamingOutputCallResponse)
unimplemented_call = stub("unary_unary", "UnimplementedCall", pb.Empty, pb.Empty)
unknown_service = stub("unary_unary", "UnimplementedCall", pb.Empty, pb.Empty,
                       "/grpc.testing.UnimplementedService/")


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"got {actual!r}, expected {expected!r}")


def fails(code, call):
    try:
        call()
    except grpc.RpcError as error:
        equal(error.code(), code)
        return error
    raise AssertionError(f"succeeded, expected {code}")


def payload(size):
    return pb.Payload(body=bytes(size))


def flag(value):
    return pb.BoolValue(value=value)


def large_request(**more):
    return pb.SimpleRequest(response_size=314159, payload=payload(271828), **more)


def output_request(sizes, request_size=None, interval_us=0, compressed=None):
    request = pb.StreamingOutputCallRequest()
    for i, size in enumerate(sizes):
        parameters = request.response_parameters.add(size=size, interval_us=interval_us)
        if compressed is not None:
            parameters.compressed.value = compressed[i]
    if request_size is not None:
        request.payload.body = bytes(request_size)
    return request


@case
def empty_unary(channel):
    equal(empty_call(channel)(pb.Empty()), pb.Empty())


@case
def large_unary(channel):
    equal(len(unary_call(channel)(large_request()).payload.body), 314159)


@case
def client_streaming(channel):
    requests = (pb.StreamingInputCallRequest(payload=payload(size)) for size in REQUEST_SIZES)
    equal(input_call(channel)(requests).aggregated_payload_size, sum(REQUEST_SIZES))


@case
def server_streaming(channel):
    responses = output_call(channel)(output_request(RESPONSE_SIZES))
    equal([len(r.payload.body) for r in responses], list(RESPONSE_SIZES))


class Conversation:
    """Requests of a stream that are sent when the test says so."""

    def __init__(self, make_call):
        self.requests = queue.Queue()
        self.responses = make_call(iter(self.requests.get, None))

    def send(self, request):
        self.requests.put(request)

    def end(self):
        self.requests.put(None)


@case
def ping_pong(channel):
    conversation = Conversation(duplex_call(channel))
    for response_size, request_size in zip(RESPONSE_SIZES, REQUEST_SIZES):
        conversation.send(output_request([response_size], request_size))
        equal(len(next(conversation.responses).payload.body), response_size)
    conversation.end()
    equal(list(conversation.responses), [])
    equal(conversation.responses.code(), grpc.StatusCode.OK)


@case
def empty_stream(channel):
    responses = duplex_call(channel)(iter(()))
    equal(list(responses), [])
    equal(responses.code(), grpc.StatusCode.OK)


@case
def half_duplex(channel):
    requests = [output_request([size], 10) for size in RESPONSE_SIZES]
    equal([len(r.payload.body) for r in half_duplex_call(channel)(iter(requests))], list(RESPONSE_SIZES))


@case
def client_compressed_unary(channel):
    call = unary_call(channel)
    fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: call(large_request(expect_compressed=flag(True))))
    response = call(large_request(expect_compressed=flag(True)), compression=grpc.Compression.Gzip)
    equal(len(response.payload.body), 314159)
    equal(len(call(large_request(expect_compressed=flag(False))).payload.body), 314159)


@case
def server_compressed_unary(channel):
    for compressed in (True, False):
        response = unary_call(channel)(large_request(response_compressed=flag(compressed)))
        equal(len(response.payload.body), 314159)


@case
def client_compressed_streaming(channel):
    call = input_call(channel)

    def requests(sizes, expected):
        return iter([pb.StreamingInputCallRequest(payload=payload(size), expect_compressed=flag(expected))
                     for size in sizes])

    fails(grpc.StatusCode.INVALID_ARGUMENT, lambda: call(requests([27182], True)))
    response = call(requests([27182, 45904], True), compression=grpc.Compression.Gzip)
    equal(response.aggregated_payload_size, 73086)


@case
def server_compressed_streaming(channel):
    responses = output_call(channel)(output_request([31415, 92653], compressed=[True, False]))
    equal([len(r.payload.body) for r in responses], [31415, 92653])


@case
def status_code_and_message(channel):
    status = pb.EchoStatus(code=2, message="test status message")
    error = fails(grpc.StatusCode.UNKNOWN,
                  lambda: unary_call(channel)(pb.SimpleRequest(response_status=status)))
    equal(error.details(), status.message)
    request = pb.StreamingOutputCallRequest(response_status=status)
    responses = duplex_call(channel)(iter([request]))
    error = fails(grpc.StatusCode.UNKNOWN, lambda: list(responses))
    equal(error.details(), status.message)


@case
def special_status_message(channel):
    status = pb.EchoStatus(code=2, message="\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n")
    error = fails(grpc.StatusCode.UNKNOWN,
                  lambda: unary_call(channel)(pb.SimpleRequest(response_status=status)))
    equal(error.details(), status.message)


@case
def custom_metadata(channel):
    metadata = (("x-grpc-test-echo-initial", "test_initial_metadata_value"),
                ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab"))

    def check(call):
        equal(dict(call.initial_metadata()).get(metadata[0][0]), metadata[0][1])
        equal(dict(call.trailing_metadata()).get(metadata[1][0]), metadata[1][1])

    _, call = unary_call(channel).with_call(large_request(), metadata=metadata)
    check(call)
    responses = duplex_call(channel)(iter([output_request([314159], 271828)]), metadata=metadata)
    equal(len(list(responses)), 1)
    check(responses)


@case
def unimplemented_method(channel):
    fails(grpc.StatusCode.UNIMPLEMENTED, lambda: unimplemented_call(channel)(pb.Empty()))


@case
def unimplemented_service(channel):
    fails(grpc.StatusCode.UNIMPLEMENTED, lambda: unknown_service(channel)(pb.Empty()))


@case
def cancel_after_begin(channel):
    conversation = Conversation(lambda requests: input_call(channel).future(requests))
    conversation.responses.cancel()
    conversation.end()
    equal(conversation.responses.cancelled(), True)
    equal(conversation.responses.code(), grpc.StatusCode.CANCELLED)


@case
def cancel_after_first_response(channel):
    conversation = Conversation(duplex_call(channel))
    conversation.send(output_request([31415], 27182))
    equal(len(next(conversation.responses).payload.body), 31415)
    conversation.responses.cancel()
    fails(grpc.StatusCode.CANCELLED, lambda: next(conversation.responses))
    conversation.end()


@case
def timeout_on_sleeping_server(channel):
    began = time.monotonic()
    responses = duplex_call(channel)(iter([output_request([31415], 27182, interval_us=5_000_000)]), timeout=0.05)
    fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(responses))
    if time.monotonic() - began > 2:
        raise AssertionError("the deadline was not kept")


def main():
    failed = 0
    with grpc.insecure_channel(sys.argv[1]) as channel:
        for function in CASES:
            try:
                function(channel)
                print(function.__name__, "ok")
            except Exception as error:  # every case is reported
                failed += 1
                print(function.__name__, "FAILED:", type(error).__name__, str(error).replace("\n", " "))
                traceback.print_exc()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
