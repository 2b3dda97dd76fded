"""What the rows of requests hold, counted many at once, is what counting one by one gives."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from monitoring.metrics.counting import COUNTED, ManyHistogram
from monitoring.metrics.declared import SCORE_EDGES, Metrics
from tasks.flights.schema import SCHEMA
from tests.support.payloads import rows

KNOWN = ["AA", "JFK"]


def test_many_values_at_once_are_as_many_observations() -> None:
    values = np.random.default_rng(0).random(1_000).astype(np.float32)
    values[: len(SCORE_EDGES)] = SCORE_EDGES  # an edge belongs to the bucket that it ends
    texts = []
    for kind in (Histogram, ManyHistogram):
        registry = CollectorRegistry()
        histogram = kind("score", "Scores.", buckets=SCORE_EDGES, registry=registry)
        if isinstance(histogram, ManyHistogram):
            histogram.observe_many(values)
            histogram.observe_many(np.array([]))
        else:
            for value in values.tolist():
                histogram.observe(value)
        texts.append([line for line in generate_latest(registry).decode().splitlines() if "_bucket" in line])
    assert texts[0] == texts[1]
    assert len(texts[0]) == len(SCORE_EDGES) + 1


def test_the_newest_value_of_a_bucket_is_its_exemplar() -> None:
    registry = CollectorRegistry()
    histogram = ManyHistogram("seconds", "Seconds.", buckets=(0.1, 0.2), registry=registry)
    histogram.observe_many([0.05, 0.15, 0.06, 0.25, 0.3], ["a", "b", "c", "d", "x" * 119])
    histogram.observe_many([0.01], [""])  # of a refusal

    def found() -> dict[str, tuple[str, float]]:
        told = generate_openmetrics(registry).decode()  # type: ignore[no-untyped-call] # prometheus-client's
        families = list(text_string_to_metric_families(told))  # type: ignore[no-untyped-call] # as above
        buckets = {s.labels["le"]: s.exemplar for f in families for s in f.samples
                   if s.name == "seconds_bucket"}  # fmt: skip
        return {edge: (one.labels["request_id"], one.value) for edge, one in buckets.items() if one}

    assert found() == {"0.1": ("c", 0.06), "0.2": ("b", 0.15), "+Inf": ("d", 0.25)}
    histogram.observe_many([0.11], ["e"])
    assert found()["0.2"] == ("e", 0.11)


def test_small_requests_and_large_ones_are_counted_whenever_somebody_looks() -> None:
    metrics = Metrics(SCHEMA)
    metrics.row_counts.know(dict.fromkeys(SCHEMA.category_names[:2], KNOWN))
    numeric, category = rows(COUNTED + 10)
    scores = np.linspace(0, 1, len(numeric), dtype=np.float32)

    def value(name: str, **labels: str) -> float:
        metrics.refresh()
        return metrics.registry.get_sample_value(name, labels) or 0

    rest = metrics.of["rest"]
    for begin in (0, 1, 2):
        part = slice(begin, begin + 1)
        rest.begin()
        rest.ok(numeric[part], category[part], scores[part], [1])
    assert value("windsock_prediction_score_count") == 3
    assert value("windsock_in_flight_requests", protocol="rest") == 3
    for _ in range(3):
        rest.end([(0.015, "")])
    rest.ok(numeric[3:], category[3:], scores[3:], [len(numeric) - 3])
    assert value("windsock_in_flight_requests", protocol="rest") == 0
    assert value("windsock_request_seconds_bucket", protocol="rest", le="0.01") == 0
    assert value("windsock_request_seconds_bucket", protocol="rest", le="0.02") == 3
    assert value("windsock_requests_total", protocol="rest", code="ok") == 4
    assert value("windsock_rows_total", protocol="rest") == len(numeric)
    assert value("windsock_batch_rows_bucket", le="1.0") == 3
    assert value("windsock_batch_rows_count") == 4
    assert value("windsock_prediction_score_count") == len(numeric)
    for column, name in enumerate(SCHEMA.numeric_names):
        assert value("windsock_missing_inputs_total", feature=name) == np.isnan(numeric[:, column]).sum()
    for column, name in enumerate(SCHEMA.category_names):
        assert value("windsock_missing_inputs_total", feature=name) == (category[:, column] == "").sum()
        unknown = ~np.isin(category[:, column].astype(str), ["", *KNOWN])
        known_vocabulary = column < 2  # the third has none: nothing can be said of it
        assert value("windsock_unknown_inputs_total", feature=name) == unknown.sum() * known_vocabulary


def test_a_scrape_sees_what_waits() -> None:
    metrics = Metrics(SCHEMA)
    numeric, category = rows(1)
    metrics.of["grpc"].ok(numeric, category, np.array([0.5], np.float32), [1])
    assert b"windsock_prediction_score_count 1.0" in generate_latest(metrics.registry)


def test_nothing_is_lost_or_counted_twice_by_threads_that_answer_and_one_that_looks() -> None:
    metrics = Metrics(SCHEMA)
    numeric, category = rows(3)
    scores = np.full(3, 0.5, np.float32)
    each = 2_000

    def answer(_: int) -> None:
        for _ in range(each):
            metrics.of["rest"].ok(numeric, category, scores, [1, 2])

    def look(_: int) -> None:
        for _ in range(200):
            metrics.refresh()

    with ThreadPoolExecutor(4) as pool:
        work = [pool.submit(kind, 0) for kind in (answer, answer, look, look)]
    for one in work:
        one.result()
    metrics.refresh()
    assert metrics.registry.get_sample_value("windsock_prediction_score_count") == 2 * each * 3
    assert metrics.registry.get_sample_value("windsock_requests_total", {"protocol": "rest", "code": "ok"}) == 4 * each
