"""Incidents that lie before the rows: what the processes tell of themselves, through the real rules.

A healthy stack of two instances is written down as Prometheus would have scraped it each minute, a fault changes it
from a minute on, and `promtool test rules` says which alerts fire, with their `for`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from contracts.objectives import Objectives
from contracts.reports.incidents import Delay, Fired, IncidentResult, Run
from contracts.reports.watching import State
from monitoring.boards.rule_yaml import edge
from monitoring.boards.rules import texts
from monitoring.incidents.rules import asked

HEALTH: Final = 6 * 60  # minutes
DAY: Final = 24 * 60
FAULT: Final = 4 * 60
UNKNOWN: Final = np.inf  # scraped, and not a number
INSTANCES: Final = ("a:3002", "b:3002")
RATE: Final = 1_200.0  # requests a minute and instance
Values = NDArray[np.float64]


@dataclass
class Signals:
    """Series by name and labels; a fault changes what lies after `at`, minutes.

    Attributes:
        per_minute: of counters; `values` of gauges; [minutes] each.
    """

    objectives: Objectives
    at: int
    per_minute: dict[str, Values] = field(default_factory=dict)
    values: dict[str, Values] = field(default_factory=dict)

    @property
    def minutes(self) -> int:
        """All of them."""
        return self.at + FAULT

    def __post_init__(self) -> None:
        for one in INSTANCES:
            service = f'job="windsock-service",instance="{one}"'
            for code, share in (("ok", 0.9995), ("invalid_input", 0.0005), ("unauthenticated", 0), ("internal", 0)):
                self._counter(f'windsock_requests_total{{{service},protocol="rest",code="{code}"}}', share * RATE)
            for le, share in ((edge(self.objectives.latency_seconds), 0.9995), ("+Inf", 1.0)):
                name = f'windsock_request_seconds_bucket{{{service},protocol="rest",le="{le}"}}'
                self._counter(name, share * RATE)
            self._counter(f'windsock_request_seconds_count{{{service},protocol="rest"}}', RATE)
            self._counter(f'windsock_rows_total{{{service},protocol="rest"}}', RATE)
            gauges = {"companion_up": 1, "database_up": 1, "spool_oldest_seconds": 0.5, "spool_room_bytes": 2.0**29}
            for name, value in gauges.items():
                self._gauge(f"windsock_{name}{{{service}}}", value)
            self._gauge(f'windsock_model_refused{{{service},role="champion"}}', 0)
            self._gauge(f"up{{{service}}}", 1)
        monitor = 'job="windsock-monitor",instance="m:3003"'
        self._gauge(f"up{{{monitor}}}", 1)
        self._gauge(f"windsock_monitor_database_up{{{monitor}}}", 1)
        self._gauge(f'windsock_probe_success{{{monitor},protocol="rest"}}', 1)
        minute = np.arange(self.minutes)
        self.values[f"windsock_monitor_last_run_timestamp_seconds{{{monitor}}}"] = (60 * (minute - minute % 60)).astype(
            np.float64
        )
        self.values[f"windsock_data_age_seconds{{{monitor}}}"] = np.full(self.minutes, 2.0)

    def _counter(self, name: str, rate: float) -> None:
        self.per_minute[name] = np.full(self.minutes, float(rate))

    def _gauge(self, name: str, value: float) -> None:
        self.values[name] = np.full(self.minutes, float(value))

    def named(self, *parts: str) -> list[Values]:
        """What comes after the fault, of the series whose name has all these parts; writing into it changes them. A
        part with "^" is how the name begins.

        Raises:
            KeyError: there is none.
        """
        found = [
            series[self.at :]
            for some in (self.per_minute, self.values)
            for name, series in some.items()
            if all(name.startswith(part[1:]) if part.startswith("^") else part in name for part in parts)
        ]
        if not found:
            raise KeyError(f"a series must have {' and '.join(parts)} in its name, got none")
        return found

    def set(self, value: float | NDArray[Any], *parts: str) -> None:
        """Of each minute after the fault; NaN: nothing is scraped."""
        for series in self.named(*parts):
            series[:] = value

    def written(self) -> list[dict[str, str]]:
        """As promtool reads it. What is scraped again after a gap is another process, which counts from nothing."""
        every = {**{name: _counted(rate) for name, rate in self.per_minute.items()}, **self.values}
        return [{"series": name, "values": " ".join(map(_text, series))} for name, series in every.items()]


def _counted(rate: Values) -> Values:
    total, gap = np.nancumsum(rate), np.isnan(rate)
    before = np.maximum.accumulate(np.where(gap, total, 0.0))
    return np.where(gap, np.nan, total - before)


def _text(value: float) -> str:
    return "_" if np.isnan(value) else "NaN" if np.isinf(value) else f"{value:.10g}"


@dataclass(frozen=True, slots=True)
class Signal:
    """An incident of the stack.

    Attributes:
        alert: what has to fire; "": nothing may.
        limit: hours that it has.
        health: minutes before.
    """

    name: str
    alert: str
    remedy: str
    change: Callable[[Signals], None]
    limit: float = 0.5
    health: int = HEALTH


def _refused(stack: Signals) -> None:
    for ok, refused in zip(stack.named('code="ok"'), stack.named('code="unauthenticated"'), strict=True):
        refused += ok
        ok[:] = 0


def _failing(share: float) -> Callable[[Signals], None]:
    def change(stack: Signals) -> None:
        for ok, failed in zip(stack.named('code="ok"'), stack.named('code="internal"'), strict=True):
            failed += share * ok
            ok *= 1 - share

    return change


def _slow(share: float) -> Callable[[Signals], None]:
    def change(stack: Signals) -> None:
        for series in stack.named("request_seconds_bucket", f'le="{edge(stack.objectives.latency_seconds)}"'):
            series *= 1 - share

    return change


def _gone(*parts: str) -> Callable[[Signals], None]:
    """Nothing of it is scraped, but that it is not up."""

    def change(stack: Signals) -> None:
        stack.set(np.nan, *parts)
        stack.set(0, "^up{", *parts)

    return change


def _to(value: float, *parts: str) -> Callable[[Signals], None]:
    return lambda stack: stack.set(value, *parts)


def _asked(stack: Signals) -> list[Values]:
    """All counters of calls."""
    return [*stack.named("requests_total"), *stack.named("request_seconds"), *stack.named("rows_total")]


def _quiet(stack: Signals) -> None:
    for rate in _asked(stack):
        rate[:] = 0


def _dead_at_night(stack: Signals) -> None:
    _quiet(stack)
    stack.set(0, "database_up")


def _fills(stack: Signals) -> None:
    stack.set(2.0**29 - 3e6 * np.arange(FAULT, dtype=np.float64), "spool_room_bytes", "a:3002")


def _waits(stack: Signals) -> None:
    stack.set(60.0 * np.arange(FAULT), "spool_oldest_seconds", "a:3002")


def _hangs(stack: Signals) -> None:
    (series,) = stack.named("last_run_timestamp")
    series[:] = series[0]


def _rolls(stack: Signals) -> None:
    """Each instance is away for a minute, and counts from nothing again."""
    for minute, one in ((10, "a:3002"), (15, "b:3002")):
        for series in stack.named(one):
            series[minute] = np.nan
        (up,) = stack.named("^up{", one)
        up[minute] = 0


def _begins(stack: Signals) -> None:
    """For an hour nobody asks, and the monitor has not run."""
    for series in (*stack.named("last_run_timestamp"), *stack.named("data_age")):
        series[:60] = UNKNOWN
    for rate in _asked(stack):
        rate[:60] = 0


SIGNALS: Final[dict[str, Signal]] = {
    one.name: one
    for one in (
        Signal("all calls refused (401)", "CallersRefused", "look who changed a token", _refused),
        Signal("nothing arrives, by the service", "NothingArrives", "look at gateway and DNS", _quiet, health=8 * DAY),
        Signal("an instance is gone", "InstanceDown", "look at its node", _gone("a:3002")),
        Signal("the service is gone", "ServiceDown", "roll back the last change", _gone("windsock-service")),
        Signal("callers get no answer", "ProbeFails", "look at gateway and DNS", _to(0, "probe_success")),
        Signal("database dead at night", "DatabaseDown", "start the database", _dead_at_night),
        Signal("rows wait in the spool", "SpoolOld", "give the database room", _waits),
        Signal("a volume fills", "SpoolFills", "make room", _fills, limit=3),
        Signal("the companion is dead", "CompanionDown", "read its log", _to(0, "companion_up", "a:3002")),
        Signal("a released model is refused", "ModelRefused", "release another", _to(1, "model_refused")),
        Signal("a fiftieth of calls fails", "AvailabilityBudgetBurnsFast", "roll back the last one", _failing(0.02), 1),
        Signal("a leak of failures", "AvailabilityBudgetBurnsSlowly", "find it in working hours", _failing(0.008), 6),
        Signal("a third is slow", "LatencyBudgetBurnsFast", "look at load and neighbours", _slow(1 / 3), 1),
        Signal("a tenth is slow", "LatencyBudgetBurnsSlowly", "find it in working hours", _slow(0.1), 6),
        Signal("the monitor hangs", "MonitorSilent", "read its log", _hangs, limit=4),
        Signal("the monitor is gone", "MonitorSilent", "start it", _gone("windsock-monitor")),
        Signal("a rolling update", "", "none", _rolls),
        Signal("the first hours of a new stack", "", "none", _begins, health=0),
    )
}  # fmt: skip


def result(signal: Signal, objectives: Objectives) -> IncidentResult | None:
    """What fired, and when. None: promtool is not installed."""
    stack, long = Signals(objectives, signal.health), signal.health > DAY
    signal.change(stack)
    rules = _rules(objectives, only=signal.alert if long else "")
    names = [rule["alert"] for rule in rules if "alert" in rule and rule["alert"] != "Watchdog"]
    minutes = [*range(30, stack.at, DAY if long else 30), *range(stack.at, stack.minutes, 5)]
    questions = [{"eval_time": f"{at}m", "alertname": name, "exp_alerts": []} for name in names for at in minutes]
    test = {"interval": "1m", "input_series": stack.written(), "alert_rule_test": questions}
    fired = asked(rules, test, "1m", -stack.at / 60)
    return None if fired is None else _result(signal, fired)


def _rules(objectives: Objectives, only: str) -> list[dict[str, Any]]:
    """Without those of watched models, of which the stack has no series. `only`: the name of one alert; "": all."""
    found = [
        rule
        for text in texts(objectives).values()
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
        if not any(part in rule["expr"] for part in ("windsock_fault", "windsock_instrument", "quality_known"))
    ]
    return [rule for rule in found if rule.get("alert") == only] if only else found


def _result(signal: Signal, fired: tuple[Fired, ...]) -> IncidentResult:
    first = next((one for one in fired if one.alert == signal.alert), fired[0] if fired else None)
    hours = None if first is None else first.hours
    in_time = hours is not None and (not signal.alert or 0 <= hours <= signal.limit)
    severity: State | None = None if first is None else "page" if first.severity == "critical" else "ticket"
    right = first is not None and first.alert == signal.alert
    alert = "" if first is None else first.alert
    others = sum(one.alert != alert for one in fired)
    return IncidentResult(
        name=signal.name,
        kind="signals" if signal.alert else "silent",
        seeds=1,
        detected=int(in_time),
        detected_low=0.0,
        limit_hours=signal.limit,
        delay_hours=Delay(hours, hours),
        delay_rows=None,
        detector=alert,
        severity=severity,
        named_cause_right=int(right and in_time),
        remedy=signal.remedy,
        judged_by="promtool",
        fired=fired,
        runs=(Run(0, "", hours, None, severity, alert, "", "", right, others),),
    )
