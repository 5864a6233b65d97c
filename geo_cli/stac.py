"""The catalogue for the command line: found, validated, exported, taken away."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from geo_cli.connections import LOADER, open_storage, transaction
from geo_cli.processes import ServiceError
from geo_resources.settings import Settings

if TYPE_CHECKING:
    from geo_assets.catalog.export import Exported
    from geo_assets.catalog.validation import CatalogueReport
    from geo_resources.database import Database

FORMS: Mapping[str, tuple[str, ...]] = {
    "static": ("stac_static",),
    "geoparquet": ("stac_geoparquet",),
    "both": ("stac_static", "stac_geoparquet"),
}


def find_items(
    settings: Settings, body: dict[str, Any], most: int | None
) -> Iterator[dict[str, Any]]:
    """The items that a search finds.

    Raises:
        ServiceError: pgSTAC does not take what is searched for.
    """
    import psycopg

    from geo_resources.pgstac_catalogue import search_items

    try:
        with transaction(settings, LOADER) as connection:
            yield from search_items(connection, body, most)
    except (psycopg.DataError, psycopg.ProgrammingError) as error:
        raise ServiceError(f"not understood: {error.diag.message_primary}") from error


def validate_catalogue(
    settings: Settings, collections: Sequence[str], *, network: bool
) -> list["CatalogueReport"]:
    """What validation found, collection by collection.

    Raises:
        LookupError: there is no such collection.
    """
    from geo_assets.catalog.validation import Schemas, validate_collection

    folder = settings.stac_schemas
    schemas = Schemas(folder, network=network or folder is None)
    with _database(settings) as database:
        names = _named(database, collections)
        return [validate_collection(database, name, schemas) for name in names]


def export_catalogue(
    settings: Settings, collections: Sequence[str], kinds: Sequence[str]
) -> list["Exported"]:
    """Write collections into gold and tell Dagster, as the assets do.

    Raises:
        LookupError: there is no such collection.
    """
    import dagster as dg

    from geo_assets.catalog.export import export_geoparquet, export_static
    from geo_cli.watch import open_instance

    storage = open_storage(settings)
    done: list[Exported] = []
    with _database(settings) as database, TemporaryDirectory() as scratch:
        for name in _named(database, collections):
            if "stac_static" in kinds:
                done.append(export_static(storage, database, name))
            if "stac_geoparquet" in kinds:
                folder = Path(scratch) / name
                folder.mkdir()
                done.append(export_geoparquet(storage, database, name, folder))
    with open_instance(settings) as instance:
        for one in done:
            key = dg.AssetKey([one.collection, one.kind])
            made = dg.AssetMaterialization(key, metadata=one.metadata)
            instance.report_runless_asset_event(made)
    return done


def load_catalogue(
    settings: Settings, collection_file: Path, items_file: Path
) -> tuple[str, int]:
    """Put a collection from elsewhere, and load its items; its id, and how many.

    Raises:
        ServiceError: it is the collection of a dataset, or one of the files is no STAC.
    """
    import orjson
    from psycopg import DataError

    from geo_resources import pgstac
    from geo_resources.pgstac_bulk import bulk_load

    try:
        collection = orjson.loads(collection_file.read_bytes())
        name = collection["id"]
        if _is_a_dataset(name):
            raise ServiceError(f"{name} is a dataset: its items belong to files")
        with transaction(settings, LOADER) as connection, items_file.open("rb") as file:
            pgstac.put_collection(connection, collection)
            return name, bulk_load(connection, name, map(orjson.loads, file))
    except (KeyError, TypeError, ValueError, DataError) as error:
        raise ServiceError(f"not STAC: {error}") from error


def _is_a_dataset(name: str) -> bool:
    """Dagster, which takes most of a second to load, is asked only when it must be."""
    from geo_assets.declared import may_be_a_dataset

    if not may_be_a_dataset(name):
        return False
    from geo_assets.datasets import read_contracts

    return name in {one.name for one in read_contracts()}


def delete_collection(settings: Settings, collection: str, *, apply: bool) -> int:
    """Delete a collection; how many items went, or would go, with it.

    Raises:
        LookupError: there is no such collection.
        ServiceError: files of the ledger own items of it.
    """
    from geo_resources import pgstac_catalogue

    try:
        with transaction(settings, LOADER) as connection:
            count = pgstac_catalogue.delete_collection(connection, collection)
            if not apply:
                connection.rollback()
    except pgstac_catalogue.ItemsLeftError as error:
        raise ServiceError(f"{error}: unpublish them first") from error
    return count


@contextmanager
def _database(settings: Settings) -> Iterator["Database"]:
    from geo_resources.database import Database

    database = Database(
        url=settings.require_database_url(),
        statement_timeout_s=600,  # a cursor over a large collection
    )
    try:
        yield database
    finally:
        database.close()


def _named(database: "Database", collections: Sequence[str]) -> list[str]:
    """The collections that were named, or all.

    Raises:
        LookupError: one of them does not exist.
    """
    from geo_resources.pgstac_catalogue import collection_ids

    with database.transaction() as connection:
        known = collection_ids(connection)
    if missing := [name for name in collections if name not in known]:
        raise LookupError(f"there is no collection {', '.join(missing)}")
    return [name for name in known if not collections or name in collections]
