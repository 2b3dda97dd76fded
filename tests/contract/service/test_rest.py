"""The REST side of the service: the Open Inference Protocol, named records, and what each bad request gets."""

import copy
import json
import re
import socket
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.core.request import MAX_BYTES, MAX_ROWS
from tasks.flights.schema import SCHEMA
from tests.support.payloads import INFER, binary_body, json_body, records, rows
from tests.support.serving import Server

NUMERIC, CATEGORY = rows(1)


def scores(server: Server, path: str, body: bytes | dict[str, Any], headers: dict[str, str] | None = None) -> Any:
    status, content, _ = server.ask(path, body, headers=headers)
    assert status == 200, content
    answer = json.loads(content)
    return answer["probabilities"] if path == "/v1/predict" else answer["outputs"][0]["data"]


def refusal(server: Server, path: str, body: bytes | dict[str, Any], status: int = 400, **more: Any) -> str:
    """The message of a refusal, whose form is the protocol's."""
    got, content, _ = server.ask(path, body, **more)
    assert got == status, content
    answer = json.loads(content)
    assert list(answer) == ["error"]
    message: str = answer["error"]
    assert "Traceback" not in message
    return message


def test_server_and_model_describe_themselves(server: Server, artifact_store: Any) -> None:
    about = json.loads(server.ask("/v2")[1])
    assert about["name"] == "windsock"
    assert "binary_tensor_data" in about["extensions"]
    model = json.loads(server.ask("/v2/models/flight-delay")[1])
    assert model == {
        "name": "flight-delay",
        "versions": [artifact_store.digest[:12]],
        "platform": "onnx_onnxv1",
        "inputs": [
            {"name": "numeric", "datatype": "FP32", "shape": [-1, 31]},
            {"name": "category", "datatype": "BYTES", "shape": [-1, 3]},
        ],
        "outputs": [{"name": "probability", "datatype": "FP32", "shape": [-1]}],
    }
    version = model["versions"][0]
    assert json.loads(server.ask(f"/v2/models/flight-delay/versions/{version}")[1]) == model
    ready = json.loads(server.ask(f"/v2/models/flight-delay/versions/{version}/ready")[1])
    assert ready == {"name": "flight-delay", "ready": True}


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", "/livez", "/readyz", "/openapi.json", "/docs"])
def test_open_without_a_token(server: Server, path: str) -> None:
    assert server.ask(path, token=None)[0] == 200


@pytest.mark.parametrize("path", ["/v2/health/ready", "/openapi.json"])
def test_head_is_get_without_the_body(server: Server, path: str) -> None:
    status, content, headers = server.ask(path, token=None, method="HEAD")
    full = server.ask(path, token=None)[1]
    assert (status, content, int(headers["content-length"])) == (200, b"", len(full))
    assert server.ask("/v1/predict", method="HEAD")[0] == 405


BENTOML_PAGES = ["/schema.json", "/docs.json", "/metrics", "/static_content/index.html"]


@pytest.mark.parametrize("path", ["/v2", "/v2/models/flight-delay", "/v2/models/flight-delay/ready", *BENTOML_PAGES])
def test_nothing_else_is_open(server: Server, path: str) -> None:
    status, content, headers = server.ask(path, token=None)
    assert (status, headers["www-authenticate"]) == (401, "Bearer"), content
    assert json.loads(content)["error"].startswith("`authorization` must be")


@pytest.mark.parametrize("path", [INFER, "/v1/predict", "/v1/labels"])
@pytest.mark.parametrize("token", [None, "wrong", "wröng"])
def test_no_token_no_answer(server: Server, path: str, token: str | None) -> None:
    assert "authorization" in refusal(server, path, json_body(NUMERIC, CATEGORY), 401, token=token)


def test_every_form_of_a_row_gets_the_same_score(server: Server) -> None:
    numeric, category = rows(50)
    nested = scores(server, INFER, json_body(numeric, category))
    body = json_body(numeric, category)
    for item in body["inputs"]:
        item["data"] = [value for row in item["data"] for value in row]
    flat = scores(server, INFER, body)
    raw = scores(server, INFER, *binary_body(numeric, category))
    named = scores(server, "/v1/predict", records(numeric, category))
    alone = [scores(server, "/v1/predict", records(numeric[i : i + 1], category[i : i + 1]))[0] for i in range(50)]
    assert len(set(nested)) > 40  # they do differ
    for other in (flat, raw, named, alone):
        assert other == pytest.approx(nested, abs=1e-6)  # the last bit may depend on the place within a SIMD register


