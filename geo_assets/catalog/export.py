"""The catalogue of a dataset in gold: static STAC, and stac-geoparquet.

Goes in: collection and items from pgSTAC. Comes out: blobs in gold that readers see
old or new, document by document; a run that was killed is done again as a whole.
"""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

from geo_assets.catalog.static import static_catalog, static_collection, static_item
from geo_assets.contract import DatasetContract
from geo_assets.naming import (
    STATIC_CATALOG,
    geoparquet_items_name,
    static_collection_name,
    static_item_name,
    static_items_folder,
)
from geo_assets.specs import key_of
from geo_resources import pgstac, pgstac_catalogue
from geo_resources.database import Database
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage
from geo_resources.turns import await_turn

if TYPE_CHECKING:
    from psycopg import Connection

GOLD = "gold"
STATIC, GEOPARQUET = "stac_static", "stac_geoparquet"
AT_ONCE = 8  # uploads
CHUNK = 2_000  # items in memory
Json = dict[str, Any]


class Exported(NamedTuple):
    """What was written.

    Attributes:
        href: where a reader begins; None if there was nothing to write.
    """

    collection: str
    kind: str
    href: str | None
    items: int
    bytes: int

    @property
    def metadata(self) -> dict[str, Any]:
        """What Dagster shows."""
        found = {"items": self.items, "bytes": self.bytes}
        return found if self.href is None else {"dagster/uri": self.href, **found}


def export_keys(contract: DatasetContract) -> Sequence[dg.AssetKey]:
    """Of a dataset's exports."""
    return [key_of(contract, STATIC), key_of(contract, GEOPARQUET)]


def build_export_assets(
    contract: DatasetContract,
) -> Sequence[dg.AssetsDefinition]:
    """The assets that write a dataset's catalogue into gold, by hand or by job."""
    deps = [
        dg.AssetDep(key_of(contract, "item")),
        dg.AssetDep(key_of(contract, "collection")),
    ]

    @dg.asset(
        key=key_of(contract, STATIC),
        deps=deps,
        group_name=contract.name,
        owners=contract.owners,
        tags={"zone": "gold"},
        kinds={"azure", "gold", "stac"},
        code_version="1",
        description="The collection and its items as files that need no server.",
    )
    def stac_static(storage: Storage, database: Database) -> dg.MaterializeResult:
        done = export_static(storage, database, contract.name)
        return dg.MaterializeResult(metadata=done.metadata)

    @dg.asset(
        key=key_of(contract, GEOPARQUET),
        deps=deps,
        group_name=contract.name,
        owners=contract.owners,
        tags={"zone": "gold"},
        kinds={"parquet", "gold", "stac"},
        code_version="1",
        description="All items of the dataset as one stac-geoparquet file.",
    )
    def stac_geoparquet(
        context: dg.AssetExecutionContext,
        storage: Storage,
        database: Database,
        scratch: Scratch,
    ) -> dg.MaterializeResult:
        with scratch.folder(context.run.run_id) as folder:
            done = export_geoparquet(storage, database, contract.name, folder)
        return dg.MaterializeResult(metadata=done.metadata)

    return [stac_static, stac_geoparquet]


def export_static(storage: Storage, database: Database, collection: str) -> Exported:
    """Write items first, then the collection that leads to them, then delete others.

    A reader who follows the links of a collection always finds its items. Exports of
    one collection wait for each other.
    """
    with database.transaction() as connection:
        await_turn(connection, f"static STAC of {collection}")
        found = pgstac.get_collection(connection, collection)
        items = pgstac_catalogue.stream_items(connection, collection)
        ids, size = _write_items(storage, items if found else iter(()))
        name = static_collection_name(collection)
        if found is not None:
            size += _put(storage, name, static_collection(found, ids))
        else:
            storage.delete(GOLD, [name])
        _delete_others(storage, collection, ids)
        _write_catalog(storage, connection)
    href = storage.href(GOLD, name) if found else None
    return Exported(collection, STATIC, href, len(ids), size)


