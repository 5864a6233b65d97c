"""Our event log: events written together leave the rows that Dagster's own leaves."""

from contextlib import contextmanager

import dagster as dg
import psycopg
import pytest

from geo_resources.dagster_storage import together
from geo_resources.settings import DAGSTER_SCHEME
from tests.conftest import cloned_database

FILES = ["a", "b", "c"]
FILES_ASSET, WHOLE = dg.AssetKey(["d", "item"]), dg.AssetKey(["d", "collection"])
OURS = {
    "module": "geo_resources.dagster_storage",
    "class": "Storage",
}
TABLES = {
    "event_logs": "SELECT dagster_event_type, step_key, asset_key, partition, "
    "event::jsonb #>> '{dagster_event,event_specific_data}' "
    "FROM event_logs WHERE dagster_event_type LIKE 'ASSET%' ORDER BY id",
    "asset_event_tags": "SELECT asset_key, key, value "
    "FROM asset_event_tags ORDER BY id",
    "asset_keys": "SELECT asset_key, last_materialization_timestamp IS NULL, "
    "last_materialization::jsonb "
    "#>> '{event_log_entry,dagster_event,event_specific_data}' "
    "FROM asset_keys ORDER BY asset_key",
    "asset_check_executions": "SELECT asset_key, check_name, partition, "
    "execution_status, materialization_event_storage_id, "
    "evaluation_event::jsonb #>> '{dagster_event,event_specific_data}' "
    "FROM asset_check_executions ORDER BY id",
}
TOLD = ["ASSET_MATERIALIZATION", "ASSET_OBSERVATION", "ASSET_CHECK_EVALUATION"]


def check(partition, *, passed, name="valid"):
    return dg.AssetCheckEvaluation(
        asset_key=FILES_ASSET,
        check_name=name,
        passed=passed,
        partition=partition,
        metadata={"of": partition or "all"},
    )


def events():
    """Of two assets, with and without partitions, some said twice."""
    for i, name in enumerate(FILES):
        tags = {"dagster/data_version": f"v{i}", "own": "x"}
        yield dg.AssetMaterialization(FILES_ASSET, partition=name, tags=tags)
        yield dg.AssetObservation(FILES_ASSET, partition=name, metadata={"i": i})
        yield check(name, passed=name != "b")
    yield dg.AssetMaterialization(WHOLE, metadata={"files": len(FILES)})
    yield check("a", passed=False)


@dg.op
def tell(context):
    with together(context.instance):
        for event in events():
            context.log_event(event)


@dg.op
def tell_of_all(context):
    """An evaluation without partition has no unique key, so nothing goes together."""
    with together(context.instance):
        context.log_event(check("a", passed=True))
        context.log_event(check(None, passed=True))
        context.log_event(check(None, passed=False))


@dg.op
def fail_while_telling(context):
    with together(context.instance):
        context.log_event(dg.AssetMaterialization(FILES_ASSET, partition="a"))
        raise dg.Failure


@dg.asset(
    key=FILES_ASSET,
    partitions_def=dg.StaticPartitionsDefinition(FILES),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def item() -> None:
    """An asset whose materialisations Dagster plans."""


@pytest.fixture
def second_database_url(cluster):
    with cloned_database(cluster, "template1") as url:
        yield url


@contextmanager
def instance_of(url, storage):
    given = f"{DAGSTER_SCHEME}{url[url.index('://') :]}"
    with dg.instance_for_test(overrides={"storage": storage(given)}) as instance:
        yield instance


def dagsters(url):
    return {"postgres": {"postgres_url": url}}


def ours(url):
    return {"custom": {**OURS, "config": {"postgres_url": url}}}


def rows_of(url):
    """What the tables hold, in the order in which it was written."""
    with psycopg.connect(url) as connection:
        return {
            table: connection.execute(query).fetchall()
            for table, query in TABLES.items()
        }


def run(job, instance):
    job.to_job("told").execute_in_process(instance=instance, raise_on_error=False)


@dg.graph
def telling():
    tell()


@dg.graph
def telling_of_all():
    tell_of_all()


@dg.graph
def failing():
    fail_while_telling()


@pytest.mark.parametrize("graph", [telling, telling_of_all])
def test_rows_are_those_of_dagsters_own(graph, bare_database_url, second_database_url):
    for url, storage in ((bare_database_url, dagsters), (second_database_url, ours)):
        with instance_of(url, storage) as instance:
            run(graph, instance)
    theirs, our = rows_of(bare_database_url), rows_of(second_database_url)
    assert theirs["asset_check_executions"], "the case says something of checks"
    assert our == theirs


@pytest.fixture(scope="module")
def told(cluster):
    """A database in which everything was told, and the instance."""
    with (
        cloned_database(cluster, "template1") as url,
        instance_of(url, ours) as instance,
    ):
        run(telling, instance)
        yield url, instance


def test_pointers_between_the_tables_are_right(told):
    with psycopg.connect(told[0]) as connection:
        wrong = connection.execute(
            "SELECT count(*) FROM asset_check_executions c LEFT JOIN event_logs e "
            "ON e.id = c.evaluation_event_storage_id WHERE e.event IS DISTINCT FROM "
            "c.evaluation_event"
        ).fetchone()
        tagged = connection.execute(
            "SELECT e.partition, t.value FROM asset_event_tags t JOIN event_logs e "
            "ON e.id = t.event_id WHERE t.key = 'dagster/data_version' ORDER BY 1"
        ).fetchall()
    assert wrong == (0,)
    assert tagged == [("a", "v0"), ("b", "v1"), ("c", "v2")]


def test_dagster_reads_what_was_written(told):
    _, instance = told
    item_made, all_made = map(
        instance.get_latest_materialization_event, (FILES_ASSET, WHOLE)
    )
    assert item_made.asset_materialization.partition == "c"
    assert all_made.asset_materialization.metadata["files"].value == len(FILES)
    assert instance.get_materialized_partitions(FILES_ASSET) == set(FILES)


def test_what_is_told_together_is_written_in_one_statement(told):
    assert written(told[0], TOLD) == (11, 1)


def test_what_fails_halfway_is_not_told(bare_database_url):
    with instance_of(bare_database_url, ours) as instance:
        run(failing, instance)
        assert instance.get_materialized_partitions(FILES_ASSET) == set()
        run(telling, instance)
        assert instance.get_materialized_partitions(FILES_ASSET) == set(FILES)


def test_planned_materialisations_of_a_run_are_written_together(
    bare_database_url, monkeypatch
):
    """Dagster hands them over as a batch when this variable is set."""
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "500")
    begin, end = (f"dagster/asset_partition_range_{side}" for side in ("start", "end"))
    with instance_of(bare_database_url, ours) as instance:
        dg.materialize([item], instance=instance, tags={begin: "a", end: "c"})
    assert written(bare_database_url, ["ASSET_MATERIALIZATION_PLANNED"]) == (3, 1)


def written(url, types):
    """How many events there are, and by how many transactions they were written."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT count(*), count(DISTINCT xmin::text) FROM event_logs "
            "WHERE dagster_event_type = ANY(%s)",
            [types],
        ).fetchone()
