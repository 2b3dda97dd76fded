"""Domain errors, each with a transport-neutral code.

    WindsockError            internal
    ├── InvalidInput         invalid_input      the caller sent something that cannot be answered
    │   └── ContractViolation                   a value breaks the feature or table contract
    ├── Unauthenticated      unauthenticated    no token, or a wrong one
    ├── Forbidden            forbidden          a token without the scope that this needs
    ├── NotFound             not_found          no such model, version or path
    ├── Conflict             conflict           an id that stands for something else already
    ├── TooLarge             too_large          more rows or bytes than a request may have
    ├── Overloaded           overloaded         more at once than is taken on; later it works
    ├── RequestTimeout       request_timeout    a request that does not come to its end
    ├── DeadlineExceeded     deadline_exceeded  the caller waits no longer
    ├── Unavailable          unavailable        not ready yet, draining, or a dependency is unreachable
    ├── ParameterError       invalid_input      params.yaml or a setting is wrong
    ├── DataError            invalid_input      a data file is missing or damaged
    ├── SchemaInvalid        invalid_input      a task's schema breaks a rule of its own
    ├── ArtifactInvalid      failed_precondition  an artifact does not verify
    └── NotReproducible      failed_precondition  what made a model is not at hand

`services/core/status.py` maps the codes to HTTP and gRPC; `cli/options.py` prints the message and exits with 1.
Messages have one form: "`<name>` must be <rule>, got <value>; <what to do>".
"""

from typing import ClassVar, Literal

Code = Literal[
    "internal",
    "invalid_input",
    "unauthenticated",
    "forbidden",
    "not_found",
    "conflict",
    "too_large",
    "overloaded",
    "request_timeout",
    "deadline_exceeded",
    "unavailable",
    "failed_precondition",
]


class WindsockError(Exception):
    """Base of all errors that are shown to a person: `str(error)` is the whole message."""

    code: ClassVar[Code] = "internal"


class InvalidInput(WindsockError):
    code = "invalid_input"


class ContractViolation(InvalidInput):
    """A value, column or tensor that breaks the contract; the message names it."""


class Unauthenticated(WindsockError):
    code = "unauthenticated"


class Forbidden(WindsockError):
    code = "forbidden"


class NotFound(WindsockError):
    code = "not_found"


class Conflict(WindsockError):
    code = "conflict"


class TooLarge(WindsockError):
    code = "too_large"


class Overloaded(WindsockError):
    """Refused at once, with nothing done. `retry_after`: seconds after which a try makes sense."""

    code = "overloaded"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RequestTimeout(WindsockError):
    code = "request_timeout"


class DeadlineExceeded(WindsockError):
    code = "deadline_exceeded"


class Unavailable(WindsockError):
    code = "unavailable"


class ParameterError(WindsockError):
    code = "invalid_input"


class DataError(WindsockError):
    code = "invalid_input"


class SchemaInvalid(WindsockError):
    code = "invalid_input"


class ArtifactInvalid(WindsockError):
    code = "failed_precondition"


class NotReproducible(WindsockError):
    code = "failed_precondition"