def test_tensors_may_be_mixed_and_in_any_order(server: Server) -> None:
    """One input in JSON and one in bytes, the second one first."""
    numeric, category = rows(3)
    expected = scores(server, INFER, json_body(numeric, category))
    body = json_body(numeric, category)
    blob = numeric.tobytes()
    del body["inputs"][0]["data"]
    body["inputs"][0]["parameters"] = {"binary_data_size": len(blob)}
    body["inputs"].reverse()
    header = json.dumps(body).encode()
    assert scores(server, INFER, header + blob, {"Inference-Header-Content-Length": str(len(header))}) == expected


@pytest.mark.parametrize(
    "asked",
    [
        {"parameters": {"binary_data_output": True}},
        {"outputs": [{"name": "probability", "parameters": {"binary_data": True}}]},
    ],
)
def test_answer_in_bytes_when_asked(server: Server, asked: dict[str, Any]) -> None:
    numeric, category = rows(5)
    expected = scores(server, INFER, json_body(numeric, category))
    status, content, headers = server.ask(INFER, json_body(numeric, category, **asked))
    length = int(headers["inference-header-content-length"])
    output = json.loads(content[:length])["outputs"][0]
    assert (status, output["parameters"], output["shape"]) == (200, {"binary_data_size": 20}, [5])
    assert np.frombuffer(content[length:], "<f4").tolist() == expected
    # What an output says of itself wins over the request.
    plain = [{"name": "probability", "parameters": {"binary_data": False}}]
    body = json_body(numeric, category, parameters={"binary_data_output": True}, outputs=plain)
    assert scores(server, INFER, body) == expected


def test_id_comes_back_or_is_made(server: Server) -> None:
    answer = json.loads(server.ask(INFER, json_body(NUMERIC, CATEGORY, id="mine"))[1])
    assert answer["id"] == "mine"
    made = {json.loads(server.ask("/v1/predict", records(NUMERIC, CATEGORY))[1])["id"] for _ in range(2)}
    assert len(made) == 2


def test_unknown_category_and_missing_weather_are_answered(server: Server) -> None:
    record = records(NUMERIC, CATEGORY)
    record["rows"][0] |= {"carrier": "ZZ", "origin": None, "temp": None, "wind_gust": None}
    assert 0 <= scores(server, "/v1/predict", record)[0] <= 1


def without(body: dict[str, Any], index: int) -> dict[str, Any]:
    return body | {"inputs": [item for i, item in enumerate(body["inputs"]) if i != index]}


def changed(index: int = 0, **values: Any) -> dict[str, Any]:
    body = json_body(NUMERIC, CATEGORY)
    body["inputs"][index] |= values
    return body


def with_value(column: int, value: Any) -> dict[str, Any]:
    body = json_body(NUMERIC, CATEGORY)
    body["inputs"][0]["data"][0][column] = value
    return body


