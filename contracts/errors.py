"""Domain errors, each with a transport-neutral code.

    WindsockError            internal
    ├── InvalidInput         invalid_input      the caller sent something that cannot be answered
    │   └── ContractViolation                   a value breaks the feature or table contract
    ├── Unauthenticated      unauthenticated    no token, or a wrong one
    ├── NotFound             not_found          no such model, version or path
    ├── TooLarge             too_large          more rows or bytes than a request may have
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
    "not_found",
    "too_large",
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


class NotFound(WindsockError):
    code = "not_found"


class TooLarge(WindsockError):
    code = "too_large"


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
