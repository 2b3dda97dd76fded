"""What the service says of itself over HTTP: health, its model, its document, its page."""

from typing import Any, Final

import msgspec

from monitoring.metrics.declared import Metrics
from services.core.predictor import Predictor
from services.rest import docs_page, openapi
from services.rest.routes import Call, Reply, Route
from services.wire import metadata
from services.wire.protocol import check_model
from services.wire.tensors import ModelTensors

_encode: Final = msgspec.json.Encoder().encode
PROBES: Final = ("/v2/health/live", "/v2/health/ready", "/livez", "/healthz", "/readyz")


class About:
    """Answers GET requests that have no body.

    Args:
        body: struct of the record endpoint's body, for the document.
    """

    def __init__(self, predictor: Predictor, tensors: ModelTensors, metrics: Metrics, body: type[Any]) -> None:
        self._predictor, self._tensors, self._metrics = predictor, tensors, metrics
        self._document = openapi.document(predictor.schema, predictor.roles.champion.version, body)
        live, ready = Route("GET", self.live, need=None), Route("GET", self.ready, need=None)
        self.routes = {
            "/v2": Route("GET", self.server),
            "/v2/health/live": live,
            "/v2/health/ready": ready,
            "/openapi.json": Route("GET", self.openapi, need=None),
            "/docs": Route("GET", self.docs, need=None),
            # Health again, under the names that BentoML's and Kubernetes' own services have for it.
            "/livez": live,
            "/healthz": live,
            "/readyz": ready,
            **docs_page.routes(),
        }
        self.of_model = {
            None: Route("GET", self.model),
            "/ready": Route("GET", self.model_ready),
            "/config": Route("GET", self.model_config),
            "/stats": Route("GET", self.model_statistics),
        }

    def server(self, _: Call) -> Reply:
        told = metadata.server()
        told.refused = metadata.refused(self._predictor)
        return Reply(200, _encode(told))

    def live(self, _: Call) -> Reply:
        return Reply(200, b'{"live":true}')

    def ready(self, _: Call) -> Reply:
        # The protocol's text calls this member "live" in its example; clients look at the status.
        reason = self._predictor.unready
        return Reply(200 if reason is None else 503, _encode(metadata.ServerReady(reason is None, reason)))

    def model(self, call: Call) -> Reply:
        check_model(self._predictor, call.name, call.version)
        told = metadata.model(self._predictor, self._tensors)
        told.refused = metadata.refused(self._predictor)
        return Reply(200, _encode(told))

    def model_ready(self, call: Call) -> Reply:
        check_model(self._predictor, call.name, call.version)
        ready = self._predictor.healthy
        return Reply(200 if ready else 503, _encode(metadata.ModelReady(call.name, ready)))

    def model_config(self, call: Call) -> Reply:
        check_model(self._predictor, call.name, call.version)
        return Reply(200, _encode(metadata.model_config(self._predictor, self._tensors)))

    def model_statistics(self, call: Call) -> Reply:
        check_model(self._predictor, call.name, call.version)
        told = metadata.statistics(self._predictor, self._metrics, call.version)
        told.refused = metadata.refused(self._predictor)
        return Reply(200, _encode(told))

    def openapi(self, _: Call) -> Reply:
        return Reply(200, _encode(self._document))

    def docs(self, call: Call) -> Reply:
        base = f"{call.scheme}://{call.headers.get(b'host', b'127.0.0.1:3000').decode('latin-1')}"
        page = docs_page.page(self._document, base, self._predictor.schema)
        return Reply(200, page, b"text/html; charset=utf-8", docs_page.HEADERS)
