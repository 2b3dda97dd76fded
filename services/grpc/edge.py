"""What every call begins and ends with: the token, the message's bytes, and the refusal."""

from typing import Any, Final, NoReturn

from google.protobuf.message import DecodeError

from contracts.errors import Code, InvalidInput
from services.core.auth import Caller, Guard, Need
from services.core.refusals import refused
from services.core.status import STATUS, describe
from services.generated import open_inference_pb2 as pb
from services.grpc.threads import Context, Reader

SERVICE: Final = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name


class Edge:
    """Thread-safe."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self.reader = Reader()

    def check(self, context: Context, need: Need) -> Caller:
        """Who calls: `authorization: Bearer <token>` in the metadata. Raises what `Guard.check` does."""
        given: str | bytes | None = None
        for name, value in context.invocation_metadata():
            if name == "authorization":
                given = value
        return self._guard.check(given.encode() if isinstance(given, str) else given, need)


def parse(kind: Any, content: bytes) -> Any:
    """A protobuf message.

    Raises:
        InvalidInput: the bytes are none. The library would answer UNKNOWN, and write a trace into the log.
    """
    try:
        return kind.FromString(content)
    except DecodeError as error:
        raise InvalidInput(
            f"the message must be a protobuf {kind.DESCRIPTOR.full_name}, got {len(content)} bytes that are none; "
            "see services/generated/open_inference.proto"
        ) from error


def refuse(context: Context, error: Exception) -> NoReturn:
    """End a call with the code and the text for this error. Ends it by an exception of the library's."""
    code, text = describe(error)
    refused("grpc", code, text)
    abort(context, code, text)


def abort(context: Context, code: Code, text: str) -> NoReturn:
    context.abort(STATUS[code][1], text)
