"""Whether a file may go into a table at all, whatever its columns."""

from typing import TYPE_CHECKING

from geo_resources.tables_catalogue import CatalogueRow, find_table, sources_of
from geo_resources.tables_model import (
    SCHEMA,
    AppendOnlyConflictError,
    Load,
    Mode,
    SchemaConflictError,
    StaleSourceError,
    TableSpec,
    TableTakenError,
)
from geo_resources.tables_state import TableState, describe

if TYPE_CHECKING:
    from psycopg import Connection


def admit(
    connection: "Connection", spec: TableSpec, load: Load, mode: Mode
) -> tuple[CatalogueRow | None, TableState | None]:
    """Catalogue row and table as they are, unless something speaks against the file.

    Raises:
        TableError: see `check_target`.
    """
    before, target = _look(connection, spec.name)
    _refuse(connection, spec, load, mode, (before, target))
    return before, target


def _look(
    connection: "Connection", name: str
) -> tuple[CatalogueRow | None, TableState | None]:
    """Catalogue row and table, also while others publish it for the first time.

    Each statement sees what was committed before it. A table without a row is somebody
    else's only if it was there before and after the row was not.
    """
    target = describe(connection, name)
    before = find_table(connection, name)
    while target is not None and before is None:
        now = describe(connection, name)
        if now is not None and now.oid == target.oid:
            return None, now
        target, before = now, find_table(connection, name)
    return before, target


def _refuse(
    connection: "Connection",
    spec: TableSpec,
    load: Load,
    mode: Mode,
    there: tuple[CatalogueRow | None, TableState | None],
) -> None:
    before, target = there
    name = f"{SCHEMA}.{spec.name}"
    if target is not None and (before is None or target.kind != "r"):
        message = f"{name} exists and was not made by Strata"
        raise TableTakenError(message, found=name, expected="a name that is free")
    if before is None:
        return
    _refuse_other_owner(name, load, mode, before)
    if before.shared != spec.shared and target is not None:
        message = (
            f"{name} was made for {_kind(before.shared)}, not {_kind(spec.shared)}"
        )
        raise SchemaConflictError(message, found=before.mode, expected=mode)
    if mode == "replace_table":
        _refuse_older(name, load, before)
    if mode == "append_only" and target is not None:
        _refuse_second_version(connection, name, spec.name, load)


def _kind(shared: object) -> str:
    return "several files" if shared else "one file at a time"


def _refuse_other_owner(
    name: str, load: Load, mode: Mode, before: CatalogueRow
) -> None:
    if before.dataset != load.dataset:
        message = f"{name} is of dataset {before.dataset}"
        raise TableTakenError(message, found=load.dataset, expected=before.dataset)
    theirs, mine = (before.container, before.blob), (load.container, load.blob)
    if mode == "own" and before.blob is not None and theirs != mine:
        message = f"{name} is of {before.container}/{before.blob}"
        raise TableTakenError(message, found=load.blob, expected=before.blob)


def _refuse_older(name: str, load: Load, before: CatalogueRow) -> None:
    """Of two files of one moment the later by name wins, so that order does not."""
    if before.source_modified is None or before.blob is None:
        return
    if (load.modified, load.blob) < (before.source_modified, before.blob):
        message = f"{name} is of {before.blob}, which is newer than {load.blob}"
        raise StaleSourceError(
            message,
            found=load.modified.isoformat(),
            expected=f"not before {before.source_modified.isoformat()}",
        )


def _refuse_second_version(
    connection: "Connection", name: str, table: str, load: Load
) -> None:
    for one in sources_of(connection, table).values():
        same = (one.container, one.blob) == (load.container, load.blob)
        if same and one.etag != load.etag:
            message = f"{name} only grows, and another version of {load.blob} is in it"
            raise AppendOnlyConflictError(message, found=load.etag, expected=one.etag)
