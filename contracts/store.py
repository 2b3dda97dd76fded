"""The store of released models: `<store>/<digest>/`, and `<store>/champion`, which holds the digest to serve."""

import re
from pathlib import Path
from typing import Final

from contracts.artifact import Artifact, verify
from contracts.errors import ArtifactInvalid

CHAMPION: Final = "champion"


def load_champion(store: Path, public_key: Path) -> Artifact:
    """
    Raises:
        ArtifactInvalid: no champion, or one that does not verify.
    """
    pointer = store / CHAMPION
    try:
        digest = pointer.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactInvalid(
            f"`{pointer}` must name the released model, got: {error}; run `dvc repro` and `windsock release`"
        ) from error
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ArtifactInvalid(
            f"`{pointer}` must hold a sha256 digest, got {digest[:80]!r}; run `windsock release` to write it again"
        )
    return verify(store / digest, public_key, digest)
