"""docs/kubernetes.md as a new user reads it: every command in it, from top to bottom, in one shell."""

import re
import subprocess

from deploy.cluster.cluster import Cluster
from tests.support.manifests import ROOT


def commands() -> list[str]:
    text = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
    return re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_every_command_of_the_page_works(cluster: Cluster) -> None:
    blocks = commands()
    assert len(blocks) >= 8
    assert blocks[0] == "make cluster-up\n"
    assert blocks[-1] == "make cluster-down\n"  # not run here: it would end the other tests, and CI runs it after them
    script = "set -euo pipefail\nexport PATH=$PWD/.venv/bin:$PATH\n" + "\n".join(blocks[:-1])
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert '"probabilities":[' in done.stdout
    assert "Warning" not in done.stderr
    assert len((ROOT / "docs/kubernetes.md").read_text().splitlines()) < 120  # two screens
