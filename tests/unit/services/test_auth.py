"""The token and its guard."""

import stat
from pathlib import Path

import pytest

from contracts.errors import Unauthenticated
from contracts.settings.tokens import ensure_token, read_token
from services.core.auth import Guard


def test_token_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets/token"
    assert ensure_token(path)
    token = read_token(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not ensure_token(path)
    assert read_token(path) == token


def test_guard() -> None:
    guard = Guard("s" * 20)
    guard.check(b"Bearer " + b"s" * 20)
    for wrong in (None, b"", b"Bearer", b"Bearer " + b"s" * 21, b"bearer " + b"s" * 20, b"s" * 20, b"\xff"):
        with pytest.raises(Unauthenticated):
            guard.check(wrong)
    Guard(None).check(None)
