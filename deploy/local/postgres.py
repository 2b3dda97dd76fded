"""A PostgreSQL server of one's own, from the programs of this machine, for tests and benchmarks of the log."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from contracts.errors import NotFound
from deploy.local.processes import free_ports

_INSTALLED: Final = Path("/usr/lib/postgresql")  # where Debian keeps each major version's programs
_ROOTS_OTHER: Final = "postgres"  # PostgreSQL refuses to run as root


def find_programs() -> Path:
    """Folder of `initdb` and `pg_ctl`.

    Raises:
        NotFound: there is none on PATH and none where Debian keeps them.
    """
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(_INSTALLED.glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "pg_ctl").exists():
            return folder
    raise NotFound(f"PostgreSQL must be on PATH or in {_INSTALLED}, got neither; install its server")


@contextmanager
def own_server(fsync: bool = False) -> Iterator[str]:
    """A new server with an empty database; at the end it is stopped and its files are removed.

    Args:
        fsync: whether it waits for its disk, as one does whose data is to outlive a power loss.

    Returns:
        SQLAlchemy's URL, as its superuser.

    Raises:
        NotFound: PostgreSQL is not installed.
    """
    programs = find_programs()
    user = _ROOTS_OTHER if os.geteuid() == 0 else None
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="windsock-postgres-") as name:
        data = f"{name}/data"
        if user:
            shutil.chown(name, user)

        def run(program: str, *options: str) -> None:
            command: list[str | Path] = [programs / program, *options]
            subprocess.run(command, user=user, group=user, cwd=name, check=True, stdout=subprocess.DEVNULL)

        run("initdb", "--pgdata", data, "--username", "windsock", "--auth", "trust", "--encoding", "UTF8", "--no-sync")
        asked = f"-h 127.0.0.1 -p {port} -k {name} -c fsync={'on' if fsync else 'off'}"
        run("pg_ctl", "-D", data, "-l", f"{name}/log", "-w", "-o", asked, "start")
        try:
            yield f"postgresql+psycopg://windsock@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
