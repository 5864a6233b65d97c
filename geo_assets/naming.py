"""Every name derived from a source, derived once: keys, blobs, STAC ids.

A blob name may hold anything; what is made of it may not. One escape serves all:
what is not safe becomes `%XX` of its UTF-8 bytes, `%` included, so that every derived
name can be read back and no two sources share one.
"""

import hashlib
import json
import re
import unicodedata
from datetime import UTC, datetime
from urllib.parse import unquote

DEFAULT_SUFFIX = ".tif"  # dropped from stems; every other suffix stays part of them
KEY_LIMIT = 200  # characters of a partition key
STATIC_CATALOG = "_stac/catalog.json"  # in gold: leads to every static collection
INVENTORIES = "_inventory"  # folder in gold; no dataset is called so
_SAFE = frozenset("-_.~ ()+@=!")
_DIGEST_CHARACTERS = 16
OVERVIEW, TILE_LIST = "_overview", "tiles"  # parts of a mosaic: behind a tier; all
SEED = "seed"  # of a tile, halved into one block: of these the overviews grow
_TILES = "@tiles"  # no folder of a stem is called so: there `@` is `%40`
_TILE_KEY = re.compile(r"@([0-9a-f]{16})/r([0-9]{5})_c([0-9]{5})")
_TABLE_WORDS, _TABLE_DIGEST = 45, 8  # characters; leaves room for `_polygon`


def escape(text: str, safe: str = "") -> str:
    r"""`text` with everything but letters, digits and `-_.~ ()+@=!` as %XX.

    >>> escape("a|b,[c].tif")
    'a%7Cb%2C%5Bc%5D.tif'
    >>> unescape(escape("100% Zürich\n")) == "100% Zürich\n"
    True
    """
    kept = _SAFE | set(safe)
    return "".join(
        char if char.isalnum() or char in kept else _percent(char) for char in text
    )


def unescape(text: str) -> str:
    """What `escape` was given."""
    return unquote(text, errors="strict")


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())


