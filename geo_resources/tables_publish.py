"""Publishing: rows go from staging into the table that readers see, in one moment.

A table on which nobody has hung anything is swapped by its name. One that views,
foreign keys, policies or indexes of other people stand on stays: its rows are replaced
within the transaction, which no reader sees before its end either.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from geo_resources.tables_catalogue import (
    CatalogueRow,
    forget_sources,
    record_source,
    record_table,
    register_source,
    sources_of,
)
from geo_resources.tables_columns import ColumnPlan, change_columns, plan_columns
from geo_resources.tables_indexes import analyze
from geo_resources.tables_locks import lock_exclusively, lock_tables
from geo_resources.tables_model import (
    SCHEMA,
    Load,
    Mode,
    Publication,
    Published,
    Source,
    TableChangedError,
    TableFacts,
    TableSpec,
    Way,
)
from geo_resources.tables_refuse import admit
from geo_resources.tables_rows import RowsLostError, replace_rows
from geo_resources.tables_sql import patient
from geo_resources.tables_state import TableState, describe
from geo_resources.tables_swap import (
    complete_indexes,
    keep_comments,
    set_comments,
    swap,
)

if TYPE_CHECKING:
    from psycopg import Connection

ANALYZE_ABOVE = 0.05  # of a table's rows; below, autovacuum is soon enough

SHARED: frozenset[Mode] = frozenset({"replace_source", "append_only"})


class _Job(NamedTuple):
    made: Publication
    before: CatalogueRow | None
    target: TableState | None
    staged: TableState
    way: Way
    plan: ColumnPlan

    @property
    def disturbs(self) -> bool:
        """Whether readers of a table have to be held for it."""
        return self.way == "swapped" or bool(self.plan.changes)


def check_target(
    connection: "Connection", spec: TableSpec, load: Load, *, mode: Mode
) -> None:
    """Refuse a file early, for what `publish_table` would refuse it for later.

    Columns are looked at only by `publish_table`.

    Raises:
        TableError: StaleSourceError, AppendOnlyConflictError, TableTakenError or
            SchemaConflictError.
    """
    admit(connection, spec, load, mode)


def publish_table(  # noqa: PLR0913  what, where from, how
    connection: "Connection",
    spec: TableSpec,
    staging: str,
    load: Load,
    facts: TableFacts,
    *,
    mode: Mode,
) -> Published:
    """Publish one table; see `publish_tables`."""
    made = Publication(spec, staging, load, facts, mode)
    return publish_tables(connection, [made])[0]


def publish_tables(
    connection: "Connection", publications: Sequence[Publication]
) -> list[Published]:
    """Publish staging tables, all at the end of the transaction; staging is gone then.

    From the first swap to the commit readers wait: do this last in the transaction.
    Other publishers of the same tables wait from the beginning.

    Raises:
        TableError: a table refuses the file; see its subclasses.
        TableChangedError: somebody changed a table meanwhile; the whole transaction is
            to be tried again, as for LockNotAvailable and other contention.
        RowsLostError: a trigger or rule of the table swallows rows.
    """
    lock_tables(connection, [one.spec.name for one in publications])
    with patient(connection):
        jobs = [_prepare(connection, one) for one in publications]
        for job in jobs:
            if job.way != "in place":
                complete_indexes(connection, job.made.staging, job.staged)
        held = [job for job in jobs if job.target is not None and job.disturbs]
        lock_exclusively(connection, [job.made.spec.name for job in held])
        for job in held:
            _unchanged(connection, job)
        return [_publish(connection, job) for job in jobs]


def will_need_indexes(
    connection: "Connection", spec: TableSpec, load: Load, *, mode: Mode
) -> bool:
    """Whether the staging table is likely to become the table itself.

    If not, its rows go into the table that is there, and `index_staging` is in vain. A
    wrong guess costs time only.
    """
    _, target = admit(connection, spec, load, mode)
    if target is None or (mode not in SHARED and not target.hung):
        return True
    mine = (load.container, load.blob)
    sources = sources_of(connection, spec.name).values()
    return not target.hung and all(one[:2] == mine for one in sources)


def prepare_target(
    connection: "Connection", spec: TableSpec, staging: str, *, mode: Mode
) -> tuple[str, ...]:
    """Make room in a shared table for new columns, in a short transaction of its own.

    `publish_table` does so as well, but then readers wait while the rows go in. What
    is changed here does no harm if the file is refused after all.

    Returns:
        The changes in words.

    Raises:
        SchemaConflictError: there is no room without loss.
    """
    lock_tables(connection, [spec.name])
    target, staged = (describe(connection, name) for name in (spec.name, staging))
    if target is None or staged is None or mode not in SHARED:
        return ()
    plan = plan_columns(spec.name, target, staged, whole=False)
    if plan.changes:
        lock_exclusively(connection, [spec.name])
        with patient(connection):
            change_columns(connection, spec.name, staging, target, plan)
    return tuple(map(str, plan.changes))


def _prepare(connection: "Connection", made: Publication) -> _Job:
    name = made.spec.name
    before, target = admit(connection, made.spec, made.load, made.mode)
    staged = describe(connection, made.staging)
    if staged is None:
        message = f"{SCHEMA}.{made.staging} is gone"
        raise TableChangedError(message)
    plan, way = ColumnPlan((), {}, ()), _way(made, target)
    if target is not None and way == "in place":
        plan = plan_columns(name, target, staged, whole=made.mode not in SHARED)
        if _alone(connection, made, target, staged):
            way = "swapped"
    return _Job(made, before, target, staged, way, plan)


def _way(made: Publication, target: TableState | None) -> Way:
    if target is None:
        return "created"
    return "in place" if made.mode in SHARED or target.hung else "swapped"


def _alone(
    connection: "Connection",
    made: Publication,
    target: TableState,
    staged: TableState,
) -> bool:
    """Whether the file is the only one of a shared table, and looks as before."""
    if made.mode not in SHARED or target.hung:
        return False
    types, new = (
        {name: column.type for name, column in state.columns.items()}
        for state in (target, staged)
    )
    mine = (made.load.container, made.load.blob)
    others = sources_of(connection, made.spec.name).values()
    return types == new and all(one[:2] == mine for one in others)


def _unchanged(connection: "Connection", job: _Job) -> None:
    """Look again, now that nobody can change the table any more."""
    now, then = describe(connection, job.made.spec.name), job.target
    if now is None or then is None or now[:5] != then[:5]:
        message = f"{SCHEMA}.{job.made.spec.name} was changed by somebody"
        raise TableChangedError(message)


def _publish(connection: "Connection", job: _Job) -> Published:
    name, sources = job.made.spec.name, sources_of(connection, job.made.spec.name)
    lost = _superseded(job, sources)
    if job.way == "in place" and job.target is not None:
        _replace(connection, job, job.target)
    else:
        keep_comments(connection, job.before, job.target, job.staged, job.made.staging)
        swap(connection, job.made.spec, job.made.staging, job.target, job.staged)
    forget_sources(
        connection, [number for number, one in sources.items() if one in lost]
    )
    if job.made.spec.shared:
        record_source(
            connection, _source_id(connection, job), job.made.load, job.made.facts
        )
    now = describe(connection, name)
    if now is None:
        raise AssertionError
    row = record_table(connection, job.made, now)
    return Published(
        table=name,
        way=job.way,
        rows=job.made.facts.rows,
        table_rows=row.rows,
        replaced=_replaced(job, sources),
        version=row.version,
        superseded=lost,
        columns_before=tuple(job.before.columns) if job.before else None,
        changes=tuple(map(str, job.plan.changes)),
    )


def _replace(connection: "Connection", job: _Job, target: TableState) -> None:
    spec, staging = job.made.spec, job.made.staging
    change_columns(connection, spec.name, staging, target, job.plan)
    source_id = _source_id(connection, job) if job.made.mode in SHARED else None
    rows = replace_rows(
        connection, spec, staging, target, job.plan.types, source_id=source_id
    )
    if rows != job.made.facts.rows:
        message = f"{SCHEMA}.{spec.name} took {rows} of {job.made.facts.rows} rows"
        raise RowsLostError(message)
    set_comments(connection, job.before, spec, target, job.staged)
    if rows > ANALYZE_ABOVE * max(target.row_estimate, 0):
        analyze(connection, spec.name)


def _source_id(connection: "Connection", job: _Job) -> int:
    load = job.made.load
    return register_source(connection, job.made.spec.name, load.container, load.blob)


def _superseded(job: _Job, sources: dict[int, Source]) -> tuple[Source, ...]:
    """Files whose rows are no longer in the table, but for the file itself."""
    load, before = job.made.load, job.before
    gone = (
        list(sources.values()) if job.made.mode not in SHARED or not job.target else []
    )
    if before is not None and not before.shared and before.blob is not None:
        gone = [_of_row(before)]
    mine = (load.container, load.blob)
    return tuple(one for one in gone if (one.container, one.blob) != mine)


def _of_row(row: CatalogueRow) -> Source:
    return Source(
        row.container or "", row.blob or "", row.etag or "", row.ledger_id, row.rows
    )


def _replaced(job: _Job, sources: dict[int, Source]) -> int:
    if job.before is None or job.target is None:
        return 0
    if job.made.mode not in SHARED:
        return job.before.rows
    mine = (job.made.load.container, job.made.load.blob)
    return sum(one.rows for one in sources.values() if one[:2] == mine)
