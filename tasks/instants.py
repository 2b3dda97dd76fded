"""Instants as whole minutes: what windows count in."""

from typing import Any

Expression = Any  # ibis ships no types


def minute(instant: Expression) -> Expression:
    """Whole minutes since 1970, UTC: int64."""
    return instant.epoch_seconds().cast("int64") // 60
