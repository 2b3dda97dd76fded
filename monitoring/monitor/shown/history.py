"""Incidents, open and past, out of the reports that are kept: each finding of an instrument or detector has its spell.

Nothing is stored for it: what the kept reports say is all that is known, a week of hourly runs. A spell ends with a
report that says ok; unknown ends none.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from contracts.reports.watching import Question, State
from monitoring.monitor.shown.headline import QUESTIONS


class _Fault(msgspec.Struct):
    detector: str
    subject: str
    state: State
    cause: str = ""


class _Instrument(msgspec.Struct):
    question: Question
    slice: str
    days: int
    state: State
    why: str


class _Model(msgspec.Struct):
    role: str
    instruments: tuple[_Instrument, ...] = ()
    faults: tuple[_Fault, ...] = ()


class Found(msgspec.Struct):
    """What a report found: of its JSON only what is needed here, so older formats can be read, too."""

    watched: tuple[_Model, ...] = ()


Key = tuple[str, str, str, int]  # role, question or detector, slice or subject, days


@dataclass(frozen=True, slots=True)
class Spell:
    """A finding from the report that said it first to the one that took it back. Instants are UTC without a zone.

    Attributes:
        state: the worst that was said.
        ended: None: it is open.
    """

    role: str
    what: str
    why: str
    state: State
    began: datetime
    ended: datetime | None = None


def spells(reports: Iterable[tuple[datetime, Found]]) -> tuple[Spell, ...]:
    """Open ones first, then the newest.

    Args:
        reports: with the instant of each, the oldest first.
    """
    open_: dict[Key, Spell] = {}
    over: list[Spell] = []
    for moment, found in reports:
        for key, state, what, why in _said(found):
            if state in ("ticket", "page"):
                before = open_.get(key, Spell(key[0], what, why, state, moment))
                open_[key] = replace(before, why=why, state="page" if "page" in (before.state, state) else "ticket")
            elif state == "ok" and key in open_:
                over.append(replace(open_.pop(key), ended=moment))
    newest = sorted(open_.values(), key=lambda one: (one.state != "page", one.began))
    return (*newest, *sorted(over, key=lambda one: one.began, reverse=True))


def _said(found: Found) -> Iterable[tuple[Key, State, str, str]]:
    for model in found.watched:
        for one in model.instruments:
            where = f" ({one.slice})" if one.slice else ""
            yield (model.role, one.question, one.slice, one.days), one.state, QUESTIONS[one.question] + where, one.why
        for fault in model.faults:
            what = f"{fault.detector} {fault.subject}".strip()
            yield (model.role, fault.detector, fault.subject, -1), fault.state, what, fault.cause
