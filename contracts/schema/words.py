"""What is asked, when, and in which words pages, documents and dashboards say it."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from contracts.errors import SchemaInvalid
from contracts.schema.value import Name, Text, Value


class Target(Value, frozen=True):
    """What is predicted, in words that pages, documents and dashboards use.

    Attributes:
        name: short name of the label.
        question: for a person, with its question mark.
        event: completes "the probability that a <subject> ...".
        positive: adjective of a subject whose label is true ("late").
        negative: of one whose label is false ("punctual").
        outcome: completes "the label comes when ..." ("the aircraft has landed").
    """

    name: Name
    question: Text
    event: Text
    positive: Text
    negative: Text
    outcome: Text


class Subject(Value, frozen=True):
    """What a row is about: "flight", "flights"."""

    singular: Text
    plural: Text


class Calendar(Value, frozen=True):
    """When things happen.

    Attributes:
        time_zone: IANA name; months and days are its.
        horizon_minutes: from the prediction to the moment that it is about. A row belongs to the month of that moment.
        label_delay_minutes: from that moment to the label, as a rule.
    """

    time_zone: str
    horizon_minutes: int
    label_delay_minutes: int

    def check(self) -> None:
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise SchemaInvalid(
                f"`time_zone` must be a name of the IANA database, got {self.time_zone!r}; like America/New_York"
            ) from error
        for name in ("horizon_minutes", "label_delay_minutes"):
            if getattr(self, name) < 0:
                raise SchemaInvalid(f"`{name}` must be 0 or more, got {getattr(self, name)}; correct it")
