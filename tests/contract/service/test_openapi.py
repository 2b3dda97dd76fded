"""The OpenAPI document says what the service does: at the edges of every rule that it names, both ways.

For each schema of a body: values that are valid by the document are accepted, and values that it excludes are refused.
"""

import copy
import itertools
import json
import unicodedata
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from contracts.schema import NumericFeature
from services.core.request import MAX_ID_LENGTH, MAX_KEY_LENGTH, MAX_ROWS
from services.wire.members import NO_NUL, PRINTABLE
from tasks.flights.schema import SCHEMA
from tests.support.payloads import INFER, json_body, rows
from tests.support.serving import Server

Case = tuple[str, dict[str, Any]]  # path, body
ROW = SCHEMA.example()
LABEL = {"id": "x", "value": True}
TENSORS = json_body(*rows(1))
INSTANTS = ("2013-07-01T12:00:00Z", "2013-07-01T12:00:00.25+02:00")
NO_INSTANTS: tuple[Any, ...] = ("noon", 3, "2013-07-01T25:00:00Z")


@pytest.fixture(scope="module")
def document(server: Server) -> dict[str, Any]:
    return dict(json.loads(server.ask("/openapi.json", token=None)[1]))


@pytest.fixture(scope="module")
def schemas(document: dict[str, Any]) -> dict[str, Any]:
    return dict(document["components"]["schemas"])


