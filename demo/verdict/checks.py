"""The checks of `windsock demo`: each a pure function of the evidence, so that each can be shown to fail.

Thresholds are the objectives'.
"""

from collections.abc import Callable
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from contracts.reports.demo import Check
from demo.evidence import COMPARED_ROWS, MISSING_VALUES, UNKNOWN_CATEGORY, Answer, Evidence
from demo.verdict.model_checks import good_enough, measured_auc_is_the_evaluated_one, small_enough


def answered_and_logged_once(e: Evidence) -> Check:
    sent, logged = set(e.replay.ids.tolist()), e.logged_ids.tolist()
    unanswered = int(np.isnan(e.replay.scores).sum())
    lost, strange = len(sent - set(logged)), len(set(logged) - sent)
    repeated = len(logged) - len(set(logged))
    whole = e.rows > 0 and len(e.replay.ids) == len(sent) == e.rows
    plural = e.schema.subject.plural
    return Check(
        "every replayed row is answered and logged once",
        whole and not (unanswered or lost or strange or repeated),
        f"{e.rows:,} {plural}, each answered once and logged once",
        f"{len(sent):,} {plural} sent, {unanswered:,} not answered, {lost:,} not in the log, "
        f"{repeated:,} in it twice, {strange:,} in it unasked",
    )


def log_holds_what_was_answered(e: Evidence) -> Check:
    logged = dict(zip(e.logged_ids.tolist(), e.logged_scores.tolist(), strict=True))
    pairs = [
        (score, logged.get(id_)) for id_, score in zip(e.replay.ids.tolist(), e.replay.scores.tolist(), strict=True)
    ]
    off = [abs(score - other) for score, other in pairs if other is not None]
    return _scores_agree(e, "the log holds the score that was answered", np.array(off), max(e.rows, 1))


def protocols_agree(e: Evidence) -> Check:
    return _scores_agree(e, "REST and gRPC agree", e.replay.compared, min(COMPARED_ROWS, max(e.rows, 1)))


def alone_as_in_a_batch(e: Evidence) -> Check:
    off = np.abs(e.alone - e.together) if e.alone.shape == e.together.shape else np.array([])
    return _scores_agree(e, f"a row scores the same alone and in a batch of {e.batch_rows:,}", off, 1)


def _scores_agree(e: Evidence, name: str, differences: NDArray[np.float64], rows: int) -> Check:
    tolerance = e.objectives.score_tolerance
    most = float(differences.max(initial=0))  # NaN stays NaN, and fails
    return Check(
        name,
        len(differences) >= rows and most <= tolerance,
        f"at most {tolerance:g} apart, {rows:,} rows or more",
        f"{most:.2g} apart at most, {len(differences):,} rows",
    )


def single_rows_are_fast(e: Evidence) -> Check:
    rounds, limit = e.latency_rounds_ms, e.objectives.latency_seconds * 1000
    enough = {"rest", "grpc"} <= set(rounds) and all(len(times) >= 3 for times in rounds.values())
    return Check(
        "single rows on one connection are fast",
        enough and all(median(times) < limit for times in rounds.values()),
        f"p99 under {e.objectives.latency_name} after warm-up, median of three rounds",
        "; ".join(
            f"{protocol} {median(times):.2f} ms (rounds {', '.join(f'{t:.2f}' for t in times)})"
            for protocol, times in rounds.items()
            if times
        )
        or "nothing",
    )


def odd_rows_are_answered(e: Evidence) -> Check:
    cases = {answer.case for answer in e.tolerated}
    return Check(
        "odd but honest rows are answered",
        {UNKNOWN_CATEGORY, MISSING_VALUES} <= cases and all(a.status in ("200", "OK") for a in e.tolerated),
        f"{UNKNOWN_CATEGORY} and {MISSING_VALUES} get a score",
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
        memory.samples > 0 and 0 < memory.peak_bytes < e.objectives.memory_bytes,
        f"under {e.objectives.memory_bytes / 1e9:g} GB",
        f"{memory.peak_bytes / 1e9:.2f} GB at most in {memory.samples:,} samples{fallback}",
    )


def prometheus_saw_it(e: Evidence) -> Check:
    seen = e.scraped
    return Check(
        "Prometheus scraped the service and no rule failed to evaluate",
        seen is not None and seen.scrapes > 0 and seen.requests >= e.rows and seen.rules > 0 and not seen.failed_rules,
        f"{e.rows:,} answered requests or more counted, every rule evaluated",
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
    """The results of all checks; of one more where a Prometheus scraped the run."""
    return [check(evidence) for check in (*CHECKS, *((prometheus_saw_it,) if evidence.scraped else ()))]
