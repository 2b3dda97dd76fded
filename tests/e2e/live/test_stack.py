"""`windsock stack` as its users start it: everything is up, Prometheus sees all of it, and Ctrl-C ends all of it."""

import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from deploy.local.processes import Program, start
from tests.e2e.live.local_prometheus import fetch, missing, ports, without_monitor
from tests.support.serving import Store, wait_until

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(missing()), reason=f"the stack is not started: {missing()}"),
]
JOBS = {"windsock-service", "windsock-monitor", "prometheus", "alertmanager"}


def test_the_stack_is_up_is_seen_and_ends(tmp_path: Path, artifact_store: Store) -> None:
    if trouble := without_monitor():
        pytest.skip(f"the stack is not started: {trouble}")
    at, log = ports(), tmp_path / "stack.log"
    options = [text for name, port in asdict(at).items() for text in (f"--{name}-port", str(port))]
    environment = os.environ | {
        "WINDSOCK_STORE": str(artifact_store.store),
        "WINDSOCK_PUBLIC_KEY": str(artifact_store.public_key),
    }
    stack = Program("stack", [sys.executable, "-m", "cli", "stack", *options], at.rest, "/", environment)
    process = start(stack, tmp_path, log)
    try:
        wait_until(
            lambda: "Ctrl-C ends it all" in log.read_text() or process.poll() is not None, "the stack must start"
        )
        assert process.poll() is None, log.read_text()
        children = psutil.Process(process.pid).children(recursive=True)

        def health() -> dict[str, str]:
            targets = fetch(f"http://127.0.0.1:{at.prometheus}/api/v1/targets")["data"]["activeTargets"]
            return {target["labels"]["job"]: target["health"] for target in targets}

        wait_until(lambda: health() == dict.fromkeys(JOBS, "up"), "Prometheus must see all of it")
        success = f"http://127.0.0.1:{at.prometheus}/api/v1/query?query=windsock_probe_success"
        wait_until(lambda: [v["value"][1] for v in fetch(success)["data"]["result"]] == ["1"], "the prober is answered")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
        assert not [child for child in children if child.is_running()]
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
