"""What a POST gets: predictions over both kinds of body, and labels taken in."""

from typing import Final

import msgspec

from contracts.errors import InvalidInput
from services.core.admission import LARGE_BYTES
from services.core.predictor import Predictor
from services.core.request import PredictionRequest, to_us
from services.rest.routes import Call, Reply
from services.wire import json_infer
from services.wire.decode_errors import DecodeErrors, describe_decode_error
from services.wire.protocol import check_model
from services.wire.records import LabelsAnswer, LabelsBody, Records, delays, encode_answer, to_records
from services.wire.tensors import ModelTensors

_encode: Final = msgspec.json.Encoder().encode
_decode_labels: Final = msgspec.json.Decoder(LabelsBody).decode


class Answers:
    """Answers one request whose body is there. Thread-safe."""

    def __init__(self, predictor: Predictor, tensors: ModelTensors, records: Records) -> None:
        self._predictor, self._tensors, self._records = predictor, tensors, records

    def infer(self, call: Call) -> Reply:
        predictor = self._predictor
        check_model(predictor, call.name, call.version)
        length = call.headers.get(b"inference-header-content-length")
        header_length = None if length is None else _as_length(length)
        decoded = json_infer.decode(call.body, header_length, self._tensors, call.started)
        call.request_id = decoded.request.id
        call.caller.take(len(decoded.request.numeric))
        decoded.request.caller, decoded.request.probe = call.caller.name, call.caller.probe
        decoded.request.version = call.version
        answer = predictor.predict(decoded.request)
        body, json_length = json_infer.encode(decoded, answer)
        if json_length is None:
            return Reply(200, body, answer=answer)
        header = (b"inference-header-content-length", str(json_length).encode())
        return Reply(200, body, b"application/octet-stream", (header,), answer)

    def predict(self, call: Call) -> Reply:
        try:
            large = len(call.body) > LARGE_BYTES
            decoded = self._records.decode_large(call.body) if large else self._records.decode(call.body)
        except DecodeErrors as error:
            raise describe_decode_error(error, call.body) from error
        call.request_id = decoded.id
        call.caller.take(len(decoded.rows))
        numeric, category = self._records.to_arrays(decoded.rows)
        request = PredictionRequest(
            "rest",
            numeric,
            category,
            decoded.id,
            to_us(decoded.event_time),
            call.started,
            call.caller.name,
            key=decoded.key,
            probe=call.caller.probe,
        )
        answer = self._predictor.predict(request)
        return Reply(200, encode_answer(answer), answer=answer)

    def labels(self, call: Call) -> Reply:
        try:
            decoded = _decode_labels(call.body)
        except DecodeErrors as error:
            raise describe_decode_error(error, call.body) from error
        call.caller.take(len(decoded.labels))
        records = to_records(decoded.labels, call.caller.name)
        self._predictor.label(records, delays(decoded.labels).tolist())
        return Reply(200, _encode(LabelsAnswer(len(records))))


def _as_length(value: bytes) -> int:
    if not value.isdigit() or len(value) > 12:
        raise InvalidInput(f"`Inference-Header-Content-Length` must be a number of bytes, got {value[:32]!r}")
    return int(value)
