"""`make cluster-down`: the cluster, its volumes, its secrets and its kubeconfig go; images, models and keys stay."""

import logging
import shutil

from deploy.cluster.cluster import Cluster
from deploy.cluster.nodes import delete
from deploy.cluster.preflight import check_tools, find_nodes

logger = logging.getLogger(__name__)


def down(cluster: Cluster) -> None:
    """Delete the cluster with its volumes, secrets and kubeconfig; images stay.

    Raises:
        Unavailable: the cluster of that name is not ours; it is left alone.
    """
    check_tools()
    there = bool(find_nodes(cluster))
    delete(cluster)
    shutil.rmtree(cluster.folder, ignore_errors=True)
    logger.info("cluster %s: deleted" if there else "cluster %s: there was none", cluster.name)
