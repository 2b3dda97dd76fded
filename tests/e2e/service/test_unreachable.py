"""A service whose database server is unreachable: it starts, answers, and keeps what it answered."""

import urllib.request
from datetime import datetime
from pathlib import Path

from monitoring.log.reader import read_predictions
from tests.support.payloads import records, rows
from tests.support.serving import Server, Store, free_ports, start, wait_until


def metrics(server: Server) -> bytes:
    with urllib.request.urlopen(server.metrics, timeout=10) as reply:
        content: bytes = reply.read()
        return content


def test_it_starts_on_the_spool_and_the_next_start_moves_the_rows(tmp_path: Path, artifact_store: Store) -> None:
    (port,) = free_ports(1)
    nowhere = f"postgresql+psycopg://windsock:hunter2@127.0.0.1:{port}/windsock"
    server = start(tmp_path, artifact_store, database_url=nowhere, flush_seconds=0)
    assert server.ask("/v1/predict", records(*rows(2), id="kept"))[0] == 200
    wait_until(lambda: b"windsock_database_up 0.0" in metrics(server), "the metric of the database")
    wait_until(lambda: b"windsock_spool_unmoved_rows 2.0" in metrics(server), "the metric of what waits")
    assert server.stop() == 0, server.log()
    assert "; rows wait in the spool meanwhile" in server.log()
    assert "2 rows are not in the database" in server.log()
    assert "hunter2" not in server.log()
    again = start(tmp_path, artifact_store)
    assert again.stop() == 0, again.log()
    found = read_predictions(again.database_url, datetime(2000, 1, 1), datetime(2100, 1, 1))
    assert found.request_id.tolist() == ["kept", "kept"]
