"""Everything in a Kubernetes cluster."""

import sys
from pathlib import Path

import click

from cli.options import command, root_option


@click.group()
def cluster() -> None:
    """A Kubernetes cluster of your own with everything in it, through docker, kind and kubectl.

    CLUSTER_NAME, CLUSTER_REST_PORT (GRPC, MONITOR, GRAFANA, PROMETHEUS, ALERTMANAGER) and KIND_NODE_IMAGE change
    what is made.
    """


@cluster.command()
@click.option("--grafana", is_flag=True, help="Grafana, too, with the dashboards of deploy/observability/.")
@root_option
@command
def up(grafana: bool, root: Path) -> None:
    """Make the cluster, or finish what an earlier run began: build, load, apply, wait, and say where everything is."""
    from deploy.cluster.settings import load_cluster
    from deploy.cluster.up import guide
    from deploy.cluster.up import up as run

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
@command
def cluster_check(root: Path) -> None:
    """Say what is missing for a cluster: docker, kind, kubectl, disk, ports. Changes nothing."""
    from deploy.cluster.preflight import check as run
    from deploy.cluster.settings import load_cluster

    run(load_cluster(root))


@cluster.command()
@click.argument("overlay", type=click.Choice(("kind", "kind-grafana", "production")), default="production")
@click.option("--registry", help="Where your images are, e.g. registry.example.com/team.")
@root_option
@command
def manifests(overlay: str, registry: str | None, root: Path) -> None:
    """Print an overlay of k8s/ with champion and image tags filled in, for `kubectl apply --server-side -f -`."""
    from deploy.cluster.images import name_images
    from deploy.cluster.manifests import render

    folder = root.resolve() / "state/cluster" / f"overlay-{overlay}"
    click.echo(render(root.resolve(), overlay, name_images(root.resolve()), folder, registry=registry), nl=False)


@cluster.command(name="demo")
@root_option
@command
def cluster_demo(root: Path) -> None:
    """Replay a week of flights through the cluster, run its monitor, and say what targets and alerts say."""
    from demo.cluster_week import show
    from deploy.cluster.settings import load_cluster

    sys.exit(0 if show(load_cluster(root)) else 1)


@cluster.command()
@root_option
@command
def down(root: Path) -> None:
    """Delete the cluster with its volumes and secrets, and its kubeconfig. Images stay."""
    from deploy.cluster.down import down as run
    from deploy.cluster.settings import load_cluster

    run(load_cluster(root))
