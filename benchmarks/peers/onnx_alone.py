"""ONNX Runtime alone, with arrays that are ready: no server of the model can be faster. Prints one JSON object.

python onnx_alone.py MODEL ARRAYS SECONDS
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort


def main(model: bytes, arrays: Path, seconds: float) -> None:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    with np.load(arrays, allow_pickle=False) as file:
        inputs = {"numeric": file["numeric"], "category": file["category"].astype(object)}
    session.run(["probability"], inputs)
    times: list[float] = []
    begin = time.perf_counter()
    while (start := time.perf_counter()) - begin < seconds:
        session.run(["probability"], inputs)
        times.append(time.perf_counter() - start)
    p50, p99 = (float(value) * 1e3 for value in np.percentile(times, [50, 99]))
    spent = time.perf_counter() - begin
    print(json.dumps({"answers": len(times), "seconds": spent, "p50_ms": p50, "p99_ms": p99, "errors": 0}))


if __name__ == "__main__":
    main(Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]), float(sys.argv[3]))
