"""Each block of code in docs/clients.md is run as it stands, but for the ports, against a real service."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.service.stock.test_stock_clients import PYTHON as STOCK
from tests.support.serving import Server

ROOT = Path(__file__).parents[3]
PROBABILITY = re.compile(r"\b0\.\d{3,}")
RAW_PROBABILITY = re.compile(r'"rawOutputContents"|fp32Contents')


@dataclass(frozen=True)
class Block:
    """`number`: which one of the document."""

    number: int
    language: str
    code: str

    @property
    def name(self) -> str:
        found = next((tool for tool in ("tritonclient", "windsock_client", "grpcurl", "curl") if tool in self.code), "")
        return f"{self.number}-{self.language}-{found}"

    def missing(self) -> str:
        """What this machine lacks to run it; "" is nothing."""
        if "tritonclient" in self.code:
            return "" if STOCK.exists() else "needs .venv-clients, see `make clients`"
        tools = [tool for tool in ("curl", "grpcurl") if self.language == "sh" and re.search(rf"\b{tool}\b", self.code)]
        return ", ".join(f"{tool} is not on PATH" for tool in tools if shutil.which(tool) is None)


def blocks() -> list[Block]:
    text = (ROOT / "docs/clients.md").read_text(encoding="utf-8")
    found = re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(number, language, code) for number, (language, code) in enumerate(found, 1)]


@pytest.fixture
def checkout(server: Server, tmp_path: Path) -> Path:
    """What the blocks read of a checkout: the example and the token."""
    shutil.copytree(ROOT / "docs/examples", tmp_path / "docs/examples")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/token").write_text(f"{server.token}\n")
    return tmp_path


def run(block: Block, server: Server, checkout: Path) -> str:
    code = block.code.replace("127.0.0.1:3000", server.rest.removeprefix("http://"))
    code = code.replace("127.0.0.1:3001", server.grpc)
    environment = dict(os.environ)
    if block.language == "sh":
        command = ["bash", "-eu", "-o", "pipefail", "-c", code]
    elif "tritonclient" in code:
        command = [str(STOCK), "-c", code]
    else:
        command = [sys.executable, "-c", code]
        environment["PYTHONPATH"] = str(ROOT / "clients/python")
    done = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def asks(code: str) -> int:
    """How many predictions it prints, at least."""
    return len(re.findall(r"/v1/predict|ModelInfer\b|\.infer\(|client\.predict\(\[(?!row \| \{\"temp\": 900)", code))


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.name)
def test_each_block_does_what_it_says(block: Block, server: Server, checkout: Path) -> None:
    if missing := block.missing():
        pytest.skip(f"a block of docs/clients.md is not run: {missing}")
    said = run(block, server, checkout)
    assert '"error"' not in said
    numbers = [float(number) for number in PROBABILITY.findall(said)]
    assert len(numbers) + len(RAW_PROBABILITY.findall(said)) >= asks(block.code), said
    assert all(0 < number < 1 for number in numbers)
    if "label" in block.code and block.language == "sh":
        assert '"accepted":1' in said
    if "900" in block.code:
        assert "`temp` must be between -60 and 140" in said


def test_the_document_has_every_client() -> None:
    names = " ".join(block.name for block in blocks())
    assert sum(asks(block.code) for block in blocks()) >= 7
    for client in ("sh-curl", "python-windsock_client", "python-tritonclient", "sh-grpcurl"):
        assert client in names
    for text in ("tritonclient import http", "tritonclient import grpc", "AsyncClient", " Client("):
        assert any(text in block.code for block in blocks()), text
