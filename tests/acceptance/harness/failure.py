"""A call that failed, the same whatever client saw it."""
import json

from google.protobuf import json_format

from .stubs import error_pb2

CODES = ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
         "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
         "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"]


class Failure(Exception):
    """code is a name of CODES; reason, domain and metadata are those of ErrorInfo; fields maps BadRequest paths to texts."""

    def __init__(self, code, message, status=None, headers=None, http_status=None):
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.headers = headers or {}
        self.http_status = http_status
        self.status = status
        self.reason = self.domain = self.resource = None
        self.metadata, self.fields, self.preconditions = {}, {}, []
        self.retry_s = None
        for detail in status.details if status else ():
            self._take(detail)

    def _take(self, detail):
        kind = detail.type_url.rsplit("/", 1)[-1]
        message = {"google.rpc.ErrorInfo": error_pb2.ErrorInfo, "google.rpc.BadRequest": error_pb2.BadRequest,
                   "google.rpc.RetryInfo": error_pb2.RetryInfo, "google.rpc.ResourceInfo": error_pb2.ResourceInfo,
                   "google.rpc.PreconditionFailure": error_pb2.PreconditionFailure}.get(kind)
        if not message:
            return
        message = message.FromString(detail.value)
        if kind == "google.rpc.ErrorInfo":
            self.reason, self.domain, self.metadata = message.reason, message.domain, dict(message.metadata)
        elif kind == "google.rpc.BadRequest":
            self.fields = {v.field: v.description for v in message.field_violations}
        elif kind == "google.rpc.RetryInfo":
            self.retry_s = message.retry_delay.seconds + message.retry_delay.nanos / 1e9
        elif kind == "google.rpc.ResourceInfo":
            self.resource = (message.resource_type, message.resource_name)
        else:
            self.preconditions = list(message.violations)

    def __str__(self):
        return "%s (%s): %s %s" % (self.code, self.reason, self.message, self.fields or "")


def from_details_bin(code, message, details, headers):
    """From the trailers of a gRPC call. details: bytes of google.rpc.Status or None."""
    status = error_pb2.Status.FromString(details) if details else None
    if status and (CODES[status.code] != code or status.message != message):
        raise AssertionError("grpc-status-details-bin says %d %r, the trailers %s %r"
                             % (status.code, status.message, code, message))
    return Failure(code, message, status, headers)


def from_json(body, headers, http_status):
    """From the JSON body of an HTTP answer: {"error": {code, status, reason, message, details}}, which is google.rpc.Status in
    ProtoJSON with the names of code and reason beside it."""
    try:
        error = dict(json.loads(body)["error"])
        names = error.pop("status"), error.pop("reason")
        status = json_format.ParseDict(error, error_pb2.Status())
    except (ValueError, KeyError, TypeError, json_format.ParseError) as wrong:
        raise AssertionError("HTTP %s with a body that is no error: %r (%s)" % (http_status, body[:300], wrong)) from wrong
    failure = Failure(CODES[status.code], status.message, status, headers, http_status)
    if names != (failure.code, failure.reason):
        raise AssertionError("status and reason are %s, the details say %s" % (names, (failure.code, failure.reason)))
    return failure
