"""What a call may raise. `str(error)` is the service's own text, where it sent one.

ClientError
├── Refused        4xx: the request is wrong, and a repeat would be, too
├── Busy           429 or 503, still, after the last try: later it works
├── Failed         another 5xx, or an answer that is none of this service's
└── Unreachable    no answer, still, after the last try
"""


class ClientError(Exception):
    """Base of all. `status` is the HTTP status; None: there was no answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Refused(ClientError):
    """The message names the field and the rule."""


class Busy(ClientError):
    """`retry_after`: seconds after which the service wants to be asked again; None: it did not say."""

    def __init__(self, message: str, status: int, retry_after: float | None) -> None:
        super().__init__(message, status)
        self.retry_after = retry_after


class Failed(ClientError):
    """The message has the id under which the service's log has the details."""


class Unreachable(ClientError):
    """The message is the transport's."""
