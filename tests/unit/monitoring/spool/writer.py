"""A process that appends as a service does: several threads, until it is killed.

    python -m tests.unit.monitoring.spool.writer <folder> <limit> <segment> <threads> <rate>

`segment` is in bytes, `rate` in frames a second and thread (0: as fast as it can). Writes `<id>` for each frame that
is acknowledged, and `!` for each that the spool refused, one a line.
"""

import os
import sys
import threading
import time
from pathlib import Path

from monitoring.spool import spool
from monitoring.spool.frames import predictions_frame
from monitoring.spool.spool import Spool, SpoolFull
from tests.unit.monitoring.spool.conftest import prediction


def main() -> None:
    folder, limit, segment, threads, rate = Path(sys.argv[1]), *(int(word) for word in sys.argv[2:6])
    spool.SEGMENT_BYTES = segment  # type: ignore[misc] # so that a second has several rotations
    appending = Spool(folder, limit)

    def append(thread: int) -> None:
        number = 0
        while True:
            name = f"{os.getpid()}-{thread}-{number}"
            try:
                appending.append(predictions_frame(prediction(name)), 1)
                os.write(1, f"{name}\n".encode())
            except SpoolFull:
                os.write(1, b"!\n")
                time.sleep(0.01)
            number += 1
            if rate:
                time.sleep(1 / rate)

    for thread in range(threads):
        threading.Thread(target=append, args=(thread,)).start()


if __name__ == "__main__":
    main()
