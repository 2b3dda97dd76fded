"""Where one task's files are: parameters, data, artifacts, reports, keys, state, all below one folder.

The root of a checkout is the workspace of the task that `params.yaml` there names; `workspaces/<name>` are others'.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Workspace:
    """Paths below `root`. Nothing is made or looked at."""

    root: Path

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def objectives(self) -> Path:
        """The thresholds that differ from contracts/objectives.py; may be missing."""
        return self.root / "objectives.yaml"

    # Data and models: outputs of DVC.

    @property
    def parameters_checked(self) -> Path:
        return self.root / "data/parameters.ok"

    @property
    def ingested(self) -> Path:
        """Folder of Parquet tables."""
        return self.root / "data/ingested"

    @property
    def features(self) -> Path:
        return self.root / "data/features.parquet"

    @property
    def trained(self) -> Path:
        """Folder of checkpoints."""
        return self.root / "artifacts/train"

    @property
    def compressed(self) -> Path:
        """Folder of ONNX files and the reference sample."""
        return self.root / "artifacts/compress"

    @property
    def candidate(self) -> Path:
        return self.root / "artifacts/candidate"

    # What lasts beside DVC's outputs.

    @property
    def envelopes(self) -> Path:
        """Folder by digest: provenance and signature of each candidate that was packaged here."""
        return self.root / "artifacts/envelopes"

    @property
    def store(self) -> Path:
        return self.root / "artifacts/store"

    @property
    def mlflow_database(self) -> Path:
        return self.root / "artifacts/mlflow.db"

    @property
    def mlflow_artifacts(self) -> Path:
        return self.root / "artifacts/mlruns"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def public_key(self) -> Path:
        return self.secrets / "signing.pub"

    @property
    def token(self) -> Path:
        return self.secrets / "token"

    @property
    def probe_token(self) -> Path:
        return self.secrets / "probe-token"

    @property
    def tokens(self) -> Path:
        return self.secrets / "tokens.json"

    @property
    def state(self) -> Path:
        return self.root / "state"

    # Reports, kept in git.

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def plots(self) -> Path:
        return self.root / "reports/plots"

    def report(self, name: str) -> Path:
        """`reports/<name>.json`."""
        return self.reports / f"{name}.json"

    def monitoring_page(self, name: str) -> Path:
        """Evidently's page of a month, or of the newest window."""
        return self.reports / "monitoring" / f"{name}.html"
