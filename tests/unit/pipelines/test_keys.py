"""The signing key is made once, for its owner only, whoever asks first."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.errors import ArtifactInvalid
from pipelines.keys import signing_keys


def test_key_is_for_its_owner_only_and_stays(tmp_path: Path) -> None:
    keys = signing_keys(tmp_path / "secrets")
    assert stat.S_IMODE(keys.private.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.private.parent.stat().st_mode) == 0o700
    before = keys.private.read_bytes(), keys.public.read_bytes()
    signing_keys(tmp_path / "secrets")
    assert (keys.private.read_bytes(), keys.public.read_bytes()) == before


def test_two_processes_at_once_agree_on_one_pair(tmp_path: Path) -> None:
    """Each waits at the start line; without the hard link, one of them would sign with a key that is gone."""
    code = (
        "import sys, pathlib; from pipelines.keys import signing_keys; "
        "print('ready', flush=True); sys.stdin.readline(); "
        "keys = signing_keys(pathlib.Path(sys.argv[1])); print(keys.private.read_text(), keys.public.read_text())"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / "secrets"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    seen = {racer.communicate()[0] for racer in racers}
    assert len(seen) == 1
    assert {path.name for path in (tmp_path / "secrets").iterdir()} == {"signing.key", "signing.pub"}


def test_lost_public_key_is_derived_again(tmp_path: Path) -> None:
    keys = signing_keys(tmp_path)
    public = keys.public.read_bytes()
    keys.public.unlink()
    assert signing_keys(tmp_path).public.read_bytes() == public


def test_damaged_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "signing.key").write_text("no key")
    with pytest.raises(ArtifactInvalid, match=r"signing key `.*signing\.key` must be an unencrypted PEM file"):
        signing_keys(tmp_path)
