"""The locks that images are made of: exact, hashed, alike, and without what must not be in them."""

import pytest

from tests.support.manifests import ROOT, pins


@pytest.mark.parametrize("name", ["serving.txt", "companion.txt", "monitor.txt"])
def test_every_line_is_exact_and_hashed(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(lines) > 30
    assert all("==" in line and "--hash=sha256:" in line for line in lines)
    assert "://" not in text  # no index, no path


def test_images_have_the_same_versions_and_what_their_processes_need() -> None:
    serving, companion, monitor = (pins(f"{name}.txt") for name in ("serving", "companion", "monitor"))
    assert {name: monitor.get(name) for name in companion} == companion
    for name in serving.keys() & monitor.keys():
        assert serving[name] == monitor[name], name
    assert {"evidently", "pandas", "onnxruntime", "lightgbm"} <= set(monitor) - set(companion)
    assert {"sqlalchemy", "psycopg", "alembic"} <= set(companion) - set(serving)
    assert not {"bentoml", "grpcio"} & (set(companion) | set(monitor))
    assert not {"onnxruntime", "lightgbm"} & set(companion)
    assert not {"torch", "dvc", "mlflow", "mlflow-skinny"} & (set(monitor) | set(serving))
    assert "lightgbm" not in serving
    assert all(int(exact.split(".")[0]) < 3 for exact in monitor["pandas"])
