"""`windsock gate` on a workspace, and the committed characteristic: the gate is as seldom wrong as it says."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from benchmarks.gate_picture import draw
from cli import main
from contracts.artifact import Artifact
from contracts.reports import read_report
from contracts.reports.gate import Characteristic, GateReport
from contracts.store import load_champion
from registry.gate import limits
from tasks.rain.schema import SCHEMA as RAIN
from tests.support.manifests import ROOT
from tests.support.tiny import tiny_model, write_store, write_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_workspace(tmp_path_factory.mktemp("gate"), 40)


def gate(workspace: Path, digest: str) -> Result:
    where = ["--root", workspace, "--store", workspace / "store", "--public-key", workspace / "signing.pub"]
    return CliRunner().invoke(main, ["gate", "--digest", digest, *map(str, where)])


def champion(workspace: Path) -> Artifact:
    return load_champion(workspace / "store", workspace / "signing.pub")


def test_the_champion_passes_itself_and_another_ranking_is_refused(workspace: Path) -> None:
    here = champion(workspace)
    done = gate(workspace, here.digest)
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"pass: {here.version} beside {here.version}, 9,600 labelled rows of 41 days")
    report = read_report(workspace / "reports/gate.json", GateReport)
    assert (report.verdict, report.first, report.last) == ("pass", "2013-06-30", "2013-08-09")
    assert {one.slice for one in report.losses} > {"", "origin=JFK"}

    other = write_store(workspace, tiny_model(strength=-3.0))
    (workspace / "store/champion").write_text(here.digest)
    refused = gate(workspace, other)
    assert refused.exit_code == 1
    assert refused.output.startswith("refuse: ")
    assert "AUC may be worse by" in refused.output
    assert champion(workspace).digest == here.digest


def test_a_candidate_of_today_waits_for_its_labels(workspace: Path) -> None:
    """No month of the table is new to it: that is no error, and nothing is judged."""
    here = champion(workspace)
    later = write_store(workspace, tiny_model(strength=2.0), as_of="2013-09-01")
    (workspace / "store/champion").write_text(here.digest)
    waits = gate(workspace, later)
    assert waits.exit_code == 1
    assert waits.output.startswith("wait: ")
    assert "0 days with labels after both as-of dates, 28 are needed" in waits.output


def test_another_task_is_refused_without_figures(workspace: Path) -> None:
    here = champion(workspace)
    other = write_store(workspace, tiny_model(RAIN), RAIN)
    (workspace / "store/champion").write_text(here.digest)
    refused = gate(workspace, other)
    assert refused.exit_code == 1
    assert "FAIL same task and inputs" in refused.output
    assert read_report(workspace / "reports/gate.json", GateReport).losses == ()


def test_a_model_that_is_not_there_is_named(workspace: Path) -> None:
    done = gate(workspace, "ffff")
    assert done.exit_code == 1
    assert "ffff" in done.output


def test_the_committed_characteristic() -> None:
    found = read_report(ROOT / "reports/gate_characteristic.json", Characteristic)
    assert (ROOT / "reports/gate_characteristic.svg").read_text(encoding="utf-8") == draw(found)
    assert found.margin == limits.AUC
    by_name = {one.name: one for one in found.candidates}
    assert by_name["no worse"].low >= 0.8
    assert by_name["the champion itself"].share == 1
    at_margin = by_name[f"{limits.AUC:g} AUC worse"]
    assert at_margin.high <= 0.05
    assert at_margin.auc_share is not None
    assert at_margin.auc_share <= 0.06  # of 4,000 draws; the bound is 5 %
    for name in ("0.01 AUC worse", "odds 1.3 times too high", "one slice is guessed"):
        assert by_name[name].share == 0
