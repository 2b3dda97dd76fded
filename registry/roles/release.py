"""What a release means for roles."""

import time
from pathlib import Path

from contracts.errors import ArtifactInvalid, DataError
from contracts.settings import MonitorSettings
from contracts.store import read_pointer
from contracts.store.state import Desired
from monitoring.log.desired import append_desired, newest_desired
from registry.roles.change import alike, crowned
from registry.roles.place import looked_at


def overcome(settings: MonitorSettings, store: Path, digest: str, by: str) -> None:
    """Make a model champion under its own pointer, before the store's pointer goes there.

    A row that gave the role to another model would count on. Other roles stay if the pointer does; those of an earlier
    time of this pointer do not come back.

    Raises:
        Unavailable: the database is away.
        DataError: somebody changes the roles just now.
    """
    with looked_at(settings) as place:
        if place is None:
            return
        try:
            row = newest_desired(place.engine, digest)
        except DataError:  # no tables, or those of a version without roles
            return
        if row is None:
            return
        try:
            stays = read_pointer(store) == digest
        except ArtifactInvalid:
            stays = False
        wanted = crowned(row, digest) if stays else Desired(champion=digest, base=digest)
        if not alike(wanted, row):
            now_us = time.time_ns() // 1000
            append_desired(place.engine, wanted, now_us, by, "windsock release", after=row.sequence)
