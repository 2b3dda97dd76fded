"""A workspace with a few real models in its store, the database of its log, and replicas that say what they have."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from cli import main
from contracts.store.state import Refused, ReplicaState, Role
from monitoring.log.database import open_log
from monitoring.log.desired import Change, history, report_replicas
from tests.support.tiny import tiny_model, write_store


@dataclass
class Desk:
    """Where `windsock models` is run. `models`: digests, of which the first is the store's champion."""

    root: Path
    models: list[str]
    engine: sa.Engine
    sequence: int = field(default=0)

    def windsock(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments])

    def run(self, *arguments: str, wait: bool = False) -> Result:
        """`windsock models` with these arguments, in this workspace."""
        place = [
            *("--root", str(self.root), "--store", str(self.root / "store")),
            *("--public-key", str(self.root / "signing.pub"), "--state", str(self.root / "state")),
        ]
        waits = [] if not arguments or wait else ["--no-wait"]
        return self.windsock("models", *arguments, *place, *waits)

    def done(self, *arguments: str) -> str:
        """The same, which must succeed."""
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.output

    def refused(self, *arguments: str) -> str:
        """The same, which must be refused and change nothing."""
        before = self.history()
        result = self.run(*arguments)
        assert result.exit_code == 1, result.output
        assert "Traceback" not in result.output
        assert self.history() == before
        return re.sub(r"\s+", " ", result.output)

    def history(self) -> list[Change]:
        return history(self.engine)

    def now(self) -> tuple[str, str | None, float, str | None]:
        """Champion, challenger, its weight, shadow, as the newest row says."""
        newest = self.history()[0].desired
        return newest.champion, newest.challenger, newest.weight, newest.shadow

    def report(self, name: str, pointer: str | None = None, *, seconds_ago: float = 0, **values: object) -> None:
        """What a replica's companion tells the database."""
        said = {"pid": 1, "pointer": pointer or self.models[0], "sequence": 0, "weight": 0.0, "refused": (), "at": 0.0}
        said["loaded"] = {"champion": self.models[0]}
        state = ReplicaState(**(said | values))  # type: ignore[arg-type] # of the test's own making
        report_replicas(self.engine, {name: state}, int((time.time() - seconds_ago) * 1e6))


def refusal(role: Role, digest: str, at: float = 0.0) -> Refused:
    return Refused(role, digest, "it gave NaN on warm-up rows", at)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    models = [write_store(tmp_path, tiny_model(known=("AA", f"X{number}"))) for number in range(4)]
    (tmp_path / "store/champion").write_text(models[0])
    engine = open_log(f"sqlite:///{tmp_path / 'state/predictions.db'}")
    yield Desk(tmp_path, models, engine)
    engine.dispose()
