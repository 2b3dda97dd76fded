"""docs/own-data.md as its reader follows it: its commands, in a clone, with a small CSV, up to the monitor's page."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from contracts.store.state import State
from deploy.local.processes import free_ports, wait_until

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/own-data.md").read_text()
ROWS = 600
PORTS = {"3000": "REST_PORT", "3001": "GRPC_PORT", "3002": "METRICS_PORT", "3003": "MONITOR_PORT"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.S)


def lines(block: str) -> list[str]:
    """Commands of a block; continued lines are one."""
    return block.replace("\\\n", "").strip().splitlines()


def orders(path: Path) -> None:
    """Half a year of orders, of which dear ones are returned, mostly to the web shop; some are still undecided."""
    rng, at = np.random.default_rng(1), datetime(2024, 1, 1, 9, 14)
    written = [re.findall(r"```\n(order,.*?)\n", DOCUMENT)[0]]
    for i in range(ROWS):
        amount, shop = rng.lognormal(3, 0.8), rng.choice(["web", "app"])
        returned = rng.random() < amount / 80 * (1.6 if shop == "web" else 0.6)
        decided = f"{at + timedelta(hours=int(rng.integers(5, 90))):%Y-%m-%dT%H:%M:%S}"
        known = [("yes" if returned else "no"), decided] if rng.random() < 0.97 else ["", ""]
        items = rng.choice(["", "1", "2", "3"])
        written.append(",".join([f"o{i:04}", f"{at:%Y-%m-%dT%H:%M:%S}", f"{amount:.2f}", items, shop, *known]))
        at += timedelta(minutes=int(rng.integers(60, 800)))
    path.write_text("\n".join(written) + "\n")


class Reader:
    """Who types the document's commands, in one terminal or another."""

    def __init__(self, checkout: Path) -> None:
        self.checkout, self.folder = checkout, checkout
        self.ports = {name: str(port) for name, port in zip(PORTS.values(), free_ports(len(PORTS)), strict=True)}
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "DVC_", "WINDSOCK_", "GIT_"))}
        self.environment = kept | {f"WINDSOCK_{name}": port for name, port in self.ports.items()}
        self.environment |= {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(checkout),
            "DVC_NO_ANALYTICS": "1",
            # The service tells where errors are counted; the monitor asks there.
            "WINDSOCK_METRICS_URL": f"http://127.0.0.1:{self.ports['METRICS_PORT']}/metrics",
        }
        self.servers: list[subprocess.Popen[bytes]] = []

    def type(self, line: str) -> str:
        """Output of a command. `cd` goes on, and what serves goes on serving."""
        for usual, name in PORTS.items():
            line = line.replace(f":{usual}", f":{self.ports[name]}")
        words = shlex.split(line)
        if words[0] == "cd":
            self.folder = self.folder / words[1]
            return ""
        if words[-1] == "serve":
            return self.serve(line)
        done = subprocess.run(
            ["bash", "-ec", line], cwd=self.folder, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        return done.stdout

    def serve(self, line: str) -> str:
        path = self.folder / f"{len(self.servers)}.log"
        with path.open("wb") as log:
            command = subprocess.Popen(shlex.split(line), cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        self.servers.append(command)
        port = self.ports["MONITOR_PORT" if "monitor" in line else "REST_PORT"]
        ready = "/healthz" if "monitor" in line else "/v2/health/ready"
        assert wait_until(lambda: answers(f"http://127.0.0.1:{port}{ready}"), 60), path.read_text()
        return path.read_text()

    def get(self, name: str, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}{path}", timeout=30) as reply:
            return str(reply.read().decode())


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git would clone, as a repository of its own, with the reader's CSV in it."""
    folder = tmp_path_factory.mktemp("clone") / "windsock"
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, subprocess.check_output(command, text=True).split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("reports/", "tests/", "workspaces/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    orders(folder / "orders.csv")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def told(checkout: Path) -> Iterator[tuple[Reader, dict[str, str]]]:
    """All commands of the document, and what each of them said."""
    reader, said = Reader(checkout), {}
    try:
        for block in blocks("sh"):
            reader.folder = checkout
            for line in lines(block):
                if line.startswith("windsock monitor --"):  # which a reader types some seconds after the request
                    assert wait_until(lambda: is_moved(checkout / "workspaces/returns/state"), 60)
                said[line] = reader.type(line)
                if line.startswith("windsock new-task"):
                    faster(checkout / "workspaces/returns/params.yaml")
        yield reader, said
    finally:
        for server in reader.servers:
            server.terminate()
            server.wait(60)


def is_moved(state: Path) -> bool:
    """Whether the companion has brought all rows into the log."""
    told = State(state).read_companion()
    return told is not None and told.moved_rows > 0 and told.unmoved_rows == 0


def faster(params: Path) -> None:
    params.write_text(re.sub(r"epochs: \d+", "epochs: 2", params.read_text()))


def output(said: dict[str, str], command: str) -> str:
    (found,) = [text for line, text in said.items() if command in line]
    return found


def test_new_task_says_what_it_made_of_the_columns(told: tuple[Reader, dict[str, str]]) -> None:
    made = output(told[1], "new-task")
    assert "numbers: amount, items" in made
    assert "categories: shop" in made
    assert "label: returned, true when 'yes'; months from 2024-05-01 on test it" in made
    assert "workspaces/returns/dvc.yaml" in made


def test_files_of_the_document_are_those_that_are_written(told: tuple[Reader, dict[str, str]]) -> None:
    named = set(re.findall(r"^\| `((?:tasks|workspaces)/\S+)`", DOCUMENT, re.M))
    assert named == set(re.findall(r"^(?:tasks|workspaces)/\S+$", output(told[1], "new-task"), re.M)) - {
        "tasks/returns/__init__.py"
    }


def test_a_row_by_the_schema_s_names_is_answered_and_labelled(told: tuple[Reader, dict[str, str]]) -> None:
    answer = json.loads(output(told[1], "/v1/predict"))
    assert answer["id"] == "o9001"
    assert 0 < answer["probabilities"][0] < 1
    assert json.loads(output(told[1], "/v1/labels")) == {"accepted": 1}


def test_the_service_speaks_of_the_task(told: tuple[Reader, dict[str, str]]) -> None:
    page = told[0].get("REST_PORT", "/docs")
    assert "Will returned be yes?" in page
    document = told[0].get("REST_PORT", "/openapi.json")
    assert "/v2/models/returns/infer" in document
    assert not re.search(r"\bflights?\b|\bcarrier\b", page + document, re.I)


def test_the_monitor_reports_every_month_and_the_one_of_today(told: tuple[Reader, dict[str, str]]) -> None:
    reader, _ = told
    report: dict[str, Any] = json.loads((reader.folder / "reports/monitoring.json").read_text())
    months = {month["month"]: month for month in report["months"]}
    assert list(months)[:2] == ["2024-05", "2024-06"]
    assert months[list(months)[-1]]["rows"] == 1  # o9001, asked just now
    assert months["2024-05"]["labelled"] > 50
    page = reader.get("MONITOR_PORT", "/")
    assert "Returns" in page
    assert "shop" in page


def test_git_sees_nothing_but_what_is_to_be_kept(told: tuple[Reader, dict[str, str]]) -> None:
    reader, _ = told
    listed = reader.type("git status --porcelain --untracked-files=all -- .").split()
    kept = {path for path in listed if not path.endswith(".log")} - {"??"}
    assert not [path for path in kept if re.search(r"returns/(data|artifacts|state|secrets)/|\.html$", path)]
    assert {"workspaces/returns/dvc.lock", "workspaces/returns/reports/evaluation.json"} <= kept


def test_a_rolling_window_is_what_the_document_says(told: tuple[Reader, dict[str, str]]) -> None:
    """Last of all: it edits the task. The feature of a row is the share over what was known before it."""
    reader, _ = told
    stream, feature = blocks("python")
    path = reader.checkout / "tasks/returns/windows.py"
    path.write_text(path.read_text().partition("def events(")[0] + stream)
    path = reader.checkout / "tasks/returns/schema.py"
    text, imports = re.subn(r"(from contracts\.schema import .*)", r"\1, Window", path.read_text())
    assert imports == 1
    text = text.replace("SCHEMA: Final = Schema(", f"{feature}\nSCHEMA: Final = Schema(")
    path.write_text(text.replace("numeric=_NUMERIC,", "numeric=_NUMERIC + _ROLLING,"))
    reader.type("windsock stage featurize")
    frame = pq.read_table(reader.folder / "data/features.parquet").to_pandas()
    assert frame["shop_returned_share_28d"].isna().sum() > 0  # nothing had been decided
    row = frame.iloc[ROWS // 2]
    span = row["predicted_at"] - frame["outcome_at"]
    known = (span >= timedelta()) & (span < timedelta(days=28)) & (frame["shop"] == row["shop"])
    assert known.sum() > 10
    assert row["shop_returned_share_28d"] == pytest.approx(frame["label"][known].astype(float).mean(), abs=1e-6)
