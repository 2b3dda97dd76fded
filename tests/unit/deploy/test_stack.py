"""`windsock stack`: what it checks first, that it runs the shared files, and that it ends whatever it started."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from contracts.errors import Unavailable
from deploy.local import stack
from deploy.local.stack import OBSERVABILITY, Ports, check_ports, configure, find_binaries
from tests.support.serving import free_ports, wait_until

# The stack's own code with programs of which only the first is never ready, or all are.
_SCRIPT = """
import logging, sys
from pathlib import Path
from contracts.errors import Unavailable
from contracts.settings import StackSettings, load
from deploy.local import stack
ports = stack.Ports(*map(int, sys.argv[2:9]))
logging.basicConfig(level=logging.INFO, format="%(message)s")
serve = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]
broken = [sys.executable, "-c", "raise SystemExit('it must be Tuesday')"]
stack.programs = lambda folder, ports, probed, external_url: [
    stack.Program("one", [*serve, str(ports.rest)], ports.rest, "/", {}),
    stack.Program("two", broken if sys.argv[9] == "broken" else [*serve, str(ports.grpc)], ports.grpc, "/", {}),
]
try:
    sys.exit(stack.run(load(StackSettings, root=Path(sys.argv[1])), ports))
except Unavailable as error:
    sys.exit(str(error))
"""


def _stack(root: Path, kind: str = "") -> tuple[subprocess.Popen[str], Path]:
    log = root / "stack.log"
    command = [sys.executable, "-c", _SCRIPT, str(root), *map(str, free_ports(7)), kind]
    with log.open("w") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, text=True), log


def _started(process: subprocess.Popen[str], log: Path) -> list[psutil.Process]:
    wait_until(lambda: "Ctrl-C ends it all" in log.read_text() or process.poll() is not None, "the stack must start")
    assert process.poll() is None, log.read_text()
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_all_that_it_started(tmp_path: Path, number: signal.Signals) -> None:
    process, log = _stack(tmp_path)
    children = _started(process, log)
    assert len(children) == 2
    process.send_signal(number)
    assert process.wait(30) == 0, log.read_text()
    assert not [child for child in children if child.is_running()]
    assert log.read_text().rstrip().endswith("two: ended\none: ended"), "in the other order"


def test_one_that_ends_by_itself_ends_the_others_and_is_named(tmp_path: Path) -> None:
    process, log = _stack(tmp_path)
    children = _started(process, log)
    os.kill(children[0].pid, signal.SIGKILL)
    assert process.wait(30) == 1
    assert not [child for child in children if child.is_running()]
    assert "one ended with status -9: state/stack/one.log" in log.read_text()


def test_one_that_never_becomes_ready_is_named_and_the_others_end(tmp_path: Path) -> None:
    process, log = _stack(tmp_path, "broken")
    assert process.wait(30) == 1
    said = log.read_text()
    assert "two must become ready, got: it must be Tuesday" in said
    assert "one: ended" in said


@pytest.mark.parametrize("name", ["rest", "monitor", "prometheus"])
def test_a_taken_port_is_named(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = dict(zip(Ports.__dataclass_fields__, free_ports(7), strict=True)) | {name: taken.getsockname()[1]}
        with pytest.raises(
            Unavailable, match=rf"`{name}_port` must be a free port .*, got {ports[name]}.*--{name}-port"
        ):
            check_ports(Ports(**ports))


@pytest.mark.parametrize("there", [[], ["prometheus"]])
def test_a_missing_binary_is_named_with_how_to_get_it(
    there: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in there:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = "alertmanager" if there else "prometheus"
    with pytest.raises(Unavailable, match=f"`{missing}` must be on PATH, got nothing; apt install prometheus"):
        find_binaries()


def test_prometheus_and_alertmanager_run_the_very_files_of_the_project(tmp_path: Path) -> None:
    configure(tmp_path, Ports())
    routes = (tmp_path / "alertmanager.yml").read_text()
    assert routes.replace("127.0.0.1:3004", "alerts:3004") == (OBSERVABILITY / "alertmanager.yml").read_text()
    for name in ("prometheus.yml", "rules/alerts.yml", "rules/recording.yml", "rules/slo.yml"):
        assert (tmp_path / name).read_bytes() == (OBSERVABILITY / name).read_bytes(), name
    jobs = {job["job_name"] for job in yaml.safe_load((tmp_path / "prometheus.yml").read_text())["scrape_configs"]}
    targets = {path.stem: yaml.safe_load(path.read_text()) for path in (tmp_path / "targets").glob("*.yml")}
    assert set(targets) == jobs == {path.stem for path in (OBSERVABILITY / "targets").glob("*.yml")}
    assert targets["windsock-service"] == [{"targets": ["127.0.0.1:3002"]}]
    configure(tmp_path, Ports(), jobs=("prometheus",), pace="1s")
    assert yaml.safe_load((tmp_path / "targets/alertmanager.yml").read_text()) == []
    assert yaml.safe_load((tmp_path / "prometheus.yml").read_text())["global"]["scrape_interval"] == "1s"
    configure(tmp_path, Ports(), rules={"alerts.yml": "of a workspace"})
    assert (tmp_path / "rules/alerts.yml").read_text() == "of a workspace"
    configure(tmp_path, Ports(alerts=4321))
    assert (tmp_path / "alertmanager.yml").read_text().count("http://127.0.0.1:4321/") == 4


def test_a_service_with_a_certificate_is_waited_for_over_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stack, "find_binary", lambda *names: names[0])
    schemes = {program.name: program.scheme for program in stack.programs(tmp_path, Ports())}
    assert set(schemes.values()) == {"http"}
    monkeypatch.setenv("WINDSOCK_TLS_CERTIFICATE", "tls.crt")
    found = {program.name: program.scheme for program in stack.programs(tmp_path, Ports())}
    assert found == schemes | {"service": "https"}
    assert f"https://127.0.0.1:{Ports().rest}/docs" in stack.guide(Ports())


def test_the_monitor_probes_the_service_of_the_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stack, "find_binary", lambda *names: names[0])

    def address(probed: bool) -> str | None:
        found = {program.name: program for program in stack.programs(tmp_path, Ports(rest=4321), probed=probed)}
        return (found["monitor"].environment or {}).get("WINDSOCK_PROBE_URL")

    assert (address(True), address(False)) == ("http://127.0.0.1:4321", None)
