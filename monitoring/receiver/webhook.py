"""The receiver of Alertmanager's webhook: writes each alert to the log as one line (`windsock alerts`), and raises one
of its own when the Watchdog does not come any more.

A pager, a chat or an automatic reaction is connected here. Alertmanager sends an alert again until the receiver has
acknowledged it, so whatever acts here must be idempotent.
Body: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

import json
import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from contracts.errors import Unavailable
from monitoring.receiver.heartbeat import Heartbeat

LOOK_SECONDS: Final = 1.0
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


class _Server(ThreadingHTTPServer):
    """Looks at the heartbeat whenever `serve_forever` has nothing else to do."""

    def __init__(self, address: tuple[str, int], heartbeat: Heartbeat) -> None:
        self.heartbeat = heartbeat
        super().__init__(address, _Receiver)

    def service_actions(self) -> None:
        self.heartbeat.look()


class _Receiver(BaseHTTPRequestHandler):
    server: _Server
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
        if self.path == "/watchdog":
            self.server.heartbeat.beat()
        for line in written:
            # The heartbeat comes each minute, so it is logged at a lower level than alerts.
            logger.log(logging.DEBUG if self.path == "/watchdog" else logging.INFO, "%s", line)
        self._answer(200)

    def do_GET(self) -> None:
        heartbeat = self.server.heartbeat
        if self.path in ("/", "/heartbeat"):
            trouble = heartbeat.trouble
            self._answer(200 if trouble is None else 503, f"{trouble or 'alarms arrive'}\n".encode())
        elif self.path == "/metrics":
            self._answer(200, heartbeat.metrics())
        else:  # a receiver that is taken away because it misses something would receive nothing any more
            self._answer(200 if self.path == "/healthz" else 404)

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the overridden argument
        """Requests are not logged; the alerts in them are."""


def receive(host: str, port: int, silent_seconds: float) -> None:
    """Serve the webhook until interrupted.

    Args:
        silent_seconds: without a Watchdog, after which it is missing.

    Raises:
        Unavailable: the port is taken.
    """
    try:
        server = _Server((host, port), Heartbeat(silent_seconds))
    except OSError as error:
        raise Unavailable(f"`port` must be free, got {port}: {error}; choose another with --port") from error
    logger.info("Alerts are written here: http://%s:%d", host, port)
    with server:
        server.serve_forever(LOOK_SECONDS)
