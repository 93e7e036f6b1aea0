#!/usr/bin/python3
"""A gRPC server whose types Prism does not know, with reflection: prints its address, serves until SIGTERM.

test.foreign.Foreign: Double(Number) -> Number, Sum(stream Number) -> Number. The type Number is in a file of its own, which the
first answer of reflection does not bring along."""
import os
import subprocess
import sys
import tempfile
from concurrent import futures
from pathlib import Path

import grpc

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "number.proto": 'syntax = "proto3"; package test.foreign; message Number { int64 number = 1; }',
    "foreign.proto": 'syntax = "proto3"; package test.foreign; import "number.proto"; service Foreign {'
                     " rpc Double(Number) returns (Number); rpc Sum(stream Number) returns (Number); }",
}


def compiled(folder):
    """Modules of the files above and of reflection, by protoc."""
    for name, text in FILES.items():
        Path(folder, name).write_text(text, encoding="utf-8")
    reflection = "grpc/reflection/v1/reflection.proto"
    subprocess.run(["protoc", "-I", folder, "-I", ROOT / "proto", "--python_out", folder, *FILES, reflection], cwd=folder, check=True)
    # The package grpc is taken: reflection is loaded from where it lies.
    sys.path[:0] = [folder, os.path.join(folder, "grpc/reflection/v1")]
    import foreign_pb2  # pylint: disable=import-error,import-outside-toplevel
    import number_pb2  # pylint: disable=import-error,import-outside-toplevel
    import reflection_pb2  # pylint: disable=import-error,import-outside-toplevel
    return foreign_pb2, number_pb2, reflection_pb2


def answer(request, files, reflection):
    out = reflection.ServerReflectionResponse(original_request=request)
    kind = request.WhichOneof("message_request")
    if kind == "list_services":
        out.list_services_response.service.add(name="test.foreign.Foreign")
    elif kind == "file_containing_symbol" and request.file_containing_symbol == "test.foreign.Foreign":
        out.file_descriptor_response.file_descriptor_proto.append(files["foreign.proto"])
    elif kind == "file_by_filename" and request.file_by_filename in files:
        out.file_descriptor_response.file_descriptor_proto.append(files[request.file_by_filename])
    else:
        out.error_response.error_code = grpc.StatusCode.NOT_FOUND.value[0]
        out.error_response.error_message = "there is no such thing"
    return out


def handlers(foreign, number, reflection):
    files = {m.DESCRIPTOR.name: m.DESCRIPTOR.serialized_pb for m in (foreign, number)}
    send = type(number.Number()).SerializeToString
    read = number.Number.FromString

    def reflect(requests, _):
        for request in requests:
            yield answer(request, files, reflection)

    return (
        grpc.method_handlers_generic_handler("test.foreign.Foreign", {
            "Double": grpc.unary_unary_rpc_method_handler(lambda n, _: number.Number(number=2 * n.number), read, send),
            "Sum": grpc.stream_unary_rpc_method_handler(lambda ns, _: number.Number(number=sum(n.number for n in ns)), read, send),
        }),
        grpc.method_handlers_generic_handler("grpc.reflection.v1.ServerReflection", {
            "ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(
                reflect, reflection.ServerReflectionRequest.FromString, type(reflection.ServerReflectionResponse()).SerializeToString),
        }),
    )


def main():
    server = grpc.server(futures.ThreadPoolExecutor(4))
    with tempfile.TemporaryDirectory(prefix="prism-foreign-") as folder:
        server.add_generic_rpc_handlers(handlers(*compiled(folder)))
    print("127.0.0.1:%d" % server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
