"""The cluster's Secrets: pods get hashes, whoever asks the service gets the token."""

import base64
import json
from pathlib import Path
from typing import Any

from contracts.settings.tokens import add_token, default_token, read_token, to_file
from contracts.workspace import Workspace
from deploy.cluster.secrets import ensure_secrets
from services.core.auth import Guard


class Server:
    """What `kubectl` would ask: Secrets by name, created and read."""

    def __init__(self) -> None:
        self.secrets: dict[str, dict[str, str]] = {}

    def __call__(self, *words: str, stdin: bytes = b"") -> str:
        if words[0] in ("create", "replace"):
            assert (json.loads(stdin)["metadata"]["name"] in self.secrets) == (words[0] == "replace")
            manifest = json.loads(stdin)
            self.secrets[manifest["metadata"]["name"]] = manifest["stringData"]
            return ""
        if words[:2] == ("get", "secret"):
            data = {key: base64.b64encode(text.encode()).decode() for key, text in self.secrets[words[2]].items()}
            return json.dumps({"data": data})
        return "\n".join(f"secret/{name}" for name in self.secrets) if words[1] == "secrets" else ""


def known(server: Server, folder: Path) -> Guard:
    """A guard on what the pods mount."""
    path = folder / "mounted.json"
    path.write_text(server.secrets["service-tokens"]["tokens.json"])
    return Guard(path)


def ensure(server: Any, workspace: Workspace) -> None:
    ensure_secrets(server, workspace)


def test_pods_get_hashes_of_all_the_workspace_s_tokens(tmp_path: Path) -> None:
    workspace, server = Workspace(tmp_path), Server()
    ensure(server, workspace)
    token = read_token(workspace.token)
    assert server.secrets["service-token"] == {"token": token}
    assert token not in server.secrets["service-tokens"]["tokens.json"]
    assert known(server, tmp_path).check(f"Bearer {token}".encode(), "predict").name == "default"
    other = add_token(workspace.tokens, "other", ("label",), None)
    del server.secrets["service-tokens"]
    ensure(server, workspace)
    assert known(server, tmp_path).check(f"Bearer {other}".encode(), "label").name == "other"
    before = json.dumps(server.secrets)
    ensure(server, workspace)
    assert json.dumps(server.secrets) == before


def test_a_cluster_that_had_the_plain_token_alone_goes_on_with_it(tmp_path: Path) -> None:
    workspace, server = Workspace(tmp_path), Server()
    add_token(workspace.tokens, "of-this-laptop", ("predict",), None)
    server.secrets["service-token"] = {"token": "the-token-of-an-older-cluster"}
    ensure(server, workspace)
    assert read_token(workspace.token) == "the-token-of-an-older-cluster"
    assert known(server, tmp_path).check(b"Bearer the-token-of-an-older-cluster", "predict").name == "default"


def test_the_prober_s_token_is_made_once_and_known_to_the_service(tmp_path: Path) -> None:
    """In a cluster from before probers, too; and where the tokens were made anew."""
    workspace, server = Workspace(tmp_path), Server()
    server.secrets["service-token"] = {"token": "the-token-of-an-older-cluster"}
    server.secrets["service-tokens"] = {
        "tokens.json": to_file([default_token("the-token-of-an-older-cluster")]).decode()
    }
    ensure(server, workspace)
    plain = server.secrets["probe-token"]["token"]

    def probes() -> bool:
        return known(server, tmp_path).check(f"Bearer {plain}".encode(), "predict").probe

    assert probes()
    assert not known(server, tmp_path).check(b"Bearer the-token-of-an-older-cluster", "predict").probe
    del server.secrets["service-tokens"]
    ensure(server, workspace)
    assert server.secrets["probe-token"]["token"] == plain
    assert probes()