def partition_key(blob: str) -> str:
    """Dagster partition key of a blob: its name, escaped, at most 200 characters.

    Dagster forbids `...` and control characters, and its selection syntax trips over
    `, | [ ] "`. A longer name keeps its beginning and ends in a digest of the whole.

    >>> partition_key("flood_depth/2020/a.tif")
    'flood_depth/2020/a.tif'
    >>> partition_key("a...b")
    'a%2E%2E%2Eb'
    >>> len(partition_key("x" * 900))
    200
    """
    key = escape(blob, safe="/").replace("...", "%2E%2E%2E")
    if len(key) <= KEY_LIMIT:
        return key
    digest = hashlib.sha256(blob.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{key[: KEY_LIMIT - _DIGEST_CHARACTERS - 1]}#{digest}"


def blob_stem(blob: str) -> str:
    """Folder, below its dataset, of what is made of a blob.

    `.tif` is dropped; any other suffix is kept behind an `@`, so that `a.tif`,
    `a.tiff` and `a` never meet.

    >>> blob_stem("dem/tile.tif"), blob_stem("dem/tile.tiff"), blob_stem("dem/tile")
    ('dem/tile', 'dem/tile@tiff', 'dem/tile@')
    >>> blob_stem("../a//b@c.tif")
    '%2E%2E/a/%/b%40c'
    """
    *folders, last = blob.split("/")
    stem, _, suffix = last.rpartition(".") if "." in last else (last, "", "")
    end = "" if f".{suffix}" == DEFAULT_SUFFIX else f"@{_escape_stem(suffix)}"
    return "/".join([*map(_escape_segment, folders), _escape_segment(stem) + end])


def _escape_segment(segment: str) -> str:
    if segment in {".", ".."}:
        return segment.replace(".", "%2E")
    return _escape_stem(segment) or "%"


def _escape_stem(text: str) -> str:
    return escape(text).replace("@", "%40")


def product_prefix(dataset: str, blob: str) -> str:
    """Prefix in silver of everything made of a blob, with its closing slash.

    >>> product_prefix("rasters", "a/b.tif")
    'rasters/a/b/'
    """
    return f"{dataset}/{blob_stem(blob)}/"


def cog_name(dataset: str, blob: str, tier: str) -> str:
    """Blob name in silver of the COG of a source in one tier.

    >>> cog_name("rasters", "dem/tile_07.tif", "analysis")
    'rasters/dem/tile_07/analysis.tif'
    """
    return f"{product_prefix(dataset, blob)}{tier}.tif"


def tile_folder(row: int, column: int) -> str:
    """Folder of a tile of a giant raster; sorts from the upper left, row by row.

    >>> tile_folder(3, 12)
    'r00003_c00012'
    """
    return f"r{row:05d}_c{column:05d}"


def tile_key(blob: str, digest: str, row: int, column: int) -> str:
    """Partition key of a tile: for people its blob, then what leads to its plan.

    >>> tile_key("dem/big.tif", "0123456789abcdef", 3, 12)
    'dem/big.tif@0123456789abcdef/r00003_c00012'
    >>> len(tile_key("x" * 900, "0123456789abcdef", 3, 12))
    200
    """
    end = f"@{digest}/{tile_folder(row, column)}"
    words = escape(blob, safe="/").replace("...", "%2E%2E%2E")
    return words[: KEY_LIMIT - len(end)] + end


def read_tile_key(key: str) -> tuple[str, int, int]:
    """Digest of the plan, row and column of a tile.

    >>> read_tile_key(tile_key("a@b.tif", "0123456789abcdef", 3, 12))
    ('0123456789abcdef', 3, 12)

    Raises:
        ValueError: it is no key of a tile.
    """
    found = _TILE_KEY.search(key)
    if found is None or found.end() != len(key):
        raise ValueError(f"not the key of a tile: {key!r}")
    digest, row, column = found.groups()
    return digest, int(row), int(column)


def giant_name(dataset: str, blob: str, digest: str, name: str) -> str:
    """Blob name in silver of what is made of one plan of a giant raster.

    Plans never share a folder: readers of the old item see the old tiles until the
    new item is there.

    >>> giant_name("d", "a/big.tif", "0123456789abcdef", "r00003_c00012/analysis.tif")
    'd/a/big/@tiles/0123456789abcdef/r00003_c00012/analysis.tif'
    """
    return f"{product_prefix(dataset, blob)}{_TILES}/{digest}/{name}"


def mosaic_file(part: str) -> str:
    """File, in the folder of a plan, of a part of the mosaic.

    >>> [mosaic_file(part) for part in ("analysis", "analysis_overview", "tiles")]
    ['analysis.vrt', 'analysis_overview.tif', 'tiles.json']
    """
    if part == TILE_LIST:
        return f"{part}.json"
    return f"{part}.tif" if part.endswith(OVERVIEW) else f"{part}.vrt"


def item_id(blob: str) -> str:
    """STAC item id of a blob: its stem, folders joined by `~`, readable in a URL.

    >>> item_id("flood/2020/a.tif"), item_id("a~b.tif")
    ('flood~2020~a', 'a%7Eb')
    """
    return blob_stem(blob).replace("~", "%7E").replace("/", "~")


def table_name(dataset: str, blob: str, layer: str | None) -> str:
    """Table, in schema `geo`, of a layer of a file that has a table of its own.

    Dataset, stem and layer for people, and a digest that keeps files apart whose
    names only differ in what a table's name cannot say; at most 54 bytes.

    >>> table_name("vectors", "osm/Städte 2024.gpkg", None)
    'vectors_osm_stadte_2024_e8bd28aa'
    >>> table_name("vectors", "a.gpkg", "lots") == table_name("vectors", "a.gpkg", "l")
    False
    """
    stem = blob.rpartition("/")[2].rpartition(".")[0] or blob
    folders = blob.rpartition("/")[0]
    words = [dataset, folders, stem, *([layer] if layer else [])]
    plain = unicodedata.normalize("NFKD", " ".join(words)).lower()
    slug = re.sub(r"[^a-z0-9]+", "_", re.sub(r"[^\x00-\x7f]", "", plain)).strip("_")
    identity = json.dumps([dataset, blob, layer])
    digest = hashlib.sha256(identity.encode()).hexdigest()[:_TABLE_DIGEST]
    return f"{slug[:_TABLE_WORDS].strip('_')}_{digest}"


def export_name(dataset: str, subject: str, suffix: str) -> str:
    """Blob name in gold of what is made of a whole table, or by a query.

    >>> export_name("parcels", "parcels", ".parquet")
    'parcels/parcels.parquet'
    """
    return f"{dataset}/{subject}{suffix}"


def exports_job(dataset: str) -> str:
    """Name of the job that brings a dataset's exports up to date.

    >>> exports_job("parcels")
    'parcels__exports'
    """
    return f"{dataset}__exports"


def promotion_job(dataset: str) -> str:
    """Name of the job that promotes a dataset.

    >>> promotion_job("parcels")
    'parcels__promotion'
    """
    return f"{dataset}__promotion"


def files_job(dataset: str) -> str:
    """Name of the job that takes a dataset's files to the catalogue.

    >>> files_job("rasters")
    'rasters__ingest'
    """
    return f"{dataset}__ingest"


def files_partitions(dataset: str) -> str:
    """Name of the dynamic partition set of a dataset's files.

    >>> files_partitions("rasters")
    'rasters__files'
    """
    return f"{dataset}__files"


def tiles_job(dataset: str) -> str:
    """Name of the job that makes tiles of a dataset's giant rasters.

    >>> tiles_job("ortho")
    'ortho__tiling'
    """
    return f"{dataset}__tiling"


def tiles_partitions(dataset: str) -> str:
    """Name of the dynamic partition set of the tiles of a dataset's giant rasters.

    >>> tiles_partitions("ortho")
    'ortho__tiles'
    """
    return f"{dataset}__tiles"


def inventory_name(taken_at: datetime) -> str:
    """Blob name in gold of an inventory; in the order of time.

    >>> inventory_name(datetime(2026, 11, 28, 15, 9, 46, 1, tzinfo=UTC))
    '_inventory/20261128T150946.000001Z.parquet'
    """
    moment = taken_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"{INVENTORIES}/{moment}.parquet"


def geoparquet_items_name(dataset: str) -> str:
    """Blob name in gold of all items of a dataset as stac-geoparquet.

    >>> geoparquet_items_name("rasters")
    'rasters/items.parquet'
    """
    return f"{dataset}/items.parquet"


def static_collection_name(collection: str) -> str:
    """Blob name in gold of a collection as a static document.

    >>> static_collection_name("rasters")
    'rasters/stac/collection.json'
    """
    return f"{collection}/stac/collection.json"


def static_item_name(collection: str, item: str) -> str:
    """Blob name in gold of an item as a static document.

    The same as a path and as a URI, since not every reader of STAC decodes paths: what
    would have to be encoded becomes `_`, and a digest keeps such names apart.

    >>> static_item_name("rasters", "dem~a")
    'rasters/stac/items/dem~a.json'
    >>> static_item_name("rasters", "dem a")
    'rasters/stac/items/dem_a-f6e07c7ddbf5a0ca.json'
    """
    name = item
    if not re.fullmatch(r"[A-Za-z0-9_.~-]+", item) or len(item) > KEY_LIMIT:
        digest = hashlib.sha256(item.encode()).hexdigest()[:_DIGEST_CHARACTERS]
        plain = re.sub(r"[^A-Za-z0-9_.~-]", "_", item)
        name = f"{plain[: KEY_LIMIT - _DIGEST_CHARACTERS - 1]}-{digest}"
    return f"{static_items_folder(collection)}/{name}.json"


def static_items_folder(collection: str) -> str:
    """Folder in gold of the items of a collection as static documents.

    >>> static_items_folder("rasters")
    'rasters/stac/items'
    """
    return f"{collection}/stac/items"
