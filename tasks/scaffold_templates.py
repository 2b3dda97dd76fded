"""Python and YAML of a new task, out of tasks/templates/."""

import json
from collections.abc import Mapping
from typing import Any, Final

import jinja2

from tasks.columns import NumericColumn, TextColumn

WIDTH: Final = 120  # characters of a line


def render(template: str, values: Mapping[str, Any]) -> str:
    """The text of a template in tasks/templates/."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("tasks"),
        autoescape=False,  # noqa: S701 - Python and YAML: texts go through `quoted`
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters["quoted"] = _quoted
    made.globals["constant"] = _constant
    return made.get_template(template).render(values)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _number(value: float) -> str:
    return f"{value:,.10g}".replace(",", "_") if abs(value) < 1e15 else repr(value)


def _constant(name: str, columns: list[NumericColumn] | list[TextColumn]) -> str:
    """A constant of the schema, a tuple of features, laid out as `ruff format` has it."""
    elements = [_called(one) for one in columns]
    line = f"{name}: Final = ({elements[0]},)"
    if len(elements) == 1 and "\n" not in line and len(line) <= WIDTH:
        return line
    return "\n".join([f"{name}: Final = (", *(f"    {element}," for element in elements), ")"])


def _called(one: NumericColumn | TextColumn) -> str:
    if isinstance(one, NumericColumn):
        words = ['"unit"', _quoted(one.column), _number(one.low), _number(one.high), f'QueryColumn("{one.name}")']
        words.append(f"example={_number(one.example)}")
    else:
        words = ['"text"', _quoted(one.column), f'QueryColumn("{one.name}")', f"example={_quoted(one.example)}"]
        words.append(f"max_length={one.max_length}")
    function = "NumericFeature" if isinstance(one, NumericColumn) else "CategoricalFeature"
    inside = ", ".join([f'"{one.name}"', *words])
    line = f"{function}({inside})"
    return line if len(line) <= WIDTH - 5 else f"{function}(\n        {inside}\n    )"
