"""Dagster's history and a ledger on a real PostgreSQL, made older at will."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import psycopg
from psycopg import sql

from geo_assets.naming import files_partitions
from geo_assets.retention import retain
from geo_resources.database import Database
from geo_resources.retention import Retention
from tests.integration.ledger_world import World

DATASET = "rasters"
KEYS = files_partitions(DATASET)
COG = dg.AssetKey([DATASET, "cog"])
POLICY = Retention()


@dg.asset(key=COG, partitions_def=dg.DynamicPartitionsDefinition(name=KEYS))
def cog(context: dg.AssetExecutionContext) -> None:
    """Fails for keys that begin with `bad`."""
    context.log.info("at work")
    if context.partition_key.startswith("bad"):
        raise dg.Failure("cannot be used", allow_retries=False)


class RetentionWorld(World):
    """Runs over one partitioned asset, and the ledger of the same files."""

    def __init__(self, database: Database, url: str, instance: Any) -> None:
        super().__init__(database)
        self.instance: dg.DagsterInstance = instance
        self.listed: dict[str, str] = {}
        self.dagster = psycopg.connect(url, autocommit=True)

    def keys(self) -> list[str]:
        return [*self.instance.get_dynamic_partitions(KEYS)]

    def add(self, *keys: str) -> None:
        self.instance.add_dynamic_partitions(KEYS, keys)

    def run(self, key: str, days_ago: float = 0, **tags: str) -> str:
        """A finished run over a key, so many days old; its id."""
        self.listed[key] = "1"
        self.see(self.listed)
        self.add(key)
        done = dg.materialize(
            [cog],
            instance=self.instance,
            partition_key=key,
            tags=tags,
            raise_on_error=False,
        )
        self.dagster.execute(
            "UPDATE runs SET end_time = %s WHERE run_id = %s",
            [time.time() - days_ago * 86_400, done.run_id],
        )
        return done.run_id

    def waiting(self, **tags: str) -> None:
        """A run that is about to begin."""
        tags = {f"dagster/asset_partition_range_{k}": v for k, v in tags.items()}
        run = dg.DagsterRun(
            job_name="any", status=dg.DagsterRunStatus.STARTING, tags=tags
        )
        self.instance.add_run(run)

    def runs(self) -> set[str]:
        return {run.run_id for run in self.instance.get_runs()}

    def events(self, run_id: str) -> set[str]:
        query = "SELECT dagster_event_type FROM event_logs WHERE run_id = %s"
        return {row[0] or "log" for row in self.dagster.execute(query, [run_id])}

    def materialized(self) -> set[str]:
        return {*self.instance.get_materialized_partitions(COG)}

    def retain(
        self, policy: Retention = POLICY, *, apply: bool = True
    ) -> dict[str, int]:
        """What went, without the kinds of which nothing did."""
        now = datetime.now(UTC)
        counts = retain(
            self.instance, self.database, policy, [DATASET], now, apply=apply
        )
        return {what: count for what, count in counts.items() if count}

    def sizes(self) -> dict[str, int]:
        """Rows of every table of Dagster's and of ours."""
        names = self.dagster.execute(
            "SELECT schemaname, relname FROM pg_stat_user_tables "
            "WHERE schemaname IN ('public', 'ops')"
        ).fetchall()
        counts = {}
        for schema, name in names:
            table = sql.Identifier(schema, name)
            query = sql.SQL("SELECT count(*) FROM {}").format(table)
            (row,) = self.dagster.execute(query).fetchall()
            counts[f"{schema}.{name}"] = row[0]
        return counts


@contextmanager
def opened(url: str) -> Iterator[RetentionWorld]:
    storage = {"postgres": {"postgres_url": url.replace("://", "+psycopg2://", 1)}}
    database = Database(url=url)
    with dg.instance_for_test(overrides={"storage": storage}) as instance:
        world = RetentionWorld(database, url, instance)
        try:
            yield world
        finally:
            world.dagster.close()
            database.close()
