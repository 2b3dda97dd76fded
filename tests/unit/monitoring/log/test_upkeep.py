"""The log lets go of what is old, forgets who asks for it, and grants each user what it needs and no more."""

import gzip
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from click.testing import CliRunner

from cli import main
from contracts.errors import DataError, Unavailable
from contracts.reports import decode_report
from contracts.reports.monitoring import Monitoring
from contracts.store.state import Desired, ReplicaState
from monitoring.hours.store import Key, lease, write_hours
from monitoring.log.database import connect, open_log
from monitoring.log.desired import append_desired, newest_desired, replicas, report_replicas
from monitoring.log.insert import insert
from monitoring.log.migrate import migrate_log
from monitoring.log.reader import read_predictions
from monitoring.log.schema import DAY_US, LABELS, METADATA, to_us
from monitoring.log.upkeep.access import READER, WRITER
from monitoring.log.upkeep.partitions import AHEAD_DAYS, begin, today
from monitoring.log.upkeep.retention import delete_requests, maintain
from monitoring.log.watching import METADATA as WATCHING
from monitoring.monitor import results
from tests.unit.monitoring.log.conftest import DIGEST, count, label, prediction

ROOT = Path(__file__).parents[4]
LONG_AGO, FAR = datetime(2000, 1, 1), datetime(2100, 1, 1)


