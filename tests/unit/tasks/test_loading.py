"""Tasks are found by their name, and their modules are what the pipeline takes them for."""

from collections.abc import Callable

import pytest

from contracts.errors import ParameterError
from contracts.schema import QueryColumn, Window
from tasks import Cleaning, Windows, load_cleaning, load_schema, load_windows, task_names
from tasks.flights import cleaning, schema, windows

CLEANING: Cleaning = cleaning  # held against the protocols by mypy
WINDOWS: Windows = windows


def test_parts_are_those_of_the_task() -> None:
    assert load_schema("flights") is schema.SCHEMA
    assert load_cleaning("flights") is CLEANING
    assert load_windows("flights") is WINDOWS


@pytest.mark.parametrize("name", ["trains", "", "flights.schema", "../flights", "__pycache__"])
@pytest.mark.parametrize("load", [load_schema, load_cleaning, load_windows])
def test_an_unknown_task_is_refused_with_those_that_are_there(name: str, load: Callable[[str], object]) -> None:
    with pytest.raises(ParameterError, match=r"`task` must be one of .*flights.*, got .*; correct it in params\.yaml"):
        load(name)


@pytest.mark.parametrize("name", task_names())
def test_a_task_has_tables_with_their_keys_and_a_schema_with_sources(name: str) -> None:
    for table in load_cleaning(name).TABLES.values():
        assert table.key
        assert set(table.key) <= set(table.names)
        assert len(set(table.names)) == len(table.names)
    assert all(isinstance(feature.source, QueryColumn | Window) for feature in load_schema(name).features)
