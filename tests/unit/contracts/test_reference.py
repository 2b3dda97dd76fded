"""The sample inside the artifact: the same bytes wherever it is packed, and back again."""

import io
import zipfile

import numpy as np
import pytest

from contracts.errors import ArtifactInvalid
from contracts.reference import Reference, pack, unpack
from tasks.flights.schema import SCHEMA

ROWS = 50


def sample() -> Reference:
    numeric = np.array([[feature.low] * ROWS for feature in SCHEMA.numeric], dtype=np.float32).T
    numeric[0, -1] = np.nan
    category = np.full((ROWS, len(SCHEMA.category)), "", dtype=object)
    return Reference(numeric, category)


def test_a_sample_survives() -> None:
    again = unpack(pack(sample()), SCHEMA)
    np.testing.assert_array_equal(again.numeric, sample().numeric)
    np.testing.assert_array_equal(again.category, sample().category)


def test_headers_do_not_depend_on_the_version_of_python_nor_on_the_clock() -> None:
    """What zipfile's streams add (a zip64 field, in some versions) would be in the digest of every model."""
    content = pack(sample())
    assert content[28:30] == b"\0\0"  # length of the first header's extra fields
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
    assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}
    assert {(member.create_system, member.extract_version) for member in members} == {(3, 20)}


def test_damaged_bytes_are_refused() -> None:
    with pytest.raises(ArtifactInvalid, match="the reference sample must hold rows of the schema"):
        unpack(pack(sample())[:-100], SCHEMA)
