"""Raw BYTES tensors of many rows: where their elements are, and the strings of them, without a step for each element.

An element is its length in 4 bytes, little endian, and then its bytes. So where one begins depends on all before it:
numpy looks up for every byte where the next element would begin if one began there, and only rows are walked.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.schema import Category

MANY: Final = 64  # elements; below, a loop over them is as fast
WIDTH: Final = 32  # bytes of the longest string that is looked up at once
_WORDS: Final = WIDTH // 8
_SLOT_BITS: Final = 12
# Odd numbers without a pattern: a product's upper bits depend on all of a word.
_FACTORS: Final = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], np.uint64)
_SHIFT: Final = np.uint64(64 - _SLOT_BITS)


class Strings:
    """Strings that came before, each made once and shared: one slot for all strings with the same hash.

    Thread-safe: a table is replaced by one assignment, and never changed.
    """

    def __init__(self) -> None:
        slots = 2**_SLOT_BITS
        # By the words of a tensor's longest string. Zeros are the empty string.
        self._tables = {
            count: (np.zeros((slots, count), np.uint64), np.full(slots, "", object)) for count in range(1, _WORDS + 1)
        }

    def read(self, data: bytes, rows: int, columns: int) -> Category | None:
        """The elements of a tensor, str [rows, columns].

        None: they are not as many as they must be, or there is one that is long, is not UTF-8 or holds NUL. Reading
        them one by one then finds out which.
        """
        places = _places(data, rows, columns)
        if places is None:
            return None
        lengths = _numbers(data)[places]
        longest = int(lengths.max())
        if longest > WIDTH:
            return None
        words = _words(data, places + 4, lengths, max(1, -(-longest // 8)))
        return None if words is None else self._look_up(words, (rows, columns))

    def _look_up(self, words: NDArray[np.uint64], shape: tuple[int, int]) -> Category | None:
        count = words.shape[1]
        keys, texts = self._tables[count]
        slots = (words @ _FACTORS[:count] if count > 1 else words[:, 0] * _FACTORS[0]) >> _SHIFT
        found: Category = texts.take(slots)
        new = np.flatnonzero((keys.take(slots, axis=0) != words).any(axis=1))
        if len(new):
            try:
                made = {word: word.rstrip(b"\0").decode() for word in {words[i].tobytes() for i in new.tolist()}}
            except UnicodeDecodeError:
                return None
            found[new] = [made[words[i].tobytes()] for i in new.tolist()]
            keys, texts = keys.copy(), texts.copy()
            keys[slots[new]], texts[slots[new]] = words[new], found[new]  # of two in one slot, the last stays
            self._tables[count] = keys, texts
        return found.reshape(shape)


def _numbers(data: bytes) -> NDArray[np.uint32]:
    """The number in the 4 bytes at each place, [bytes - 3]; a view."""
    return np.ndarray((len(data) - 3,), "<u4", data, strides=(1,))


def _places(data: bytes, rows: int, columns: int) -> NDArray[np.int32] | None:
    """Where each element begins, [rows * columns]. None: the data do not hold exactly so many."""
    end = len(data)
    if end < 4 * rows * columns:
        return None
    places = _even_places(data, rows, columns)
    if places is not None:
        return places
    after = np.full(end + 2, end + 1, np.int32)  # the next element's place; past the end: there can be none here
    np.add(np.minimum(_numbers(data), end), np.arange(4, end + 1), out=after[: end - 3], casting="unsafe")
    np.minimum(after, end + 1, out=after)
    next_row = after
    for _ in range(columns - 1):
        next_row = after.take(next_row)
    walk, place, firsts = next_row.data, 0, []
    for _ in range(rows):
        firsts.append(place)
        place = walk[place]
    if place != end:
        return None
    places = np.empty((columns, rows), np.int32)
    places[0] = firsts
    for column in range(1, columns):
        places[column] = after.take(places[column - 1])
    return places.T.ravel()


def _even_places(data: bytes, rows: int, columns: int) -> NDArray[np.int32] | None:
    """The same where each column's strings are all of one length, as codes are. None: they are not."""
    numbers, row, first = _numbers(data), 0, []
    for _ in range(columns):
        if row >= len(numbers):
            return None
        first.append(row)
        row += 4 + int(numbers[row])
    if row * rows != len(data):
        return None
    places = np.arange(0, len(data), row, dtype=np.int32)[:, None] + np.array(first, np.int32)
    return places.ravel() if (numbers[places] == numbers[first]).all() else None


def _words(
    data: bytes, places: NDArray[np.int32], lengths: NDArray[np.uint32], count: int
) -> NDArray[np.uint64] | None:
    """Strings at these places, filled up with NUL, as numbers [strings, count]. None: one holds a NUL itself."""
    width = 8 * count
    blocks = np.ndarray((len(data) + 1,), f"V{width}", data + bytes(width), strides=(1,))[places]
    letters = blocks.view(np.uint8).reshape(len(places), width)
    letters *= np.arange(width, dtype=np.uint32) < lengths[:, None]
    if np.count_nonzero(letters != 0) != int(lengths.sum()):
        return None
    return blocks.view(np.uint64).reshape(len(places), count)
