"""How tensors become a model's inputs: the worked example, and many raw strings at once."""

import doctest
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import ContractViolation
from contracts.schema import Category
from services.wire import tensors
from services.wire.strings import MANY, WIDTH, Strings
from services.wire.tensors import ModelTensors, Tensor, assemble
from tasks.flights.schema import SCHEMA
from tests.support.payloads import raw_strings, rows


def test_the_example_of_assemble_is_what_it_does() -> None:
    done = doctest.testmod(tensors, raise_on_error=False)
    assert (done.failed, done.attempted) == (0, 4)


def category(strings: Category, content: bytes | None = None) -> Category:
    """What the service makes of a raw tensor of these strings, or of this content in its place."""
    numeric, _ = rows(len(strings))
    raw = raw_strings(strings) if content is None else content
    given = [
        Tensor("numeric", "FP32", numeric.shape, raw=numeric.tobytes()),
        Tensor("category", "BYTES", strings.shape, raw=raw),
    ]
    return assemble(given, ModelTensors(SCHEMA))[1]


WORDS = st.sampled_from(["", "A", "AA", "JFK", "New York", "Zürich", "a" * 8, "b" * 9, "c" * WIDTH, "d" * 33, "日本"])


@given(st.integers(1, 60).flatmap(lambda n: st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=n, max_size=n)))
def test_strings_come_as_they_were_sent(sent: list[tuple[str, str, str]]) -> None:
    given = np.array(sent, object)
    assert category(given).tolist() == given.tolist()


def test_equal_strings_of_a_large_tensor_are_one_object() -> None:
    """They are looked up and not made: this is what makes large tensors fast."""
    given = rows(1_024)[1]
    found = category(given)
    assert found.tolist() == given.tolist()
    for value in ("AA", "JFK"):
        assert len({id(text) for text in found.ravel().tolist() if text == value}) == 1


@settings(max_examples=300)
@given(st.data())
def test_what_is_read_at_once_is_what_reading_one_by_one_gives(data: st.DataObject) -> None:
    """Also of content that is cut, longer, or has a byte changed, as a length or in a string."""
    sent = np.resize(np.array(data.draw(st.lists(WORDS, min_size=1, max_size=20)), object), (MANY, 3))
    content = bytearray(raw_strings(sent))
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content) + 8)))
    raw = bytes(content[:end].ljust(end, b"\0"))
    at_once = Strings().read(raw, MANY, 3)
    try:
        one_by_one = tensors._strings(Tensor("category", "BYTES", [MANY, 3]), raw, SCHEMA.category_names)
    except ContractViolation:
        assert at_once is None
        return
    assert at_once is None or at_once.ravel().tolist() == one_by_one


def test_refusals_of_large_tensors_name_what_is_wrong() -> None:
    given = rows(100)[1]
    content = raw_strings(given)
    for change, said in (
        (content[:-1], "`category` must have 300 elements"),
        (content + b"\0", "`category` must have 300 elements"),
        (b"\xff" * len(content), "`carrier` must be UTF-8"),
        (b"", "`category` must have 300 elements"),
        (raw_strings(given[:-1]) + b"\x01\0\0\0\xff" * 3, "`carrier` must be UTF-8, got b'\\xff' in row 99"),
    ):
        with pytest.raises(ContractViolation) as refused:
            category(given, change)
        assert said in str(refused.value)


def test_a_string_that_ends_in_nul_is_not_taken_for_one_without() -> None:
    given = rows(100)[1]
    given[7, 1] = "JFK\0"
    assert category(given)[7, 1] == "JFK\0"  # which the model's check refuses


def test_more_strings_than_slots_on_many_threads() -> None:
    strings = Strings()
    random = np.random.default_rng(0)
    sent = [
        np.array([f"{number:x}" for number in random.integers(0, 20_000, 3 * 512)], object).reshape(512, 3)
        for _ in range(40)
    ]

    def read(one: Category) -> bool:
        found = strings.read(raw_strings(one), *one.shape)
        return found is not None and found.tolist() == one.tolist()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, sent * 3))
