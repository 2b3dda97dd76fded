"""An envelope belongs to one content: a rightly signed one of another model is refused."""

from pathlib import Path

import model_signing
import msgspec
import pytest

from contracts.artifact import PROVENANCE, SIGNATURE, Provenance, signing_config, verify
from contracts.errors import ArtifactInvalid
from registry.artifact_writer import write_artifact
from registry.keys import signing_keys
from tests.support.tiny import NOWHERE, tiny_content, tiny_model


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
