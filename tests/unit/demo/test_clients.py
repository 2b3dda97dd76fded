"""What the two clients put on the wire, read back independently."""

import json
import struct

import numpy as np
import pytest

from demo.messages import ClientRequest, grpc_message, rest_body
from tasks.flights.schema import SCHEMA


@pytest.fixture
def request_() -> ClientRequest:
    numeric = np.random.default_rng(0).normal(size=(2, len(SCHEMA.numeric))).astype(np.float32)
    numeric[1, 3] = np.nan
    category = np.array([["UA", "EWR", "IAH"], ["", "JFK", "ÅRN"]], object)
    return ClientRequest("20130701-0515-UA1-EWR-IAH", numeric, category, "2013-07-01T07:15:00Z")


def test_rest_sends_every_number_exactly_and_null_for_missing(request_: ClientRequest) -> None:
    body = json.loads(rest_body(request_))
    numeric, category = body["inputs"]
    assert (body["id"], body["parameters"]) == (request_.id, {"event_time": "2013-07-01T07:15:00Z"})
    assert (numeric["name"], numeric["datatype"], numeric["shape"]) == ("numeric", "FP32", [2, len(SCHEMA.numeric)])
    assert (category["name"], category["datatype"], category["shape"]) == ("category", "BYTES", [2, 3])
    sent = np.array([np.nan if v is None else v for v in numeric["data"]], np.float32).reshape(2, -1)
    assert sent.tobytes() == request_.numeric.tobytes()
    assert category["data"] == ["UA", "EWR", "IAH", "", "JFK", "ÅRN"]


def test_grpc_sends_raw_little_endian_contents(request_: ClientRequest) -> None:
    message = grpc_message(request_, SCHEMA.name)
    assert (message.id, message.model_name) == (request_.id, "flight-delay")
    assert message.parameters["event_time"].string_param == "2013-07-01T07:15:00Z"
    numeric, category = message.raw_input_contents
    assert numeric == request_.numeric.astype("<f4").tobytes()
    read, rest = [], category
    while rest:
        (length,) = struct.unpack("<I", rest[:4])
        read.append(rest[4 : 4 + length].decode())
        rest = rest[4 + length :]
    assert read == request_.category.ravel().tolist()
    assert [list(tensor.shape) for tensor in message.inputs] == [[2, len(SCHEMA.numeric)], [2, len(SCHEMA.category)]]


def test_without_a_clock_none_is_sent(request_: ClientRequest) -> None:
    now = ClientRequest(request_.id, request_.numeric, request_.category)
    assert json.loads(rest_body(now))["parameters"] == {}
    assert "event_time" not in grpc_message(now, SCHEMA.name).parameters
