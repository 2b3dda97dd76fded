"""Settings: one set of variables for every command, one meaning of a relative path."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import cli
from contracts.errors import ParameterError
from contracts.settings import (
    MonitorSettings,
    ServiceSettings,
    StackSettings,
    known_variables,
    load,
    to_environment,
    variable,
)
from tests.support.manifests import ROOT

COMMANDS = (
    *("serve", "monitor", "monitor serve", "alerts", "release", "replay", "stage train", "demo", "stack", "objectives"),
    *("cluster check", "cluster up", "cluster demo", "cluster down", "cluster manifests"),
    *("dashboards check", "dashboards render"),
)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WINDSOCK_CLIENTS_PYTHON", raising=False)


def test_environment_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDSOCK_REST_PORT", "4000")
    monkeypatch.setenv("WINDSOCK_AUTH", "false")
    settings = load(ServiceSettings, grpc_port=4001)
    assert (settings.rest_port, settings.grpc_port, settings.auth) == (4000, 4001, False)
    assert load(ServiceSettings, rest_port=5000).rest_port == 5000  # an option wins


def test_what_the_worker_reads_is_what_the_launcher_has(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(ServiceSettings, state=Path("here"), auth=False, lifeline=7, drain_seconds=2.5)
    for name, value in to_environment(settings).items():
        monkeypatch.setenv(name, value)
    again = load(ServiceSettings)
    assert again.state == Path("here").absolute()
    assert (again.auth, again.lifeline, again.drain_seconds) == (False, 7, 2.5)
    assert again.database == settings.database


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("WINDSOCK_PORT", "1", "`WINDSOCK_PORT` must be one of"),
        ("windsock_port", "1", "`windsock_port` must be one of"),
        ("WINDSOCK_REST_PORT", "high", "`rest_port`"),
        ("WINDSOCK_HOST", "example.org", "`host`"),
        ("WINDSOCK_DRAIN_SECONDS", "-1", "`drain_seconds`"),
        ("WINDSOCK_GRPC_PORT", "3000", "must differ"),
        ("WINDSOCK_GRPC_CONNECTION_SECONDS", "3", "drain_seconds must be more than 1.1 times"),
        ("WINDSOCK_FLUSH_SECONDS", "-1", "`flush_seconds`"),
    ],
)
def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ParameterError, match=expected):
        load(ServiceSettings)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_an_unknown_variable_with_the_list(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str
) -> None:
    monkeypatch.setenv("WINDSOCK_STOER", "x")
    done = CliRunner().invoke(cli.main, [*command.split(), *_root(command, tmp_path)])
    assert done.exit_code == 1
    assert "`WINDSOCK_STOER` must be one of WINDSOCK_" in done.output
    assert "WINDSOCK_STORE" in done.output
    assert not list(tmp_path.iterdir()), "nothing was done"


def _root(command: str, root: Path) -> list[str]:
    return [] if command == "alerts" else ["--root", str(root)]


@pytest.mark.parametrize("section", [ServiceSettings, MonitorSettings])
def test_a_section_takes_the_variables_of_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, section: type[ServiceSettings]
) -> None:
    for name in known_variables() - {variable(section, field) for field in section.model_fields}:
        monkeypatch.setenv(name, "whatever it is")
    assert load(section, root=tmp_path).store == tmp_path / "artifacts/store"


def test_the_monitor_s_variable_does_not_keep_the_service_from_starting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WINDSOCK_NO_FILES", "1")
    done = CliRunner().invoke(cli.main, ["serve", "--root", str(tmp_path)])
    assert f"`{tmp_path}/artifacts/store/champion` must name the released model" in done.output


@pytest.mark.parametrize("by_option", [True, False])
def test_relative_paths_are_relative_to_the_root(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by_option: bool
) -> None:
    if not by_option:
        monkeypatch.setenv("WINDSOCK_ROOT", str(tmp_path))
    monkeypatch.setenv("WINDSOCK_TOKEN_FILE", "mine/token")
    settings = load(StackSettings, root=tmp_path if by_option else None, store=Path("released"))
    assert settings.token_file == tmp_path / "mine/token"
    assert settings.store == tmp_path / "released"
    assert settings.public_key == tmp_path / "secrets/signing.pub"
    assert settings.spool == tmp_path / "state/spool"
    assert settings.database == f"sqlite:///{tmp_path}/state/predictions.db"
    assert load(StackSettings, root=tmp_path, state=Path("/elsewhere")).state == Path("/elsewhere")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///log.db", "sqlite:///{root}/log.db"),
        ("sqlite:////var/log.db", "sqlite:////var/log.db"),
        ("sqlite:///file:/log.db?mode=ro&uri=true", "sqlite:///file:/log.db?mode=ro&uri=true"),
        ("postgresql+psycopg://one@host/log", "postgresql+psycopg://one@host/log"),
    ],
)
def test_a_relative_file_of_sqlite_is_relative_to_the_root(tmp_path: Path, url: str, expected: str) -> None:
    assert load(MonitorSettings, root=tmp_path, database_url=url).database == expected.format(root=tmp_path)


def test_a_root_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=f"`root` must be a folder that exists, got '{tmp_path}/none'"):
        load(ServiceSettings, root=tmp_path / "none")


def test_a_message_on_several_settings_keeps_the_password() -> None:
    with pytest.raises(ParameterError, match="must differ") as caught:
        load(ServiceSettings, database_url="postgresql://one:hush@host/log", rest_port=3001)
    assert "hush" not in str(caught.value)


def test_help_of_serve_names_variable_and_default_of_every_option() -> None:
    serve = cli.main.get_command(click.Context(cli.main), "serve")
    assert serve is not None
    text = " ".join(CliRunner().invoke(serve, ["--help"], terminal_width=1000, max_content_width=1000).output.split())
    for name, told in ServiceSettings.model_fields.items():
        if name in ("lifeline", "metrics_folder"):
            assert variable(ServiceSettings, name) not in text
            continue
        assert f"{told.description} [env var: {variable(ServiceSettings, name)}" in text, name
        if told.default not in (True, "", None, Path()):
            assert f"{variable(ServiceSettings, name)}; default: {told.default}]" in text, name


def test_addresses_have_one_home() -> None:
    """The log's default file and the default ports stand in the settings, and in no other module of the rooms."""
    rooms = ("cli", "demo", "deploy", "monitoring", "registry", "services")
    sources = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    for pattern in (r"predictions\.db", r"= (?:300[0-4]|9090|9093)\b"):
        assert not [path.name for path in sources if re.search(pattern, path.read_text())], pattern
