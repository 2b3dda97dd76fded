"""Everything in a Kubernetes cluster."""

import sys

import click

from cli.options import command
from contracts.settings import ClusterSettings, variable


def _variables() -> str:
    """What the environment changes, one variable a line."""
    fields = [(variable(ClusterSettings, name), told) for name, told in ClusterSettings.model_fields.items()]
    lines = [f"{name}: {told.description}" + (f" [{told.default}]" if told.default else "") for name, told in fields]
    return "\b\nVariables:\n" + "\n".join(line for line in lines)


@click.group(
    help=f"A Kubernetes cluster of your own with everything in it, through docker, kind and kubectl.\n\n{_variables()}"
)
def cluster() -> None:
    pass


@cluster.command()
@click.option("--grafana", is_flag=True, help="Grafana, too, with the dashboards of deploy/observability/.")
@command(ClusterSettings, "root")
def up(settings: ClusterSettings, grafana: bool) -> None:
    """Make the cluster, or finish what an earlier run began: build, load, apply, wait, and say where everything is."""
    from deploy.cluster.cluster import make_cluster
    from deploy.cluster.up import guide
    from deploy.cluster.up import up as run

    made = make_cluster(settings)
    try:
        run(made, grafana)
    except KeyboardInterrupt:
        raise click.ClickException(
            "broken off; what is there stays: `make cluster-up` goes on from it, `make cluster-down` deletes it"
        ) from None
    click.echo(guide(made, grafana))


@cluster.command(name="check")
@command(ClusterSettings, "root")
def cluster_check(settings: ClusterSettings) -> None:
    """Say what is missing for a cluster: docker, kind, kubectl, disk, ports. Changes nothing."""
    from deploy.cluster.cluster import make_cluster
    from deploy.cluster.preflight import check as run

    run(make_cluster(settings))


@cluster.command()
@click.argument("overlay", type=click.Choice(("kind", "kind-grafana", "production")), default="production")
@click.option("--registry", help="Where your images are, e.g. registry.example.com/team.")
@command(ClusterSettings, "root")
def manifests(settings: ClusterSettings, overlay: str, registry: str | None) -> None:
    """Print an overlay of k8s/ with champion and image tags filled in, for `kubectl apply --server-side -f -`."""
    from deploy.cluster.cluster import make_cluster
    from deploy.cluster.images import name_images
    from deploy.cluster.manifests import render

    root, folder = settings.root, make_cluster(settings).folder / f"overlay-{overlay}"
    linked = settings.external_url
    click.echo(render(root, overlay, name_images(root), folder, registry=registry, external_url=linked), nl=False)


@cluster.command(name="demo")
@command(ClusterSettings, "root")
def cluster_demo(settings: ClusterSettings) -> None:
    """Replay a week of the task's rows through the cluster, run its monitor, and say what targets and alerts say."""
    from demo.cluster_week import show
    from deploy.cluster.cluster import make_cluster

    sys.exit(0 if show(make_cluster(settings)) else 1)


@cluster.command()
@command(ClusterSettings, "root")
def down(settings: ClusterSettings) -> None:
    """Delete the cluster with its volumes and secrets, and its kubeconfig. Images stay."""
    from deploy.cluster.cluster import make_cluster
    from deploy.cluster.down import down as run

    run(make_cluster(settings))
