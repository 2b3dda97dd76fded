"""The prediction log in PostgreSQL: away for a while, and empty when many services come at once."""

import json
from uuid import uuid4

from deploy.cluster.cluster import Cluster
from tests.e2e.cluster.deployment import Serving
from tests.e2e.cluster.load import steady_load

# Eight services find an empty database at the same moment. Prints what each of them heard.
RACE = """
import json, sys, sqlalchemy as sa
from concurrent.futures import ThreadPoolExecutor
from monitoring.log.tables import connect, create_tables
def tell(engine):
    try:
        return create_tables(engine)
    except sa.exc.SQLAlchemyError as error:
        return str(error)
engines = [connect(f"postgresql+psycopg:///{sys.argv[1]}?service=windsock") for _ in range(8)]
for engine in engines:
    engine.connect().close()
print(json.dumps(list(ThreadPoolExecutor(8).map(tell, engines))))
"""


def test_services_that_start_at_once_on_an_empty_database_make_its_tables_together(serving: Serving) -> None:
    name = f"race_{uuid4().hex[:8]}"
    psql = ("exec", "postgres-0", "--", "psql", "--quiet", "--username=windsock", "--command")
    serving(*psql, f"CREATE DATABASE {name}")
    try:
        told = json.loads(serving("exec", "deployment/serving", "--", "python", "-c", RACE, name))
    finally:
        serving(*psql, f"DROP DATABASE {name} WITH (FORCE)")
    assert told == [None] * 8


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
