"""The runtime that MLServer loads: the ONNX file of `parameters.uri`, one thread. It imports nothing of ours."""

from typing import Any

import numpy as np
import onnxruntime as ort
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class OnnxModel(MLModel):  # type: ignore[misc] # MLServer is not in the environment that checks types
    """Takes its two inputs in their order: `numeric` FP32 [n, numbers], `category` BYTES [n, strings]."""

    async def load(self) -> bool:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        uri = self.settings.parameters.uri
        self._session = ort.InferenceSession(uri, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        numeric, category = payload.inputs
        numbers = np.array(_values(numeric), np.float32).reshape(numeric.shape)
        strings = [one.decode() if isinstance(one, bytes) else one for one in _values(category)]
        inputs = {"numeric": numbers, "category": np.array(strings, object).reshape(category.shape)}
        scores = self._session.run(["probability"], inputs)[0]
        output = ResponseOutput(name="probability", shape=list(scores.shape), datatype="FP32", data=scores.tolist())
        return InferenceResponse(model_name=self.name, outputs=[output])


def _values(tensor: Any) -> Any:
    """A list from JSON; an array or a list of bytes from raw contents."""
    return getattr(tensor.data, "root", tensor.data)
