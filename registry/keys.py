"""The EC key that signs artifacts: made at first use, readable by its owner only, never in git."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.errors import ArtifactInvalid
from contracts.files import sync_folder, write_atomic


@dataclass(frozen=True, slots=True)
class Keys:
    """PEM files of one pair on the curve P-256."""

    private: Path
    public: Path


def signing_keys(folder: Path) -> Keys:
    """Return the pair `signing.key` (0600) and `signing.pub` in `folder`, made now if it is not there.

    A public key that exists is never replaced: when it does not belong to the private one, verification says so.

    Raises:
        ArtifactInvalid: the private key cannot be read.
    """
    keys = Keys(folder / "signing.key", folder / "signing.pub")
    if not keys.private.is_file():
        _make_private(keys.private)
    if not keys.public.is_file():
        write_atomic(keys.public, _public_of(keys.private))
    return keys


def _make_private(path: Path) -> None:
    """Two processes may do this at once: a hard link fails when the other was first, and then its key counts."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    content = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600 from the start
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(temporary)
    except FileExistsError:
        return
    finally:
        Path(temporary).unlink()
    sync_folder(path.parent)


def _public_of(private: Path) -> bytes:
    try:
        key = serialization.load_pem_private_key(private.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ArtifactInvalid(
            f"the signing key `{private}` must be an unencrypted PEM file, got: {error}; "
            "remove it and its .pub for a new pair, then run `dvc repro --force --single-item package`"
        ) from error
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
