"""The checks of `make demo`: each a pure function of the evidence, so that each can be shown to fail."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np

from demo.evidence import Answer, Evidence

COMPARED_ROWS: Final = 2_000
SCORE_TOLERANCE: Final = 1e-6  # some float32 steps: what another order of summation may do
AUC_TOLERANCE: Final = 1e-4  # measured from the log against evaluated offline, on the same rows
P99_MS: Final = 20.0
MEMORY_BYTES: Final = 3_000_000_000
# The student is int8, 2 x 96 units: about 40 kB. More means that it was not pruned or not quantised.
MAX_BYTES: Final = {"student": 100_000, "teacher": 2_000_000}
# LightGBM on the same rows is what anyone can have in a minute: a net that loses more is not worth serving.
MAX_AUC_BELOW_LIGHTGBM: Final = 0.02
# A floor of its own, for a fault that would pull LightGBM down as well, such as useless features; chance is .5.
MIN_MEAN_AUC: Final = 0.72


@dataclass(frozen=True, slots=True)
class Check:
    """`expected` and `measured` are sentences for people; `passed` is what counts."""

    name: str
    passed: bool
    expected: str
    measured: str


def answered_and_logged_once(e: Evidence) -> Check:
    sent, logged = set(e.replay.ids.tolist()), e.logged_ids.tolist()
    unanswered = int(np.isnan(e.replay.scores).sum())
    lost, strange = len(sent - set(logged)), len(set(logged) - sent)
    repeated = len(logged) - len(set(logged))
    whole = e.flights > 0 and len(e.replay.ids) == len(sent) == e.flights
    return Check(
        "every replayed row is answered and logged once",
        whole and not (unanswered or lost or strange or repeated),
        f"{e.flights:,} flights, each answered once and logged once",
        f"{len(sent):,} flights sent, {unanswered:,} not answered, {lost:,} not in the log, "
        f"{repeated:,} in it twice, {strange:,} in it unasked",
    )


def log_holds_what_was_answered(e: Evidence) -> Check:
    logged = dict(zip(e.logged_ids.tolist(), e.logged_scores.tolist(), strict=True))
    pairs = [
        (score, logged.get(id_)) for id_, score in zip(e.replay.ids.tolist(), e.replay.scores.tolist(), strict=True)
    ]
    off = [abs(score - other) for score, other in pairs if other is not None]
    return _scores_agree("the log holds the score that was answered", np.array(off), max(e.flights, 1))


def protocols_agree(e: Evidence) -> Check:
    return _scores_agree("REST and gRPC agree", e.replay.compared, min(COMPARED_ROWS, max(e.flights, 1)))


def alone_as_in_a_batch(e: Evidence) -> Check:
    off = np.abs(e.alone - e.together) if e.alone.shape == e.together.shape else np.array([])
    return _scores_agree(f"a row scores the same alone and in a batch of {e.batch_rows:,}", off, 1)


def _scores_agree(name: str, differences: np.ndarray[tuple[int, ...], np.dtype[np.float64]], rows: int) -> Check:
    most = float(differences.max(initial=0))  # NaN stays NaN, and fails
    return Check(
        name,
        len(differences) >= rows and most <= SCORE_TOLERANCE,
        f"at most {SCORE_TOLERANCE:g} apart, {rows:,} rows or more",
        f"{most:.2g} apart at most, {len(differences):,} rows",
    )


def measured_auc_is_the_evaluated_one(e: Evidence) -> Check:
    measured = {month["month"]: month for month in e.monitoring["months"]}
    offs: dict[str, float] = {}
    for month in e.evaluation["months"]:
        seen = (measured.get(month["month"]) or {}).get("quality")
        same_rows = seen is not None and seen["rows"] == month["rows"]
        offs[month["month"]] = abs(seen["auc"] - month["auc"]) if seen and same_rows else float("inf")
    unknown = [month for month, off in offs.items() if off == float("inf")]
    worst = max(offs.values(), default=float("inf"))
    return Check(
        "measured AUC is the offline evaluation's, month by month",
        worst <= AUC_TOLERANCE,
        f"at most {AUC_TOLERANCE:g} apart on the same labelled rows, each month",
        f"unknown or on other rows: {', '.join(unknown) or 'every month'}"
        if worst == float("inf")
        else f"{worst:.2g} apart at most, {len(offs)} months",
    )


def single_rows_are_fast(e: Evidence) -> Check:
    rounds = e.latency_rounds_ms
    enough = {"rest", "grpc"} <= set(rounds) and all(len(times) >= 3 for times in rounds.values())
    return Check(
        "single rows on one connection are fast",
        enough and all(median(times) < P99_MS for times in rounds.values()),
        f"p99 under {P99_MS:g} ms after warm-up, median of three rounds",
        "; ".join(
            f"{protocol} {median(times):.2f} ms (rounds {', '.join(f'{t:.2f}' for t in times)})"
            for protocol, times in rounds.items()
            if times
        )
        or "nothing",
    )


def small_enough(e: Evidence) -> Check:
    released = e.evaluation["released"]
    limit = MAX_BYTES[released]
    return Check(
        "the released model is small",
        0 < e.model_bytes <= limit,
        f"{released}: at most {limit / 1000:,.0f} kB",
        f"{e.model_bytes / 1000:,.1f} kB",
    )


def good_enough(e: Evidence) -> Check:
    ours = {m["month"]: m["auc"] for m in e.evaluation["months"]}
    peer = {m["month"]: m["auc"] for m in e.evaluation["baselines"]["lightgbm"]["months"]}
    comparable = bool(ours) and set(ours) == set(peer) and None not in (*ours.values(), *peer.values())
    behind = max((peer[month] - auc for month, auc in ours.items()), default=1.0) if comparable else float("inf")
    mean = float(np.mean(list(ours.values()))) if comparable else float("nan")
    return Check(
        "the released model is good",
        comparable and behind <= MAX_AUC_BELOW_LIGHTGBM and mean >= MIN_MEAN_AUC,
        f"AUC {MIN_MEAN_AUC:g} or more on average, at most {MAX_AUC_BELOW_LIGHTGBM:g} below LightGBM in any month",
        f"AUC {mean:.4f} on average; {_side(behind)} in its worst month",
    )


def _side(behind: float) -> str:
    return f"{abs(behind):.4f} {'below' if behind > 0 else 'above'} LightGBM"


def odd_rows_are_answered(e: Evidence) -> Check:
    cases = {answer.case for answer in e.tolerated}
    return Check(
        "odd but honest rows are answered",
        {"unknown carrier", "missing weather"} <= cases and all(a.status in ("200", "OK") for a in e.tolerated),
        "an unknown carrier and missing weather get a score",
        _told(e.tolerated),
    )


def malformed_is_refused(e: Evidence) -> Check:
    refused = bool(e.malformed) and all(a.status in ("400", "INVALID_ARGUMENT") and a.message for a in e.malformed)
    return Check(
        "a malformed request is refused, and the service goes on",
        refused and e.after_malformed.status == "200",
        "400 or INVALID_ARGUMENT with a reason each time; the next good request answered",
        f"{_told(e.malformed)}; then {e.after_malformed.status}",
    )


def no_token_no_answer(e: Evidence) -> Check:
    cases = {(answer.case.split()[0], answer.status) for answer in e.without_token}
    return Check(
        "no token, no answer",
        cases == {("REST", "401"), ("gRPC", "UNAUTHENTICATED")},
        "REST 401, gRPC UNAUTHENTICATED, with no token and with a wrong one",
        _told(e.without_token),
    )


def damage_is_refused(e: Evidence) -> Check:
    status = e.damaged.exit_status
    named = e.damaged.named in e.damaged.output
    return Check(
        "a flipped bit in the artifact is refused at start",
        status not in (None, 0) and named,
        f"exit status not 0, and a message that names {e.damaged.named[:12]}",
        f"{'still running' if status is None else f'exit status {status}'}; {'named' if named else 'not named'}",
    )


def memory_is_bounded(e: Evidence) -> Check:
    memory = e.memory
    fallback = "" if memory.measure == "PSS" else f", as {memory.measure} (no /proc here): shared pages count often"
    return Check(
        "the process tree stays small",
        memory.samples > 0 and 0 < memory.peak_bytes < MEMORY_BYTES,
        f"under {MEMORY_BYTES / 1e9:g} GB",
        f"{memory.peak_bytes / 1e9:.2f} GB at most in {memory.samples:,} samples{fallback}",
    )


def prometheus_saw_it(e: Evidence) -> Check:
    seen = e.scraped
    return Check(
        "Prometheus scraped the service and no rule failed to evaluate",
        seen is not None
        and seen.scrapes > 0
        and seen.requests >= e.flights
        and seen.rules > 0
        and not seen.failed_rules,
        f"{e.flights:,} answered requests or more counted, every rule evaluated",
        "no Prometheus"
        if seen is None
        else f"Prometheus {seen.version}: {seen.scrapes:,} scrapes, {seen.requests:,} answered requests, "
        f"{seen.rules} rules; {'; '.join(seen.failed_rules) or 'none failed'}",
    )


def _told(answers: list[Answer]) -> str:
    return ", ".join(f"{answer.case}: {answer.status}" for answer in answers) or "nothing was asked"


CHECKS: Final[tuple[Callable[[Evidence], Check], ...]] = (
    answered_and_logged_once,
    log_holds_what_was_answered,
    protocols_agree,
    alone_as_in_a_batch,
    measured_auc_is_the_evaluated_one,
    good_enough,
    small_enough,
    single_rows_are_fast,
    memory_is_bounded,
    odd_rows_are_answered,
    malformed_is_refused,
    no_token_no_answer,
    damage_is_refused,
)


def judge(evidence: Evidence) -> list[Check]:
    """One more where a Prometheus looked on."""
    return [check(evidence) for check in (*CHECKS, *((prometheus_saw_it,) if evidence.scraped else ()))]
