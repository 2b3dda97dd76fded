"""A new task out of a CSV: what is made of its columns, and what is refused before anything is written."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import DataError, ParameterError, SchemaInvalid, WindsockError
from tasks.scaffold import Roles, new_task

ROOT = Path(__file__).parents[3]
HEAD = "visit,asked,Waiting (people),counter,slow,served"
ROLES: dict[str, Any] = {"id": "visit", "time": "asked", "label": "slow", "outcome_time": "served"}


def rows(count: int = 40) -> list[str]:
    """A visit every three days from January 2024 on."""
    return [
        f"v{i},2024-{1 + i // 10:02}-{1 + 2 * (i % 10):02}T08:0{i % 10},{i},{'north' if i % 3 else 'south'},"
        f"{'yes' if i % 2 else 'no'},2024-{1 + i // 10:02}-{1 + 2 * (i % 10):02}T09:00"
        for i in range(count)
    ]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "visits.csv").write_text("\n".join([HEAD, *rows()]))
    return tmp_path


def make(checkout: Path, name: str = "waits", **roles: Any) -> Any:
    return new_task(checkout, name, checkout / "visits.csv", Roles(**(ROLES | roles)))


def test_columns_become_features(checkout: Path) -> None:
    made = make(checkout)
    assert [(one.column, one.name, one.low, one.high) for one in made.numbers] == [
        ("Waiting (people)", "waiting_people", 0, 59)
    ]
    assert [(one.name, one.example, one.max_length) for one in made.texts] == [("counter", "north", 16)]
    assert (made.label.positive, made.label.negative) == ("yes", "no")
    assert made.as_of == "2024-04-01"  # three of four months before it


def test_generated_code_is_in_the_project_s_style(checkout: Path) -> None:
    for name in ("arrivals", "some_waits_of_a_long_name_between", "zz"):  # imports are sorted by it
        make(checkout, name)
    shutil.copy(ROOT / "pyproject.toml", checkout)
    (checkout / "contracts").symlink_to(ROOT / "contracts")  # by which ruff knows what is ours
    for module in ("source_files", "data_repair", "times", "zones", "instants", "__init__"):
        shutil.copy(ROOT / f"tasks/{module}.py", checkout / "tasks")
    for words in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *words, "tasks"]
        done = subprocess.run(command, cwd=checkout, text=True, capture_output=True)
        assert done.returncode == 0, done.stdout


def test_text_that_differs_in_each_row_is_left_out_and_a_number_can_be_a_category(checkout: Path) -> None:
    lines = [f"{line},{'note ' * (i % 3)}{i},{i % 4}" for i, line in enumerate(rows())]
    (checkout / "visits.csv").write_text("\n".join([f"{HEAD},remark,desk", *lines]))
    made = make(checkout, categories=("desk",))
    assert [one.name for one in made.texts] == ["counter", "desk"]
    assert made.left_out == {"remark": "40 different texts"}


REFUSED: list[tuple[dict[str, Any], Callable[[str], str], type[WindsockError], str]] = [
    ({"name": "Waits"}, str, ParameterError, "name of a task must be a Python name.*got 'Waits'"),
    ({"name": "class"}, str, ParameterError, "name of a task must be a Python name.*got 'class'"),
    ({"name": "taken"}, str, ParameterError, "name of a task must be free, got 'taken', and tasks/taken is there"),
    ({"name": "zones"}, str, ParameterError, "must be free, got 'zones', and tasks/zones.py is there"),
    ({"id": "order"}, str, ParameterError, "`--id` must be a column of the CSV, one of visit, asked.*got 'order'"),
    ({"outcome_time": "done"}, str, ParameterError, "`--outcome-time` must be a column of the CSV.*got 'done'"),
    ({"categories": ("slow",)}, str, ParameterError, "must be a column without another use, got 'slow'"),
    ({}, lambda text: text.replace("no,", "maybe,", 1), ParameterError, "`slow` must have two values.*got 3"),
    ({}, lambda text: text.replace("yes", "no"), ParameterError, "`slow` must have two values to be a label, got 1"),
    ({}, lambda text: text.replace("yes", "long"), ParameterError, "`--positive` must be the value of `slow`"),
    ({}, lambda text: text.replace("2024-01-03T08:01", "03/01/24 8:01"), DataError, "`asked` must be times.*in row 2"),
    ({}, lambda text: text.replace("v1,", "v2,", 1), ParameterError, "`visit` must be unique, got 'v2' twice"),
    ({}, lambda text: text.replace("v1,", ",", 1), ParameterError, "`visit` must be filled in every row"),
    ({}, lambda text: "\n".join(text.splitlines()[:15]), ParameterError, "reach over 3 months.*got 2"),
    ({"zone": "Mars"}, str, SchemaInvalid, "`time_zone` must be a name of the IANA database, got 'Mars'"),
    ({"horizon": -1}, str, SchemaInvalid, "`horizon_minutes` must be 0 or more, got -1"),
    ({}, lambda text: text.replace("counter", "Waiting-people", 1), ParameterError, "both `waiting_people`; rename"),
    ({}, lambda _: "", DataError, "must be a readable CSV"),
]


@pytest.mark.parametrize(("roles", "change", "kind", "message"), REFUSED, ids=[words for *_, words in REFUSED])
def test_refused(
    roles: dict[str, Any], change: Callable[[str], str], kind: type[WindsockError], message: str, checkout: Path
) -> None:
    (checkout / "tasks/taken").mkdir()
    (checkout / "tasks/zones.py").touch()
    (checkout / "visits.csv").write_text(change((checkout / "visits.csv").read_text()))
    with pytest.raises(kind, match=message):
        make(checkout, **roles)
    assert not list(checkout.rglob("schema.py"))
    assert not (checkout / "workspaces").exists()
