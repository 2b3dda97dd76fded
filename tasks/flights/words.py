"""What pages, documents and dashboards say about flights."""

from typing import Final

from contracts.schema import Subject, Target

LATE_MINUTES: Final = 15  # US DOT: late is 15 minutes or more after scheduled arrival

SUBJECT: Final = Subject("flight", "flights")
TARGET: Final = Target(
    name="late",
    question=f"Will this flight arrive {LATE_MINUTES} or more minutes late?",
    event=f"arrives {LATE_MINUTES} or more minutes late",
    positive="late",
    negative="punctual",
    outcome="the aircraft has landed",
)
