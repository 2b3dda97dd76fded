"""The bearer token's file: made at first use, for its owner alone; service and cluster read it here."""

import secrets
from pathlib import Path
from typing import Final

from contracts.errors import ParameterError
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
    """The token, without the line end of its file.

    Raises:
        ParameterError: no readable file, or a token that is too short.
    """
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
