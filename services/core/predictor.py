"""The one inference core. REST and gRPC turn what they get into `PredictionRequest`s and answers into bytes.

A request passes, in this order: whether the service is open, the schema's rules, its id, the model that its key
chooses, the spool, the answer. So what a client has seen is in the log. Requests that are ready at once pass together:
one check, one run of a model, one write.
"""

import time
from collections.abc import Sequence
from itertools import groupby
from typing import Final

import numpy as np

from contracts.errors import Overloaded, Unavailable, WindsockError
from contracts.schema import Category, Numeric
from contracts.store.state import Refused, Role
from monitoring.metrics.declared import Metrics
from monitoring.spool.frames import Label, label_frame
from monitoring.spool.spool import Spool, SpoolFull
from services.core.admission import Budget
from services.core.model import Model
from services.core.repeats import Repeats
from services.core.request import Answer, PredictionRequest, new_id, now_us, to_frame
from services.core.roles import Roles
from services.core.shadow import Shadow

_CLOSED: Final = "the service must be ready, got a request before start-up or after SIGTERM; try another"
Given = tuple[PredictionRequest, str, int, Role, Model]  # a request, our id, when it first came, and who answers it
Outcome = Answer | WindsockError


class Predictor:
    """Answers with the loaded models, and logs. Thread-safe.

    Attributes:
        roles: replaced by one assignment when other models are wanted; a request sees the old value or the new one.
        refused: models that are wanted for a role and were not taken.
        ready: whether the service wants requests; the health endpoints say `healthy`.
        open: whether requests are answered.

    Args:
        max_rows: of requests that are answered alone, at once; those of a turn are bounded where they wait.
    """

    def __init__(self, roles: Roles, spool: Spool, metrics: Metrics, shadow: Shadow, max_rows: int) -> None:
        self.roles = roles
        self.refused: tuple[Refused, ...] = ()
        self.ready = False
        self.open = False
        self.name = roles.champion.name
        self.schema = roles.champion.schema
        self.spool = spool
        self._metrics = metrics
        self._shadow = shadow
        self._repeats = Repeats()
        self._rows = Budget("rows", max_rows)

    @property
    def unready(self) -> str | None:
        """Why a client does better to send requests elsewhere; None: it does well to send them here."""
        if not self.ready:
            return "the service is starting or ending"
        failing = self.spool.failing
        return None if failing is None else f"the spool takes no writes: {failing}"

    @property
    def healthy(self) -> bool:
        """Whether a client does well to send requests: the service is ready, and its spool takes writes."""
        return self.unready is None

    def predict(self, request: PredictionRequest) -> Answer:
        """Score, log, answer.

        Raises:
            ContractViolation: a value outside the schema.
            Conflict: the caller's id stands for other rows.
            NotFound: no model of the version that is asked for.
            Overloaded: as many rows are being answered, or the spool holds as much, as may be.
            Unavailable: the service is closed, or the spool takes no writes.
        """
        with self._rows.holding(len(request.numeric)):
            if request.probe:
                return self._probe(request)
            (outcome,) = self.predict_many([request], request.numeric, request.category)
        if isinstance(outcome, WindsockError):
            raise outcome
        return outcome

    def _probe(self, request: PredictionRequest) -> Answer:
        """The champion's answer, as any caller gets it; its rows are neither logged nor counted."""
        if not self.open:
            raise Unavailable(_CLOSED)
        self._check_room()
        roles = self.roles
        role: Role = "champion"
        model = roles.champion
        if request.version:
            role, model = roles.choose("", request.version)
        model.check(request.numeric, request.category)
        ours = new_id()
        return Answer(model.run(request.numeric, request.category), ours, request.id or ours, role, model)

    def predict_many(
        self, requests: Sequence[PredictionRequest], numeric: Numeric, category: Category
    ) -> list[Outcome]:
        """Answer requests that are ready at once. What one of them has wrong refuses it and no other.

        Args:
            requests: of one protocol.
            numeric: the rows of all of them in their order, float32 [n, numbers]; theirs are parts of it.
            category: str [n, categories], likewise.
        """
        if not self.open:
            return [Unavailable(_CLOSED) for _ in requests]
        roles = self.roles
        try:
            self._check_room()
            roles.champion.check(numeric, category)
            received_us = now_us()
            given = [self._give(request, roles, received_us) for request in requests]
        except WindsockError as error:
            if len(requests) == 1:
                return [error]
            return [self.predict_many([one], one.numeric, one.category)[0] for one in requests]
        one_model = len({model.digest for *_, model in given}) == 1
        outcomes = self._answer(given, numeric, category) if one_model else self._answer_by_model(given)
        if roles.shadow is not None:
            answered = [one for one, outcome in zip(given, outcomes, strict=True) if isinstance(outcome, Answer)]
            self._shadow.offer(roles.shadow, [(request, ours, received) for request, ours, received, _, _ in answered])
        return outcomes

    def _give(self, request: PredictionRequest, roles: Roles, received_us: int) -> Given:
        ours, received_us = self._repeats.first(request, received_us) if request.id else (new_id(), received_us)
        if roles.challenger is None and not request.version:
            return request, ours, received_us, "champion", roles.champion
        return request, ours, received_us, *roles.choose(request.key or request.id or ours, request.version)

    def _answer_by_model(self, given: list[Given]) -> list[Outcome]:
        """One run a model; outcomes in the order of the requests."""
        outcomes: list[Outcome | None] = [None] * len(given)
        order = sorted(range(len(given)), key=lambda place: given[place][3])
        for _, places in groupby(order, key=lambda place: given[place][3]):
            chosen = list(places)
            numeric = np.concatenate([given[place][0].numeric for place in chosen])
            category = np.concatenate([given[place][0].category for place in chosen])
            answered = self._answer([given[place] for place in chosen], numeric, category)
            for place, outcome in zip(chosen, answered, strict=True):
                outcomes[place] = outcome
        return [outcome for outcome in outcomes if outcome is not None]

    def _answer(self, given: list[Given], numeric: Numeric, category: Category) -> list[Outcome]:
        """Score with the one model that all of these have, write, count."""
        role, model = given[0][3:]
        begun = time.perf_counter()
        scores = model.run(numeric, category)
        moment = time.perf_counter()
        frames: list[bytes] = []
        answers: list[Outcome] = []
        end = 0
        for request, ours, received_us, _, _ in given:
            begin, end = end, end + len(request.numeric)
            part = scores[begin:end]
            times = received_us, round((moment - request.started) * 1e6)
            frames.append(to_frame(request, ours, role, model, part, times))
            answers.append(Answer(part, ours, request.id or ours, role, model))
        try:
            self._append(b"".join(frames), len(scores))
        except WindsockError as error:
            return [error for _ in given]
        sizes = [len(one[0].numeric) for one in given]
        self._metrics.of[given[0][0].protocol].ok(numeric, category, scores, sizes)
        self._metrics.scored[role](len(scores))
        before = sum(begun - request.started for request, *_ in given)
        model.usage.add_requests(len(given), before, len(given) * (moment - begun))
        return answers

    def label(self, labels: list[Label], delays: Sequence[float]) -> None:
        """Take in what became of predicted rows.

        Args:
            delays: seconds from outcome to delivery, of the labels that tell when the outcome was known.

        Raises:
            Overloaded, Unavailable: nothing was written, so nothing may be acknowledged.
        """
        if not self.open:
            raise Unavailable(_CLOSED)
        self._append(b"".join(map(label_frame, labels)), len(labels))
        positive = sum(label.value for label in labels)
        self._metrics.labels[True](positive)
        self._metrics.labels[False](len(labels) - positive)
        self._metrics.label_delay.observe_many(delays)

    def _check_room(self) -> None:
        """Refuse before the model has run what the log would not take."""
        try:
            self.spool.check_room()
        except SpoolFull as error:
            raise _no_room(error) from error

    def _append(self, frames: bytes, rows: int) -> None:
        try:
            self.spool.append(frames, rows)
        except SpoolFull as error:
            raise _no_room(error) from error
        except OSError as error:
            raise Unavailable(f"the spool must take writes, got: {error.strerror or error}; try again later") from error


def _no_room(error: SpoolFull) -> Overloaded:
    return Overloaded(f"the log must take rows, got {error}; try again later", retry_after=5)
