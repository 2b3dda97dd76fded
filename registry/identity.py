"""Which code and data this is: the git commit, whether the code still is what it says, the hashes of the source."""

import json
import subprocess
from pathlib import Path

from contracts.artifact import Git

# Everything that can change a model. What a run itself writes (reports/, dvc.lock) and documents cannot.
_CODE = ("*.py", ":(exclude)tests", "params.yaml", "dvc.yaml", "pyproject.toml", "requirements")


def git_identity(root: Path) -> Git:
    """Return the commit of `root` and whether code or parameters differ from it, new files included.

    Outside a repository, before the first commit or without git there is no commit, and nothing vouches
    for the code: `Git(commit=None, dirty=True)`.
    """
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    if not commit:
        return Git(commit=None, dirty=True)
    changes = _git(root, "status", "--porcelain", "--untracked-files=all", "--", *_CODE)
    return Git(commit=commit, dirty=changes != "")


def data_identity(root: Path) -> dict[str, str]:
    """Return file name -> sha256 of the source files, as `ingest` reported them."""
    report = json.loads((root / "reports/ingest.json").read_bytes())
    return {str(name): str(value) for name, value in report["source_sha256"].items()}


def _git(root: Path, *words: str) -> str | None:
    """Standard output, stripped; None when git is missing or says no."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", root, *words], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
