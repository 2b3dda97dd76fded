"""Prometheus' rules as code, made from the objectives, for deploy/observability/rules/ and for `windsock stack`."""

from contracts.objectives import Objectives
from monitoring.boards.alerts import alerts
from monitoring.boards.recording import recordings
from monitoring.boards.rule_yaml import yaml_text
from monitoring.boards.slo_alerts import slo_rules


def texts(objectives: Objectives) -> dict[str, str]:
    """File name -> YAML. The same each time."""
    files = {"alerts": alerts, "recording": recordings, "slo": slo_rules}
    return {f"{name}.yml": yaml_text(rules(objectives)) for name, rules in files.items()}
