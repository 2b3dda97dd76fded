"""The prediction log in PostgreSQL: away for a while, and what its users may do."""

import json

from deploy.cluster.cluster import Cluster
from tests.e2e.cluster.deployment import Serving
from tests.e2e.cluster.load import steady_load

# What the companion's user of the database may do. Prints "" or the refusal by statement.
TRY = """
import json, sys, sqlalchemy as sa
engine = sa.create_engine("postgresql+psycopg:///?service=windsock")
def tell(statement):
    try:
        with engine.begin() as connection:
            connection.execute(sa.text(statement))
    except sa.exc.SQLAlchemyError as error:
        return str(error.orig)
    return ""
print(json.dumps([tell(statement) for statement in sys.argv[1:]]))
"""


def test_the_companion_adds_rows_and_neither_reads_nor_deletes_them(serving: Serving) -> None:
    statements = [
        "SELECT 1 FROM roles LIMIT 1",
        "SELECT 1 FROM predictions LIMIT 1",
        "DELETE FROM predictions",
        "DROP TABLE predictions",
        "SELECT 1 FROM labels LIMIT 1",
    ]
    told = json.loads(
        serving("exec", "deployment/serving", "--container=companion", "--", "python", "-c", TRY, *statements)
    )
    assert told[0] == "", "what is desired it reads"
    assert all("permission denied" in refusal or "must be owner" in refusal for refusal in told[1:]), told


def test_a_pod_starts_and_serves_while_the_database_is_away(cluster: Cluster, serving: Serving) -> None:
    serving("scale", "statefulset/postgres", "--replicas=0")
    try:
        serving("wait", "pod/postgres-0", "--for=delete", "--timeout=30s")  # pooled connections do not hold it up
        pods = serving.pods()
        serving("delete", "pod", pods[0]["metadata"]["name"], "--wait=false")
        serving.wait_for_ready(len(pods))
        with steady_load(cluster) as load:
            load.wait_for(3)
            outcome = load.stop()
    finally:
        serving("scale", "statefulset/postgres", "--replicas=1")
        serving("rollout", "status", "statefulset/postgres", "--timeout=90s")
    assert outcome.failed_after_retry == 0, outcome.failures()
    assert serving.count_rows(load.run, outcome.acknowledged) == len(outcome.acknowledged) == len(outcome.sent)
