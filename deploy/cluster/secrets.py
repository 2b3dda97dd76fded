"""Secrets of the cluster: made when they are missing, never replaced, never in git, never on a command line."""

import base64
import json
import logging
import secrets
from pathlib import Path

from contracts.errors import Unavailable
from contracts.files import write_atomic
from contracts.settings.tokens import (
    default_token,
    ensure_token,
    from_file,
    probe_token,
    read_token,
    read_tokens,
    to_file,
)
from contracts.workspace import Workspace
from deploy.cluster.cluster import NAMESPACE
from deploy.cluster.subprocesses import Kubectl

logger = logging.getLogger(__name__)


def ensure_secrets(kubectl: Kubectl, workspace: Workspace, grafana: bool = False) -> None:
    """Make what is missing of the database's password, the service's tokens, and Grafana's password if wanted.

    The pods get `service-tokens`: hashes. `service-token`, one of them in the plain, is for who asks the service, and
    `probe-token` for the monitor's prober.
    """
    token_file = workspace.token
    present = kubectl("get", "secrets", "--namespace", NAMESPACE, "--output", "name").split()
    if "secret/database" not in present:
        _refuse_old_data(kubectl)
        _create(kubectl, "database", database_values())
    if grafana and "secret/grafana" not in present:
        _create(kubectl, "grafana", {"password": secrets.token_urlsafe(24)})
    if "secret/service-token" in present:
        _keep_token(kubectl, token_file)
    else:
        ensure_token(token_file, workspace.tokens)
        _create(kubectl, "service-token", {"token": read_token(token_file)})
    known = "secret/service-tokens" in present
    probed = "secret/probe-token" in present
    if known and probed:
        return
    plain = read_secret(kubectl, "probe-token", "token") if probed else secrets.token_urlsafe(32)
    if known:
        tokens = with_probe(read_secret(kubectl, "service-tokens", "tokens.json"), plain)
        kubectl("replace", "-f", "-", stdin=_manifest("service-tokens", {"tokens.json": tokens}))
    else:
        tokens = with_probe(hashes(read_secret(kubectl, "service-token", "token"), workspace.tokens), plain)
        _create(kubectl, "service-tokens", {"tokens.json": tokens})
    if not probed:
        _create(kubectl, "probe-token", {"token": plain})


def with_probe(tokens: str, plain: str) -> str:
    """The content of a tokens file, with this token as the prober's, in the place of a former one."""
    token = probe_token(plain)
    return to_file([*(one for one in from_file(tokens.encode()) if one.name != token.name), token]).decode()


def hashes(plain: str, tokens_file: Path) -> str:
    """The workspace's tokens file if it knows the cluster's token, else one with that alone."""
    token = default_token(plain)
    if tokens_file.exists() and token.sha256 in {known.sha256 for known in read_tokens(tokens_file)}:
        return tokens_file.read_text(encoding="utf-8")
    return to_file([token]).decode()


def database_values() -> dict[str, str]:
    """New passwords of the database's three users, and what libpq reads for `service=windsock` as each of them.

    `owner` makes tables and deletes, `writer` adds rows, `reader` reads them.
    """
    passwords = {user: secrets.token_urlsafe(32) for user in ("owner", "writer", "reader")}
    files = {
        f"{user}.conf": service_file("windsock" if user == "owner" else f"windsock_{user}", password)
        for user, password in passwords.items()
    }
    return {"password" if user == "owner" else user: password for user, password in passwords.items()} | files


def service_file(user: str, password: str) -> str:
    """What libpq reads for `service=windsock`."""
    return (
        f"[windsock]\nhost=postgres.{NAMESPACE}.svc.cluster.local\nport=5432\ndbname=windsock\nuser={user}\n"
        f"password={password}\nconnect_timeout=5\nkeepalives_idle=10\nkeepalives_interval=5\nkeepalives_count=3\n"
    )


def read_secret(kubectl: Kubectl, name: str, key: str) -> str:
    told = json.loads(kubectl("get", "secret", name, "--namespace", NAMESPACE, "--output", "json"))
    return base64.b64decode(told["data"][key]).decode()


def _refuse_old_data(kubectl: Kubectl) -> None:
    claims = kubectl("get", "persistentvolumeclaims", "--namespace", NAMESPACE, "--output", "name").split()
    if "persistentvolumeclaim/data-postgres-0" in claims:
        raise Unavailable(
            "the Secret `database` must be there as long as its data is, got the volume `data-postgres-0` without it; "
            "restore the Secret, or delete the volume claim (its rows with it) and run this again"
        )


def _keep_token(kubectl: Kubectl, token_file: Path) -> None:
    """The cluster's token counts: a laptop that lost its file gets it back, one that has another is told."""
    token = read_secret(kubectl, "service-token", "token")
    if not token_file.exists():
        write_atomic(token_file, f"{token}\n".encode(), mode=0o600)
    elif read_token(token_file) != token:
        logger.warning(
            "%s is not the cluster's token, which is kept; to take the file's, `kubectl delete secret service-token`",
            token_file,
        )


def _create(kubectl: Kubectl, name: str, values: dict[str, str]) -> None:
    kubectl("create", "-f", "-", stdin=_manifest(name, values))


def _manifest(name: str, values: dict[str, str]) -> bytes:
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/part-of": "windsock"}},
        "stringData": values,
    }
    return json.dumps(manifest).encode()
