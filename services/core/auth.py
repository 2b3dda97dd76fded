"""The bearer token: made at first start, compared in constant time."""

import hmac
import secrets
from pathlib import Path
from typing import Final

from contracts.errors import ParameterError, Unauthenticated
from contracts.files import write_atomic

MIN_LENGTH: Final = 16  # characters; what we make has 43


def ensure_token(path: Path) -> bool:
    """Make a token file (0600) when there is none. Returns whether it was made now."""
    if path.exists():
        read_token(path)
        return False
    write_atomic(path, f"{secrets.token_urlsafe(32)}\n".encode(), mode=0o600)
    return True


def read_token(path: Path) -> str:
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"the token file `{path}` must be readable text, got: {error}; delete it") from error
    if len(token) < MIN_LENGTH:
        raise ParameterError(
            f"the token in `{path}` must have at least {MIN_LENGTH} characters, got {len(token)}; "
            "delete the file, and the next start makes a good one"
        )
    return token


class Guard:
    """Asks for `Authorization: Bearer <token>`. `token` None lets everybody in (`--no-auth`)."""

    def __init__(self, token: str | None) -> None:
        self._expected = None if token is None else f"Bearer {token}".encode()

    def check(self, authorization: bytes | None) -> None:
        """
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
