"""`windsock`, the one console script. Each command imports what it needs when it runs, so `--help` answers at once."""

import functools
import logging
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from contracts.errors import WindsockError

STAGES = ("parameters", "ingest", "validate", "featurize", "train", "compress", "evaluate", "package")


def path_option(name: str, default: str, what: str, variable: str | None = None) -> Callable[..., Any]:
    """An option that is a path, with its default in its help."""
    kind, text = click.Path(path_type=Path), f"{what}  [default: {default}]"
    return click.option(name, type=kind, default=Path(default), envvar=variable, help=text)


root_option = click.option(
    "--root",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="Folder of params.yaml, data/, artifacts/, reports/.  [default: the current one]",
)


def _set_up_logging() -> None:
    """Rich lines on a terminal; the same lines without escape codes in a pipe or in CI."""
    if sys.stderr.isatty():
        from rich.logging import RichHandler

        handler: logging.Handler = RichHandler(show_path=False, show_level=False, log_time_format="%H:%M:%S")
        handler.setFormatter(logging.Formatter("%(message)s"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for room in ("pipelines", "services", "monitoring", "demo"):
        logging.getLogger(room).setLevel(logging.INFO)


def _command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Domain errors become one message and exit status 1; anything else is our bug and keeps its trace."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        _set_up_logging()
        try:
            return function(*args, **kwargs)
        except WindsockError as error:
            raise click.ClickException(str(error)) from error

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="windsock")
def main() -> None:
    """Train, release, serve and watch a flight-delay model on real data."""


@main.command()
@click.argument("name", type=click.Choice(STAGES))
@root_option
@_command
def stage(name: str, root: Path) -> None:
    """Run one DVC stage. `dvc repro` calls this; you rarely need to."""
    from contracts.params import load_params

    import_module(f"pipelines.{name}").main(root, load_params(root / "params.yaml"))


@main.command()
@click.option("--digest", help="A model of the store instead, to go back to it; its first digits will do.")
@root_option
@_command
def release(root: Path, digest: str | None) -> None:
    """Verify the candidate, copy it to the store under its digest, make it champion."""
    from pipelines.release import release as run

    click.echo(run(root, digest))


@main.command()
@click.option("--no-auth", is_flag=True, help="Answer without a token. Only for a network that you trust.")
@click.option("--host", help="Address of REST and gRPC.  [default: 127.0.0.1]")
@click.option("--rest-port", type=int, help="[default: 3000]")
@click.option("--grpc-port", type=int, help="[default: 3001]")
@click.option("--metrics-port", type=int, help="Prometheus metrics, on loopback.  [default: 3002]")
@click.option("--workers", type=int, help="Processes that answer, about one a core.  [default: 1]")
@click.option("--store", type=click.Path(path_type=Path), help="Released models.  [default: artifacts/store]")
@click.option("--state", type=click.Path(path_type=Path), help="Spool and prediction log.  [default: state]")
@_command
def serve(no_auth: bool, **options: Any) -> None:
    """Serve the champion over REST and gRPC. Every option is a WINDSOCK_ variable, too."""
    from services.launch import serve as run
    from services.settings import load_settings

    given = {name: value for name, value in options.items() if value is not None}
    sys.exit(run(load_settings(**given, **({"auth": False} if no_auth else {}))))


@main.command()
@click.option("--from", "first", default="2013-07", show_default=True, help="First month, New York time.")
@click.option("--to", "last", default="2013-12", show_default=True, help="Last month, inclusive.")
@click.option("--rest", default="http://127.0.0.1:3000", show_default=True, help="Address of the REST service.")
@click.option("--grpc", default="127.0.0.1:3001", show_default=True, help="Address of the gRPC service.")
@path_option("--token-file", "secrets/token", "Bearer token of the service.")
@root_option
@_command
def replay(first: str, last: str, rest: str, grpc: str, token_file: Path, root: Path) -> None:
    """Send every real flight of some months to a running service, and its label when it would have landed."""
    from demo.replay import replay as run

    run(root / "data/features.parquet", first, last, rest=rest, grpc=grpc, token_file=token_file)


database_option = click.option(
    "--database",
    envvar="WINDSOCK_DATABASE_URL",
    help="SQLAlchemy URL of the prediction log.  [default: SQLite, predictions.db in --state]",
)
state_option = path_option("--state", "state", "Where the service keeps its log.", "WINDSOCK_STATE")


@main.group(invoke_without_command=True)
@database_option
@state_option
@click.option("--metrics", help="Address of the service's metrics, for its error counts.")
@path_option("--store", "artifacts/store", "Released models.", "WINDSOCK_STORE")
@path_option("--public-key", "secrets/signing.pub", "Of the champion's signature.", "WINDSOCK_PUBLIC_KEY")
@click.option(
    "--no-files",
    is_flag=True,
    envvar="WINDSOCK_NO_FILES",
    help="Write to the log's database alone, and nothing under reports/.",
)
@root_option
@click.pass_context
@_command
def monitor(
    context: click.Context,
    database: str | None,
    state: Path,
    metrics: str | None,
    store: Path,
    public_key: Path,
    no_files: bool,
    root: Path,
) -> None:
    """Report quality, drift, latency and errors by month, from the prediction log and the champion.

    `windsock monitor serve` shows the newest report as a page and as Prometheus' gauges.
    """
    if context.invoked_subcommand:
        return
    from monitoring.monitor import run

    url = database or f"sqlite:///{(root / state).absolute() / 'predictions.db'}"
    run(root, url, metrics, store=root / store, public_key=root / public_key, files=not no_files)


@monitor.command(name="serve")
@database_option
@state_option
@click.option(
    "--host",
    envvar="WINDSOCK_METRICS_HOST",
    default="127.0.0.1",
    help="Address of page and gauges; they need no token.  [default: 127.0.0.1]",
)
@click.option("--port", type=int, default=3003, show_default=True)
@_command
def monitor_serve(database: str | None, state: Path, host: str, port: int) -> None:
    """Show the monitor's newest report: its page, and its gauges at /metrics, with their age."""
    from monitoring.watch import serve as run

    run(host, port, database or f"sqlite:///{state.absolute() / 'predictions.db'}")


@main.command()
@root_option
@_command
def demo(root: Path) -> None:
    """Reproduce, release, serve, replay, monitor and judge. `make demo` installs first."""
    from demo.run import run

    sys.exit(0 if run(root) else 1)


@main.command()
@click.option("--port", type=int, default=3004, show_default=True, help="On 127.0.0.1, where Alertmanager sends.")
@_command
def alerts(port: int) -> None:
    """Receive Alertmanager's webhook and write each alert to the log. Your pager goes here."""
    from monitoring.alerts import receive

    receive(port)


@main.group()
def dashboards() -> None:
    """Grafana dashboards as code: build, check and draw them."""


@dashboards.command()
@_command
def build() -> None:
    """Write monitoring/dashboards/*.json anew."""
    from monitoring.dashboards import write

    write()


prometheus_option = click.option(
    "--prometheus", default="http://127.0.0.1:9090", show_default=True, help="Its address."
)
minutes_option = click.option("--minutes", type=float, default=15, show_default=True, help="Time range, until now.")


@dashboards.command()
@prometheus_option
@minutes_option
@root_option
@_command
def check(prometheus: str, minutes: float, root: Path) -> None:
    """Run every query of every panel and rule on a Prometheus: each must return data -> reports/dashboards.json."""
    from monitoring.prometheus import report

    report(root, prometheus, minutes)


@dashboards.command()
@prometheus_option
@minutes_option
@path_option("--to", "reports/dashboards", "Folder.")
@_command
def render(prometheus: str, minutes: float, to: Path) -> None:
    """Draw each dashboard from a live Prometheus, from the same JSON, into one PNG."""
    from monitoring.render import render as run

    run(prometheus, to, minutes)


@main.command()
@click.option("--rest-port", type=int, default=3000, show_default=True)
@click.option("--grpc-port", type=int, default=3001, show_default=True)
@click.option("--metrics-port", type=int, default=3002, show_default=True)
@click.option("--monitor-port", type=int, default=3003, show_default=True)
@click.option("--alerts-port", type=int, default=3004, show_default=True)
@click.option("--prometheus-port", type=int, default=9090, show_default=True)
@click.option("--alertmanager-port", type=int, default=9093, show_default=True)
@root_option
@_command
def stack(root: Path, **ports: int) -> None:
    """Service, monitor, Prometheus and Alertmanager as local processes, until Ctrl-C."""
    from demo.stack import Ports, run

    sys.exit(run(root, Ports(**{name.removesuffix("_port"): port for name, port in ports.items()})))


@main.group()
def cluster() -> None:
    """A Kubernetes cluster of your own with everything in it, through docker, kind and kubectl.

    CLUSTER_NAME, CLUSTER_REST_PORT (GRPC, MONITOR, GRAFANA, PROMETHEUS, ALERTMANAGER) and KIND_NODE_IMAGE change
    what is made.
    """


@cluster.command()
@click.option("--grafana", is_flag=True, help="Grafana, too, with the dashboards of monitoring/.")
@root_option
@_command
def up(grafana: bool, root: Path) -> None:
    """Make the cluster, or finish what an earlier run began: build, load, apply, wait, and say where everything is."""
    from demo.cluster.settings import load_cluster
    from demo.cluster.up import guide
    from demo.cluster.up import up as run

    made = load_cluster(root)
    try:
        run(made, grafana)
    except KeyboardInterrupt:
        raise click.ClickException(
            "broken off; what is there stays: `make cluster-up` goes on from it, `make cluster-down` takes it away"
        ) from None
    click.echo(guide(made, grafana))


@cluster.command(name="check")
@root_option
@_command
def cluster_check(root: Path) -> None:
    """Say what is missing for a cluster: docker, kind, kubectl, disk, ports. Changes nothing."""
    from demo.cluster.preflight import check as run
    from demo.cluster.settings import load_cluster

    run(load_cluster(root))


@cluster.command()
@click.argument("overlay", type=click.Choice(("kind", "kind-grafana", "production")), default="production")
@click.option("--registry", help="Where your images are, e.g. registry.example.com/team.")
@root_option
@_command
def manifests(overlay: str, registry: str | None, root: Path) -> None:
    """Print an overlay of k8s/ with champion and image tags filled in, for `kubectl apply --server-side -f -`."""
    from demo.cluster.images import name_images
    from demo.cluster.manifests import render

    folder = root.resolve() / "state/cluster" / f"overlay-{overlay}"
    click.echo(render(root.resolve(), overlay, name_images(root.resolve()), folder, registry=registry), nl=False)


@cluster.command(name="demo")
@root_option
@_command
def cluster_demo(root: Path) -> None:
    """Replay a week of flights through the cluster, run its monitor, and say what targets and alerts say."""
    from demo.cluster.settings import load_cluster
    from demo.cluster.show import show

    sys.exit(0 if show(load_cluster(root)) else 1)


@cluster.command()
@root_option
@_command
def down(root: Path) -> None:
    """Delete the cluster with its volumes and secrets, and its kubeconfig. Images stay."""
    from demo.cluster.down import down as run
    from demo.cluster.settings import load_cluster

    run(load_cluster(root))


if __name__ == "__main__":
    main()
