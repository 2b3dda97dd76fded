"""The rows of a Parquet file through a released model: `windsock score`.

The numbers are those that the service answers for the same row, bit for bit: the same graph, in the same runtime, on
one thread a run. Cores share the work by batches, and only some batches are in memory, however long the file is.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contracts.artifact import OUTPUT, Artifact
from contracts.errors import ContractViolation, DataError, ParameterError
from contracts.files import whole_file
from contracts.reference import unpack
from contracts.schema import CategoricalFeature, Category, Numeric, Schema
from models.score import Session, open_session

logger = logging.getLogger(__name__)

BATCH: Final = 4_096  # rows: 4 ms of work, which the hand-over to a thread does not slow down
_ODD: Final = 7  # rows: as the last batch, no multiple of what a register holds
_WAITING: Final = 2  # batches a thread, at most
_GROUP: Final = 32  # batches of a row group of the answer
_BUFFER: Final = 2**20  # bytes of each column that are read at once
Rows = Any  # a RecordBatch; pyarrow ships no types
Told = Callable[[int, int], None]  # rows done, rows of all


@dataclass(frozen=True, slots=True)
class _Scored:
    kept: Rows
    scores: NDArray[np.float32]


def score_file(
    source: Path, target: Path, artifact: Artifact, keep: Sequence[str] = (), told: Told | None = None
) -> int:
    """Write a score for each row, in the order of the rows. Returns how many there are.

    Args:
        source: Parquet with a column a feature of the model, by name; null, NaN and "" are missing.
        target: Parquet with the columns of `keep` and `probability`, float32; its metadata name the model. It is there
            when it is whole, and not before.
        artifact: the model, verified.
        keep: names of columns of `source` to carry over.

    Raises:
        DataError: `source` cannot be read, or lacks a column.
        ContractViolation: names the file, the column and the row of a value outside the schema.
        ParameterError: `keep` names a column that cannot be carried over, or `target` is `source`.
        Unavailable: another process writes `target`.
    """
    schema = artifact.schema
    file = _open(source)
    _check_columns(source, file.schema_arrow, schema, keep)
    if target.exists() and target.samefile(source):
        raise ParameterError(f"`out` must be another file than `in`, got `{target}` for both; choose another name")
    session = open_session(artifact.model)
    rows_a_run = _rows_a_run(session, artifact)

    def work(batch: Rows, first: int) -> _Scored:
        try:
            numeric, category = _numbers(batch, schema, first), _texts(batch, schema, first)
        except ContractViolation as error:
            raise ContractViolation(f"`{source}` must hold rows of the schema, got: {error}") from error
        return _Scored(batch.select(keep), _score(session, numeric, category, rows_a_run))

    with whole_file(target) as output:
        return _write(output, _in_order(_batches(source, file, schema, keep), work), file, keep, artifact, told)


def _open(source: Path) -> Any:
    try:
        # Pages of one batch after the other, instead of the whole of a row group: a file may have only one.
        return pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"`{source}` must be a readable Parquet file, got: {error}; correct --in") from error


def _check_columns(source: Path, found: Any, schema: Schema, keep: Sequence[str]) -> None:
    if missing := [name for name in schema.names if name not in found.names]:
        raise DataError(
            f"`{source}` must have a column for each feature of the model, got none for {', '.join(missing)}; add "
            "them, with null where a value is not known"
        )
    for feature in schema.features:
        kind = found.field(feature.name).type
        rule, fits = ("text", _is_text) if isinstance(feature, CategoricalFeature) else ("numbers", _is_number)
        if not fits(kind):
            raise DataError(f"`{source}` must have {rule} in the column `{feature.name}`, got {kind}; convert it")
    for name in keep:
        if name not in found.names or name == OUTPUT or keep.count(name) > 1:
            raise ParameterError(
                f"`keep` must name columns of `{source}` other than `{OUTPUT}`, each once, got `{name}`; "
                f"it has {', '.join(found.names)}"
            )


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind))


def _is_text(kind: Any) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_null(inner))


def _batches(source: Path, file: Any, schema: Schema, keep: Sequence[str]) -> Iterator[Rows]:
    columns = list(dict.fromkeys((*schema.names, *keep)))
    try:
        yield from file.iter_batches(BATCH, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"`{source}` must be a readable Parquet file, got: {error}; write it again") from error


def _in_order(batches: Iterator[Rows], work: Callable[[Rows, int], _Scored]) -> Iterator[_Scored]:
    """What became of the batches, in their order, by as many threads as this process has cores."""
    threads, first = len(os.sched_getaffinity(0)), 0
    waiting = deque[Future[_Scored]]()
    with ThreadPoolExecutor(threads, thread_name_prefix="score") as pool:
        try:
            for batch in batches:
                waiting.append(pool.submit(work, batch, first))
                first += batch.num_rows
                if len(waiting) >= _WAITING * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _write(
    output: BinaryIO, scored: Iterator[_Scored], file: Any, keep: Sequence[str], artifact: Artifact, told: Told | None
) -> int:
    columns = [*(file.schema_arrow.field(name) for name in keep), pa.field(OUTPUT, pa.float32(), nullable=False)]
    metadata = {"windsock.model": artifact.manifest.name, "windsock.digest": artifact.digest}
    form, done, waiting = pa.schema(columns, metadata=metadata), 0, list[Rows]()
    with pq.ParquetWriter(output, form, compression="zstd") as writer:

        def flush() -> None:
            writer.write_table(pa.Table.from_batches(waiting, schema=form))
            waiting.clear()

        for part in scored:
            waiting.append(pa.record_batch([*part.kept.columns, pa.array(part.scores)], schema=form))
            if len(waiting) == _GROUP:
                flush()
            done += len(part.scores)
            if told is not None:
                told(done, file.metadata.num_rows)
        if waiting:
            flush()
    return done


def _numbers(batch: Rows, schema: Schema, first: int) -> Numeric:
    numeric = np.empty((batch.num_rows, len(schema.numeric)), np.float32)
    with np.errstate(over="ignore"):  # too large for float32 becomes infinite, and the schema refuses that by name
        for place, name in enumerate(schema.numeric_names):
            # By way of float64, as JSON's numbers go: a large integer is rounded the same way twice.
            numeric[:, place] = batch[name].cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    schema.check_numeric(numeric, first)
    return numeric


def _texts(batch: Rows, schema: Schema, first: int) -> Category:
    category = np.empty((batch.num_rows, len(schema.category)), object)
    for place, feature in enumerate(schema.category):
        column = batch[feature.name]
        column = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        known = [value or "" for value in column.dictionary.to_pylist()]
        codes = column.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
        for code, value in enumerate(known):
            if (len(value) > feature.max_length or "\0" in value) and (rows := np.flatnonzero(codes == code)).size:
                raise ContractViolation(
                    f"`{feature.name}` must have at most {feature.max_length} characters, NUL not among them, got "
                    f"{value[: 2 * feature.max_length]!r} in row {first + rows[0]}; correct it ({feature.unit})"
                )
        category[:, place] = np.array([*known, ""], object)[codes]
    return category


def _score(session: Session, numeric: Numeric, category: Category, rows: int) -> NDArray[np.float32]:
    parts = [session(numeric[i : i + rows], category[i : i + rows]) for i in range(0, len(numeric), rows)]
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _rows_a_run(session: Session, artifact: Artifact) -> int:
    """How many rows may share a run: `BATCH`, or one where the last bit of a score depends on how many there are.

    It does in fp32 (one row is multiplied by another routine than several), and not in int8 with fixed scales. The
    model's own sample shows it: each of its rows is scored alone, with some others, and with many.
    """
    sample = unpack(artifact.reference, artifact.schema)
    numeric, category = sample.numeric[:BATCH], sample.category[:BATCH]
    alone = _score(session, numeric, category, 1)
    if all(np.array_equal(alone, _score(session, numeric, category, rows)) for rows in (_ODD, BATCH)):
        return BATCH
    logger.warning("a score of this model depends in its last bit on the rows beside it: each row is scored alone")
    return 1
