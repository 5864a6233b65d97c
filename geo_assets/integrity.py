"""The integrity watcher: what the ledger promises, asked of the world, and mended.

Goes in: ledger, catalogue, tables, storage. Comes out: findings, as checks on the asset
`ops/integrity`, and a plan of repairs, which is carried out by `strata repair --yes`
alone. What must stay out: any deletion by itself.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg
from pydantic import Field

from geo_resources import integrity, tables
from geo_resources.database import Database
from geo_resources.integrity import KINDS, OF_A_FILE, Finding, Kind
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage

if TYPE_CHECKING:
    from psycopg import Connection

INTEGRITY = dg.AssetKey(["ops", "integrity"])
SILVER = "silver"
DAILY_SHARE = 1 / 30  # of files whose bytes are read again
MOST_SHOWN = 50
SLICES = 100  # in which files are read again: of no more the names are in memory
WORDS: dict[Kind, str] = {
    "missing_blob": "Every product lies in storage.",
    "changed_bytes": "Every product has the bytes it was written with.",
    "dead_href": "Every item leads to files that a source owns.",
    "missing_item": "Every item is in pgSTAC.",
    "missing_table": "Every table is in PostGIS.",
    "wrong_count": "Every table has the rows that were counted.",
    "orphan_blob": "Every blob in silver belongs to a source.",
    "orphan_item": "Every item belongs to a source.",
    "orphan_table": "Every table belongs to a source.",
}
REPAIRS: dict[Kind, str] = {
    **dict.fromkeys(OF_A_FILE, "make the source again"),
    "orphan_blob": "delete it",
    "orphan_item": "delete it",
    "orphan_table": "drop it",
}


class IntegrityConfig(dg.Config):
    """How much is read again."""

    share: float = Field(
        default=DAILY_SHARE,
        ge=0,
        le=1,
        description="Share of files and tables whose bytes and rows are read again.",
    )


def build_integrity_asset() -> dg.AssetsDefinition:
    """The asset whose runs look, and whose checks say what is wrong."""

    @dg.asset(
        key=INTEGRITY,
        group_name="ops",
        description="What the ledger promises, asked of storage, PostGIS and pgSTAC. "
        "Nothing is changed: see `strata repair`.",
        tags={"zone": "ops"},
        kinds={"postgresql"},
        check_specs=[
            dg.AssetCheckSpec(f"no_{kind}", asset=INTEGRITY, description=WORDS[kind])
            for kind in KINDS
        ],
    )
    def integrity_report(
        context: dg.AssetExecutionContext,
        config: IntegrityConfig,
        database: Database,
        storage: Storage,
        scratch: Scratch,
    ) -> dg.MaterializeResult:
        found = audit(database, storage, scratch, context.run.run_id, config.share)
        counts = Counter(one.kind for one in found)
        return dg.MaterializeResult(
            metadata={kind: counts[kind] for kind in KINDS}
            | {"share read again": config.share},
            check_results=[check_of(kind, found) for kind in KINDS],
        )

    return integrity_report


def check_of(kind: Kind, found: Sequence[Finding]) -> dg.AssetCheckResult:
    """Whether there is no finding of a kind."""
    ours = [one for one in found if one.kind == kind]
    shown = [one._asdict() for one in ours[:MOST_SHOWN]]
    return dg.AssetCheckResult(
        check_name=f"no_{kind}",
        asset_key=INTEGRITY,
        passed=not ours,
        metadata={"found": len(ours), "findings": dg.MetadataValue.json(shown)},
    )


def audit(
    database: Database, storage: Storage, scratch: Scratch, run_id: str, share: float
) -> list[Finding]:
    """Everything that is not as the ledger says.

    Names, sizes, items and tables are all compared; bytes and rows of a share are read
    again, another one each day. What changes meanwhile is asked for a second time.

    Args:
        database: with ledger, catalogue and tables.
        storage: with the products.
        scratch: where files are read.
        run_id: whose scratch it is.
        share: of files and tables, 0 to 1.
    """
    salt = f"{datetime.now(UTC):%Y-%m-%d}"
    found = _compare(database, storage, share, salt)
    if found:  # what a run has changed meanwhile is another finding now, or none
        again = {*_compare(database, storage, share, salt)}
        found = [one for one in found if one in again]
    for low in range(ceil(share * SLICES)):
        part = (low / SLICES, min((low + 1) / SLICES, share), salt)
        found += _changed(database, storage, scratch, run_id, part)
    return found


def _compare(
    database: Database, storage: Storage, share: float, salt: str
) -> list[Finding]:
    pages = (
        [(storage.href(SILVER, blob.name), blob.size_bytes) for blob in page]
        for page in storage.list_pages(SILVER)
    )
    with database.transaction() as connection:
        integrity.keep_listing(connection, pages)
        return [
            *integrity.compare(connection),
            *integrity.count_rows(connection, share, salt),
        ]


def _changed(
    database: Database,
    storage: Storage,
    scratch: Scratch,
    run_id: str,
    sample: tuple[float, float, str],
) -> list[Finding]:
    """Files whose content is not what their items say, also when it was read."""
    with database.transaction() as connection:
        files = integrity.sampled_files(connection, *sample)
    wrong = {
        file: digest
        for file in files
        if (digest := _digest(storage, scratch, run_id, file))
        not in {
            None,
            file.checksum,
        }
    }
    if not wrong:
        return []
    with database.transaction() as connection:
        said = {*integrity.sampled_files(connection, *sample)}
    return [
        Finding(
            "changed_bytes",
            file.dataset,
            file.container,
            file.blob,
            file.href,
            f"sha256 {digest} instead of {file.checksum}",
        )
        for file, digest in wrong.items()
        if file in said
    ]


def _digest(
    storage: Storage, scratch: Scratch, run_id: str, file: integrity.Stored
) -> str | None:
    """Of the content as it is now; None if there is none, which is another finding."""
    container, name = storage.parse_href(file.href)
    with scratch.folder(run_id) as folder:
        try:
            return storage.fetch(container, name, folder).sha256
        except FileNotFoundError:
            return None


class Mended(NamedTuple):
    """A finding, and whether something was done about it."""

    finding: Finding
    done: bool


def repair(database: Database, findings: Sequence[Finding]) -> list[Mended]:
    """Do what `REPAIRS` says.

    A source is made again by the next run, as a whole; a blob goes with the janitor's
    next sweep, if nobody owns it by then. Nothing can be done for a source that is
    gone.
    """
    again: dict[tuple[str, str], bool] = {}
    mended = []
    for one in findings:
        if one.kind in OF_A_FILE and one.container and one.blob:
            source = (one.container, one.blob)
            if source not in again:
                with database.transaction() as connection:
                    again[source] = integrity.make_again(connection, *source) > 0
            mended.append(Mended(one, again[source]))
        else:
            with database.transaction() as connection:
                mended.append(Mended(one, _remove(connection, one)))
    return mended


def _remove(connection: "Connection", one: Finding) -> bool:
    """Whether an orphan is gone, or will be."""
    if one.kind == "orphan_blob":
        return integrity.delete_orphan(connection, one.thing) > 0
    if one.kind == "orphan_item":
        collection, _, item = one.thing.partition("/")
        return integrity.delete_orphan_item(connection, collection, item) > 0
    if one.container is None or one.blob is None:
        return False
    table = (one.thing.removeprefix("geo."), one.container, one.blob)
    tables.lock_tables(connection, [table[0]])
    if integrity.is_owned(connection, one.thing):
        return False  # a run was quicker
    if not tables.plan_table_withdrawal(connection, *table).drops_table:
        return False  # something hangs on it: its rows stay, too
    return tables.withdraw_table(connection, *table).drops_table
