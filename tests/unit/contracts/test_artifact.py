"""What is refused though it is signed: another model's envelope or scorer, and folders of older formats."""

from pathlib import Path

import model_signing
import msgspec
import pytest

from contracts.artifact import PROVENANCE, SCORER, SIGNATURE, Provenance, signing_config, verify
from contracts.errors import ArtifactInvalid
from registry.artifact_writer import write_artifact
from registry.keys import signing_keys
from tests.support.tiny import NOWHERE, forge, tiny_content, tiny_model, write_store


def test_the_envelope_of_another_model_is_refused_though_it_is_signed(tmp_path: Path) -> None:
    keys = signing_keys(tmp_path / "secrets")
    folder = tmp_path / "artifact"
    write_artifact(folder, tiny_content(tiny_model()), NOWHERE, keys)
    path = folder / PROVENANCE
    other = msgspec.structs.replace(msgspec.json.decode(path.read_bytes(), type=Provenance), digest="0" * 64)
    path.write_bytes(msgspec.json.encode(other))
    (folder / SIGNATURE).unlink()
    signer = model_signing.signing.Config().use_elliptic_key_signer(private_key=keys.private)
    signer.set_hashing_config(signing_config()).sign(folder, folder / SIGNATURE)
    with pytest.raises(ArtifactInvalid, match=r"must have an envelope for .* got one for 0000"):
        verify(folder, keys.public)


@pytest.mark.parametrize("format_", [1, 2])
def test_an_older_format_is_refused_with_what_to_do(tmp_path: Path, format_: int) -> None:
    digest = forge(tmp_path, write_store(tmp_path), lambda manifest: manifest.update(format=format_))
    folder = tmp_path / "store" / digest
    (folder / SCORER).unlink()  # as those formats are: the format is named first, not the file
    message = f"of format 3, got {format_}, which another version wrote; run `dvc repro`, then `windsock release`"
    with pytest.raises(ArtifactInvalid, match=message):
        verify(folder, signing_keys(tmp_path).public)


def test_a_scorer_that_the_manifest_does_not_name_is_refused_though_it_is_signed(tmp_path: Path) -> None:
    digest = write_store(tmp_path)
    (tmp_path / "store" / digest / SCORER).write_bytes(tiny_model())
    digest = forge(tmp_path, digest, lambda _: None)
    with pytest.raises(ArtifactInvalid, match=r"must have the scorer\.onnx of its manifest, got another one"):
        verify(tmp_path / "store" / digest, signing_keys(tmp_path).public)
