"""Prometheus' rules as code, made from the objectives, for deploy/observability/rules/ and for `windsock stack`."""

from contracts.objectives import Objectives
from monitoring.boards.alerts import alerts
from monitoring.boards.recording import recordings
from monitoring.boards.rule_yaml import yaml_text


def texts(objectives: Objectives) -> dict[str, str]:
    """File name -> YAML. The same each time."""
    return {"alerts.yml": yaml_text(alerts(objectives)), "recording.yml": yaml_text(recordings(objectives))}