GOOD = json_body(NUMERIC, CATEGORY)
BAD_TENSORS: dict[str, tuple[dict[str, Any] | bytes, str]] = {
    "absent": (without(GOOD, 1), "`category` must be given"),
    "unknown": (changed(name="nonsense"), "`nonsense`"),
    "twice": (GOOD | {"inputs": [*GOOD["inputs"], GOOD["inputs"][0]]}, "`numeric` must be given once"),
    "datatype": (changed(datatype="FP64"), "`numeric` must have datatype FP32"),
    "rank": (changed(shape=[31]), "`numeric` must have shape [n, 31]"),
    "width": (changed(shape=[1, 30]), "`numeric` must have shape [n, 31]"),
    "negative": (changed(shape=[-1, 31]), "`numeric` must have shape [n, 31]"),
    "no rows": (changed(shape=[0, 31], data=[]), "`numeric` must have shape [n, 31]"),
    "too few elements": (changed(data=[1.0]), "`numeric` must have 31 elements"),
    "ragged": (changed(data=[[1.0] * 30]), "`numeric` must have 31 elements in row 0"),
    "rows differ": (changed(shape=[2, 31], data=[1.0] * 62), "same number of rows"),
    "too deep": (changed(data=[[[1.0] * 31]]), "must be float | null, got array"),
    "no data": (changed(data=None), "data"),
    "a string for a number": (with_value(2, "far"), "`distance`"),
    "a bool for a number": (with_value(2, True), "`distance`"),
    "a number for a string": (changed(1, data=[[1, "JFK", "LAX"]]), "`carrier`"),
    "required and missing": (with_value(2, None), "`distance` must be between 1 and 12000"),
    "out of bounds": (with_value(7, 900), "`temp` must be between -60 and 140"),
    "infinite in float32": (with_value(7, 1e300), "`temp` must be between"),
    "string too long": (changed(1, data=[["U" * 17, "JFK", "LAX"]]), "`carrier` must have at most 16"),
    "unknown output": (GOOD | {"outputs": [{"name": "logit"}]}, "`outputs` must name `probability`"),
    "output twice": (GOOD | {"outputs": [{"name": "probability"}] * 2}, "`outputs` must name `probability`"),
    "no inputs": ({"id": "x"}, "`inputs` must be given"),
    "id too long": (GOOD | {"id": "x" * 129}, "`id` must be 1 to 128"),
    "id with a control character": (GOOD | {"id": "a\0b"}, "`id` must be 1 to 128"),
    "event_time": (GOOD | {"parameters": {"event_time": "yesterday"}}, "`event_time` must be an ISO 8601"),
    "event_time, a number": (GOOD | {"parameters": {"event_time": 3}}, "`event_time` must be an ISO 8601"),
    "nan": (json.dumps(with_value(7, float("nan"))).encode(), "`temp` in row 0 of `data`"),
    "-infinity": (json.dumps(with_value(7, float("-inf"))).encode(), "got -Infinity"),
    "not JSON": (b"{", "JSON"),
    "empty": (b"", "JSON"),
    "not UTF-8": (b'{"id": "\xff"}', "UTF-8"),
    "nested for ever": (b'{"inputs": ' + b"[" * 100_000, "must be"),
    "deep data": (b'{"inputs": [{"name": "numeric", "data": ' + b"[" * 100_000, "JSON"),
}


@pytest.mark.parametrize("case", BAD_TENSORS)
def test_bad_tensors_are_refused_by_name(server: Server, case: str) -> None:
    body, expected = BAD_TENSORS[case]
    assert expected in refusal(server, INFER, body)


def broken(change: Callable[[dict[str, Any]], None]) -> tuple[bytes, dict[str, str]]:
    """A binary request whose JSON part is changed."""
    body, headers = binary_body(NUMERIC, CATEGORY)
    length = int(headers["Inference-Header-Content-Length"])
    document = json.loads(body[:length])
    change(document)
    header = json.dumps(document).encode()
    return header + body[length:], {"Inference-Header-Content-Length": str(len(header))}


BAD_BINARY: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "size of another shape": (lambda d: d["inputs"][0].update(shape=[2, 31]), "same number of rows"),
    "too long": (lambda d: d["inputs"][1]["parameters"].update(binary_data_size=10**6), "`binary_data_size`"),
    "too short": (lambda d: d["inputs"][0]["parameters"].update(binary_data_size=120), "must use all"),
    "negative": (lambda d: d["inputs"][0]["parameters"].update(binary_data_size=-4), "`binary_data_size`"),
    "not a number": (lambda d: d["inputs"][0]["parameters"].update(binary_data_size="124"), "`binary_data_size`"),
    "data and bytes": (lambda d: d["inputs"][0].update(data=[1.0] * 31), "got both"),
}


@pytest.mark.parametrize("case", BAD_BINARY)
def test_bad_binary_requests_are_refused(server: Server, case: str) -> None:
    change, expected = BAD_BINARY[case]
    body, headers = broken(change)
    assert expected in refusal(server, INFER, body, headers=headers)


@pytest.mark.parametrize("length", ["999999", "-1", "x", ""])
def test_header_length_must_fit(server: Server, length: str) -> None:
    body, _ = binary_body(NUMERIC, CATEGORY)
    message = refusal(server, INFER, body, headers={"Inference-Header-Content-Length": length})
    assert "`Inference-Header-Content-Length`" in message


