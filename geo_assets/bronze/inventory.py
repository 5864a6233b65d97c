"""A snapshot of every container: listed, joined with the ledger, kept in gold.

Goes in: storage, the ledger, the contracts, which blobs are wanted. Comes out: a
Parquet file, a row in `ops.inventories` and a summary. Memory is that of a page. What
must stay out: Dagster.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geo_assets.bronze import kinds
from geo_assets.bronze.filters import Filters
from geo_assets.bronze.summary import Inventory, Point
from geo_assets.naming import INVENTORIES, inventory_name
from geo_assets.routing import Router
from geo_resources import inventory
from geo_resources.blobs import BlobInfo
from geo_resources.database import Database
from geo_resources.inventory import Filed, Listed
from geo_resources.storage import Storage

if TYPE_CHECKING:
    import pyarrow as pa

PRODUCTS = ("silver", "gold")  # containers in which nothing arrives
GOLD = "gold"
TREND = 30  # inventories that are compared
EXAMPLES = 20


@dataclass(frozen=True)
class Surveyor:
    """Where to look, and who knows what is found.

    Attributes:
        keep: how many snapshots stay in gold; their summaries stay in the database.
        folder: empty, for the snapshot until it is uploaded.
    """

    storage: Storage
    database: Database
    router: Router
    folder: Path
    keep: int


def take_inventory(place: Surveyor, filters: Filters, now: datetime) -> Inventory:
    """List the containers, keep the snapshot and sum it up.

    Only one is taken at a time. A kill leaves the last one as it was.

    Raises:
        ValueError: the filters name a container that the platform has not.
        MissingContainerError: a container cannot be listed: that is not empty.
    """
    containers = chosen_containers(place.router, filters)
    name = inventory_name(now)
    href = place.storage.href(GOLD, name)
    with place.database.transaction() as connection:
        inventory.collect(connection, listed(place, containers, filters))
        summary = inventory.summarize(connection, EXAMPLES)
        path = write_snapshot(place.folder / "inventory.parquet", connection)
        place.storage.upload(GOLD, name, path, move=True)
        inventory.record(connection, now, filters.as_json, href, summary)
        past = inventory.history(connection, filters.as_json, TREND)
    _delete_old(place)
    trend = [Point(**one._asdict()) for one in past]
    return Inventory(
        taken_at=now, href=href, filters=filters.as_json, trend=tuple(trend), **summary
    )


def chosen_containers(router: Router, filters: Filters) -> Sequence[str]:
    """The platform's containers, or those of them that are wanted."""
    known = sorted({*watched_containers(router), *PRODUCTS})
    if unknown := set(filters.containers) - {*known}:
        message = f"no container of the platform: {sorted(unknown)}; known: {known}"
        raise ValueError(message)
    return [one for one in known if one in (filters.containers or known)]


def watched_containers(router: Router) -> Sequence[str]:
    """The containers in which files arrive."""
    return sorted({one.source.container for one in router.contracts})


def listed(
    place: Surveyor, containers: Iterable[str], filters: Filters
) -> Iterator[list[Listed]]:
    """The blobs that are wanted, page by page."""
    datasets = {one.name for one in place.router.contracts}
    watched = watched_containers(place.router)
    for container in containers:
        file = _arrival if container in watched else _product
        for page in place.storage.list_pages(container, filters.folder):
            yield [
                file(place, container, blob, datasets)
                for blob in page
                if filters.take(blob.name, blob.size_bytes, blob.last_modified)
            ]


def _arrival(
    place: Surveyor, container: str, blob: BlobInfo, datasets: set[str]
) -> Listed:
    del datasets
    claim = place.router.route(container, blob.name).dataset
    return _filed(container, blob, "", claim, watched=True)


def _product(
    place: Surveyor, container: str, blob: BlobInfo, datasets: set[str]
) -> Listed:
    """A blob that is owned by its href; where it is not, its folder tells."""
    href = place.storage.href(container, blob.name)
    folder = blob.name.partition("/")[0]
    claim = folder if folder in datasets else None
    return _filed(container, blob, href, claim, watched=False)


def _filed(
    container: str, blob: BlobInfo, href: str, claim: str | None, *, watched: bool
) -> Listed:
    extension = kinds.extension(blob.name)
    return Listed(
        container,
        blob.name,
        blob.etag,
        blob.size_bytes,
        blob.last_modified,
        extension,
        kinds.kind(extension),
        kinds.size_class(blob.size_bytes),
        href,
        watched,
        claim,
    )


def write_snapshot(path: Path, connection: Any) -> Path:  # noqa: ANN401 # psycopg's
    """The collected blobs as Parquet, sorted by container and name."""
    import pyarrow.parquet as pq

    schema = snapshot_schema()
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for page in inventory.rows(connection):
            writer.write_batch(_batch(page, schema))
    return path


def _batch(page: Sequence[Filed], schema: "pa.Schema") -> "pa.RecordBatch":
    import pyarrow as pa

    columns = zip(*page, strict=True)
    arrays = [
        pa.array(column, type=field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.record_batch(arrays, schema=schema)


def snapshot_schema() -> "pa.Schema":
    """The columns of a snapshot: those of `Filed`."""
    import pyarrow as pa

    types = {"bytes": pa.int64(), "last_modified": pa.timestamp("us", tz="UTC")}
    return pa.schema([(name, types.get(name, pa.string())) for name in Filed._fields])


def _delete_old(place: Surveyor) -> None:
    """Delete snapshots beyond the number to keep; none is being taken meanwhile."""
    with place.database.transaction() as connection:
        kept = inventory.kept_hrefs(connection, place.keep)
        for page in place.storage.list_pages(GOLD, INVENTORIES):
            old = [
                blob.name
                for blob in page
                if place.storage.href(GOLD, blob.name) not in kept
            ]
            place.storage.delete(GOLD, old)
