"""Every check passes on good evidence, and fails on each kind of bad evidence that it is there for."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec import structs

from contracts.reports.demo import Check
from contracts.reports.monitoring import Monitoring
from demo.evidence import Answer, Evidence, Memory, Refusal, Scraped
from demo.verdict import checks, model_checks
from demo.verdict.checks import CHECKS, judge
from tests.support.reports import evaluated


def test_good_evidence_passes_every_check(good: Evidence) -> None:
    assert [check.name for check in judge(good) if not check.passed] == []
    assert len({check.name for check in judge(good)}) == len(CHECKS)
    assert all(check.expected and check.measured for check in judge(good))


EVERY = {*CHECKS, checks.prometheus_saw_it}
SCRAPED = Scraped("2.42.0", scrapes=100, requests=2_400, rules=16, failed_rules=[])


def test_prometheus_is_judged_where_there_is_one(good: Evidence) -> None:
    passed = {check.name: check.passed for check in judge(replace(good, scraped=SCRAPED))}
    assert len(passed) == len(CHECKS) + 1
    assert all(passed.values())


def traffic(e: Evidence, **changes: Any) -> Evidence:
    return replace(e, replay=replace(e.replay, **changes))


def first_is(array: Any, value: float) -> Any:
    changed = array.copy()
    changed[0] = value
    return changed


def monitoring(e: Evidence, change: Callable[[dict[str, Any]], None]) -> Evidence:
    changed = msgspec.to_builtins(e.monitoring)
    change(changed["months"][1])
    return replace(e, monitoring=msgspec.convert(changed, Monitoring))


def evaluation(e: Evidence, auc: float) -> Evidence:
    first, second = e.evaluation.months
    return replace(e, evaluation=structs.replace(e.evaluation, months=[first, structs.replace(second, auc=auc)]))


BAD: dict[str, tuple[Callable[[Evidence], Check], Callable[[Evidence], Evidence]]] = {
    "Prometheus scraped nothing": (
        checks.prometheus_saw_it,
        lambda e: replace(e, scraped=replace(SCRAPED, scrapes=0)),
    ),
    "Prometheus missed requests": (
        checks.prometheus_saw_it,
        lambda e: replace(e, scraped=replace(SCRAPED, requests=2_399)),
    ),
    "a rule failed": (
        checks.prometheus_saw_it,
        lambda e: replace(e, scraped=replace(SCRAPED, failed_rules=["job:x: vector cannot contain"])),
    ),
    "Prometheus has no rules": (checks.prometheus_saw_it, lambda e: replace(e, scraped=replace(SCRAPED, rules=0))),
    "a flight was not answered": (
        checks.answered_and_logged_once,
        lambda e: traffic(e, scores=first_is(e.replay.scores, np.nan)),
    ),
    "a flight is not in the log": (checks.answered_and_logged_once, lambda e: replace(e, logged_ids=e.logged_ids[1:])),
    "a flight is in the log twice": (
        checks.answered_and_logged_once,
        lambda e: replace(e, logged_ids=np.append(e.logged_ids, e.logged_ids[0])),
    ),
    "the log holds what nobody asked": (
        checks.answered_and_logged_once,
        lambda e: replace(e, logged_ids=np.append(e.logged_ids, "20130701-0515-XX1-EWR-IAH")),
    ),
    "some flights were not sent": (checks.answered_and_logged_once, lambda e: replace(e, rows=e.rows + 1)),
    "there were no flights": (
        checks.answered_and_logged_once,
        lambda e: replace(
            traffic(e, ids=e.replay.ids[:0], scores=e.replay.scores[:0]), rows=0, logged_ids=e.logged_ids[:0]
        ),
    ),
    "another score was logged": (
        checks.log_holds_what_was_answered,
        lambda e: replace(e, logged_scores=first_is(e.logged_scores, 0.5)),
    ),
    "the protocols differ in one row": (
        checks.protocols_agree,
        lambda e: traffic(e, other_scores=first_is(e.replay.other_scores, e.replay.scores[0] + 2e-6)),
    ),
    "too few rows went over both": (
        checks.protocols_agree,
        lambda e: traffic(e, other_scores=first_is(e.replay.other_scores, np.nan)),
    ),
    "a batch changes a score": (checks.alone_as_in_a_batch, lambda e: replace(e, together=e.together + 2e-6)),
    "nothing was compared with the batch": (
        checks.alone_as_in_a_batch,
        lambda e: replace(e, alone=e.alone[:0], together=e.together[:0]),
    ),
    "a batch gave no number": (
        checks.alone_as_in_a_batch,
        lambda e: replace(e, together=first_is(e.together, np.nan)),
    ),
    "measured AUC is another one": (
        model_checks.measured_auc_is_the_evaluated_one,
        lambda e: monitoring(e, lambda month: month["quality"].update(auc=0.7502)),
    ),
    "quality is unknown in a month": (
        model_checks.measured_auc_is_the_evaluated_one,
        lambda e: monitoring(e, lambda month: month.update(quality=None)),
    ),
    "AUC was measured on other rows": (
        model_checks.measured_auc_is_the_evaluated_one,
        lambda e: monitoring(e, lambda month: month["quality"].update(rows=1_099)),
    ),
    "a month is not in the log": (
        model_checks.measured_auc_is_the_evaluated_one,
        lambda e: replace(e, monitoring=msgspec.structs.replace(e.monitoring, months=e.monitoring.months[:1])),
    ),
    "nothing was evaluated": (
        model_checks.measured_auc_is_the_evaluated_one,
        lambda e: replace(e, evaluation=structs.replace(e.evaluation, months=[])),
    ),
    "two of three rounds were slow": (
        checks.single_rows_are_fast,
        lambda e: replace(e, latency_rounds_ms={**e.latency_rounds_ms, "grpc": [1.0, 20.0, 21.0]}),
    ),
    "one protocol was not timed": (
        checks.single_rows_are_fast,
        lambda e: replace(e, latency_rounds_ms={"rest": [1.0, 1.0, 1.0]}),
    ),
    "the student is as large as a teacher": (model_checks.small_enough, lambda e: replace(e, model_bytes=412_000)),
    "LightGBM is much better in one month": (model_checks.good_enough, lambda e: evaluation(e, 0.734)),
    "LightGBM was not evaluated in a month": (
        model_checks.good_enough,
        lambda e: replace(e, evaluation=evaluated(e.evaluation.months, lightgbm=e.evaluation.months[:1])),
    ),
    "a month has labels of one class": (
        model_checks.measured_auc_is_the_evaluated_one,
        lambda e: replace(e, evaluation=evaluated([structs.replace(m, auc=None) for m in e.evaluation.months])),
    ),
    "the model has learnt nothing": (
        model_checks.good_enough,
        lambda e: replace(e, evaluation=evaluated([structs.replace(m, auc=0.7) for m in e.evaluation.months])),
    ),
    "an unknown category was refused": (
        checks.odd_rows_are_answered,
        lambda e: replace(e, tolerated=[Answer("an unknown category", "400", "no"), e.tolerated[1]]),
    ),
    "missing values were not asked": (
        checks.odd_rows_are_answered,
        lambda e: replace(e, tolerated=e.tolerated[:1]),
    ),
    "a malformed request was answered": (
        checks.malformed_is_refused,
        lambda e: replace(e, malformed=[*e.malformed, Answer("a literal NaN", "200", "0.3")]),
    ),
    "a malformed request broke the service": (
        checks.malformed_is_refused,
        lambda e: replace(e, malformed=[*e.malformed, Answer("a literal NaN", "500", "oops")]),
    ),
    "the service did not go on": (
        checks.malformed_is_refused,
        lambda e: replace(e, after_malformed=Answer("a good row", "ServerDisconnectedError", "")),
    ),
    "REST answers without a token": (
        checks.no_token_no_answer,
        lambda e: replace(e, without_token=[Answer("REST no token", "200", "0.2"), e.without_token[1]]),
    ),
    "gRPC answers a wrong token": (
        checks.no_token_no_answer,
        lambda e: replace(e, without_token=[*e.without_token, Answer("gRPC a wrong token", "OK", "0.2")]),
    ),
    "gRPC was not asked without a token": (
        checks.no_token_no_answer,
        lambda e: replace(e, without_token=e.without_token[:1]),
    ),
    "a damaged model was served": (
        checks.damage_is_refused,
        lambda e: replace(e, damaged=Refusal(None, "ready", e.damaged.named)),
    ),
    "a damaged model ended with status 0": (
        checks.damage_is_refused,
        lambda e: replace(e, damaged=Refusal(0, e.damaged.output, e.damaged.named)),
    ),
    "the refusal does not name the model": (
        checks.damage_is_refused,
        lambda e: replace(e, damaged=Refusal(1, "Traceback", e.damaged.named)),
    ),
    "memory grew too large": (
        checks.memory_is_bounded,
        lambda e: replace(e, memory=Memory(3_000_000_000, "PSS", 400)),
    ),
    "memory was not sampled": (checks.memory_is_bounded, lambda e: replace(e, memory=Memory(0, "PSS", 0))),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_evidence_fails_its_check_and_the_verdict(good: Evidence, what: str) -> None:
    check, spoil = BAD[what]
    result = check(spoil(good))
    assert not result.passed
    assert check in EVERY, "a check that is not in the list decides nothing"


def test_every_check_was_shown_to_fail() -> None:
    assert {check for check, _ in BAD.values()} == EVERY


def test_memory_says_when_it_had_to_fall_back(good: Evidence) -> None:
    told = checks.memory_is_bounded(replace(good, memory=Memory(1_000_000_000, "RSS", 10)))
    assert told.passed
    assert "no /proc" in told.measured


def test_checks_judge_by_the_objectives(good: Evidence) -> None:
    """One number, another verdict: nothing of these stands in the checks themselves."""
    stricter = {
        "latency_seconds": (0.001, "single rows on one connection are fast", "p99 under 1 ms"),
        "student_bytes": (40_000, "the released model is small", "at most 40 kB"),
        "mean_auc": (0.76, "the released model is good", "AUC 0.76 or more"),
        "auc_below_lightgbm": (0.004, "the released model is good", "at most 0.004 below LightGBM"),
        "memory_bytes": (10**9, "the process tree stays small", "under 1 GB"),
        "score_tolerance": (1e-9, "REST and gRPC agree", "at most 1e-09 apart"),
    }
    for name, (value, check, expected) in stricter.items():
        limits: dict[str, Any] = {name: value}
        e = replace(good, objectives=msgspec.structs.replace(good.objectives, **limits))
        (failed,) = [one for one in judge(e) if not one.passed]
        assert failed.name == check
        assert expected in failed.expected
