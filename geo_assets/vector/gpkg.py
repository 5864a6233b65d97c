"""GeoPackage: an SQLite file, looked at before GDAL runs its views."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from geo_assets.contract import VectorContract
from geo_assets.errors import CorruptError, ExternalReferenceError
from geo_assets.vector.choice import NOT_NAMED, Found, wanted
from geo_assets.vector.model import SkippedLayer
from geo_assets.vector.ogr import describe_layer, list_layers
from geo_assets.vector.sniff import unsupported

_HARMLESS_MODULES = {"rtree", "rtree_i32", "fts3", "fts4", "fts5"}
_MODULE = re.compile(r"\bUSING\s+[\"\[`]?(\w+)", re.IGNORECASE)
_DANGEROUS = re.compile(
    r"\b(load_extension|readfile|writefile|edit|fts3_tokenizer|gdal_\w+|ogr_\w+"
    r"|attach|vacuum|pragma\w*|blobfromfile|xb_loadxml|virtual\w+|importshp\w*"
    r"|spatialite\w*)\s*\(",
    re.IGNORECASE,
)
_RASTERS = ("tiles", "2d-gridded-coverage")


def describe_gpkg(path: Path, contract: VectorContract, name: str) -> Found:
    """The layers of a GeoPackage; rasters in it are skipped and said.

    Raises:
        ExternalReferenceError: views or virtual tables that reach outside the file.
        UnsupportedFormatError: an SQLite file of another kind, or rasters only.
        CorruptError: it is damaged or cut off.
    """
    rasters = _inspect(path, name)
    found = Found(
        "GPKG",
        skipped=[SkippedLayer(name=one, reason="raster tiles") for one in rasters],
    )
    names = list_layers(path, "GPKG") if _has_vectors(path) else []
    if not names and rasters:
        raise unsupported(name, "GeoPackage of raster tiles, without vector layers")
    for layer in names:
        if not wanted(layer, contract):
            found.skipped.append(SkippedLayer(name=layer, reason=NOT_NAMED))
            continue
        described, notes = describe_layer(path, "GPKG", layer, contract)
        found.layers.append(described)
        found.notes.extend(notes)
    return found


@contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    """Read-only and immutable: no journal is written, no lock is taken."""
    address = f"file:{quote(str(path))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            yield database
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise CorruptError(
            f"The GeoPackage is damaged: {error}.",
            found=str(error),
            expected="a complete SQLite file",
        ) from error


def _inspect(path: Path, name: str) -> list[str]:
    """Names of the rasters, once nothing dangerous was found."""
    _check_size(path)
    with _database(path) as database:
        rows = database.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        tables = {str(table).lower() for _, table, _ in rows}
        if "gpkg_contents" not in tables:
            kind = "MBTiles" if "tiles" in tables else "SQLite"
            raise unsupported(name, f"{kind} database, not a GeoPackage")
        for kind, table, sql in rows:
            _check_statement(str(kind), str(table), str(sql or ""))
        contents = "SELECT table_name, data_type FROM gpkg_contents"
        return [
            str(table)
            for table, data_type in database.execute(contents)
            if data_type in _RASTERS
        ]


def _has_vectors(path: Path) -> bool:
    query = "SELECT count(*) FROM gpkg_contents WHERE data_type NOT IN (?, ?)"
    with _database(path) as database:
        return bool(database.execute(query, _RASTERS).fetchone()[0])


def _check_statement(kind: str, table: str, sql: str) -> None:
    module = (
        _MODULE.search(sql)
        if re.match(r"\s*CREATE\s+VIRTUAL", sql, re.IGNORECASE)
        else None
    )
    if module and module.group(1).lower() not in _HARMLESS_MODULES:
        raise _reaches_out(table, f"virtual table of module {module.group(1)}")
    call = _DANGEROUS.search(_without_strings(sql)) if kind == "view" else None
    if call:
        raise _reaches_out(table, f"{kind} that calls {call.group(1)}")


def _without_strings(sql: str) -> str:
    return re.sub(r"'(?:[^']|'')*'", "''", sql)


def _reaches_out(table: str, what: str) -> ExternalReferenceError:
    return ExternalReferenceError(
        f"{table} in the GeoPackage is a {what}: it can reach outside the file.",
        found=what,
        expected="tables and plain views",
        table=table,
    )


def _check_size(path: Path) -> None:
    """Whether the file is as long as its header says."""
    with path.open("rb") as file:
        head = file.read(100)
    page = int.from_bytes(head[16:18], "big")
    page = 65536 if page == 1 else page
    said = int.from_bytes(head[28:32], "big") * page
    valid = head[24:28] == head[92:96]  # else the count of pages is out of date
    size = path.stat().st_size
    if len(head) < 100 or not page or (valid and size < said):  # noqa: PLR2004
        raise CorruptError(
            f"The GeoPackage has {size} bytes, its header says {said}: it is cut off.",
            found=f"{size} bytes",
            expected=f"{said} bytes",
        )
