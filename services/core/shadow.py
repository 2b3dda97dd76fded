"""The shadow: a model that scores what others have answered, for the log alone.

It works on a thread of low priority, a moment after the answers have left. What it cannot keep up with is dropped and
counted: nothing waits for it.
"""

import contextlib
import logging
import os
import threading
import time
from collections import deque
from typing import Final

import numpy as np

from monitoring.metrics.declared import Metrics
from monitoring.spool.spool import Spool
from services.core.model import RUN_ROWS, Model
from services.core.request import PredictionRequest, to_frame

logger = logging.getLogger(__name__)
PAUSE_SECONDS: Final = 0.005  # until the answers have left; what comes meanwhile is scored in one run
_NICE: Final = 10
Offered = tuple[PredictionRequest, str, int]  # what was answered, our id for it, and when it first came


class Shadow:
    """Waits for answered requests on a thread of its own.

    Args:
        limit: rows that may wait; 0 takes none.
    """

    def __init__(self, spool: Spool, metrics: Metrics, limit: int) -> None:
        self._spool, self._metrics, self._limit = spool, metrics, limit
        self._waiting: deque[tuple[Model, Offered]] = deque()
        self._rows = 0
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._ended = False
        self._thread: threading.Thread | None = None

    def offer(self, model: Model, answered: list[Offered]) -> None:
        """Leave requests to be scored by this model. Never waits."""
        rows = sum(len(request.numeric) for request, _, _ in answered)
        with self._lock:
            if self._ended or self._rows + rows > self._limit:
                self._metrics.shadow_dropped(rows)
                return
            self._rows += rows
            self._waiting.extend((model, one) for one in answered)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
                self._thread.start()
        self._news.set()

    def stop(self) -> None:
        """Score what waits, and end."""
        self._ended = True
        self._news.set()
        if self._thread is not None:
            self._thread.join(5)

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # of this thread alone, as Linux has it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while True:
            self._news.wait()
            self._news.clear()
            time.sleep(PAUSE_SECONDS)
            while batch := self._take():
                self._score(batch)
            if self._ended and not self._waiting:
                return

    def _take(self) -> list[tuple[Model, Offered]]:
        """Requests of one model, in their order, about as many rows as one run takes."""
        batch: list[tuple[Model, Offered]] = []
        rows = 0
        with self._lock:
            while self._waiting and rows < RUN_ROWS and (not batch or self._waiting[0][0] is batch[0][0]):
                batch.append(self._waiting.popleft())
                rows += len(batch[-1][1][0].numeric)
            self._rows -= rows
        return batch

    def _score(self, batch: list[tuple[Model, Offered]]) -> None:
        model = batch[0][0]
        started = time.perf_counter()
        rows = sum(len(request.numeric) for _, (request, *_) in batch)
        try:
            scores = model.run(
                np.concatenate([request.numeric for _, (request, *_) in batch]),
                np.concatenate([request.category for _, (request, *_) in batch]),
            )
            duration_us = round((time.perf_counter() - started) * 1e6)
            frames, begin = [], 0
            for _, (request, ours, received_us) in batch:
                part = scores[begin : begin + len(request.numeric)]
                begin += len(part)
                frames.append(to_frame(request, ours, "shadow", model, part, (received_us, duration_us)))
            self._spool.append(b"".join(frames), rows)
        except Exception as error:  # noqa: BLE001 - whatever a shadow does, answers go on
            logger.warning("the shadow %s dropped %d rows: %s", model.version, rows, error)
            self._metrics.shadow_dropped(rows)
            return
        self._metrics.scored["shadow"](rows)
