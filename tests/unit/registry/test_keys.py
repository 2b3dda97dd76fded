"""The signing key is made once, for its owner only, whoever asks first."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.errors import ArtifactInvalid
from registry.keys import signing_keys


def test_key_is_for_its_owner_only_and_stays(tmp_path: Path) -> None:
    keys = signing_keys(tmp_path / "secrets")
    assert stat.S_IMODE(keys.private.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.private.parent.stat().st_mode) == 0o700
    before = keys.private.read_bytes(), keys.public.read_bytes()
    signing_keys(tmp_path / "secrets")
    assert (keys.private.read_bytes(), keys.public.read_bytes()) == before


def test_who_comes_second_takes_the_key_of_who_was_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate = ec.generate_private_key
    first: list[bytes] = []

    def generate_slowly(curve: ec.EllipticCurve) -> ec.EllipticCurvePrivateKey:
        with monkeypatch.context() as patch:  # another process, in between
            patch.setattr(ec, "generate_private_key", generate)
            first.append(signing_keys(tmp_path).private.read_bytes())
        return generate(curve)

    monkeypatch.setattr(ec, "generate_private_key", generate_slowly)
    keys = signing_keys(tmp_path)
    assert [keys.private.read_bytes()] == first
    assert {path.name for path in tmp_path.iterdir()} == {"signing.key", "signing.pub"}


def test_lost_public_key_is_derived_again(tmp_path: Path) -> None:
    keys = signing_keys(tmp_path)
    public = keys.public.read_bytes()
    keys.public.unlink()
    assert signing_keys(tmp_path).public.read_bytes() == public


def test_damaged_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "signing.key").write_text("no key")
    with pytest.raises(ArtifactInvalid, match=r"signing key `.*signing\.key` must be an unencrypted PEM file"):
        signing_keys(tmp_path)
