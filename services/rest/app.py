"""REST: an ASGI application of our own, as BentoML's decorator answers 900 requests a second where this does thousands.

It routes, reads bodies and maps errors; `answers` and `about` are what stands behind the paths.
"""

import re
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from contracts.errors import NotFound
from contracts.settings import ServiceSettings
from monitoring.metrics.declared import Metrics
from services.core.admission import LARGE_BYTES, Budget, Held, LargeRequests
from services.core.auth import Caller, Guard
from services.core.predictor import Predictor
from services.core.request import Trace
from services.rest.about import PROBES, About
from services.rest.answers import Answers
from services.rest.asgi import Disconnected, Incoming, Receive, Scope, Send, read_body
from services.rest.hot import Hot
from services.rest.routes import Call, Reply, Route, refusal, wrong_encoding, wrong_method
from services.rest.turn import Path, Turn
from services.wire import json_infer
from services.wire.quick import quick_infer, quick_records
from services.wire.records import Records, encode_answer
from services.wire.tensors import ModelTensors

_MODEL_PATH: Final = re.compile(
    r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<action>/ready|/infer|/config|/stats)?"
)


class Rest:
    """The ASGI application, for scopes of type http."""

    def __init__(
        self,
        predictor: Predictor,
        guard: Guard,
        metrics: Metrics,
        large_requests: LargeRequests,
        bytes_in_flight: Budget,
        trace: Trace | None = None,
    ) -> None:
        self._predictor, self._trace = predictor, trace
        self._bytes = bytes_in_flight
        self._tensors = ModelTensors(predictor.schema)
        self._records = Records(predictor.schema)
        self._large_requests = large_requests
        self._guard = guard
        self._metrics = metrics.of["rest"]
        about = About(predictor, self._tensors, metrics, self._records.body)
        self._answers = Answers(predictor, self._tensors, self._records)
        self._fixed = about.routes | {
            "/v1/predict": Route("POST", self._answers.predict, need="predict", predicts=True),
            "/v1/labels": Route("POST", self._answers.labels, need="label"),
        }
        self._of_model = about.of_model | {
            "/infer": Route("POST", self._answers.infer, need="predict", predicts=True),
        }

    def hot(self, settings: ServiceSettings) -> Hot:
        """What answers small prediction requests without this application. Belongs to the running event loop."""
        predictor, numbers = self._predictor, len(self._predictor.schema.numeric)
        turn = Turn(
            predictor,
            self._metrics,
            self._refuse,
            batch_rows=settings.batch_rows,
            delay_us=settings.batch_delay_us,
            max_rows=settings.max_rows_in_flight,
            trace=self._trace,
        )
        paths = {
            b"/v1/predict": Path(
                quick_records(self._records, numbers), encode_answer, self._alone(self._answers.predict), "rest predict"
            ),
            f"/v2/models/{predictor.name}/infer".encode(): Path(
                quick_infer(self._tensors), json_infer.encode_json, self._alone(self._answers.infer), "rest infer"
            ),
        }
        probes = {path.encode(): partial(self._fixed[path].handler, Call({})) for path in PROBES}
        return Hot(paths, probes, turn, self._guard, predictor, LARGE_BYTES)

    def _alone(self, handler: Callable[[Call], Reply]) -> Callable[[bytes, Caller, float], Reply]:
        def answer(body: bytes, caller: Caller, started: float) -> Reply:
            call = Call({}, body, self._predictor.name, caller=caller, started=started)
            try:
                return handler(call)
            except Exception as error:  # noqa: BLE001 - the edge of the service: an unknown error must not leave it
                return self._refuse(error, caller.name, call.request_id, started)

        return answer

    def _refuse(self, error: Exception, caller: str, request_id: str, started: float) -> Reply:
        """The reply to a prediction request that failed; it is counted.

        Args:
            caller: name of the token, and `request_id` of the request; "" where they are not known.
        """
        code, reply = refusal(error, caller, request_id, started)
        self._metrics.errors[code]()
        return reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = Incoming(receive)
        call = Call(dict(scope["headers"]), scheme=scope.get("scheme", "http"))
        route = self._route(scope["path"], call)
        try:
            reply = await self._answer(route, scope["method"], call, body.receive)
        except Disconnected:
            return
        if self._trace is not None and (route is None or route.need is not None):
            self._tell(self._trace, route, call, reply)
        headers = [
            (b"content-type", reply.content_type),
            (b"content-length", str(len(reply.body)).encode()),
            *reply.headers,
        ]
        if not self._predictor.ready:  # a client that connects anew finds a service that is not draining
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        if scope["method"] == "POST" and not body.ended:
            # The answer is on its way. A connection that closes on a body that still comes would be reset, and the
            # answer with it: most clients look for one only after they have sent all.
            await send({"type": "http.response.body", "body": reply.body, "more_body": True})
            await body.discard()
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "http.response.body", "body": reply.body})

    def _tell(self, trace: Trace, route: Route | None, call: Call, reply: Reply) -> None:
        trace(
            "rest" if route is None else f"rest {route.handler.__name__}",
            call.started,
            reply.code,
            answer=reply.answer,
            request_id=reply.request_id or call.request_id,
            caller=call.caller.name,
            parent=call.headers.get(b"traceparent", b"").decode("latin-1"),
        )

    async def _answer(self, route: Route | None, method: str, call: Call, receive: Receive) -> Reply:
        if route is None or not route.predicts:
            try:
                return await self._run(route, method, call, receive)
            except Disconnected:
                raise
            except Exception as error:  # noqa: BLE001 - the edge of the service: an unknown error must not leave it
                return refusal(error, call.caller.name, call.request_id, call.started)[1]
        metrics = self._metrics
        metrics.begin()
        request_id = ""
        try:
            reply = await self._run(route, method, call, receive)
            request_id = reply.request_id
            return reply
        except Disconnected:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            return self._refuse(error, call.caller.name, call.request_id, call.started)
        finally:
            metrics.end([(time.perf_counter() - call.started, request_id)])

    def _route(self, path: str, call: Call) -> Route | None:
        if route := self._fixed.get(path):
            return route
        match = _MODEL_PATH.fullmatch(path)
        if match is None:
            return None
        call.name, call.version = match["name"], match["version"] or ""
        return self._of_model[match["action"]]

    async def _run(self, route: Route | None, method: str, call: Call, receive: Receive) -> Reply:
        need = "any" if route is None else route.need
        if need is not None:
            call.caller = self._guard.check(call.headers.get(b"authorization"), need)
        if route is None:
            raise NotFound("the path must be one of the OpenAPI document's, got another one; see /openapi.json")
        if method != route.method and (method, route.method) != ("HEAD", "GET"):  # uvicorn leaves out a HEAD's body
            return wrong_method(route, method)
        if method != "POST":
            return route.handler(call)
        if (refused := wrong_encoding(call.headers)) is not None:
            return refused
        with Held(self._bytes) as held:
            call.body = await read_body(call.headers, receive, held)
            call.started = time.perf_counter()
            if len(call.body) > LARGE_BYTES:
                return await self._large_requests.run(route.handler, call)
            return route.handler(call)
