"""Bearer tokens. `tokens_file` has what the service knows of them: hashes, names, scopes and quotas, no token itself.
`token_file` has one of them in the plain, for the clients of this machine; the service never needs it.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta

from contracts.errors import NotFound, ParameterError
from contracts.files import write_atomic

# predict: scores rows. label: delivers outcomes. admin: reads what the service says of itself without either.
# probe: scores rows that are not logged and count nowhere, so that asking whether the service answers leaves no trace.
Scope = Literal["predict", "label", "admin", "probe"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
ORDINARY: Final[tuple[Scope, ...]] = ("predict", "label", "admin")  # what a caller may do whose rows are logged
MIN_LENGTH: Final = 16  # characters; what we make has 43
_DEFAULT: Final = "default"  # name of the token that is made first
_PROBE: Final = "probe"  # name of the prober's
PROBE_ROWS: Final = 5.0  # a second, of the prober's token: what is not logged must not be much


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a token.

    Attributes:
        name: stands in logs and in the prediction log.
        sha256: of the token, in hex. A token is 256 random bits, so a plain hash cannot be guessed back.
        scopes: probe stands alone: no other rows may go unlogged.
        rows_per_second: quota; None is none. A worker process counts for itself.
    """

    name: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9._-]{0,63}$")]
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1)]
    rows_per_second: Annotated[float, Meta(gt=0)] | None = None

    def __post_init__(self) -> None:
        if "probe" in self.scopes and self.scopes != ("probe",):
            raise ValueError(f"the scope probe must stand alone, got {' and '.join(self.scopes)}")


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1]
    tokens: tuple[Token, ...]


def ensure_token(token_file: Path, tokens_file: Path) -> bool:
    """See to it that there are tokens: those of `tokens_file`, else the plain one, else a new one in both files (0600).

    The plain token of an installation that has no `tokens_file` yet goes on: as `default`, with every scope.

    Returns:
        Whether a token was made now.

    Raises:
        ParameterError: a file that cannot be read, written or understood.
    """
    if tokens_file.exists():
        read_tokens(tokens_file)
        return False
    made = not token_file.exists()
    try:
        if made:
            write_atomic(token_file, f"{secrets.token_urlsafe(32)}\n".encode(), mode=0o600)
        write_atomic(tokens_file, to_file([default_token(read_token(token_file))]), mode=0o600)
    except OSError as error:
        raise ParameterError(
            f"the tokens file `{tokens_file}` must be there or its folder take writes, got: {error.strerror}; "
            "`windsock tokens add` makes one"
        ) from error
    return made


def read_token(path: Path) -> str:
    """The plain token, without the line end of its file.

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


def read_tokens(path: Path) -> tuple[Token, ...]:
    """All tokens that the service takes.

    Raises:
        ParameterError: no readable file, or one that is not as `windsock tokens` writes it.
    """
    try:
        found = from_file(path.read_bytes())
    except (OSError, msgspec.DecodeError) as error:  # a ValidationError is one, too
        raise ParameterError(
            f"the tokens file `{path}` must be as `windsock tokens add` writes it, got: {error}; correct it"
        ) from error
    for what, values in (("names", [one.name for one in found]), ("tokens", [one.sha256 for one in found])):
        if len(set(values)) < len(values):
            raise ParameterError(f"the {what} in `{path}` must differ, got one twice; remove one of both")
    return found


def add_token(path: Path, name: str, scopes: tuple[Scope, ...], rows_per_second: float | None) -> str:
    """Add a new token. Returns it: it is kept nowhere.

    Raises:
        ParameterError: a name that is taken or not as it must be, or a file that cannot be read.
    """
    plain = secrets.token_urlsafe(32)
    with _editing(path) as tokens:
        if any(one.name == name for one in tokens):
            raise ParameterError(f"`name` must be new, got {name!r}; remove that one, or choose another name")
        try:
            tokens.append(msgspec.convert(msgspec.to_builtins(_token(plain, name, scopes, rows_per_second)), Token))
        except (ValueError, msgspec.ValidationError) as error:
            raise ParameterError(
                "a token must have a name of a-z, 0-9, `.`, `_`, `-`, fitting scopes and a quota above 0, "
                f"got: {error}; correct it"
            ) from error
    return plain


def remove_token(path: Path, name: str) -> None:
    """Remove a token.

    Raises:
        NotFound: none has the name.
        ParameterError: a file that cannot be read.
    """
    with _editing(path) as tokens:
        names = [one.name for one in tokens]
        if name not in names:
            raise NotFound(
                f"`name` must be one of {', '.join(names) or 'none'}, got {name!r}; see `windsock tokens list`"
            )
        del tokens[names.index(name)]


def ensure_probe_token(probe_token_file: Path, tokens_file: Path) -> None:
    """See to it that the prober has a token that the service knows: in the plain in `probe_token_file` (0600).

    Raises:
        ParameterError: a file that cannot be read or written.
    """
    known = {one.sha256: one.name for one in read_tokens(tokens_file)}
    if probe_token_file.exists() and probe_token(read_token(probe_token_file)).sha256 in known:
        return
    if _PROBE in known.values():  # the plain one is lost, and kept nowhere else
        remove_token(tokens_file, _PROBE)
    plain = add_token(tokens_file, _PROBE, ("probe",), PROBE_ROWS)
    try:
        write_atomic(probe_token_file, f"{plain}\n".encode(), mode=0o600)
    except OSError as error:
        raise ParameterError(
            f"the token file `{probe_token_file}` must take writes, got: {error.strerror}; correct its folder"
        ) from error


def default_token(plain: str) -> Token:
    """What is known of the plain token of an installation: every scope of an ordinary caller, and no quota."""
    return _token(plain, _DEFAULT, ORDINARY, None)


def probe_token(plain: str) -> Token:
    """What is known of the prober's token."""
    return _token(plain, _PROBE, ("probe",), PROBE_ROWS)


def hash_token(plain: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(plain).digest()


def from_file(content: bytes) -> tuple[Token, ...]:
    """The tokens in the content of a `tokens_file`.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return msgspec.json.decode(content, type=_File).tokens


def to_file(tokens: list[Token]) -> bytes:
    """The content of a `tokens_file`."""
    return msgspec.json.format(msgspec.json.encode(_File(1, tuple(tokens))), indent=1) + b"\n"


def _token(plain: str, name: str, scopes: tuple[Scope, ...], rows_per_second: float | None) -> Token:
    return Token(name, hash_token(plain.encode()).hex(), scopes, rows_per_second)


@contextmanager
def _editing(path: Path) -> Iterator[list[Token]]:
    """The tokens, written back at the end. Two who edit at once wait for each other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        tokens = list(read_tokens(path)) if path.exists() else []
        yield tokens
        write_atomic(path, to_file(tokens), mode=0o600)
    finally:
        os.close(folder)
