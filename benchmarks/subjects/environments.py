"""The peers' own environments: .venv-peers/<name>, made from requirements/peer-<name>.txt when that has changed."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

from benchmarks.subjects.running import ROOT
from contracts.artifact import sha256
from contracts.errors import Unavailable
from contracts.files import write_atomic

Peer = Literal["fastapi", "mlserver"]


def environment(peer: Peer, root: Path = ROOT) -> Path:
    """The folder of the peer's environment; its programs are in `bin`.

    Raises:
        Unavailable: pip cannot install it. With what it says.
    """
    requirements = root / f"requirements/peer-{peer}.txt"
    folder, wanted = root / ".venv-peers" / peer, sha256(requirements.read_bytes())
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Installing the peer {peer} into {folder.relative_to(root)} ...", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin/pip"), "install", "--quiet", "--requirement", str(requirements)]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"the peer {peer} must install from {requirements.name}, got: {done.stderr[-2000:]}")
        write_atomic(stamp, wanted.encode())
    return folder


def versions(peer: Peer, root: Path = ROOT) -> dict[str, str]:
    """Package -> version of what counts for speed."""
    pinned = (root / f"requirements/peer-{peer}.txt").read_text().splitlines()
    found = dict(line.partition(" ")[0].split("==") for line in pinned if "==" in line and not line.startswith("#"))
    kept = ("mlserver", "fastapi", "pydantic", "uvicorn", "uvloop", "httptools", "onnxruntime", "grpcio")
    return {name: found[name] for name in kept if name in found}