@pytest.mark.parametrize(
    ("strings", "expected"),
    [
        (b"\xff\xff\xff\xff", "3 elements"),  # a length beyond the end
        (b"\x02\0\0\0UA", "3 elements"),  # one element
        (b"\x02\0\0\0UA" * 4, "3 elements"),  # four
        (b"\x02\0\0\0\xff\xfe" * 3, "`carrier` must be UTF-8"),
        (b"\x02\0", "3 elements"),  # half a length
    ],
)
def test_bad_strings_in_bytes_are_refused(server: Server, strings: bytes, expected: str) -> None:
    body = json_body(NUMERIC, CATEGORY)
    del body["inputs"][1]["data"]
    body["inputs"][1]["parameters"] = {"binary_data_size": len(strings)}
    header = json.dumps(body).encode()
    headers = {"Inference-Header-Content-Length": str(len(header))}
    assert expected in refusal(server, INFER, header + strings, headers=headers)


def test_infinity_in_bytes_is_refused_by_name(server: Server) -> None:
    numeric = NUMERIC.copy()
    numeric[0, 7] = np.inf
    body, headers = binary_body(numeric, CATEGORY)
    assert "`temp` must be between" in refusal(server, INFER, body, headers=headers)


BAD_RECORDS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "absent field": (lambda r: r["rows"][0].pop("dewp"), "`dewp` must be given"),
    "unknown field": (lambda r: r["rows"][0].update(color="red"), "`color` must be a field of rows[0]"),
    "wrong type": (lambda r: r["rows"][0].update(temp="hot"), "`rows[0].temp` must be float | null, got str"),
    "required": (lambda r: r["rows"][0].update(distance=None), "`rows[0].distance` must be float, got null"),
    "bounds": (lambda r: r["rows"][0].update(humid=101), "`humid` must be between 0 and 100"),
    "literal NaN": (lambda r: r["rows"][0].update(humid=float("nan")), "`humid` must be a number or null, got NaN"),
    "literal Infinity": (lambda r: r["rows"][0].update(temp=float("-inf")), "`temp` must be a number or null"),
    "no rows": (lambda r: r.update(rows=[]), "`rows` must have at least one"),
    "event_time": (lambda r: r.update(event_time="noon"), "`event_time`"),
    "carrier": (lambda r: r["rows"][0].update(carrier=1), "`rows[0].carrier` must be str | null"),
}


@pytest.mark.parametrize("case", BAD_RECORDS)
def test_bad_records_are_refused_by_name(server: Server, case: str) -> None:
    change, expected = BAD_RECORDS[case]
    body = records(NUMERIC, CATEGORY)
    change(body)
    assert expected in refusal(server, "/v1/predict", body)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ({"value": True}, "`id` must be given"),
        ({"id": "x"}, "`value` must be given"),
        ({"id": "x", "value": 1}, "`labels[0].value` must be bool"),
        ({"id": "x", "value": True, "row": -1}, "`row` must be"),
        ({"id": "x", "value": True, "row": 1.5}, "`row` must be the row of the request, from 0 on, got 1.5"),
        ({"id": "x", "value": True, "outcome_at": "x"}, "`labels[0].outcome_at`"),
        ({"id": "", "value": True}, "`id` must be"),
    ],
)
def test_bad_labels_are_refused_by_name(server: Server, label: dict[str, Any], expected: str) -> None:
    assert expected in refusal(server, "/v1/labels", {"labels": [label]})


@pytest.mark.parametrize("path", ["/v2/models/other/infer", "/v2/models/flight-delay/versions/1/infer", "/v2/none"])
def test_unknown_model_version_or_path(server: Server, path: str) -> None:
    refusal(server, path, GOOD, 404)


def test_wrong_method(server: Server) -> None:
    status, content, headers = server.ask(INFER)
    assert (status, headers["allow"]) == (405, "POST"), content
    assert server.ask("/v2/models/flight-delay", GOOD)[0] == 405


def test_too_many_rows_or_bytes(server: Server) -> None:
    assert str(MAX_ROWS) in refusal(server, INFER, changed(shape=[MAX_ROWS + 1, 31]), 413)
    body = b'{"rows": [' + b",".join([b"{}"] * 10) + b"]}"
    assert str(MAX_BYTES) in refusal(server, "/v1/predict", body + b" " * MAX_BYTES, 413)


