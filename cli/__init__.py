"""`windsock`, the one console script. A command's module is imported when it is asked for, and what the command needs
when it runs: `--help` answers at once, and an image holds only the modules of its own commands.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Final

import click

# Command -> its module, its name there, and the first sentence of its help.
COMMANDS: Final = {
    "stage": ("cli.pipeline", "stage", "Run one DVC stage."),
    "pipeline": ("cli.pipeline", "pipeline", "The stages as DVC sees them."),
    "new-task": (
        "cli.pipeline",
        "new_task",
        "Make a task of your own out of a CSV: tasks/NAME/ and workspaces/NAME/, to be edited.",
    ),
    "release": (
        "cli.registry",
        "release",
        "Verify the candidate, copy it to the store under its digest, make it champion.",
    ),
    "models": ("cli.registry", "models", "List the store's models, the newest first; a star marks the champion."),
    "gate": (
        "cli.gate",
        "gate",
        "Hold the candidate against the champion, on labelled rows that neither has seen -> reports/gate.json.",
    ),
    "rebuild": ("cli.registry", "rebuild", "Make a model of the store again, and say whether the bytes are the same."),
    "score": ("cli.pipeline", "score", "Score the rows of a Parquet file with a released model, as the service would."),
    "serve": ("cli.service", "serve", "Serve the champion over REST and gRPC."),
    "tokens": ("cli.service", "tokens", "Who may ask the service: list, add and remove tokens."),
    "companion": ("cli.service", "companion", "Move the log to the database, bring desired roles from it."),
    "replay": (
        "cli.demo",
        "replay",
        "Send every real row of some months to a running service, and its label when its outcome was known.",
    ),
    "monitor": (
        "cli.monitor",
        "monitor",
        "Report quality, drift, latency and errors by month, from the prediction log and the champion.",
    ),
    "incidents": (
        "cli.incidents",
        "incidents",
        "Put each fault of the catalogue into months that the champion never saw -> reports/incidents.json.",
    ),
    "log": ("cli.monitor", "log", "Look after the prediction log: its tables, its age, what is taken out of it."),
    "demo": ("cli.demo", "demo", "Reproduce, release, serve, replay, monitor and judge."),
    "alerts": ("cli.monitor", "alerts", "Receive Alertmanager's webhook and write each alert to the log."),
    "dashboards": (
        "cli.boards",
        "dashboards",
        "Grafana dashboards and alert rules as code: build, check and draw them.",
    ),
    "objectives": (
        "cli.objectives",
        "objectives",
        "Print every threshold with its unit, its reason, and when to change it.",
    ),
    "stack": ("cli.stack", "stack", "Service, monitor, Prometheus and Alertmanager as local processes, until Ctrl-C."),
    "cluster": (
        "cli.cluster",
        "cluster",
        "A Kubernetes cluster of your own with everything in it, through docker, kind and kubectl.",
    ),
}


class _Commands(click.Group):
    """The commands of `COMMANDS` of which the module is there."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return sorted(name for name, (module, _, _) in COMMANDS.items() if find_spec(module))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        found: click.Command = getattr(import_module(module), attribute)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the table: the modules stay unread."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in self.list_commands(ctx)])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="windsock")
def main() -> None:
    """Train, release, serve and watch a model on real data."""
