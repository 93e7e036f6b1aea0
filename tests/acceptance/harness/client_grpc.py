"""Client 1: gRPC by Debian's python3-grpcio, with generic calls (no generated service code)."""
import grpc

from . import failure
from .stubs import message_class

OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


class GrpcClient:
    name = "grpcio"

    def __init__(self, address, credentials=None):
        if credentials:
            self.channel = grpc.secure_channel(address, credentials,
                                               OPTIONS + [("grpc.ssl_target_name_override", "localhost")])
        else:
            self.channel = grpc.insecure_channel(address, OPTIONS)

    def close(self):
        self.channel.close()

    def call(self, method, request, metadata, timeout):
        """([response…], headers): headers are response metadata and trailers. Raises Failure."""
        path = "/%s/%s" % (method.containing_service.full_name, method.name)
        make = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        stub = make(path, type(request).SerializeToString, message_class(method.output_type).FromString)
        try:
            if method.server_streaming:
                stream = stub(request, timeout=timeout, metadata=metadata)
                messages = list(stream)
            else:
                response, stream = stub.with_call(request, timeout=timeout, metadata=metadata)
                messages = [response]
            return messages, headers_of(stream)
        except grpc.RpcError as error:
            headers = headers_of(error)
            raise failure.from_details_bin(error.code().name, error.details(), headers.get("grpc-status-details-bin"),
                                           headers) from None


def headers_of(call):
    return {k: v for k, v in list(call.initial_metadata() or ()) + list(call.trailing_metadata() or ())}
