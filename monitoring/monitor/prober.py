"""The synthetic prober: asks the service through its front door, as a caller does, whether it answers.

Its token has the scope `probe`, so its rows are neither logged nor counted. What it sends is the example row of the
champion's schema.
"""

import json
import logging
import math
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from contracts.errors import Unavailable, WindsockError
from contracts.schema import Schema
from contracts.settings.tokens import read_token
from monitoring.metrics.process import ProcessMetrics

EVERY_SECONDS: Final = 15.0
ANSWER_SECONDS: Final = 5.0  # a caller would have gone by then
logger = logging.getLogger(__name__)


class Prober:
    """Probes every so often, on a thread that `start` starts and `stop` ends.

    Args:
        url: of the service's REST, without a path.
        token_file: of the plain token.
        schema_of_champion: raises WindsockError where no champion can be read; asked again after a probe that failed.
    """

    def __init__(
        self, url: str, token_file: Path, schema_of_champion: Callable[[], Schema], metrics: ProcessMetrics
    ) -> None:
        self._url, self._token_file = url.rstrip("/"), token_file
        self._schema_of_champion, self._metrics = schema_of_champion, metrics
        self._row: dict[str, Any] | None = None
        self._trouble: str | None = "the service was not asked yet"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prober", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()

    def probe(self) -> None:
        """Ask once, and say in the metrics and, when it changes, in the log what came of it."""
        begun, before = time.monotonic(), self._trouble
        try:
            self._row = self._row or self._schema_of_champion().example()
            token = read_token(self._token_file)
        except WindsockError as error:  # nothing was asked: the service is not to blame
            self._trouble = f"no probe can be sent: {error}"
            self._metrics.probed(math.nan)
        else:
            self._trouble = self._ask(token, self._row)
            self._metrics.probed(float(self._trouble is None), time.monotonic() - begun)
        if self._trouble is not None:
            self._row = None  # it may be another model's by now
        if self._trouble != before:
            logger.log(logging.WARNING if self._trouble else logging.INFO, "%s", self._trouble or "the service answers")

    def _ask(self, token: str, row: dict[str, Any]) -> str | None:
        """Why the service is not well; None: it is."""
        try:
            _open(f"{self._url}/v2/health/ready")
            answer = json.loads(_open(f"{self._url}/v1/predict", token, json.dumps({"rows": [row]}).encode()))
            (score,) = answer["probabilities"]
            if not 0 <= score <= 1:
                raise Unavailable(f"`probabilities` must be from 0 to 1, got {score}")
        except Exception as error:  # noqa: BLE001 - whatever it is, a caller has no answer
            return f"the service at {self._url} must answer a probe, got: {error}"
        return None

    def _run(self) -> None:
        while True:
            self.probe()
            if self._over.wait(EVERY_SECONDS):
                return


def _open(url: str, token: str = "", body: bytes | None = None) -> bytes:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - the operator's own address
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - likewise
        found: bytes = answer.read()
    return found
