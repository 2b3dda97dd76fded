"""Settings and the token."""

import stat
from pathlib import Path

import pytest

from contracts.errors import ParameterError, Unauthenticated
from contracts.tokens import ensure_token, read_token
from services.core.auth import Guard
from services.process.settings import load_settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WINDSOCK_CLIENTS_PYTHON", raising=False)


def test_environment_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDSOCK_REST_PORT", "4000")
    monkeypatch.setenv("WINDSOCK_AUTH", "false")
    settings = load_settings(grpc_port=4001)
    assert (settings.rest_port, settings.grpc_port, settings.auth) == (4000, 4001, False)
    assert load_settings(rest_port=5000).rest_port == 5000  # an option wins


def test_what_the_worker_reads_is_what_the_launcher_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = load_settings(state=Path("here"), auth=False, lifeline=tmp_path / "x", drain_seconds=2.5)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    again = load_settings()
    assert again.state == Path("here").absolute()
    assert (again.auth, again.lifeline, again.drain_seconds) == (False, tmp_path / "x", 2.5)
    assert again.database == settings.database


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("WINDSOCK_PORT", "1", "`WINDSOCK_PORT` must be one of"),
        ("windsock_port", "1", "`windsock_port` must be one of"),
        ("WINDSOCK_REST_PORT", "high", "`rest_port`"),
        ("WINDSOCK_HOST", "example.org", "`host`"),
        ("WINDSOCK_DRAIN_SECONDS", "-1", "`drain_seconds`"),
        ("WINDSOCK_GRPC_PORT", "3000", "must differ"),
        ("WINDSOCK_GRPC_CONNECTION_SECONDS", "3", "drain_seconds must be more than 1.1 times"),
        ("WINDSOCK_FLUSH_SECONDS", "-1", "`flush_seconds`"),
    ],
)
def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ParameterError, match=expected):
        load_settings()


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
