"""What a model's inputs looked like when it was trained: a fixed sample of its training rows, inside the artifact.

The monitor compares production with it wherever it runs; the training data itself stays at home.
"""

import io
import zipfile
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
    """As .npz, without pickle: equal samples give equal bytes, with whichever version of Python (and the same zlib).

    `numpy.savez` leaves the headers to zipfile's streams, which write other ones from Python 3.11.4 on.
    """
    buffer = io.BytesIO()
    arrays = {"numeric": reference.numeric, "category": reference.category.astype(np.str_)}
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.save(member, array, allow_pickle=False)
            header = zipfile.ZipInfo(f"{name}.npy")  # of 1980, as a time would differ at each call
            header.create_system = 3  # Unix, wherever it is packed
            archive.writestr(header, member.getvalue(), zipfile.ZIP_DEFLATED)
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
