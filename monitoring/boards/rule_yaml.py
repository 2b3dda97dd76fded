"""The form of Prometheus' rules: what a recording rule and an alert are made of, and their YAML."""

import textwrap
from dataclasses import dataclass
from typing import Final, Literal

WIDTH: Final = 120  # characters of a line with a comment
Severity = Literal["critical", "warning", "info", "none"]


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that is computed. `name` is level:metric:operation; `why` becomes a comment, and may be empty."""

    name: str
    why: str
    expr: str


@dataclass(frozen=True, slots=True)
class Alert:
    """What fires when `expr` has held for `wait`. Its runbook is docs/runbooks/<name>.md.

    Attributes:
        keep: for how long it fires on when `expr` holds no more: an unknown number must not resolve what it rests on;
            "" is not at all.
    """

    name: str
    why: str
    expr: str
    wait: str
    severity: Severity
    summary: str
    description: str
    keep: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    rules: tuple[Recording | Alert, ...]


@dataclass(frozen=True, slots=True)
class RuleFile:
    """`about` becomes the comment on top."""

    about: str
    groups: tuple[Group, ...]


def percent(share: float) -> str:
    """A share for people.

    >>> percent(0.01), percent(0.125)
    ('1 %', '12.5 %')
    """
    return f"{share * 100:g} %"


def edge(seconds: float) -> str:
    """A histogram's edge as the value of its label `le`.

    >>> edge(0.02), edge(6 * 3600)
    ('0.02', '21600.0')
    """
    return str(float(seconds))


def yaml_text(file: RuleFile) -> str:
    """The file's content, the same each time."""
    head = "Written by `windsock dashboards build` from contracts/objectives.py; what is changed here by hand is lost."
    lines = [*_comment(head, 0), *_comment(file.about, 0), "groups:"]
    for number, group in enumerate(file.groups):
        lines += [""] if number else []
        lines += [f"  - name: {group.name}", "    rules:"]
        for position, rule in enumerate(group.rules):
            lines += [""] if position else []
            lines += _rule(rule)
    return "\n".join(lines) + "\n"


def _rule(rule: Recording | Alert) -> list[str]:
    expr = ["        expr: |", *(f"          {line}" for line in rule.expr.splitlines())]
    comment = _comment(rule.why, 6)
    if isinstance(rule, Recording):
        return [*comment, f"      - record: {rule.name}", *expr]
    return [
        *comment,
        f"      - alert: {rule.name}",
        *expr,
        f"        for: {rule.wait}",
        *([f"        keep_firing_for: {rule.keep}"] if rule.keep else []),
        f"        labels: {{severity: {rule.severity}}}",
        "        annotations:",
        f"          summary: {_quoted(rule.summary)}",
        f"          description: {_quoted(rule.description)}",
        f"          runbook_url: docs/runbooks/{rule.name}.md",
    ]


def _comment(text: str, indent: int) -> list[str]:
    return [f"{' ' * indent}# {line}" for line in textwrap.wrap(text, WIDTH - indent - 2)]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
