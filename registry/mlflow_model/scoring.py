"""The model as MLflow loads it: a data frame of the schema's named columns in, one probability a row out.

This file travels with every registered version, so it imports nothing of the project. MLflow runs it as it stands,
"models from code", and nothing is pickled.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from numpy.typing import NDArray


class Scorer(PythonModel):
    """The ONNX graph behind the rules of its schema, both as they stand in the released artifact."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read graph and schema."""
        schema = json.loads(Path(context.artifacts["manifest"]).read_bytes())["schema"]
        self.features = pd.DataFrame(schema["numeric"]).set_index("name")
        # float32 as the numbers, so that a number on its bound is within it.
        self.low, self.high = (self.features[bound].astype(np.float32) for bound in ("low", "high"))
        self.categories = [feature["name"] for feature in schema["category"]]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # as the service runs it
        self.session = onnxruntime.InferenceSession(context.artifacts["onnx"], options, ["CPUExecutionProvider"])

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - MLflow passes it
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002 - MLflow passes it
    ) -> NDArray[np.float32]:
        """Score rows.

        Args:
            model_input: columns by feature name in any order; NaN, None or no column at all is missing.

        Returns:
            float32 [n]: probability of the positive outcome.

        Raises:
            ValueError: a number is out of its bounds, or one that may not be missing is.
        """
        numbers = model_input.reindex(columns=self.features.index).astype(np.float32)
        self._check(numbers)
        categories = model_input.reindex(columns=self.categories).astype(object)
        inputs = {"numeric": numbers.to_numpy(), "category": categories.where(categories.notna(), "").to_numpy()}
        scores: NDArray[np.float32] = self.session.run(["probability"], inputs)[0]
        return scores

    def _check(self, numbers: pd.DataFrame) -> None:
        outside = (numbers < self.low) | (numbers > self.high)
        outside |= numbers.isna() & ~self.features["nullable"].astype(bool)
        if outside.any(axis=None):
            row, column = np.argwhere(outside.to_numpy())[0]
            feature = self.features.iloc[column]
            raise ValueError(
                f"`{feature.name}` must be between {feature['low']:g} and {feature['high']:g} ({feature['unit']}), "
                f"got {numbers.iat[row, column]:g} in row {row}; correct it"
            )


set_model(Scorer())
