"""Tokens and their guard."""

import stat
import time
from pathlib import Path

import pytest

from contracts.errors import Forbidden, NotFound, Overloaded, ParameterError, Unauthenticated
from contracts.settings.tokens import Scope, add_token, ensure_token, read_token, read_tokens, remove_token
from services.core.auth import Guard


def bearer(token: str) -> bytes:
    return f"Bearer {token}".encode()


def add(path: Path, name: str, *scopes: Scope, quota: float | None = None) -> bytes:
    return bearer(add_token(path, name, scopes or ("predict",), quota))


def test_the_first_token_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    plain, known = tmp_path / "secrets/token", tmp_path / "secrets/tokens.json"
    assert ensure_token(plain, known)
    token = read_token(plain)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (plain, known)] == [0o600, 0o600]
    assert token not in known.read_text()
    assert not ensure_token(plain, known)
    assert read_token(plain) == token
    for need in ("predict", "label", "admin", "read", "any"):
        assert Guard(known).check(bearer(token), need).name == "default"


def test_a_token_of_before_goes_on(tmp_path: Path) -> None:
    plain, known = tmp_path / "token", tmp_path / "tokens.json"
    plain.write_text("a token that was made before\n".replace(" ", "-"))
    assert not ensure_token(plain, known)
    assert Guard(known).check(b"Bearer a-token-that-was-made-before", "predict").name == "default"


def test_the_plain_token_is_not_needed_and_a_removed_one_does_not_come_back(tmp_path: Path) -> None:
    plain, known = tmp_path / "token", tmp_path / "tokens.json"
    ensure_token(plain, known)
    add(known, "other")
    remove_token(known, "default")
    ensure_token(plain, known)
    assert [token.name for token in read_tokens(known)] == ["other"]
    plain.unlink()
    assert not ensure_token(plain, known)
    assert not plain.exists()


def test_a_folder_that_takes_no_files(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("")
    with pytest.raises(ParameterError, match=r"blocked/tokens.json` must be there or its folder take writes"):
        ensure_token(tmp_path / "blocked/token", tmp_path / "blocked/tokens.json")


def test_guard(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    headers = {name: add(path, name) for name in ("first", "second", "third")}
    guard = Guard(path)
    for name, header in headers.items():
        token = header.split()[1]
        for right in (header, b"bearer " + token, b"BEARER  " + token, b" Bearer " + token + b" "):
            assert guard.check(right, "predict").name == name
        for wrong in (token, b"Bearer", b"Bearer " + token + b"x", b"Bearer " + token[:-1], b"Basic " + token):
            with pytest.raises(Unauthenticated):
                guard.check(wrong, "predict")
    others: tuple[bytes | None, ...] = (None, b"", b"\xff", b"Bearer \xff", b"Bearer " + b"x" * 100_000)
    for other in others:
        with pytest.raises(Unauthenticated):
            guard.check(other, "predict")
    assert Guard(None).check(None, "admin").name == ""


def test_scopes(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    headers = {scope: add(path, scope, scope) for scope in ("predict", "label", "admin")}
    guard = Guard(path)
    passes = {"predict": {"predict", "read", "any"}, "label": {"label", "any"}, "admin": {"admin", "read", "any"}}
    for scope, header in headers.items():
        for need in ("predict", "label", "admin", "read", "any"):
            if need in passes[scope]:
                guard.check(header, need)
            else:
                with pytest.raises(Forbidden, match=f"the token '{scope}' must have .*, got {scope}"):
                    guard.check(header, need)


def test_quota_is_of_rows_and_of_one_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    path = tmp_path / "tokens.json"
    slow, free = add(path, "slow", quota=10), add(path, "free")
    guard = Guard(path)
    guard.check(slow, "predict", 4)
    guard.check(slow, "predict", 30)  # the bucket had 6, and is 24 in debt
    for rows in (0, 1):
        with pytest.raises(Overloaded, match="at most 10 rows a second") as caught:
            guard.check(slow, "predict", rows)
        assert caught.value.retry_after == 3
    guard.check(free, "predict", 1_000_000)
    add(path, "new")
    guard.reload()
    with pytest.raises(Overloaded):  # a change of the file does not fill the bucket
        guard.check(slow, "predict")
    clock[0] += 3
    guard.check(slow, "predict", 1)


def test_reload_follows_the_file_and_outlives_a_damaged_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tokens.json"
    first = add(path, "first")
    guard = Guard(path)
    second = add(path, "second")
    with pytest.raises(Unauthenticated):
        guard.check(second, "predict")
    guard.reload()
    assert guard.check(second, "predict").name == "second"
    remove_token(path, "first")
    guard.reload()
    with pytest.raises(Unauthenticated):
        guard.check(first, "predict")
    caplog.clear()
    for damage in (lambda: path.write_text("{"), path.unlink):
        damage()
        for _ in range(3):
            guard.reload()
        assert guard.check(second, "predict").name == "second"
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


@pytest.mark.parametrize(
    "content",
    [
        '{"format": 2, "tokens": []}',
        '{"tokens": []}',
        '{"format": 1, "tokens": [{"name": "a", "sha256": "00", "scopes": ["predict"]}]}',
        '{"format": 1, "tokens": [{"name": "a", "sha256": "%s", "scopes": []}]}' % ("0" * 64),
        '{"format": 1, "tokens": [{"name": "a", "sha256": "%s", "scopes": ["root"]}]}' % ("0" * 64),
        '{"format": 1, "tokens": [{"name": "a", "sha256": "%s", "scopes": ["label"], "quota": 1}]}' % ("0" * 64),
        '{"format": 1, "tokens": [{"name": "A b", "sha256": "%s", "scopes": ["label"]}]}' % ("0" * 64),
    ],
)
def test_a_file_that_nobody_wrote(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokens.json"
    path.write_text(content)
    with pytest.raises(ParameterError, match=r"tokens.json` must be as `windsock tokens add` writes it"):
        Guard(path)


def test_names_are_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    add(path, "one")
    with pytest.raises(ParameterError, match="`name` must be new, got 'one'"):
        add(path, "one")
    with pytest.raises(NotFound, match="`name` must be one of one, got 'two'"):
        remove_token(path, "two")
    for name, quota in (("With Blank", None), ("", None), ("good", 0.0), ("good", -1.0)):
        with pytest.raises(ParameterError, match="a token must have a name"):
            add(path, name, quota=quota)
    twice = read_tokens(path)[0]
    again = f',{{"name": "two", "sha256": "{twice.sha256}", "scopes": ["label"]}}]'
    path.write_text(path.read_text().replace("\n ]", again))
    with pytest.raises(ParameterError, match=r"the tokens in .* must differ"):
        read_tokens(path)
    assert list(tmp_path.iterdir()) == [path]
