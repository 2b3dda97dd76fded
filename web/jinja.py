"""Jinja as every page of ours uses it: escaped, strict, with the filters that templates share."""

import jinja2

from web.charts import month_and_year, month_name


def environment(*packages: str) -> jinja2.Environment:
    """Templates of these packages, the first one's first, with the filters that they share."""
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package) for package in packages]),
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    made.filters["month_name"] = month_name
    made.filters["column_name"] = column_name
    return made


def column_name(month: str) -> str:
    """As "Jul ’13"; the window is "newest"."""
    return "newest" if month == "window" else month_and_year(month)
