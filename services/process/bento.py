"""The BentoML service. BentoML runs the process, the loop and its end; `Worker` does the rest.

Its access log, metrics and tracing are off: they cost more than the model (measured: 4 requests a second with them
where 10 are answered without).
"""

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import bentoml
from _bentoml_sdk import Service

from contracts.errors import WindsockError
from contracts.settings import ServiceSettings, load, logs
from services.rest import hot

if TYPE_CHECKING:
    from services.process.worker import Worker
    from services.rest.asgi import Receive, Scope, Send

logger = logging.getLogger(__name__)

REQUEST_SECONDS: Final = 10  # for the whole of a request; also ends a body that never does


class Front:
    """Stands outermost in the worker: BentoML's router would show its own pages to anybody, and its and Starlette's
    middlewares take a quarter of a request's time."""

    worker: "Worker | None" = None

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "http" and self.worker is not None:
            await self.worker.rest(scope, receive, send)
        else:
            await self._app(scope, receive, send)


@bentoml.service(
    name="windsock",
    workers=1,  # of `bentoml serve`; `launch` starts as many as it is told
    traffic={"timeout": REQUEST_SECONDS},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    tracing={"excluded_urls": ".*"},
)
class Windsock:
    """Starts and stops the `Worker` with BentoML's process."""

    @bentoml.on_startup  # type: ignore[untyped-decorator] # BentoML ships no types
    async def start(self) -> None:
        """A start that fails ends the process, with status 1 and the reason."""
        logs.set_up("auto")
        try:
            settings = load(ServiceSettings)
            logs.set_up(settings.log_format)
            _choose_metrics(settings.metrics_folder)
            from services.process.worker import Worker

            Front.worker = Worker(settings)
            await Front.worker.start()
        except WindsockError as error:
            _give_up(str(error))
        except Exception:
            logger.exception("the service could not start")
            _give_up("an internal error, see above")

    @bentoml.on_shutdown  # type: ignore[untyped-decorator] # as above
    async def stop(self) -> None:
        if Front.worker is not None:
            await Front.worker.stop()


def _choose_metrics(folder: Path | None) -> None:
    """Whether metrics are plain numbers, which is faster, or numbers in files, which several workers need.

    prometheus-client looks at the variable when it is imported, so that must come later. BentoML sets it always.
    """
    if folder is None:
        os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    else:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def _give_up(message: str) -> None:
    sys.stderr.write(f"Error: the service cannot start: {message}\n")
    sys.stderr.flush()
    os._exit(1)  # not an exception: uvicorn would end with a trace and status 3


_to_asgi = Service.to_asgi


def _outermost(service: Service[Any], *args: Any, **kwargs: Any) -> Front:
    """In the place of `Service.to_asgi`: `add_asgi_middleware` would put us inside BentoML's own middlewares."""
    return Front(_to_asgi(service, *args, **kwargs))


Service.to_asgi = _outermost
hot.install()
