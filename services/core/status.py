"""The one table from the codes of `contracts.errors` to HTTP and gRPC, and what clients hear of unknown errors."""

import logging
from collections.abc import Mapping
from typing import Final
from uuid import uuid4

from grpc import StatusCode

from contracts.errors import Code, WindsockError

logger = logging.getLogger(__name__)

STATUS: Final[Mapping[Code, tuple[int, StatusCode]]] = {
    "invalid_input": (400, StatusCode.INVALID_ARGUMENT),
    "unauthenticated": (401, StatusCode.UNAUTHENTICATED),
    "forbidden": (403, StatusCode.PERMISSION_DENIED),
    "not_found": (404, StatusCode.NOT_FOUND),
    "conflict": (409, StatusCode.ALREADY_EXISTS),
    "too_large": (413, StatusCode.RESOURCE_EXHAUSTED),
    "overloaded": (429, StatusCode.RESOURCE_EXHAUSTED),
    "request_timeout": (408, StatusCode.DEADLINE_EXCEEDED),
    "deadline_exceeded": (504, StatusCode.DEADLINE_EXCEEDED),
    "failed_precondition": (500, StatusCode.FAILED_PRECONDITION),
    "internal": (500, StatusCode.INTERNAL),
    "unavailable": (503, StatusCode.UNAVAILABLE),
}


def describe(error: Exception) -> tuple[Code, str]:
    """The code and the text that a client may see.

    A domain error speaks for itself. Any other one is our bug: its trace goes to the log under an id, and the
    client gets the id alone.
    """
    if isinstance(error, WindsockError) and error.code != "internal":
        return error.code, str(error)
    incident = uuid4().hex[:12]
    logger.error("internal error, id %s", incident, exc_info=error, extra={"incident": incident})
    return "internal", f"internal error, id {incident}; the service's log has the details under this id"
