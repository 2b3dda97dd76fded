"""The receiver of Alertmanager's webhook: writes each alert to the log as one line (`windsock alerts`).

A pager, a chat or an automatic reaction is connected here. Alertmanager sends an alert again until the receiver has
acknowledged it, so whatever acts here must be idempotent.
Body: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

import json
import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from contracts.errors import Unavailable

MAX_BYTES: Final = 1 << 20  # Alertmanager sends all alerts of a group: 34 drifting features are 30 kB
logger = logging.getLogger(__name__)


def lines(body: Any) -> list[str]:
    """One line an alert: state, severity, name, where, summary, runbook.

    Raises:
        ValueError: `body` is not what Alertmanager sends.
    """
    try:
        return [_line(alert) for alert in body["alerts"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"`body` must be a webhook message of Alertmanager, got {type(body).__name__}") from error


def _line(alert: dict[str, Any]) -> str:
    labels, notes = alert["labels"], alert.get("annotations", {})
    where = " ".join(f"{name}={labels[name]}" for name in ("instance", "protocol", "feature") if name in labels)
    parts = (
        alert["status"].upper(),
        labels.get("severity", ""),
        labels["alertname"],
        where,
        notes.get("summary", ""),
        notes.get("runbook_url", ""),
    )
    return "  ".join(part for part in parts if part)


class _Receiver(BaseHTTPRequestHandler):
    timeout = 10  # seconds that a silent client is waited for

    def do_POST(self) -> None:
        try:
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 < length <= MAX_BYTES:
                raise ValueError(f"`Content-Length` must be 1 to {MAX_BYTES}, got {length}")
            written = lines(json.loads(self.rfile.read(length)))
        except ValueError:
            self._answer(400)
            return
        for line in written:
            # The heartbeat comes each minute, so it is logged at a lower level than alerts.
            logger.log(logging.DEBUG if self.path == "/watchdog" else logging.INFO, "%s", line)
        self._answer(200)

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/" else 404)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the overridden argument
        """Requests are not logged; the alerts in them are."""


def receive(port: int) -> None:
    """Serve the webhook on 127.0.0.1 until interrupted.

    Raises:
        Unavailable: the port is taken.
    """
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), _Receiver)
    except OSError as error:
        raise Unavailable(f"`port` must be free, got {port}: {error}; choose another with --port") from error
    logger.info("Alerts are written here: http://127.0.0.1:%d", port)
    with server:
        server.serve_forever()
