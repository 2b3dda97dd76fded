"""Who may learn from which row: only those whose label was known at the time."""

import doctest
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from contracts.errors import DataError, ParameterError
from contracts.workspace import Workspace
from pipelines.dataset import Dataset, read_dataset, split
from tasks import zones
from tasks.flights.schema import SCHEMA

# (about, outcome_at, label), UTC. New York is 4 hours behind in summer: July begins at 04:00 UTC.
ROWS = (
    ("2013-05-01 12:00", "2013-05-01 15:00", 0.0),
    ("2013-05-02 12:00", "2013-05-02 15:00", 1.0),
    ("2013-06-01 03:30", "2013-06-01 05:00", 1.0),  # left in May, landed in June: unknown to May
    ("2013-06-01 04:30", "2013-06-01 07:00", 0.0),
    ("2013-06-15 12:00", "2013-06-15 15:00", 1.0),
    ("2013-06-20 12:00", "NaT", np.nan),  # cancelled
    ("2013-07-01 03:00", "2013-07-01 03:59", 0.0),
    ("2013-07-01 03:00", "2013-07-01 04:00", 1.0),  # left in June, landed in July
    ("2013-07-01 04:00", "2013-07-01 06:00", 0.0),
    ("2013-07-02 12:00", "NaT", np.nan),
)


def _flights() -> Dataset:
    about = np.array([row[0] for row in ROWS], "datetime64[us]")
    return Dataset(
        month=about.astype("datetime64[M]").astype(str),
        day=about.astype("datetime64[D]"),
        about=about,
        outcome_at=np.array([row[1] for row in ROWS], "datetime64[us]"),
        label=np.array([row[2] for row in ROWS], np.float32),
        # The first number of a row is its place in ROWS.
        numeric=np.repeat(np.arange(len(ROWS), dtype=np.float32)[:, None], len(SCHEMA.numeric), axis=1),
        category=np.full((len(ROWS), len(SCHEMA.category)), "AA", object),
    )


def _which(rows: Dataset) -> list[int]:
    return [int(value) for value in rows.numeric[:, 0]]


def test_only_labels_known_at_the_time_may_train() -> None:
    parts = split(_flights(), date(2013, 7, 1), SCHEMA)
    assert _which(parts.fit) == [0, 1]
    assert _which(parts.validation) == [3, 4, 6]
    assert _which(parts.refit) == [0, 1, 2, 3, 4, 6]
    assert _which(parts.later) == [8, 9]
    assert parts.later.labelled.tolist() == [True, False]


def test_moving_the_date_moves_every_part() -> None:
    rows = _flights()
    parts = split(rows, date(2013, 6, 15), SCHEMA)
    assert _which(parts.refit) == [0, 1, 2, 3]
    assert _which(parts.later) == [4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(("day", "words"), [("2013-05-02", "earlier than the month"), ("2014-01-31", "in the month")])
def test_a_date_that_leaves_nothing_to_learn_from_is_named(day: str, words: str) -> None:
    with pytest.raises(ParameterError, match=f"`as_of` must leave late and punctual flights {words}.*got {day}"):
        split(_flights(), date.fromisoformat(day), SCHEMA)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"features\.parquet.*dvc repro"):
        read_dataset(Workspace(tmp_path), SCHEMA)


def test_the_examples_of_the_calendar_are_true() -> None:
    assert doctest.testmod(zones) == doctest.TestResults(failed=0, attempted=2)
