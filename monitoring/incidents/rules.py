"""The gauges of a replayed fault under the real alert rules, judged by Prometheus' own engine with their `for`.

`promtool test rules` is given the gauges as series and no alert as expected: what it complains about is what fires.
"""

import json
import math
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from contracts.objectives import Objectives
from contracts.reports.incidents import Fired
from monitoring.boards.rules import texts
from monitoring.incidents.simulator import Tick
from monitoring.metrics.declared import MonitorMetrics

JOB: Final = "windsock-monitor"
_GAUGE: Final = re.compile(r"windsock_(?:instrument|fault|window|expected)\w*")
_SAMPLES: Final = 12  # an hour: Prometheus forgets a series after five minutes
_HEARD: Final = re.compile(r"alertname: (\w+), time: (\S+), .*?got:\[(.*?)\n            \]", re.DOTALL)
_SEVERITY: Final = re.compile(r'severity="(\w+)"')
_PARTS: Final = re.compile(r"(\d+)(d|h|m|s)")
_SECONDS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def fired(looks: Sequence[Tick], start: int, objectives: Objectives) -> tuple[Fired, ...] | None:
    """The alerts on watched models, each when it first fired after `start`; None: promtool is not installed."""
    test = {"interval": "5m", "input_series": _series(looks), "alert_rule_test": _questions(looks, objectives)}
    return asked(_watched(objectives), test, "15m", looks[0][0] + 1 - start)


def asked(rules: list[dict[str, Any]], test: dict[str, Any], every: str, offset: float) -> tuple[Fired, ...] | None:
    """What promtool says of some rules.

    Args:
        test: one of its tests, in which no alert is expected.
        every: between two evaluations.
        offset: hours from the fault to the first sample.
    """
    if (promtool := shutil.which("promtool")) is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        # JSON is YAML.
        written = json.dumps({"groups": [{"name": "all", "rules": rules}]})
        (Path(folder) / "rules.yml").write_text(written, encoding="utf-8")
        path = Path(folder) / "test.yml"
        asks = {"rule_files": ["rules.yml"], "evaluation_interval": every, "tests": [test]}
        path.write_text(json.dumps(asks), encoding="utf-8")
        run = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False)
    return heard(run.stdout + run.stderr, offset)


def heard(said: str, offset: float) -> tuple[Fired, ...]:
    """What promtool complains about, each alert at its first time.

    Args:
        offset: hours from the fault to the first sample.

    Raises:
        ValueError: it says something else.
    """
    found: dict[str, Fired] = {}
    for name, time, got in _HEARD.findall(said):
        hours = round(offset + sum(int(n) * _SECONDS[unit] for n, unit in _PARTS.findall(time)) / 3600, 2)
        severity = _SEVERITY.search(got)
        if name not in found or hours < found[name].hours:
            found[name] = Fired(name, severity.group(1) if severity else "", hours)
    if not found and "SUCCESS" not in said:
        raise ValueError(f"promtool must judge the rules, got: {said[:500]}")
    return tuple(sorted(found.values(), key=lambda one: (one.hours, one.alert)))


def _watched(objectives: Objectives) -> list[dict[str, Any]]:
    """Alerts that read gauges of watched models: those that a look can make fire. The others would cost minutes."""
    import yaml

    loaded = yaml.safe_load(texts(objectives)["alerts.yml"])
    rules = [rule for group in loaded["groups"] for rule in group["rules"]]
    return [rule for rule in rules if "alert" in rule and _GAUGE.search(rule["expr"])]


def watched_alerts(objectives: Objectives) -> tuple[str, ...]:
    """Their names."""
    return tuple(rule["alert"] for rule in _watched(objectives))


def _questions(looks: Sequence[Tick], objectives: Objectives) -> list[dict[str, object]]:
    first = looks[0][0]
    minutes = [(hour - first) * 60 + late for hour, _ in looks for late in (15, 45)]
    return [
        {"eval_time": f"{minute}m", "alertname": name, "exp_alerts": []}
        for name in watched_alerts(objectives)
        for minute in minutes
    ]


def _series(looks: Sequence[Tick]) -> list[dict[str, str]]:
    """Each gauge from the first look to an hour after the last one; it stands until the next look."""
    shown = [_gauges(tick) for tick in looks]
    lengths = [*(b[0] - a[0] for a, b in pairwise(looks)), 1]
    names = sorted({name for gauges in shown for name in gauges})
    found = []
    for name in names:
        parts = [
            _values(gauges.get(name, math.nan), hours * _SAMPLES) for gauges, hours in zip(shown, lengths, strict=True)
        ]
        found.append({"series": name, "values": " ".join(parts)})
    return found


def _values(value: float, samples: int) -> str:
    return f"_x{samples}" if math.isnan(value) else f"{value:g}x{samples - 1}"


def _gauges(tick: Tick) -> dict[str, float]:
    metrics = MonitorMetrics([])
    metrics.set_watched([tick[1]])
    return {
        _named(sample.name, sample.labels): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name in ("windsock_instrument_state", "windsock_fault")
    }


def _named(name: str, labels: Mapping[str, str]) -> str:
    inner = ",".join(f"{key}={json.dumps(value)}" for key, value in {"job": JOB, **labels}.items())
    return f"{name}{{{inner}}}"