def windsock(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["log", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def days_ago(days: int) -> int:
    """Noon of that day."""
    return begin(LABELS, today() - timedelta(days=days)) + DAY_US // 2


def insert_of_day(engine: sa.Engine, days: int) -> None:
    """A request and its label, both arrived so many days ago."""
    then = days_ago(days)
    insert(engine, [prediction(f"{days}", received_us=then), label(f"{days}", True, received_us=then)])


def partitions(url: str, table: str) -> set[str]:
    engine = connect(url)
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            f"SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = '{table}'::regclass"  # noqa: S608 - our own names
        )
        names = {name for (name,) in found}
    engine.dispose()
    return names


def test_the_migrations_make_what_is_declared(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)
    ours = {table.name for table in METADATA.sorted_tables}
    told = [d for d in differences if not (d[0] == "remove_table" and d[1].name not in ours)]
    assert not [d for d in told if not (d[0] == "remove_index" and d[1].table.name not in ours)]


def test_what_is_older_than_it_is_kept_for_goes(engine: sa.Engine, url: str) -> None:
    for days in (400, 31, 30, 29, 0):
        insert_of_day(engine, days)
    windsock("maintain", "--database", url, "--retention-days", "30")
    assert sorted(read_predictions(url, LONG_AGO, FAR).request_id.tolist()) == ["0", "29", "30"]
    assert count(engine, "labels") == 3
    assert "rows deleted: 0" in windsock("maintain", "--database", url, "--retention-days", "30")


def test_replicas_that_are_gone_for_a_day_are_forgotten(engine: sa.Engine) -> None:
    state = ReplicaState(1, DIGEST, 0, 0.0, {}, (), 0.0)
    now = to_us(datetime.now(UTC))
    report_replicas(engine, {"gone": state}, now - DAY_US - 1)
    report_replicas(engine, {"silent": state}, now - DAY_US // 2)
    maintain(engine, 30)
    assert [replica.name for replica in replicas(engine, 0)] == ["silent"]


def test_sqlite_gives_its_pages_back(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    engine = open_log(f"sqlite:///{path}")
    bulk: dict[str, Any] = {
        "rows": 1_024,
        "numeric": b"x" * 4 * 2_048,
        "score": b"x" * 4_096,
        "category": b"\0" * 2_047,
    }
    insert(engine, [prediction(f"{i}", received_us=days_ago(9), **bulk) for i in range(600)])
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
    before = path.stat().st_size
    assert maintain(engine, 3).deleted == 600
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
    assert path.stat().st_size < before / 10
    engine.dispose()


def test_postgresql_drops_whole_days_and_makes_those_ahead(postgres: str) -> None:
    engine = open_log(postgres)
    for days in (40, 5, 0):
        insert_of_day(engine, days)
    first = maintain(engine, 90)
    assert (len(first.made), first.dropped) == (2 * (AHEAD_DAYS + 1 + 2), [])  # 40 and 5 days ago stood in the default
    expected = {f"predictions_{today() + timedelta(days=i):%Y%m%d}" for i in (*range(AHEAD_DAYS + 1), -5, -40)}
    assert partitions(postgres, "predictions") == {*expected, "predictions_default"}
    for table in ("predictions", "labels"):
        assert count(engine, f"{table}_default") == 0
        assert count(engine, table) == 3
    insert(engine, [prediction("again", received_us=days_ago(5)), prediction("today", received_us=days_ago(0))])
    assert count(engine, f"predictions_{today():%Y%m%d}") == 2
    second = maintain(engine, 30)
    gone = today() - timedelta(days=40)
    assert (second.made, second.dropped, second.deleted) == (
        [],
        [f"predictions_{gone:%Y%m%d}", f"labels_{gone:%Y%m%d}"],
        0,
    )
    assert sorted(read_predictions(postgres, LONG_AGO, FAR).request_id.tolist()) == ["0", "5", "again", "today"]
    engine.dispose()


def test_requests_are_forgotten_with_their_labels(engine: sa.Engine, url: str, tmp_path: Path) -> None:
    names = [f"r{i}" for i in range(1_200)]
    insert(engine, [prediction(name) for name in names])
    insert(engine, [label(name, True) for name in names])
    insert(engine, [prediction("r1", digest="e" * 64, role="shadow"), label("elsewhere", True)])
    ids = tmp_path / "ids.txt"
    ids.write_text("\n".join([*names[:1_100], "never seen", ""]))
    assert windsock("delete", "--database", url, "--ids-from", str(ids)) == "rows deleted: 2201\n"
    assert windsock("delete", "--database", url, "--id", "r1100", "--id", "r1101") == "rows deleted: 4\n"
    assert (count(engine, "predictions"), count(engine, "labels")) == (98, 99)


def test_nobody_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["log", "delete", "--state", str(tmp_path)])
    assert (done.exit_code, "`--id` must name a request, got none" in done.output) == (1, True)


def test_rows_are_added_while_others_are_forgotten(engine: sa.Engine) -> None:
    """Deletion is a row of short transactions: an insert waits for one of them at most."""
    names = [f"r{i}" for i in range(3_000)]
    insert(engine, [prediction(name) for name in names])
    added, over = [0], threading.Event()

    def add() -> None:
        while not over.is_set():
            assert insert(engine, [prediction(f"new-{added[0]}")]) == []
            added[0] += 1

    thread = threading.Thread(target=add)
    thread.start()
    assert delete_requests(engine, names) == 3_000
    during = added[0]
    over.set()
    thread.join()
    assert during >= 3
    assert count(engine, "predictions") == added[0]


@pytest.fixture
def users(postgres: str) -> Iterator[dict[str, str]]:
    """URLs of an owner who is no superuser, a writer and a reader, in a database of the owner's."""
    address = sa.make_url(postgres)
    superuser = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    names = {"owner": "windsock_owner_of_test", "writer": "w_test", "reader": "r_test"}
    with superuser.connect() as connection:
        connection.exec_driver_sql(f"CREATE USER {names['owner']} CREATEROLE")
        connection.exec_driver_sql(f"ALTER DATABASE {address.database} OWNER TO {names['owner']}")
        connection.exec_driver_sql(f"GRANT ALL ON SCHEMA public TO {names['owner']}")
    urls = {who: address.set(username=name).render_as_string(hide_password=False) for who, name in names.items()}
    migrate_log(urls["owner"], Path("no spool"), {})
    groups = {"writer": WRITER, "reader": READER}
    with superuser.connect() as connection:
        for who, group in groups.items():
            connection.exec_driver_sql(f"CREATE USER {names[who]} IN ROLE {group}")
    yield urls
    with superuser.connect() as connection:
        for name in [*names.values(), *groups.values()]:
            connection.exec_driver_sql(f"REASSIGN OWNED BY {name} TO windsock")
            connection.exec_driver_sql(f"DROP OWNED BY {name}")
        for name in [*names.values(), *groups.values()]:
            connection.exec_driver_sql(f"DROP USER {name}")
    superuser.dispose()


def refusal(url: str, statement: str) -> str:
    """What PostgreSQL says to this user; "" if it does as asked."""
    engine = connect(url)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
    except sa.exc.ProgrammingError as error:
        return str(error.orig)
    finally:
        engine.dispose()
    return ""


def test_the_writer_adds_and_can_neither_read_nor_delete(users: dict[str, str]) -> None:
    writer = open_log(users["writer"])
    assert insert(writer, [prediction("a"), prediction("bad", score=b""), label("a", True)])[0].index == 1
    assert insert(writer, [prediction("a")]) == []  # a repeat, which it cannot see
    report_replicas(writer, {"pod": ReplicaState(1, "a" * 64, 0, 0.0, {}, (), 1.0)}, 1)
    report_replicas(writer, {"pod": ReplicaState(1, "a" * 64, 1, 0.0, {}, (), 2.0)}, 2)
    assert newest_desired(writer, "a" * 64) is None
    for statement in (
        "SELECT * FROM predictions",
        "SELECT * FROM labels",
        "DELETE FROM predictions",
        "UPDATE labels SET value = true",
        "TRUNCATE labels",
        "INSERT INTO roles (base, champion, weight, changed_us, changed_by, reason) VALUES ('', '', 0, 0, '', '')",
        "INSERT INTO artifacts VALUES ('', '', '')",
        "DROP TABLE predictions_default",
        "CREATE TABLE mine (x int)",
    ):
        assert "permission denied" in refusal(users["writer"], statement) or "must be owner" in refusal(
            users["writer"], statement
        ), statement
    with pytest.raises(Unavailable, match="permission denied"):
        append_desired(writer, Desired("a" * 64, base="a" * 64), 1, "w", "")
    writer.dispose()
    found = read_predictions(users["reader"], LONG_AGO, FAR)
    assert (found.request_id.tolist(), found.label.tolist()) == (["a"], [1.0])


def test_the_reader_reads_and_writes_the_monitor_s_results_alone(users: dict[str, str]) -> None:
    reader = connect(users["reader"])
    with pytest.raises(Unavailable, match="permission denied"):
        insert(reader, [prediction("a")])
    with pytest.raises(Unavailable, match="permission denied"):
        delete_requests(reader, ["a"])
    reader.dispose()
    for statement in (
        "INSERT INTO labels VALUES ('a', 0, 0, 'a', true, 0, '')",
        "DELETE FROM labels",
        "UPDATE roles SET reason = ''",
        "UPDATE replicas SET reported_us = 0",
        "INSERT INTO artifacts VALUES ('', '', '')",
        "UPDATE monitor_reports SET report = ''",
    ):
        assert "permission denied" in refusal(users["reader"], statement), statement
    report = decode_report((ROOT / "reports/monitoring.json").read_bytes(), Monitoring, "monitoring.json")
    for _ in range(2):
        results.save(users["reader"], report, {"window": b"<html>"})
    found = results.newest(users["reader"])
    assert (found.report, found.received_at) == (report, None)
    assert gzip.decompress(results.page(users["reader"], "window") or b"").endswith(b"<html>")


def test_the_reader_counts_hours_and_keeps_refits_though_it_may_make_no_table(users: dict[str, str]) -> None:
    """As in the cluster, where the monitor is a reader: a look of it writes all of its tables."""
    assert "permission denied" in refusal(users["reader"], "CREATE TABLE mine (x int)")
    reader = connect(users["reader"])
    with lease(reader, "hours-event") as held:
        assert held is not None
        assert held.renew()
        write_hours(reader, "event", {Key("a" * 64, "champion", 1): 0}, [])
    for table in WATCHING.sorted_tables:
        for statement in (f"TABLE {table.name}", f"DELETE FROM {table.name}"):  # noqa: S608 - our own names
            assert refusal(users["reader"], statement) == ""
        assert "permission denied" in refusal(users["writer"], f"TABLE {table.name}")
    reader.dispose()


def test_only_the_owner_keeps_the_partitions(users: dict[str, str]) -> None:
    owner, writer = connect(users["owner"]), connect(users["writer"])
    insert(
        writer, [prediction("old", received_us=days_ago(50)), prediction("new", received_us=to_us(datetime.now(UTC)))]
    )
    with pytest.raises(Unavailable, match="permission denied"):
        maintain(writer, 30)
    assert maintain(owner, 30).deleted == 1
    assert read_predictions(users["reader"], LONG_AGO, FAR).request_id.tolist() == ["new"]
    owner.dispose()
    writer.dispose()


def test_who_may_make_no_tables_is_told_the_owner_s_command(postgres: str) -> None:
    address = sa.make_url(postgres)
    superuser = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    with superuser.connect() as connection:
        connection.exec_driver_sql("CREATE USER nobody_of_test")
    try:
        with pytest.raises(Unavailable, match="run `windsock log migrate` as its owner"):
            open_log(address.set(username="nobody_of_test").render_as_string(hide_password=False))
    finally:
        with superuser.connect() as connection:
            connection.exec_driver_sql("DROP USER nobody_of_test")
        superuser.dispose()


def test_a_log_of_no_version_is_not_maintained(tmp_path: Path) -> None:
    engine: Any = connect(f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(DataError, match="got no tables"):
        maintain(engine, 30)
    with pytest.raises(DataError, match="got no tables"):
        delete_requests(engine, ["a"])
    engine.dispose()
