"""What a task is, as one frozen value: what is asked, what a model may see, in which units and bounds, in which words.

A schema is written in `tasks/<name>/schema.py`. From there it goes into the manifest of every model that is trained on
it, and services, monitor and dashboards take it from the manifest: they import no task.

    Schema
    ├── numeric      NumericFeature     unit, bounds, whether it may be missing, where it comes from
    ├── category     CategoricalFeature
    ├── slices       str | Ranges       by which quality is also looked at: a category, or a number in ranges
    ├── target       Target             the question, the two outcomes and their words
    └── calendar     Calendar           time zone, from prediction to the moment predicted about, delay of labels

Every value checks itself when it is made or decoded, so a wrong schema is refused before any data is read.
"""

from contracts.schema.features import CategoricalFeature, NumericFeature, QueryColumn, Ranges, Source, Statistic, Window
from contracts.schema.task import KEY_COLUMNS, Category, Numeric, Schema, decode_schema
from contracts.schema.words import Calendar, Subject, Target

__all__ = [
    "KEY_COLUMNS",
    "Calendar",
    "CategoricalFeature",
    "Category",
    "Numeric",
    "NumericFeature",
    "QueryColumn",
    "Ranges",
    "Schema",
    "Source",
    "Statistic",
    "Subject",
    "Target",
    "Window",
    "decode_schema",
]