def test_as_many_rows_as_allowed(server: Server) -> None:
    numeric, category = rows(MAX_ROWS)
    answers = scores(server, INFER, *binary_body(numeric, category))
    assert answers[:3] == pytest.approx(scores(server, "/v1/predict", records(numeric[:3], category[:3])), abs=1e-6)
    assert len(answers) == MAX_ROWS


@pytest.mark.parametrize(
    ("name", "value", "status"), [("Content-Encoding", "gzip", 415), ("Transfer-Encoding", "gzip, chunked", 501)]
)
def test_bodies_in_other_encodings_are_refused(server: Server, name: str, value: str, status: int) -> None:
    host, port = server.rest.removeprefix("http://").split(":")
    lines = (f"POST {INFER} HTTP/1.1", "Host: here", f"Authorization: Bearer {server.token}", f"{name}: {value}")
    length = () if name == "Transfer-Encoding" else ("Content-Length: 5",)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        body = "hello" if length else "5\r\nhello\r\n0\r\n\r\n"
        connection.sendall("\r\n".join((*lines, *length, "", body)).encode())
        with connection.makefile("rb") as file:
            answer = file.read().decode()  # the refusal ends the connection
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert f"`{name}` must be" in answer


@pytest.mark.parametrize(
    "more",
    [
        {"model_name": "flight-delay"},  # KServe's client sends it
        {"surplus": [1, {"deep": None}]},
        {"parameters": {"surplus": {"deep": []}}},
    ],
)
def test_what_the_protocol_does_not_know_is_ignored(server: Server, more: dict[str, Any]) -> None:
    status, body, _ = server.ask(INFER, GOOD | more)
    assert status == 200, body
    changed = copy.deepcopy(GOOD)
    changed["inputs"][0] |= {"surplus": 1}
    assert server.ask(INFER, changed)[0] == 200


def test_openapi_document_is_the_contract(server: Server) -> None:
    document = json.loads(server.ask("/openapi.json", token=None)[1])
    fields = document["components"]["schemas"]["Row"]
    assert set(SCHEMA.numeric_names) < set(fields["required"]) == set(fields["properties"])
    assert fields["properties"]["temp"]["minimum"] == -60
    page = server.ask("/docs", token=None)[1].decode()
    assert "curl" in page
    assert "sched_dep_minute" in page
    assert not re.search(r"https://|@import|<style|(?:src|href)=.[^/]", page)  # another host's, or without a file
    assert server.rest in page  # the examples work as they stand


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
_tensors = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["numeric", "category", "x"]) | _values,
        "datatype": st.sampled_from(["FP32", "BYTES", "INT8"]) | _values,
        "shape": st.lists(st.integers(-1, 2**70), max_size=3) | _values,
        "data": st.lists(st.floats() | st.none() | st.text(max_size=3), max_size=40) | _values,
        "parameters": st.dictionaries(st.sampled_from(["binary_data_size", "x"]), _values) | _values,
    },
)
_bodies = st.fixed_dictionaries(
    {},
    optional={
        "inputs": st.lists(_tensors, max_size=3) | _values,
        "rows": st.lists(st.dictionaries(st.sampled_from(SCHEMA.numeric_names), _values), max_size=2) | _values,
        "labels": st.lists(st.dictionaries(st.sampled_from(["id", "row", "value"]), _values), max_size=2) | _values,
        "outputs": _values,
        "parameters": st.dictionaries(st.just("event_time"), _values) | _values,
        "id": _values,
        "event_time": _values,
    },
)


@given(
    path=st.sampled_from([INFER, "/v1/predict", "/v1/labels"]),
    body=_bodies.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=64),
    length=st.none() | st.integers(-1, 99).map(str) | st.text("0123456789abc ", max_size=20),
)
@settings(
    max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_body_is_an_internal_error(server: Server, path: str, body: bytes, length: str | None) -> None:
    headers = {} if length is None else {"Inference-Header-Content-Length": length}
    status, content, _ = server.ask(path, body, headers=headers)
    assert status in (200, 400, 413), content
    assert status == 200 or list(json.loads(content)) == ["error"]
