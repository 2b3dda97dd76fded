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
    413: "too many rows or bytes",
    429: "more than the token's quota; `Retry-After` says when to try again",
    500: "an error of ours; the service's log has it under the id of the message",
    503: "not ready, draining, or the log takes no writes",
}


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
    model, subjects = f"/v2/models/{schema.name}", schema.subject.plural
    named = {"name": "version", "in": "path", "required": True, "schema": {"type": "string"}}
    score, of_model = (400, 401, 403, 404, 413, 429, 500, 503), (401, 403, 404)
    return {
        "/v1/predict": {
            "post": _operation(f"Score {subjects} by named fields", score, "PredictAnswer", body="PredictBody")
        },
        "/v1/labels": {
            "post": _operation(f"Tell what became of scored {subjects}", score, "LabelsAnswer", body="LabelsBody")
        },
        f"{model}/infer": {"post": _operation("Score tensors", score, "InferAnswer", body="InferBody")},
        f"{model}/versions/{{version}}/infer": {
            "parameters": [named],
            "post": _operation("Score tensors by this version only", score, "InferAnswer", body="InferBody"),
        },
        model: {"get": _operation("The model's tensors", of_model, "ModelMetadata")},
        f"{model}/ready": {"get": _operation("Whether the model answers", of_model, "ModelReady", not_ready=True)},
        f"{model}/config": {"get": _operation("How the model is served, in Triton's words", of_model, "ModelConfig")},
        f"{model}/stats": {"get": _operation("What the model has done since it was loaded", of_model, "Statistics")},
        "/v2": {"get": _operation("What this server is", (401, 403), "ServerMetadata")},
        "/v2/health/live": {"get": _operation("Whether the process answers", (), "ServerLive")},
        "/v2/health/ready": {"get": _operation("Whether requests are welcome", (), "ServerReady", not_ready=True)},
    }


def _operation(
    summary: str, refusals: tuple[int, ...], answer: str, *, body: str | None = None, not_ready: bool = False
) -> dict[str, Any]:
    """One method of a path. `not_ready`: 503 has the answer's own form. Without a 401 it needs no token."""
    responses = {"200": {"description": "the answer", **_content(answer)}}
    responses |= {str(code): {"description": REFUSALS[code], **_content("ErrorAnswer")} for code in refusals}
    if not_ready:
        responses["503"] = {"description": "not ready, or draining", **_content(answer)}
    operation: dict[str, Any] = {"summary": summary, "responses": responses}
    if body:
        operation["requestBody"] = {"required": True, **_content(body)}
    if 401 not in refusals:
        operation["security"] = []
    return operation


def _content(schema: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}
