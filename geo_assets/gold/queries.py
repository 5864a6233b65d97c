"""Named queries: each `gold/queries/<name>.sql` is an asset, its answer lies in gold.

The comment that a file begins with describes it; a line `-- cron: 45 3 * * *` in it
gives it a schedule (UTC).
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from geo_assets.events import Metadata
from geo_assets.gold.bureau import answer_query
from geo_assets.gold.desk import GOLD
from geo_assets.naming import export_name
from geo_resources import exports
from geo_resources.database import Database
from geo_resources.exports import Made, Product
from geo_resources.query_limits import QueryLimits
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage

FOLDER = "gold/queries"  # in the project
GROUP = "queries"  # also the folder in gold, and the schema that queries see
NAME = r"[a-z][a-z0-9_]{0,47}"
PREVIEW_ROWS = 20
_CRON = re.compile(r"^cron:\s*(?P<cron>\S.*)$")


class BadQueryNameError(Exception):
    """A file in the folder of queries has a name that no asset can have."""


class Query(NamedTuple):
    """A named query."""

    name: str
    sql: str
    description: str
    cron: str | None


def read_queries(project: Path) -> list[Query]:
    """All queries of a project, by name.

    Raises:
        BadQueryNameError: a file's name is not of lower-case letters, digits and `_`.
    """
    return [_query(path) for path in sorted((project / FOLDER).glob("*.sql"))]


def _query(path: Path) -> Query:
    if not re.fullmatch(NAME, path.stem):
        raise BadQueryNameError(f"{path}: the name is not of the form {NAME}")
    sql = path.read_text(encoding="utf-8")
    words = [*_comment(sql)]
    crons = [found["cron"] for one in words if (found := _CRON.match(one))]
    text = " ".join(one for one in words if not _CRON.match(one))
    return Query(path.stem, sql, text or path.stem, crons[0] if crons else None)


def _comment(sql: str) -> Iterator[str]:
    """Lines of the comment at the beginning."""
    for line in sql.splitlines():
        if not line.startswith("--"):
            return
        yield line.removeprefix("--").strip()


def build_query_defs(queries: Sequence[Query]) -> dg.Definitions:
    """An asset per query, and a schedule for those that have a cron line."""
    return dg.Definitions(
        assets=[build_query_asset(one) for one in queries],
        schedules=[_schedule(one, one.cron) for one in queries if one.cron],
    )


def _schedule(query: Query, cron: str) -> dg.ScheduleDefinition:
    name = f"{GROUP}__{query.name}__answer"  # the asset's op has the name without
    job = dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(dg.AssetKey([GROUP, query.name])),
        description=query.description,
    )
    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def build_query_asset(query: Query) -> dg.AssetsDefinition:
    """The asset of a query: its answer as Parquet in gold."""

    @dg.asset(
        key=dg.AssetKey([GROUP, query.name]),
        group_name=GROUP,
        tags={"zone": GOLD},
        kinds={"duckdb", "gold", "parquet"},
        code_version=_digest(query),
        pool="exports",
        description=f"{query.description}\n\n```sql\n{query.sql}\n```",
    )
    def answer(
        context: dg.AssetExecutionContext,
        storage: Storage,
        database: Database,
        scratch: Scratch,
        query_limits: QueryLimits,
    ) -> dg.MaterializeResult:
        run_id = context.run.run_id
        with scratch.folder(run_id) as folder:
            path = answer_query(query.sql, storage, database, query_limits, folder)
            metadata = publish(query, path, storage, database, run_id)
        return dg.MaterializeResult(metadata=metadata)

    return answer


def _digest(query: Query) -> str:
    return hashlib.sha256(query.sql.encode()).hexdigest()[:16]


def publish(
    query: Query, path: Path, storage: Storage, database: Database, run_id: str
) -> Metadata:
    """Put an answer in the place of the one before; what Dagster shows of it."""
    from geo_assets.gold.answer import read_answer

    answer = read_answer(path, PREVIEW_ROWS)
    name = export_name(GROUP, query.name, ".parquet")
    href = storage.href(GOLD, name)
    product = Product(GROUP, "query", query.name, href)
    state = f"{_digest(query)} {run_id}"
    with database.transaction() as connection:
        exports.begin(connection, product, state, run_id)
    blob = storage.upload(GOLD, name, path, move=True)
    made = Made(blob.etag, answer.bytes, answer.rows, {"columns": answer.columns})
    with database.transaction() as connection:
        exports.finish(connection, product, state, made)
    columns = [dg.TableColumn(name, kind) for name, kind in answer.columns.items()]
    schema = dg.TableSchema(columns)
    metadata: Metadata = {
        "dagster/row_count": answer.rows,
        "dagster/column_schema": dg.MetadataValue.table_schema(schema),
        "dagster/uri": href,
        "bytes": answer.bytes,
    }
    if answer.preview:
        records = [dg.TableRecord(row) for row in answer.preview]
        metadata["preview"] = dg.MetadataValue.table(records)
    return metadata
