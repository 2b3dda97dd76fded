"""The OpenAPI document, written from the feature contract."""

from importlib.metadata import version
from typing import Any, Final

from contracts.features import CATEGORY, HORIZON_HOURS, LATE_MINUTES, MAX_CATEGORY_LENGTH, NUMERIC, Feature
from services.core.predictor import MAX_BYTES, MAX_ID_LENGTH, MAX_ROWS
from services.wire.protocol import INPUTS

_ERROR: Final = {"$ref": "#/components/schemas/Error"}
_INSTANT: Final = {"type": "string", "format": "date-time", "example": "2013-07-01T12:00:00Z"}


def document(name: str, model_version: str) -> dict[str, Any]:
    """OpenAPI 3.1."""
    model = f"/v2/models/{name}"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Windsock",
            "version": version("windsock"),
            "description": (
                f"The probability that a flight arrives {LATE_MINUTES} or more minutes late, {HORIZON_HOURS} hours "
                f"before its scheduled departure. Model {name}, version {model_version}. At most {MAX_ROWS} rows and "
                f"{MAX_BYTES} bytes a request. `/v2` is the Open Inference Protocol, with the binary tensor extension."
            ),
        },
        "security": [{"token": []}],
        "paths": {
            "/v1/predict": {"post": _operation("Score flights by named fields", "PredictBody", "PredictAnswer")},
            "/v1/labels": {"post": _operation("Tell what became of predicted flights", "LabelsBody", "LabelsAnswer")},
            f"{model}/infer": {"post": _operation("Score tensors", "InferBody", "InferAnswer")},
            f"{model}/versions/{{version}}/infer": {
                "parameters": [_version_parameter()],
                "post": _operation("Score tensors by this version only", "InferBody", "InferAnswer"),
            },
            model: {"get": _operation("The model's tensors", None, "Metadata")},
            f"{model}/ready": {"get": _operation("Whether the model answers", None, "Metadata")},
            "/v2": {"get": _operation("What this server is", None, "Metadata")},
            "/v2/health/live": {"get": _operation("Whether the process answers", None, "Metadata", open_=True)},
            "/v2/health/ready": {"get": _operation("Whether requests are welcome", None, "Metadata", open_=True)},
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


def _version_parameter() -> dict[str, Any]:
    return {"name": "version", "in": "path", "required": True, "schema": {"type": "string"}}


def _operation(summary: str, body: str | None, answer: str, *, open_: bool = False) -> dict[str, Any]:
    refusals = {"503": "not ready, draining, or the log takes no writes"}
    if not open_:
        refusals |= {"401": "no token, or a wrong one", "404": "no such model or version"}
    if body:
        refusals |= {"400": "the message names the field and the rule", "413": "too many rows or bytes"}
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {"200": {"description": "the answer", **_content(answer)}}
        | {code: {"description": text, **_content("Error")} for code, text in sorted(refusals.items())},
    }
    if body:
        operation["requestBody"] = {"required": True, **_content(body)}
    if open_:
        operation["security"] = []
    return operation


def _content(schema: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def _schemas() -> dict[str, Any]:
    fields = {f.name: _field(f) for f in (*NUMERIC, *CATEGORY)}
    request_id = {"type": "string", "maxLength": MAX_ID_LENGTH, "description": "key in the prediction log"}
    text, number = {"type": "string"}, {"type": "number"}
    label = {"id": request_id, "row": {"type": "integer", "minimum": 0, "default": 0}, "late": {"type": "boolean"}}
    delivered = _INSTANT | {"description": "the caller's clock at delivery; now when left out"}
    tensors = {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}}
    return {
        "Error": _object({"error": text}),
        "Metadata": {"type": "object"},
        "Flight": _object(fields, description="Every field by name; null is missing."),
        "PredictBody": _object(
            {
                "id": request_id,
                "event_time": _INSTANT | {"description": "the caller's clock; the time of arrival when left out"},
                "flights": _array({"$ref": "#/components/schemas/Flight"}),
            },
            required=["flights"],
        ),
        "PredictAnswer": _object({"id": text, "model_version": text, "probabilities": _array(number)}),
        "Label": _object(label | {"landed_at": _INSTANT, "delivered_at": delivered}, required=["id", "late"]),
        "LabelsBody": _object({"labels": _array({"$ref": "#/components/schemas/Label"})}),
        "LabelsAnswer": _object({"accepted": {"type": "integer"}}),
        "Tensor": _object(
            {
                "name": {"enum": list(INPUTS)},
                "datatype": {"enum": [s.datatype for s in INPUTS.values()]},
                "shape": {"type": "array", "items": {"type": "integer"}},
                "data": {"type": "array", "items": {}, "description": "flat or by row; null is missing"},
                "parameters": {"type": "object"},
            },
            required=["name", "datatype", "shape"],
        ),
        "InferBody": _object(
            {
                "id": request_id,
                "parameters": {"type": "object", "properties": {"event_time": _INSTANT}},
                "inputs": tensors,
                "outputs": {"type": "array", "items": {"type": "object"}},
            },
            required=["inputs"],
        ),
        "InferAnswer": _object(
            {"model_name": text, "model_version": text, "id": text, "outputs": {"type": "array", "items": {}}}
        ),
    }


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1, "maxItems": MAX_ROWS}


def _object(
    properties: dict[str, Any], *, required: list[str] | None = None, description: str | None = None
) -> dict[str, Any]:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(properties) if required is None else required,
    }
    return schema if description is None else schema | {"description": description}


def _field(feature: Feature) -> dict[str, Any]:
    if feature.low is None:
        return {
            "type": ["string", "null"],
            "maxLength": MAX_CATEGORY_LENGTH,
            "description": f"{feature.description} ({feature.unit})",
        }
    return {
        "type": ["number", "null"] if feature.nullable else "number",
        "minimum": feature.low,
        "maximum": feature.high,
        "description": f"{feature.description} ({feature.unit})",
    }
