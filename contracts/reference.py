"""What a model's inputs looked like when it was trained: a fixed sample of its training rows, inside the artifact.

The monitor compares production with it wherever it runs; the training data itself stays at home.
"""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np

from contracts.errors import ArtifactInvalid
from contracts.schema import Category, Numeric, Schema

REFERENCE_ROWS: Final = 5_000  # about 300 kB packed: an artifact stays small enough for a ConfigMap (1 MiB)


@dataclass(frozen=True, slots=True)
class Reference:
    """`numeric` float32 [n, len(schema.numeric)], NaN is missing; `category` str [n, len(schema.category)], "" is."""

    numeric: Numeric
    category: Category


def pack(reference: Reference) -> bytes:
    """As .npz, without pickle: equal samples give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, numeric=reference.numeric, category=reference.category.astype(np.str_))
    return buffer.getvalue()


def unpack(content: bytes, schema: Schema) -> Reference:
    """A packed sample.

    Raises:
        ArtifactInvalid: no such sample, or one outside the schema.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            reference = Reference(arrays["numeric"].astype(np.float32), arrays["category"].astype(object))
        schema.check_numeric(reference.numeric)
        schema.check_category(reference.category)
    except Exception as error:  # numpy, zipfile and zlib raise half a dozen kinds for damaged bytes
        raise ArtifactInvalid(
            f"the reference sample must hold rows of the schema, got: {error}; run `dvc repro`"
        ) from error
    return reference
