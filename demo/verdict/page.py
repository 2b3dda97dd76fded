"""`reports/demo.html`: the whole line at a glance, in one file that needs no network."""

from base64 import b64encode
from datetime import date
from typing import Any, Final

from contracts.artifact import Provenance
from contracts.reports.demo import DemoReport
from contracts.reports.evaluation import EvaluationReport, MonthQuality
from contracts.reports.monitoring import PROTOCOLS, Month, Task
from contracts.workspace import Workspace
from demo.evidence import LATENCY_EDGES_MS, Evidence
from monitoring.monitor.page import heat
from web.charts import Line, histogram, line_chart
from web.jinja import environment

# Reports worth a look, in order of the line; a page links to those that are there.
REPORTS: Final = {
    "ingest.json": "what was read, dropped, repaired",
    "validation.json": "the data against its contract",
    "features.json": "features: rows and missing values",
    "training.json": "training, epoch by epoch",
    "compression.json": "distilled, pruned, quantised",
    "evaluation.json": "each model, each later month",
    "plots/auc_by_month.png": "picture: AUC by month",
    "plots/calibration.png": "picture: calibration",
    "monitoring.json": "what the log says, month by month",
    "incidents.json": "each fault of the catalogue: noticed or not, after how long, by what",
    "demo.json": "this verdict, for machines",
    "benchmarks/serving.json": "the service beside FastAPI and MLServer",
}
BENCHMARK: Final = "benchmarks/serving.svg"
INCIDENTS: Final = "incidents.svg"


def draw(workspace: Workspace, report: DemoReport, evidence: Evidence | None) -> str:
    """The page as HTML.

    Args:
        evidence: None when the demo broke off; the page then says why, and shows no more.
    """
    links = [{"path": path, "what": what} for path, what in REPORTS.items() if (workspace.reports / path).exists()]
    line = None if evidence is None else describe(workspace, evidence)
    template = environment("demo.verdict", "web").get_template("demo.html.j2")
    return template.render(
        report=report,
        links=links,
        line=line,
        benchmark=_picture(workspace, BENCHMARK),
        incidents=_picture(workspace, INCIDENTS),
    )


def _picture(workspace: Workspace, name: str) -> str | None:
    """A picture of a study in base64, so that the page stays one file; None: there is none of this task."""
    path = workspace.reports / name
    return b64encode(path.read_bytes()).decode() if path.exists() else None


def describe(workspace: Workspace, evidence: Evidence) -> dict[str, Any]:
    """What the template shows of a whole run."""
    evaluation, monitoring = evidence.evaluation, evidence.monitoring
    measured = {month.month: month for month in monitoring.months}
    names = [month.month for month in evaluation.months]
    return {
        "schema": evidence.schema,
        "identity": _identity(evidence.origin),
        "months": names,
        "measured": [measured.get(name) for name in names],
        "quality_chart": line_chart("AUC by month", names, _auc_lines(evaluation, measured)),
        "drift": heat(Task.of(evidence.schema), [m for m in (measured.get(name) for name in names) if m]),
        "replay": evidence.replay.summary(),
        "histograms": {name: _histogram(evidence, name) for name in PROTOCOLS},
        "latency_rounds_ms": evidence.latency_rounds_ms,
        "sizes": _sizes(workspace, evaluation),
        "released": evaluation.released,
        "as_of": f"{(as_of := date.fromisoformat(evaluation.as_of)).day} {as_of:%B %Y}",
        "errors": monitoring.errors,
        "memory": evidence.memory,
        "training_rows": evidence.training_rows,
    }


def _auc_lines(evaluation: EvaluationReport, measured: dict[str, Month]) -> list[Line]:
    names = [month.month for month in evaluation.months]
    ours = [m.quality.auc if (m := measured.get(name)) and m.quality else None for name in names]
    baselines = evaluation.baselines
    return [
        Line("logistic", "third", _by_month(baselines["logistic_regression"].months, names)),
        Line("LightGBM", "second", _by_month(baselines["lightgbm"].months, names)),
        Line("ours", "first", ours),
    ]


def _by_month(months: list[MonthQuality], names: list[str]) -> list[float | None]:
    auc = {month.month: month.auc for month in months}
    return [auc.get(name) for name in names]


def _histogram(evidence: Evidence, protocol: str) -> Any:
    months = evidence.replay.summary().latency[protocol].values()
    counts = [sum(column) for column in zip(*(m.counts for m in months if m), strict=True)]
    limit = evidence.objectives.latency_seconds * 1000
    mark = min(LATENCY_EDGES_MS, key=lambda edge: abs(edge - limit))
    return histogram(f"Latency over {protocol}", LATENCY_EDGES_MS, counts, protocol, mark=mark)


def _sizes(workspace: Workspace, evaluation: EvaluationReport) -> list[dict[str, Any]]:
    """Models of the last `compress`, largest first, with their mean AUC where it was evaluated."""
    mean = {"student": evaluation.student.mean_auc, "teacher": evaluation.teacher.mean_auc}
    files = {name: workspace.compressed / f"{name}.onnx" for name in ("teacher", "student")}
    kilobytes = {name: file.stat().st_size / 1000 for name, file in files.items() if file.exists()}
    largest = max(kilobytes.values(), default=1.0)
    return [
        {
            "name": name,
            "kind": {"teacher": "float32", "student": "int8, distilled, pruned"}[name],
            "kb": kb,
            "share": kb / largest,
            "auc": mean[name],
        }
        for name, kb in sorted(kilobytes.items(), key=lambda item: -item[1])
    ]


def _identity(origin: Provenance) -> dict[str, Any]:
    """What the envelope of the released model says of its origin."""
    return {
        "model digest": origin.digest,
        "git commit": (origin.git.commit or "none") + (", with changes" if origin.git.dirty else ""),
        "MLflow run": origin.mlflow_run_id,
        "made at": origin.created_at,
        "data, sha256": ", ".join(f"{name} {sha[:12]}" for name, sha in sorted(origin.data_sha256.items())),
    }
