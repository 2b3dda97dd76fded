"""Who may ask for what: the bearer token of a request, its scope and its quota."""

import hmac
import logging
import math
import threading
import time
from pathlib import Path
from typing import Final, Literal

from contracts.errors import Forbidden, Overloaded, ParameterError, Unauthenticated
from contracts.settings.tokens import ORDINARY, Scope, Token, hash_token, read_tokens

logger = logging.getLogger(__name__)

# What a call needs: a scope; `read`, which `predict` and `admin` have: metadata, configuration, statistics, reflection;
# or just `any` token that is known.
Need = Scope | Literal["read", "any"]


class Caller:
    """Who asks. `name` is the token's; "" where no token is asked for. `probe`: its rows are not logged."""

    __slots__ = ("_level", "_lock", "_rate", "_then", "granted", "name", "probe", "token")

    def __init__(self, token: Token | None) -> None:
        self.token = token
        self.name = "" if token is None else token.name
        scopes: tuple[Scope, ...] = ORDINARY if token is None else token.scopes
        self.probe = "probe" in scopes
        reads: set[Need] = {"any", "read"} if {"predict", "admin"} & set(scopes) else {"any"}
        predicts: set[Need] = {"predict"} if self.probe else set()
        self.granted: frozenset[Need] = frozenset(reads | predicts | set(scopes))
        self._rate = None if token is None else token.rows_per_second
        self._level = self._rate or 0.0
        self._then = time.monotonic()
        self._lock = threading.Lock()

    def take(self, rows: int) -> None:
        """Count rows against the quota: a bucket of one second's rows. Thread-safe.

        A request passes as long as the bucket is not empty, and may leave it in debt; so one that is larger than the
        bucket passes, too, and those after it wait. With 0 rows nothing is taken: refuse before the body is read.

        Raises:
            Overloaded: the bucket is empty.
        """
        if self._rate is None:
            return
        with self._lock:
            now = time.monotonic()
            self._level = min(self._rate, self._level + (now - self._then) * self._rate)
            self._then = now
            if self._level > 0:
                self._level -= rows
                return
            wait = math.floor(-self._level / self._rate) + 1
        raise Overloaded(
            f"the token {self.name!r} must send at most {self._rate:g} rows a second, got more; try again in {wait} s",
            retry_after=wait,
        )


NOBODY: Final = Caller(None)


class Guard:
    """Asks for `Authorization: Bearer <token>`, with a token of the tokens file. Thread-safe.

    Args:
        path: of the tokens file; None lets everybody in (`--no-auth`).

    Raises:
        ParameterError: a file that cannot be read.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen = None if path is None else _look(path)
        self._known: tuple[tuple[bytes, Caller], ...] = () if path is None else _callers(path, ())

    def check(self, authorization: bytes | None, need: Need, rows: int = 0) -> Caller:
        """Let a request pass whose `Authorization` header is this; None: it has none.

        The scheme may be in any case, with blanks around it: NVIDIA's perf_analyzer sends one before.

        Args:
            rows: counted against the token's quota; 0 only asks whether there is any left.

        Raises:
            Unauthenticated: no header, or no token that is known.
            Forbidden: the token has another scope.
            Overloaded: the token's quota is used up.
        """
        if self._path is None:
            return NOBODY
        words = () if authorization is None else authorization.split()
        found = None
        if len(words) == 2 and words[0].lower() == b"bearer":
            given = hash_token(words[1])
            for stored, caller in self._known:  # all of them: the time says nothing about which one was close
                if hmac.compare_digest(given, stored):
                    found = caller
        if found is None:
            got = "none" if authorization is None else "another one"
            raise Unauthenticated(
                f"`authorization` must be `Bearer <token>`, got {got}; `windsock tokens add` makes a token"
            )
        if need not in found.granted:
            raise _forbidden(found, need)
        found.take(rows)
        return found

    def reload(self) -> None:
        """Take the tokens of a file that has changed. One that is damaged is reported once; the old tokens count on."""
        if self._path is None:
            return
        look = _look(self._path)
        if look == self._seen:
            return
        self._seen = look
        try:
            self._known = _callers(self._path, self._known)
        except ParameterError as error:
            logger.error("%s. The tokens of before count on", error)
        else:
            logger.info("tokens: %s", ", ".join(caller.name for _, caller in self._known) or "none")


def _forbidden(caller: Caller, need: Need) -> Forbidden:
    scopes = " and ".join(() if caller.token is None else caller.token.scopes)
    rule = "scope predict or admin" if need == "read" else f"scope {need}"
    return Forbidden(f"the token {caller.name!r} must have {rule}, got {scopes}; use another one")


def _look(path: Path) -> tuple[int, int, int] | None:
    """What changes with the file; None: it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _callers(path: Path, before: tuple[tuple[bytes, Caller], ...]) -> tuple[tuple[bytes, Caller], ...]:
    """Hash and caller of each token. One that has not changed keeps its caller, and with it what its quota has left."""
    kept = {caller.token: caller for _, caller in before}
    return tuple((bytes.fromhex(token.sha256), kept.get(token) or Caller(token)) for token in read_tokens(path))
