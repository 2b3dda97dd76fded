"""A volume under the spool that is really full: what clients hear, how fast, and that it passes by itself."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.generated import open_inference_pb2_grpc as pb_grpc
from tests.e2e.process.test_supervision import logged
from tests.support.payloads import proto, records, rows
from tests.support.serving import Server, Store, start, wait_until

SECONDS = 1.0  # until readiness turns, as promised
MANY = 512  # rows: more than a page, of which the segment may still have a part
# Nothing was written, or a part; or the look at the room came first and says so to whoever asks after it.
NO_SPACE = r"No space left on device|the volume took \d+ of \d+ bytes|its volume must have \d+ bytes free, has \d+"


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB where the spool will be."""
    folder = tmp_path / "state/spool"
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "windsock-test", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False) if os.geteuid() == 0 else None
    if done is None or done.returncode:
        pytest.skip(f"a full disk needs a mount: {'not root' if done is None else done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no byte free."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return filler


def ask(server: Server, name: str, count: int = 2) -> tuple[int, str]:
    status, body, _ = server.ask("/v1/predict", records(*rows(count), id=name))
    return status, body.decode()


def is_serving(server: Server) -> bool:
    with grpc.insecure_channel(server.grpc) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        status = health.Check(health_pb2.HealthCheckRequest(), timeout=5).status
        return bool(status == health_pb2.HealthCheckResponse.SERVING)


def test_a_full_disk_is_told_within_a_second_and_passes_by_itself(
    tmp_path: Path, artifact_store: Store, volume: Path
) -> None:
    server = start(tmp_path, artifact_store)
    for number in range(20):
        assert ask(server, f"before-{number:02d}")[0] == 200
    filler = fill(volume)
    began = time.monotonic()
    wait_until(lambda: not server.is_ready(), "readiness turns without any request", 5)
    wait_until(lambda: not is_serving(server), "gRPC's health turns, too", 5)
    assert time.monotonic() - began < SECONDS + 0.5  # the looks themselves take a while on a busy machine
    status, body, _ = server.ask("/v2/health/ready", token=None)
    assert status == 503
    assert "the spool takes no writes: its volume must have" in json.loads(body)["reason"]
    assert server.ask("/v2/health/live", token=None)[0] == 200
    status, text = ask(server, "refused", MANY)
    assert (status, bool(re.search(f"the spool must take writes, got: ({NO_SPACE})", text))) == (503, True), text
    with grpc.insecure_channel(server.grpc) as channel:
        stub = pb_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call] # generated
        with pytest.raises(grpc.RpcError, match=NO_SPACE) as caught:
            stub.ModelInfer(proto(*rows(MANY), id="refused"), metadata=[("authorization", f"Bearer {server.token}")])
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    filler.unlink()
    began = time.monotonic()
    wait_until(server.is_ready, "ready again by itself", 5)
    wait_until(lambda: is_serving(server), "gRPC's health is back", 5)
    assert time.monotonic() - began < SECONDS + 0.5
    assert ask(server, "z-after")[0] == 200
    assert server.stop() == 0, server.log()
    assert logged(server) == [*(f"before-{number:02d}" for number in range(20)), "z-after"]


def test_what_fits_before_the_disk_is_full_is_kept_and_the_rest_is_refused(
    tmp_path: Path, artifact_store: Store, volume: Path
) -> None:
    """Without a companion nothing makes room: 4 MiB of answers fill the volume themselves, the last one in part."""
    server = start(tmp_path, artifact_store, companion=False)
    kept: list[str] = []
    while True:
        name = f"{len(kept):04d}"
        status, body, _ = server.ask("/v1/predict", records(*rows(MANY), id=name))
        if status != 200:
            break
        kept.append(name)
    assert (status, bool(re.search(NO_SPACE, body.decode()))) == (503, True), body
    assert 10 < len(kept) < 100
    assert server.stop() == 0, server.log()
    again = start(tmp_path, artifact_store)
    assert again.stop() == 0, again.log()
    assert logged(again) == kept


def test_a_service_that_starts_on_a_full_disk_waits_for_room(
    tmp_path: Path, artifact_store: Store, volume: Path
) -> None:
    filler = fill(volume)
    server = start(tmp_path, artifact_store, wait=False)
    wait_until(lambda: "ready: " in server.log() or server.process.poll() is not None, "the end of the start")
    assert server.process.poll() is None, server.log()
    assert not server.is_ready()
    filler.unlink()
    wait_until(server.is_ready, "room", 5)
    assert ask(server, "after")[0] == 200
    assert server.stop() == 0, server.log()
    assert logged(server) == ["after"]