def _write_items(storage: Storage, items: Iterator[Json]) -> tuple[list[str], int]:
    """Put the items, some at a time; their ids, and bytes in all."""

    def put(item: Json) -> int:
        place = static_item_name(item["collection"], item["id"])
        return _put(storage, place, static_item(item))

    ids: list[str] = []
    size = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while chunk := [*islice(items, CHUNK)]:
            size += sum(pool.map(put, chunk))
            ids += [item["id"] for item in chunk]
    return ids, size


def _put(storage: Storage, name: str, document: Json) -> int:
    data = json.dumps(document, allow_nan=False, ensure_ascii=False).encode()
    return storage.put_bytes(GOLD, name, data).size_bytes


def _delete_others(storage: Storage, collection: str, ids: Sequence[str]) -> None:
    """Delete the documents of items that are no more."""
    kept = {static_item_name(collection, one) for one in ids}
    for page in storage.list_pages(GOLD, static_items_folder(collection)):
        storage.delete(GOLD, [one.name for one in page if one.name not in kept])


def _write_catalog(storage: Storage, connection: "Connection") -> None:
    """The document above all collections, of those that were exported."""
    await_turn(connection, f"static STAC of {STATIC_CATALOG}")
    known = pgstac_catalogue.collection_ids(connection)
    exported = [
        one for one in known if storage.exists(GOLD, static_collection_name(one))
    ]
    _put(storage, STATIC_CATALOG, static_catalog(exported))


def export_geoparquet(
    storage: Storage, database: Database, collection: str, folder: Path
) -> Exported:
    """Write all items as one file, read its count back, put it in the old one's place.

    A collection without items has no such file. Exports of one collection wait for
    each other, or one that read before others had loaded could be written last.

    Args:
        storage: where gold is.
        database: where pgSTAC is.
        collection: its id.
        folder: empty; for the file until it is uploaded.
    """
    name = geoparquet_items_name(collection)
    path = folder / "items.parquet"
    with database.transaction() as connection:
        await_turn(connection, f"stac-geoparquet of {collection}")
        found = pgstac.get_collection(connection, collection)
        items = pgstac_catalogue.stream_items(connection, collection)
        count = write_geoparquet(path, items, found or {}, folder)
        if not count:
            storage.delete(GOLD, [name])
            return Exported(collection, GEOPARQUET, None, 0, 0)
        size = storage.upload(GOLD, name, path, move=True).size_bytes
    href = storage.href(GOLD, name)
    return Exported(collection, GEOPARQUET, href, count, size)


class ItemsNotWrittenError(Exception):
    """The file does not hold as many items as the catalogue gave."""


def write_geoparquet(
    path: Path, items: Iterator[Json], collection: Json, folder: Path
) -> int:
    """Items as stac-geoparquet 1.1, in any order; how many there were.

    Raises:
        ItemsNotWrittenError: the file holds another number.
    """
    import pyarrow.parquet as pq
    from stac_geoparquet.arrow import parse_stac_items_to_arrow, to_parquet

    tally = _Tally(items)
    if tally.first is None:
        return 0
    parts = folder / "parts"
    parts.mkdir()
    table = parse_stac_items_to_arrow(
        tally,
        chunk_size=CHUNK,
        schema="ChunksToDisk",
        tmpdir=parts,
        drop_invalid_properties=False,
    )
    known = {collection["id"]: collection}
    to_parquet(table, path, collections=known, compression="zstd")
    written = pq.read_metadata(path).num_rows
    if written != tally.count:
        message = f"{written} of {tally.count} items are in the file"
        raise ItemsNotWrittenError(message)
    return written


class _Tally:
    """Items that count themselves as they are taken."""

    def __init__(self, items: Iterator[Json]) -> None:
        self._items = items
        self.first = next(items, None)
        self.count = 0

    def __iter__(self) -> Iterator[Json]:
        if self.first is not None:
            self.count += 1
            yield _for_arrow(self.first)
        for item in self._items:
            self.count += 1
            yield _for_arrow(item)


def _for_arrow(item: Json) -> Json:
    """The item with values of one type per member: `nodata` is a number or its name."""
    assets = {
        name: asset | {"bands": [_named_nodata(band) for band in asset["bands"]]}
        if "bands" in asset
        else asset
        for name, asset in item["assets"].items()
    }
    return item | {"assets": assets}


def _named_nodata(band: Json) -> Json:
    if "nodata" not in band:
        return band
    return band | {"nodata": str(band["nodata"])}
