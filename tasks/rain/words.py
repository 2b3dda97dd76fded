"""What pages, documents and dashboards say about rain."""

from typing import Final

from contracts.schema import Subject, Target

HOURS: Final = 3  # that a forecast looks ahead

SUBJECT: Final = Subject("forecast", "forecasts")
TARGET: Final = Target(
    name="rain",
    question="Will it rain at this airport in the next three hours?",
    event="is followed by rain within three hours",
    positive="rainy",
    negative="dry",
    outcome="the three hours are over",
)
