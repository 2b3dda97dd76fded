"""A new task out of a CSV: the modules of `tasks/<name>/` and the files of `workspaces/<name>/`, to be edited.

Templates stand in tasks/templates/. What the CSV says of its columns is read by tasks/columns.py.
"""

import io
import keyword
import os
import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pandas as pd

from contracts.errors import DataError, ParameterError
from contracts.files import write_atomic
from contracts.schema import Calendar
from tasks.columns import Label, NumericColumn, TextColumn, features, label
from tasks.scaffold_templates import render
from tasks.times import utc
from tasks.zones import month

MODULES: Final = ("__init__", "schema", "words", "cleaning", "windows", "source")
FILES: Final = ("params.yaml", "objectives.yaml")
MONTHS: Final = 3  # to learn, to choose, and to be asked
FITTED: Final = 0.7  # of the rows, before `as_of`


@dataclass(frozen=True, slots=True)
class Roles:
    """What columns of the CSV are.

    Attributes:
        id: unique for each row.
        time: when the prediction is asked for.
        label: of two values, or empty.
        outcome_time: when the label is known; None is at the moment predicted about.
        categories: columns that are categories, beside those of text.
        zone: IANA name, of times without an offset and of the calendar.
        horizon: minutes from `time` to the moment predicted about.
        positive: value of the label that means true; None is 1, true or yes.
    """

    id: str
    time: str
    label: str
    outcome_time: str | None = None
    categories: tuple[str, ...] = ()
    zone: str = "UTC"
    horizon: int = 0
    positive: str | None = None

    @property
    def used(self) -> dict[str, str]:
        """Column -> its name in the task's table, for those that are no features."""
        named = {self.id: "row_id", self.time: "predicted_at", self.label: "label"}
        return named | ({self.outcome_time: "outcome_at"} if self.outcome_time else {})


@dataclass(frozen=True, slots=True)
class Made:
    """What was written, relative to the checkout, and which columns became what."""

    files: tuple[Path, ...]
    numbers: tuple[NumericColumn, ...]
    texts: tuple[TextColumn, ...]
    left_out: dict[str, str]
    label: Label
    as_of: str


def new_task(checkout: Path, name: str, csv: Path, roles: Roles) -> Made:
    """Write the task. Nothing is written when anything is wrong.

    Raises:
        ParameterError: a name that is taken or no name, an unknown column, a label that has not two values, ids that
            are not unique, or too few months.
        SchemaInvalid: a zone that is not there, or a negative horizon.
        DataError: the CSV cannot be read, or has a time that cannot.
    """
    package, workspace = checkout / "tasks" / name, checkout / "workspaces" / name
    _check_name(checkout, name)
    Calendar(roles.zone, roles.horizon, 0)
    content, frame = _read(csv)
    _check_roles(frame, roles)
    found = label(frame[roles.label], roles.positive)
    numbers, texts, left_out = features(frame, roles.used, roles.categories)
    if not numbers or not texts:
        raise ParameterError(
            f"`{csv.name}` must have a number and a category beside its other columns, got {len(numbers)} and "
            f"{len(texts)}; name a column with --category"
        )
    named = {one.column: one.name for one in numbers} | {one.column: one.name for one in texts} | roles.used
    values = {
        "name": name,
        "roles": roles,
        "label": found,
        "numbers": numbers,
        "texts": texts,
        "renamed": {column: named[column] for column in frame.columns if column in named},
        "csv": Path(os.path.relpath(csv.resolve(), workspace.resolve())).as_posix(),
        "sha256": sha256(content).hexdigest(),
        **_times(frame, roles),
    }
    rendered = {package / f"{module}.py": render(f"{module}.py.j2", values) for module in MODULES}
    rendered |= {workspace / file: render(f"{file}.j2", values) for file in FILES}
    for path, text in rendered.items():
        write_atomic(path, text.encode())
    written = tuple(path.relative_to(checkout) for path in rendered)
    return Made(written, tuple(numbers), tuple(texts), left_out, found, values["as_of"])


def _times(frame: pd.DataFrame, roles: Roles) -> dict[str, Any]:
    """`as_of` for params.yaml; minutes from the moment predicted about to the label; hours between two rows at most."""
    asked = utc(frame[roles.time], roles.zone)
    about = asked + pd.Timedelta(minutes=roles.horizon)
    known = utc(frame[roles.outcome_time], roles.zone) if roles.outcome_time else about
    delay = (known - about).median() / pd.Timedelta(minutes=1)
    pause = asked.sort_values().diff().max() / pd.Timedelta(hours=1)
    return {
        "as_of": _as_of(month(about, roles.zone), roles.time),
        "label_delay": 0 if pd.isna(delay) else max(0, round(delay)),
        "pause_hours": round(max(0.1, pause), 1),
    }


def _check_name(checkout: Path, name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name) or keyword.iskeyword(name):
        raise ParameterError(
            f"the name of a task must be a Python name of small letters, digits and _, got {name!r}; choose another"
        )
    taken = [*(checkout / "tasks").glob(f"{name}*"), *(checkout / "workspaces").glob(f"{name}/params.yaml")]
    here = [path.relative_to(checkout) for path in taken if path.stem == name or path.name == "params.yaml"]
    if here:
        raise ParameterError(
            f"the name of a task must be free, got {name!r}, and {here[0]} is there; choose another, or remove it"
        )


def _read(csv: Path) -> tuple[bytes, pd.DataFrame]:
    """The bytes, and all cells as text; an empty cell is missing."""
    try:
        content = csv.read_bytes()
        return content, pd.read_csv(io.BytesIO(content), dtype=str)
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise DataError(f"`{csv}` must be a readable CSV with a line of names, got: {error}; correct it") from error


def _check_roles(frame: pd.DataFrame, roles: Roles) -> None:
    named = [("--id", roles.id), ("--time", roles.time), ("--label", roles.label)]
    named += [("--outcome-time", roles.outcome_time)] if roles.outcome_time else []
    named += [("--category", column) for column in roles.categories]
    columns = [column for _, column in named]
    for option, column in named:
        if column not in frame.columns:
            raise ParameterError(
                f"`{option}` must be a column of the CSV, one of {', '.join(frame.columns)}, got {column!r}; correct it"
            )
        if columns.count(column) > 1:
            raise ParameterError(f"`{option}` must be a column without another use, got {column!r}; correct it")
        if option in ("--id", "--time") and frame[column].isna().any():
            raise ParameterError(f"`{column}` must be filled in every row, got an empty one; correct it, or {option}")
    twice = frame[roles.id][frame[roles.id].duplicated()]
    if not twice.empty:
        raise ParameterError(f"`{roles.id}` must be unique, got {twice.iloc[0]!r} twice; correct it, or --id")


def _as_of(months: "pd.Series[str]", column: str) -> str:
    """The first day of the month before which lies the share of rows nearest to `FITTED`, and two months at least."""
    names = sorted(set(months))
    if len(names) < MONTHS:
        raise ParameterError(
            f"`{column}` must reach over {MONTHS} months of the calendar at least, to learn, to choose and to be "
            f"asked, got {len(names)}; bring more data"
        )
    earlier = {name: float((months < name).mean()) for name in names[MONTHS - 1 :]}
    return f"{min(earlier, key=lambda name: abs(earlier[name] - FITTED))}-01"
