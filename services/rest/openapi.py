"""The OpenAPI document: its schemas are those of the structs that decode and encode, its words the task's."""

from importlib.metadata import version
from typing import Any, Final

import msgspec

from contracts.artifact import INPUT_CATEGORY, INPUT_NUMERIC
from contracts.schema import Schema
from services.core.request import MAX_BYTES, MAX_ROWS
from services.rest.routes import ErrorAnswer
from services.wire import metadata
from services.wire.infer_bodies import InferAnswer, InferBody
from services.wire.records import LabelsAnswer, LabelsBody, PredictAnswer

STRUCTS: Final = (
    *(PredictAnswer, LabelsBody, LabelsAnswer, InferBody, InferAnswer, ErrorAnswer),
    *(metadata.ServerMetadata, metadata.ModelMetadata, metadata.ModelConfig, metadata.Statistics),
    *(metadata.ModelReady, metadata.ServerLive, metadata.ServerReady),
)
REFUSALS: Final = {
    400: "the message names the field and the rule",
    401: "no token, or a wrong one",
    403: "a token without the scope for this",
    404: "no such model or version",
    408: "the body did not come to its end in time",
    409: "the `id` was answered before, for other rows",
    413: "too many rows or bytes",
    415: "a `Content-Encoding`; send the body as it is",
    429: "more than the token's quota or than the service takes at once; `Retry-After` says when to try again",
    500: "an error of ours; the service's log has it under the id of the message",
    501: "a `Transfer-Encoding` other than chunked",
    503: "not ready, draining, or the log takes no writes",
}
READ: Final = (401, 403, 429, 500)
POSTED: Final = (*READ, 400, 408, 413, 415, 501, 503)
SCORED: Final = (*POSTED, 409)
_HEADER_LENGTH: Final = {
    "name": "Inference-Header-Content-Length",
    "in": "header",
    "description": "where the JSON ends and the tensors' bytes begin; left out: all of the body is JSON",
    "schema": {"type": "integer", "minimum": 0},
}
_BINARY: Final = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


def document(schema: Schema, model_version: str, predict_body: type[Any]) -> dict[str, Any]:
    """OpenAPI 3.1.

    Args:
        predict_body: the struct of `/v1/predict`, which is made from the schema.
    """
    _, schemas = msgspec.json.schema_components([predict_body, *STRUCTS], ref_template="#/components/schemas/{name}")
    schemas["Row"]["description"] = f"One {schema.subject.singular}: every field by name; null is missing."
    for name, body in _examples(schema).items():
        schemas[name]["examples"] = [body]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Windsock: {schema.title}",
            "version": version("windsock"),
            "description": _description(schema, model_version),
        },
        "security": [{"token": []}],
        "paths": _paths(schema),
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}, "schemas": schemas},
    }


def _description(schema: Schema, model_version: str) -> str:
    numeric, category = ", ".join(schema.numeric_names), ", ".join(schema.category_names)
    return (
        f"{schema.target.question} An answer is the probability that a {schema.subject.singular} "
        f"{schema.target.event}, asked {_span(schema.calendar.horizon_minutes)} ahead. A label is true when it was "
        f"{schema.target.positive} and false when it was {schema.target.negative}; it comes when "
        f"{schema.target.outcome}, as a rule {_span(schema.calendar.label_delay_minutes)} after that moment. "
        f"Model {schema.name}, version {model_version}. At most {MAX_ROWS} rows and "
        f"{MAX_BYTES} bytes a request; numbers are read as 32-bit floats. `/v2` is the Open Inference Protocol with "
        f"the binary tensor extension: `numeric` is FP32 [n, {len(schema.numeric)}] with the columns {numeric}; "
        f"`category` is BYTES [n, {len(schema.category)}] with {category}."
    )


def _span(minutes: int) -> str:
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


def _examples(schema: Schema) -> dict[str, dict[str, Any]]:
    """A body of each kind that is answered as it stands, so that a console can send it."""
    row = schema.example()
    tensors = [
        (INPUT_NUMERIC, "FP32", [row[name] for name in schema.numeric_names]),
        (INPUT_CATEGORY, "BYTES", [row[name] for name in schema.category_names]),
    ]
    inputs = [
        {"name": name, "shape": [1, len(values)], "datatype": kind, "data": [values]} for name, kind, values in tensors
    ]
    return {
        "PredictBody": {"rows": [row]},
        "LabelsBody": {"labels": [{"id": "the id of an answer", "value": True}]},
        "InferBody": {"inputs": inputs},
    }


def _paths(schema: Schema) -> dict[str, Any]:
    subjects = schema.subject.plural
    return {
        "/v1/predict": {"post": _posted(f"Score {subjects} by named fields", "PredictBody", "PredictAnswer", SCORED)},
        "/v1/labels": {"post": _posted(f"Tell what became of scored {subjects}", "LabelsBody", "LabelsAnswer")},
        **_of_model(schema.name),
        "/v2": {"get": _operation("What this server is", READ, "ServerMetadata")},
        "/v2/health/live": {"get": _operation("Whether the process answers", (), "ServerLive")},
        "/v2/health/ready": {"get": _operation("Whether requests are welcome", (), "ServerReady", not_ready=True)},
    }


def _of_model(name: str) -> dict[str, Any]:
    """What there is of the model, and the same of one version of it."""
    infer = _posted("Score tensors", "InferBody", "InferAnswer", (*SCORED, 404))
    infer["parameters"] = [_HEADER_LENGTH]
    infer["requestBody"]["content"] |= _BINARY
    infer["responses"]["200"]["content"] |= _BINARY
    found = {
        "": {"get": _operation("The model's tensors", (*READ, 404), "ModelMetadata")},
        "/ready": {"get": _operation("Whether the model answers", (*READ, 404), "ModelReady", not_ready=True)},
        "/config": {"get": _operation("How the model is served, in Triton's words", (*READ, 404), "ModelConfig")},
        "/stats": {"get": _operation("What the model has done since it was loaded", (*READ, 404), "Statistics")},
        "/infer": {"post": infer},
    }
    version = {"name": "version", "in": "path", "required": True, "schema": {"type": "string"}}
    of_version = {"parameters": [version]}
    paths = {f"/v2/models/{name}{end}": item for end, item in found.items()}
    return paths | {f"/v2/models/{name}/versions/{{version}}{end}": of_version | item for end, item in found.items()}


def _posted(summary: str, body: str, answer: str, refusals: tuple[int, ...] = POSTED) -> dict[str, Any]:
    return _operation(summary, refusals, answer) | {"requestBody": {"required": True, **_content(body)}}


def _operation(summary: str, refusals: tuple[int, ...], answer: str, *, not_ready: bool = False) -> dict[str, Any]:
    """One method of a path. `not_ready`: 503 has the answer's own form. Without a 401 it needs no token."""
    responses = {"200": {"description": "the answer", **_content(answer)}}
    responses |= {str(code): {"description": REFUSALS[code], **_content("ErrorAnswer")} for code in sorted(refusals)}
    if "429" in responses:
        responses["429"]["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
    if not_ready:
        responses["503"] = {"description": "not ready, or draining", **_content(answer)}
    operation: dict[str, Any] = {"summary": summary, "responses": responses}
    if 401 not in refusals:
        operation["security"] = []
    return operation


def _content(schema: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}
