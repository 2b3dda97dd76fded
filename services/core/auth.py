"""Who may ask: the bearer token of a request, compared in constant time."""

import hmac

from contracts.errors import Unauthenticated


class Guard:
    """Asks for `Authorization: Bearer <token>`. `token` None lets everybody in (`--no-auth`)."""

    def __init__(self, token: str | None) -> None:
        self._expected = None if token is None else f"Bearer {token}".encode()

    def check(self, authorization: bytes | None) -> None:
        """Let a request pass whose `Authorization` header is this; None: it has none.

        Raises:
            Unauthenticated: no header, or another one than expected.
        """
        if self._expected is None:
            return
        if authorization is None or not hmac.compare_digest(authorization, self._expected):
            got = "none" if authorization is None else "another one"
            raise Unauthenticated(
                f"`authorization` must be `Bearer <token>`, got {got}; the token is in the token file"
            )
