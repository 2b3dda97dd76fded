"""Which code and data this is: the git commit, whether the code still is what it says, the hashes of the source."""

import subprocess
from pathlib import Path

from contracts.artifact import Git
from contracts.reports import read_report
from contracts.reports.ingest import IngestReport
from contracts.workspace import Workspace

# Everything that can change a model: code wherever the workspace lies in the repository (":(top)"), and the
# workspace's own choices. What a run itself writes (reports/, dvc.lock), documents, tests, demo and benchmarks cannot.
_CODE = (
    ":(top)*.py",
    ":(top)pyproject.toml",
    ":(top)requirements",
    "params.yaml",
    "dvc.yaml",
    "objectives.yaml",
    *(f":(top,exclude){folder}" for folder in ("tests", "demo", "benchmarks")),
)


def git_identity(workspace: Workspace) -> Git:
    """Return the commit of the workspace and whether code or parameters differ from it, new files included.

    Outside a repository, before the first commit or without git there is no commit, and nothing vouches
    for the code: `Git(commit=None, dirty=True)`.
    """
    commit = _git(workspace.root, "rev-parse", "--verify", "HEAD")
    if not commit:
        return Git(commit=None, dirty=True)
    changes = _git(workspace.root, "status", "--porcelain", "--untracked-files=all", "--", *_CODE)
    return Git(commit=commit, dirty=changes != "")


def data_identity(workspace: Workspace) -> dict[str, str]:
    """Return file name -> sha256 of the source files, as `ingest` reported them.

    Raises:
        DataError: no such report.
    """
    return dict(read_report(workspace.report("ingest"), IngestReport).source_sha256)


def _git(root: Path, *words: str) -> str | None:
    """Standard output, stripped; None when git is missing or fails."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", root, *words], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
