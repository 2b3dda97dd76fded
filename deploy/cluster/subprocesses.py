"""docker, kind and kubectl as subprocesses: what they refuse becomes one sentence."""

import logging
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from contracts.errors import Unavailable

logger = logging.getLogger(__name__)
APPLY: Final = ("apply", "--server-side", "--force-conflicts", "--field-manager=windsock", "--filename=-")


def attempt(
    *command: str, stdin: bytes = b"", env: dict[str, str] | None = None, timeout: float = 900
) -> subprocess.CompletedProcess[bytes]:
    """Run to the end, whatever it ends with. `env` is added to ours.

    Raises:
        Unavailable: it did not end in `timeout` seconds.
    """
    try:
        return subprocess.run(
            command, input=stdin, capture_output=True, check=False, env=os.environ | (env or {}), timeout=timeout
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            f"`{' '.join(command[:4])}` must end in {timeout:g} seconds, got none; see what holds it and run this again"
        ) from error


def run(*command: str, stdin: bytes = b"", env: dict[str, str] | None = None, timeout: float = 900) -> str:
    """Run a command to its end, and return what it printed.

    Raises:
        Unavailable: it failed; with the last line that says why.
    """
    done = attempt(*command, stdin=stdin, env=env, timeout=timeout)
    if done.returncode != 0:
        raise Unavailable(f"`{' '.join(command[:6])}` must succeed, got: {reason(done)}")
    return done.stdout.decode()


def reason(done: subprocess.CompletedProcess[bytes]) -> str:
    """The line of its output that tells most: the first that speaks of an error, else the last."""
    lines = [line.strip() for line in (done.stderr + done.stdout).decode(errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if "error" in line.lower() and "DEPRECATED" not in line]
    return (told or lines[-1:] or [f"exit status {done.returncode}"])[0]


@contextmanager
def step(what: str, seconds: dict[str, float]) -> Iterator[None]:
    """Say what was done and how long it took, and keep the seconds under the same words."""
    started = time.monotonic()
    yield
    seconds[what] = round(time.monotonic() - started, 1)
    logger.info("%-58s %6.1f s", what, seconds[what])


class Kubectl:
    """kubectl on one cluster, through a kubeconfig of its own: the user's context is neither read nor changed."""

    def __init__(self, kubeconfig: Path) -> None:
        self._env = {"KUBECONFIG": str(kubeconfig)}

    def __call__(self, *arguments: str, stdin: bytes = b"", timeout: float = 300) -> str:
        return run("kubectl", *arguments, stdin=stdin, env=self._env, timeout=timeout)

    def attempt(self, *arguments: str, stdin: bytes = b"", timeout: float = 300) -> subprocess.CompletedProcess[bytes]:
        return attempt("kubectl", *arguments, stdin=stdin, env=self._env, timeout=timeout)

    def apply(self, manifests: bytes, *options: str) -> str:
        """Apply on the server: no annotation whose 256 KiB a model would exceed, and others keep their fields."""
        return self(*APPLY, *options, stdin=manifests)