def edges(member: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Values just inside and just outside the rules of one member, by its own schema."""
    inside, outside = list[Any](), list[Any]()
    kinds = {one.get("type") for one in member.get("anyOf", [member])}
    (inside if "null" in kinds else outside).append(None)
    for rule, towards in (("minimum", -np.inf), ("maximum", np.inf)):
        if rule in member:
            step = 1 if "integer" in kinds else None
            edge = member[rule]
            beyond = (
                edge + (step if towards > 0 else -step) if step else np.nextafter(np.float32(edge), np.float32(towards))
            )
            inside.append(edge)
            outside.append(beyond if step else float(beyond))
    if "maxLength" in member:
        inside.append("é" * member["maxLength"])
        outside.append("é" * (member["maxLength"] + 1))
    if "string" in kinds and "format" not in member:
        (outside if member.get("minLength") else inside).append("")
        outside.append(1)
    if member.get("pattern") == NO_NUL:
        inside += ["a\nb", "\u200b"]
        outside.append("a\0b")
    elif "pattern" in member:
        assert member["pattern"] == PRINTABLE
        inside += ["a b", "é✈"]
        outside += ["a\nb", "a\0", "a\u00a0b", "a\u200bb", "\ue000"]
    if member.get("format") == "date-time":
        inside += INSTANTS
        outside += NO_INSTANTS
    if kinds & {"number", "integer"}:
        outside += ["1", True]
    if "boolean" in kinds:
        inside += [True, False]
        outside += [0, "true"]
    return inside, outside


def whole(path: str, member: str, value: Any) -> dict[str, Any]:
    """A body that is good but for this value."""
    if path == "/v1/labels":
        return {"labels": [LABEL | {member: value}]}
    if path == "/v1/predict":
        return {"rows": [ROW], member: value}
    return TENSORS | {member: value}


def documented(schemas: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Path, body, and whether the document says that it is valid."""
    plain = {"/v1/labels": "Label", "/v1/predict": "PredictBody", INFER: "InferBody"}
    for path, name in plain.items():
        for member, rules in schemas[name]["properties"].items():
            if rules.get("type") in ("array", "object"):
                continue
            for valid, values in zip((True, False), edges(rules), strict=True):
                yield from ((path, whole(path, member, value), valid) for value in values)
    for member, rules in schemas["Row"]["properties"].items():
        for valid, values in zip((True, False), edges(rules), strict=True):
            yield from (("/v1/predict", {"rows": [ROW | {member: value}]}, valid) for value in values)


def test_values_at_the_edges_of_the_document_are_treated_as_it_says(server: Server, schemas: dict[str, Any]) -> None:
    count = {True: 0, False: 0}
    for path, body, valid in documented(schemas):
        status, content, _ = server.ask(path, body)
        if status == 409:  # a valid id that came before, with other rows
            assert valid
            assert body["id"] in json.loads(content)["error"]
            continue
        assert status == (200 if valid else 400), (body, content)
        count[valid] += 1
    assert min(count.values()) > 100


def test_every_bound_of_the_schema_is_in_the_document(schemas: dict[str, Any]) -> None:
    row = schemas["Row"]
    assert row["additionalProperties"] is False
    assert row["required"] == list(row["properties"]) == list(SCHEMA.names)
    for feature in SCHEMA.features:
        rules = row["properties"][feature.name]
        assert feature.unit in rules["description"]
        if isinstance(feature, NumericFeature):
            assert (rules["minimum"], rules["maximum"]) == (feature.low, feature.high)
            assert ({"type": "null"} in rules.get("anyOf", [])) == feature.nullable
        else:
            assert rules["maxLength"] == feature.max_length


def test_required_and_unknown_members_are_treated_as_the_document_says(server: Server, schemas: dict[str, Any]) -> None:
    bodies: dict[str, Case] = {
        "PredictBody": ("/v1/predict", {"rows": [ROW], "id": "x", "event_time": None}),
        "LabelsBody": ("/v1/labels", {"labels": [LABEL]}),
        "InferBody": (INFER, TENSORS | {"id": "", "parameters": {}, "outputs": []}),
    }
    for name, (path, body) in bodies.items():
        protocol = name == "InferBody"  # whose stock clients send members that not every server knows
        assert schemas[name].get("additionalProperties", True) is protocol
        assert server.ask(path, body | {"surplus": 1})[0] == (200 if protocol else 400)
        for member in schemas[name]["properties"]:
            less = {key: value for key, value in body.items() if key != member}
            assert server.ask(path, less)[0] == (400 if member in schemas[name]["required"] else 200), member
    for member in schemas["Row"]["required"]:
        assert server.ask("/v1/predict", {"rows": [{k: v for k, v in ROW.items() if k != member}]})[0] == 400
    for member in ("name", "shape", "datatype"):
        assert member in schemas["InputTensor"]["required"]
        less = copy.deepcopy(TENSORS)
        del less["inputs"][0][member]
        assert server.ask(INFER, less)[0] == 400


def test_lists_have_the_lengths_that_the_document_says(server: Server, schemas: dict[str, Any]) -> None:
    rules = schemas["PredictBody"]["properties"]["rows"]
    assert (rules["minItems"], rules["maxItems"]) == (1, MAX_ROWS)
    assert server.ask("/v1/predict", {"rows": []})[0] == 400
    assert server.ask("/v1/predict", {"rows": [ROW] * MAX_ROWS})[0] == 200
    assert server.ask("/v1/predict", {"rows": [ROW] * (MAX_ROWS + 1)})[0] == 413
    rules = schemas["LabelsBody"]["properties"]["labels"]
    assert (rules["minItems"], rules["maxItems"]) == (1, MAX_ROWS)
    assert server.ask("/v1/labels", {"labels": []})[0] == 400
    assert server.ask("/v1/labels", {"labels": [LABEL] * (MAX_ROWS + 1)})[0] == 413
    rules = schemas["InferBody"]["properties"]["inputs"]
    assert (rules["minItems"], rules["maxItems"]) == (2, 2)
    numeric, category = TENSORS["inputs"]
    for inputs in ([], [numeric], [category], [numeric, category, numeric]):
        assert server.ask(INFER, {"inputs": inputs})[0] == 400
    assert schemas["InferBody"]["properties"]["outputs"]["maxItems"] == 1
    output = {"name": "probability"}
    assert [server.ask(INFER, TENSORS | {"outputs": [output] * n})[0] for n in range(3)] == [200, 200, 400]


def test_tensors_have_the_members_that_the_document_says(server: Server, schemas: dict[str, Any]) -> None:
    tensor, output = schemas["InputTensor"]["properties"], schemas["RequestedOutput"]["properties"]
    assert (tensor["name"]["enum"], tensor["datatype"]["enum"]) == (["numeric", "category"], ["FP32", "BYTES"])
    assert output["name"]["enum"] == ["probability"]
    assert (tensor["shape"]["minItems"], tensor["shape"]["maxItems"]) == (2, 2)
    changes: dict[str, list[Any]] = {
        "name": ["probability", None],
        "datatype": ["FP64", ""],
        "shape": [[len(SCHEMA.numeric)], [1, len(SCHEMA.numeric), 1], [0, len(SCHEMA.numeric)], [1.5, 31]],
        "data": [None, {}, "x"],
        "parameters": [{"binary_data_size": -1}, {"binary_data_size": "1"}, None],
    }
    for member, values in changes.items():
        for value in values:
            body = copy.deepcopy(TENSORS)
            body["inputs"][0][member] = value
            assert server.ask(INFER, body)[0] == 400, (member, value)
    event_time = schemas["InferBody"]["properties"]["parameters"]["properties"]["event_time"]
    assert event_time["type"] == ["string", "null"]
    for value, status in [(None, 200), *((i, 200) for i in INSTANTS), *((i, 400) for i in NO_INSTANTS)]:
        assert server.ask(INFER, TENSORS | {"parameters": {"event_time": value}})[0] == status, value
    key = schemas["InferBody"]["properties"]["parameters"]["properties"]["key"]
    assert (key["type"], key["maxLength"]) == (["string", "null"], MAX_KEY_LENGTH)
    for value, status in [
        (None, 200),
        ("", 200),
        ("x" * MAX_KEY_LENGTH, 200),
        ("x" * (MAX_KEY_LENGTH + 1), 400),
        (5, 400),
    ]:
        assert server.ask(INFER, TENSORS | {"parameters": {"key": value}})[0] == status, value


def test_the_pattern_of_an_id_is_what_python_calls_printable(schemas: dict[str, Any]) -> None:
    for name, member in (("PredictBody", "id"), ("InferBody", "id"), ("Label", "id")):
        rules = schemas[name]["properties"][member]
        assert (rules["pattern"], rules["maxLength"]) == (PRINTABLE, MAX_ID_LENGTH)
    for number in itertools.chain(range(0xD800), range(0xE000, 0x110000)):
        character = chr(number)
        allowed = character == " " or unicodedata.category(character)[0] in "LMNPS"
        assert character.isprintable() == allowed, hex(number)


def test_answers_have_the_form_that_the_document_says(server: Server, document: dict[str, Any]) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "PredictBody": {"rows": [ROW]},
        "LabelsBody": {"labels": [LABEL]},
        "InferBody": TENSORS,
    }
    version = json.loads(server.ask(f"/v2/models/{SCHEMA.name}")[1])["versions"][0]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            body = None
            if "requestBody" in operation:
                body = bodies[_name(operation["requestBody"])]
            status, content, _ = server.ask(path.format(version=version), body)
            answer = json.loads(content)
            rules = document["components"]["schemas"][_name(operation["responses"][str(status)])]
            assert status == 200
            assert set(rules["required"]) <= set(answer) <= set(rules["properties"]), path
            token = 401 if operation.get("security") != [] else 200
            status, content, _ = server.ask(path.format(version=version), body, token=None)
            assert (status, str(status) in operation["responses"]) == (token, True)


def _name(part: dict[str, Any]) -> str:
    return str(part["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2])
