"""`windsock score`: the service's numbers, whole files or none, bounded memory, and what bad files are told."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import cli
from contracts.schema import Category, Numeric
from models.export import to_onnx
from tasks.flights.schema import SCHEMA
from tests.support.learned import learned, world
from tests.support.payloads import binary_body, json_numbers, records, rows
from tests.support.serving import Server, Store, start, wait_until
from tests.support.tiny import forge, tiny_model, write_store

CHECKOUT = Path(cli.__file__).parents[1]
INFER = f"/v2/models/{SCHEMA.name}/infer"


def table(numeric: Numeric, category: Category, **more: Any) -> pa.Table:
    columns = dict(zip(SCHEMA.numeric_names, map(list, zip(*json_numbers(numeric), strict=True)), strict=True))
    columns |= {name: category[:, place].tolist() for place, name in enumerate(SCHEMA.category_names)}
    typed = {
        name: pa.array(values, pa.float32() if name in SCHEMA.numeric_names else None)
        for name, values in columns.items()
    }
    return pa.table(typed | {name: pa.array(values) for name, values in more.items()})


def arguments(store: Store, source: Path, target: Path, *options: str) -> list[str]:
    where = ("--store", str(store.store), "--public-key", str(store.public_key))
    return ["score", "--in", str(source), "--out", str(target), *where, *options]


def score(store: Store, source: Path, target: Path, *options: str) -> Result:
    return CliRunner().invoke(cli.main, arguments(store, source, target, *options))


def scores(path: Path) -> list[float]:
    found: list[float] = pq.read_table(path)["probability"].to_pylist()
    return found


@pytest.fixture(scope="module", params=["int8", "fp32", "tiny"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Server]]:
    """A released model and a service of it: one whose bits know no neighbours, and two whose bits do."""
    folder = tmp_path_factory.mktemp(request.param)
    graphs: dict[str, Callable[[], bytes]] = {
        "int8": lambda: learned().student[-1].model,
        "fp32": lambda: to_onnx(learned().teacher, learned().vocabulary),
        "tiny": tiny_model,
    }
    store = Store(folder / "store", folder / "signing.pub", write_store(folder, graphs[request.param]()))
    server = start(folder, store)
    yield store, server
    server.stop()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "rows.parquet"
    pq.write_table(table(*rows(50)), path)
    return path


def test_the_numbers_are_the_service_s_bit_for_bit(served: tuple[Store, Server], tmp_path: Path) -> None:
    """More rows than a batch, and the last batch of an odd length; some of each are asked over REST, one at a time."""
    store, server = served
    seen = world(4_096 + 77, seed=3)
    source, target = tmp_path / "rows.parquet", tmp_path / "scores.parquet"
    pq.write_table(table(seen.numeric, seen.category), source)
    done = score(store, source, target)
    assert done.exit_code == 0, done.output
    found = np.array(scores(target), np.float32)
    asked = [*range(0, 4_173, 29), *range(4_100, 4_173)]
    answers = [
        json.loads(server.ask("/v1/predict", records(seen.numeric[i : i + 1], seen.category[i : i + 1]))[1])
        for i in asked
    ]
    expected = np.array([answer["probabilities"][0] for answer in answers], np.float32)
    assert len(found) == len(seen.label)
    assert len(set(found.tolist())) > 1_000
    assert found[asked].tobytes() == expected.tobytes()


def test_a_bulk_request_has_the_same_bits_where_the_model_allows(
    served: tuple[Store, Server], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """What is released is int8: there one row, a thousand and a file agree. The others say that they do not."""
    store, server = served
    seen = world(1_000, seed=4)
    source, target = tmp_path / "rows.parquet", tmp_path / "scores.parquet"
    pq.write_table(table(seen.numeric, seen.category), source)
    command = [sys.executable, "-m", "cli", *arguments(store, source, target)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    body, headers = binary_body(seen.numeric, seen.category)
    together = json.loads(server.ask(INFER, body, headers=headers)[1])["outputs"][0]["data"]
    exact = "int8" in request.node.callspec.id
    assert (scores(target) == together) == exact
    assert ("scored alone" in done.stderr) == (not exact)
    assert scores(target) == pytest.approx(together, abs=1e-6)


def test_rows_are_the_same_however_the_file_holds_them(artifact_store: Store, tmp_path: Path) -> None:
    """Whole numbers, wide numbers, coded strings, another order of columns, many row groups."""
    numeric, category = rows(300, seed=2)
    numeric = np.round(numeric)
    plain = table(numeric, category)
    kinds = {"distance": pa.int64(), "day_of_week": pa.int8(), "temp": pa.float64(), "visib": pa.uint16()}
    other = plain
    for name, kind in kinds.items():
        other = other.set_column(other.column_names.index(name), name, other[name].cast(kind))
    other = other.set_column(other.column_names.index("dest"), "dest", other["dest"].dictionary_encode())
    other = other.select(sorted(other.column_names, reverse=True))
    for name, content in (("plain", plain), ("other", other)):
        pq.write_table(content, tmp_path / name, row_group_size=70 if name == "other" else None)
        done = score(artifact_store, tmp_path / name, tmp_path / f"{name}.scores")
        assert done.exit_code == 0, done.output
    assert scores(tmp_path / "plain.scores") == scores(tmp_path / "other.scores")


def test_keys_are_carried_over_and_the_model_is_named(artifact_store: Store, tmp_path: Path) -> None:
    numeric, category = rows(9_000, seed=5)
    content = table(numeric, category, key=[f"k{i}" for i in range(9_000)], when=np.arange(9_000), more=[0] * 9_000)
    pq.write_table(content, tmp_path / "rows")
    target = tmp_path / "new/scores.parquet"
    done = score(
        artifact_store,
        tmp_path / "rows",
        target,
        "--keep",
        "when",
        "--keep",
        "key",
        "--digest",
        artifact_store.digest[:8],
    )
    assert done.exit_code == 0, done.output
    assert f"9,000 rows by {SCHEMA.name} {artifact_store.digest[:12]}" in done.output
    found = pq.read_table(target)
    assert found.column_names == ["when", "key", "probability"]
    assert found.select(["when", "key"]).equals(content.select(["when", "key"]))
    assert found.schema.metadata[b"windsock.digest"].decode() == artifact_store.digest
    assert pq.ParquetFile(target).metadata.num_row_groups == 1


def test_no_rows_are_no_scores(artifact_store: Store, tmp_path: Path) -> None:
    pq.write_table(table(*rows(1)).slice(0, 0), tmp_path / "rows")
    assert score(artifact_store, tmp_path / "rows", tmp_path / "scores").exit_code == 0
    assert scores(tmp_path / "scores") == []


def _with(name: str, values: Any) -> Callable[[pa.Table], pa.Table]:
    return lambda whole: whole.set_column(whole.column_names.index(name), name, pa.array(values))


def _at(name: str, row: int, value: Any) -> Callable[[pa.Table], pa.Table]:
    def change(whole: pa.Table) -> pa.Table:
        values = whole[name].to_pylist()
        values[row] = value
        return whole.set_column(whole.column_names.index(name), name, pa.array(values, whole[name].type))

    return change


MANY = 6_000
BAD: dict[str, tuple[Callable[[pa.Table], pa.Table], list[str]]] = {
    "column missing": (lambda t: t.drop_columns(["temp", "dest"]), ["got none for temp, dest"]),
    "text for numbers": (_with("temp", ["warm"] * MANY), ["numbers in the column `temp`", "string"]),
    "truth for numbers": (_with("temp", [True] * MANY), ["numbers in the column `temp`", "bool"]),
    "numbers for text": (_with("dest", [1] * MANY), ["text in the column `dest`", "int64"]),
    "out of bounds": (_at("temp", 5_123, 900.0), ["`temp` must be between -60 and 140", "got 900 in row 5123"]),
    "infinite": (_at("temp", 4_096, float("inf")), ["`temp`", "in row 4096"]),
    "required": (_at("distance", 5_999, None), ["`distance`", "missing", "in row 5999"]),
    "too long": (_at("origin", 5_001, "X" * 17), ["`origin` must have at most 16 characters", "in row 5001"]),
    "NUL": (_at("dest", 77, "a\0b"), ["`dest`", "NUL", "in row 77"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_rows_are_refused_by_file_column_and_row(artifact_store: Store, tmp_path: Path, case: str) -> None:
    change, expected = BAD[case]
    source, target = tmp_path / "rows.parquet", tmp_path / "scores.parquet"
    target.write_text("what was there")
    pq.write_table(change(table(*rows(MANY))), source)
    done = score(artifact_store, source, target)
    assert done.exit_code == 1
    for text in (str(source), *expected):
        assert text in done.output
    assert target.read_text() == "what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.parquet", "scores.parquet"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--keep", "nothing"], "`keep` must name columns of"),
        (["--keep", "temp", "--keep", "temp"], "each once, got `temp`"),
        (["--digest", "ffff"], "`digest` must begin the name of one model"),
    ],
)
def test_bad_options_are_refused(artifact_store: Store, source: Path, options: list[str], expected: str) -> None:
    done = score(artifact_store, source, source.with_name("scores"), *options)
    assert (done.exit_code, expected in done.output) == (1, True), done.output


def test_files_that_are_none_are_refused(artifact_store: Store, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "scores"
    assert "must be a readable Parquet file" in score(artifact_store, tmp_path / "absent", target).output
    (tmp_path / "text").write_text("distance,temp\n1,2\n")
    assert "must be a readable Parquet file" in score(artifact_store, tmp_path / "text", target).output
    assert "must be another file than `in`" in score(artifact_store, source, source).output
    damaged = bytearray(source.read_bytes())
    damaged[100:4_000] = b"\0" * 3_900
    (tmp_path / "damaged").write_bytes(damaged)
    done = score(artifact_store, tmp_path / "damaged", target)
    assert (done.exit_code, "must be a readable Parquet file" in done.output) == (1, True), done.output
    assert not target.exists()


def test_a_model_that_does_not_verify_scores_nothing(source: Path, tmp_path: Path) -> None:
    digest = forge(tmp_path, write_store(tmp_path), lambda manifest: manifest["metrics"].update(auc=1))
    store = Store(tmp_path / "store", tmp_path / "signing.pub", digest)
    assert score(store, source, tmp_path / "scores").exit_code == 0
    (store.store / digest / "model.onnx").write_bytes(tiny_model(known=("AA",)))
    done = score(store, source, tmp_path / "more")
    assert (done.exit_code, "must be signed by" in done.output) == (1, True)
    assert not (tmp_path / "more").exists()


def test_one_process_at_a_time_and_a_kill_leaves_nothing_that_looks_whole(
    artifact_store: Store, tmp_path: Path
) -> None:
    """The rows of this model are scored one at a time, so there is a while to kill it in."""
    numeric, category = rows(300, seed=8)
    source, target = tmp_path / "rows.parquet", tmp_path / "out/scores.parquet"
    pq.write_table(pa.concat_tables([table(numeric, category)] * 1_000).combine_chunks(), source)
    target.parent.mkdir()
    target.write_text("what was there")
    command = [sys.executable, "-m", "cli", *arguments(artifact_store, source, target)]
    process = subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.DEVNULL)
    unfinished = target.with_name(".scores.parquet.new")
    wait_until(lambda: unfinished.exists() and unfinished.stat().st_size > 0, "a part of the file must be written")
    refused = score(artifact_store, source, target)
    assert (refused.exit_code, "written by one process at a time" in refused.output) == (1, True)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert target.read_text() == "what was there"
    pq.write_table(table(numeric, category), source)
    assert score(artifact_store, source, target).exit_code == 0
    assert len(scores(target)) == 300
    assert [path.name for path in target.parent.iterdir()] == ["scores.parquet"]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """One row group of a million rows, 130 MB of numbers, takes little more than one of a few thousand."""
    store = Store(tmp_path / "store", tmp_path / "signing.pub", write_store(tmp_path, learned().student[-1].model))
    source, target, peak = tmp_path / "rows", tmp_path / "scores", {}
    measure = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    content = table(*rows(2_000, seed=9))
    for times in (5, 500):
        pq.write_table(pa.concat_tables([content] * times).combine_chunks(), source, row_group_size=10**6)
        command = [sys.executable, "-c", measure, sys.executable, "-m", "cli", *arguments(store, source, target)]
        done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
        assert "alone" not in done.stderr
        peak[times] = int(done.stdout.split()[-1]) * 1024
    assert len(scores(target)) == 10**6
    assert peak[500] - peak[5] < 90e6, peak


def test_a_terminal_sees_progress_and_a_pipe_does_not(artifact_store: Store, source: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli", *arguments(artifact_store, source, tmp_path / "scores")]
    quiet = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert "\x1b" not in quiet.stdout + quiet.stderr
    master, slave = pty.openpty()
    shown = list[bytes]()

    def read() -> None:
        try:
            while part := os.read(master, 4096):
                shown.append(part)
        except OSError:  # the other end is closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=slave, check=True, env=environment)
    os.close(slave)
    reader.join(10)
    os.close(master)
    assert b"rows" in b"".join(shown)
    assert b"\x1b" in b"".join(shown)


def test_a_million_rows_were_measured() -> None:
    """`python -m benchmarks.score` wrote it; what it must reach is 15 s on two cores."""
    report = json.loads((CHECKOUT / "reports/benchmarks/score.json").read_bytes())
    assert report["rows"] == 10**6
    assert report["machine"]["cores"] == 2
    assert report["seconds"] < 15
    assert len(report["turns"]) >= 3
