"""STAC collections and items in pgSTAC: a batch is in as a whole, or not at all.

Every function works in the transaction that the caller has open and commits nothing, so
that the ledger can be written with the items. What stays out: what an item says.

pgSTAC drops members that are null when it gives an item back (`merge_jsonb` strips
them); `datetime: null`, which STAC demands beside a time range, is put back here.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, LiteralString

if TYPE_CHECKING:
    from psycopg import Connection

Json = dict[str, Any]

TIMES = ("datetime", "start_datetime", "end_datetime")
COORDINATE_TOLERANCE = 1e-9  # degrees: what PostGIS rounds when it writes GeoJSON
POSITIONS = 4  # numbers of a flat bounding box


class ItemsLostError(Exception):
    """Not every item of a batch is in the catalogue as it was sent.

    Attributes:
        missing: ids that are not there.
        different: ids that are there with other content, or twice.
    """

    def __init__(self, missing: Iterable[str], different: Iterable[str]) -> None:
        self.missing, self.different = sorted(missing), sorted(different)
        super().__init__(f"missing: {self.missing}, different: {self.different}")


def ensure_collection(connection: "Connection", collection: Json) -> bool:
    """Create the collection if there is none of its id; whether it was created.

    Commit before loading items, which other connections do. An existing collection is
    left as it is, its extent and summaries with it: `put_collection` replaces.
    """
    name = collection["id"]
    with in_pgstac(connection, lock=name):
        if _one(connection, _EXISTS, name):
            return False
        connection.execute("SELECT create_collection(%s::jsonb)", [_dump(collection)])
        connection.execute(_OPEN_PARTITION, [name])
        return True


_EXISTS = "SELECT true FROM collections WHERE id = %s"

# A partition whose check constraint holds any time: loads then never rebuild it, which
# takes ACCESS EXCLUSIVE and is what concurrent loads and searches deadlock on.
_OPEN_PARTITION = """
SELECT check_partition(%s, tstzrange('-infinity', 'infinity', '[]'),
                       tstzrange('-infinity', 'infinity', '[]'))
"""


def put_collection(connection: "Connection", collection: Json) -> None:
    """Create the collection, or replace what is said of it; its items stay."""
    if ensure_collection(connection, collection):
        return
    with in_pgstac(connection, lock=collection["id"]):
        bound = {"id": collection["id"], "new": _dump(collection)}
        connection.execute(_UPDATE, bound)


_UPDATE = """
SELECT update_collection(%(new)s::jsonb) FROM collections
WHERE id = %(id)s AND content IS DISTINCT FROM %(new)s::jsonb
"""


def get_collection(connection: "Connection", collection_id: str) -> Json | None:
    """The collection, or None."""
    with in_pgstac(connection):
        return _one(connection, "SELECT get_collection(%s)", collection_id)


def load_items(
    connection: "Connection", collection_id: str, items: Iterable[Json]
) -> int:
    """Insert or replace the items and read them back; how many there are.

    Of items with the same id the last counts. Loads of one collection wait for each
    other until the transaction ends. Cost: about 8 ms per item, most of it pgSTAC's
    own (de)hydration; meant for batches of tens to hundreds.

    Raises:
        ItemsLostError: the catalogue does not hold what was sent; roll back.
        LookupError: there is no such collection, or it is not committed yet.
        ValueError: an item belongs elsewhere, or holds NaN or a time without meaning.
    """
    batch = {item["id"]: _normalize(item, collection_id) for item in items}
    if not batch:
        return 0
    sent = _dump(list(batch.values()))
    with in_pgstac(connection, lock=collection_id):
        if not _one(connection, _EXISTS, collection_id):
            message = f"there is no collection {collection_id}"
            raise LookupError(message)
        connection.execute("SELECT upsert_items(%s::jsonb)", [sent])
        _verify(connection, collection_id, batch)
    return len(batch)


def delete_items(
    connection: "Connection", collection_id: str, ids: Sequence[str]
) -> int:
    """Delete the items; how many there were."""
    with in_pgstac(connection, lock=collection_id):
        gone = "DELETE FROM items WHERE collection = %s AND id = ANY(%s)"
        return connection.execute(gone, [collection_id, list(ids)]).rowcount


def get_item(connection: "Connection", collection_id: str, item_id: str) -> Json | None:
    """The item as a client sees it, or None."""
    return get_items(connection, collection_id, [item_id]).get(item_id)


def get_items(
    connection: "Connection", collection_id: str, ids: Sequence[str]
) -> dict[str, Json]:
    """The items that exist, by id."""
    with in_pgstac(connection):
        rows = _read(connection, collection_id, ids)
    return {name: _with_datetime(item) for name, item in rows}


def search(connection: "Connection", body: Json) -> Json:
    """Answer of pgSTAC to a STAC API search, a FeatureCollection.

    Nothing is written (pgSTAC otherwise registers every search). A `bbox` across the
    antimeridian becomes two boxes: pgSTAC would take it for the rest of the Earth.
    """
    with in_pgstac(connection):
        connection.execute("SELECT set_config('pgstac.readonly', 'true', true)")
        found = _one(connection, "SELECT search(%s::jsonb)", _dump(_split_bbox(body)))
    if found is None:
        message = "pgSTAC's search answered nothing"
        raise RuntimeError(message)
    found["features"] = [_with_datetime(item) for item in found["features"]]
    return found


def aggregate(connection: "Connection", collection_id: str) -> Json:
    """What the items of a collection add up to, exactly; all of it read.

    Returns:
        `items` and `bytes` (of all assets); `longitudes`, disjoint (west, east) ranges
        of all parts, `latitudes` and `interval`, null without items; `proj_codes`,
        `gsd` (least, greatest), `platforms`, `instruments` and `bands` that occur.
    """
    with in_pgstac(connection):
        found = _one(connection, _AGGREGATE, collection_id)
    return found or {}


_AGGREGATE = """
WITH found AS (
    SELECT geometry, datetime, end_datetime, content, content->'properties' AS p
    FROM items WHERE collection = %s
), parts AS (
    SELECT (ST_Dump(geometry)).geom AS part FROM found
), ranges AS (
    SELECT unnest(range_agg(
        numrange(ST_XMin(part)::numeric, ST_XMax(part)::numeric, '[]'))) AS r
    FROM parts
), bands AS (
    SELECT jsonb_strip_nulls(jsonb_build_object(
        'name', band->'name', 'data_type', band->'data_type',
        'unit', band->'unit', 'eo:common_name', band->'eo:common_name')) AS band,
        min(number) AS number
    FROM found, jsonb_array_elements(coalesce(
        content#>'{assets,analysis,bands}', content#>'{assets,archive,bands}',
        content#>'{assets,visualization,bands}', '[]'))
        WITH ORDINALITY AS each (band, number)
    GROUP BY 1
), instruments AS (
    SELECT DISTINCT jsonb_array_elements_text(p->'instruments') AS name FROM found
), sizes AS (
    SELECT asset->'file:size' AS size
    FROM found, jsonb_each(content->'assets') AS each (name, asset)
    WHERE jsonb_typeof(asset->'file:size') = 'number' AND each.name <> 'source'
)
SELECT jsonb_build_object(
    'items', count(*),
    'bytes', (SELECT coalesce(sum(size::bigint), 0) FROM sizes),
    'longitudes', (SELECT coalesce(jsonb_agg(
        jsonb_build_array(lower(r), upper(r)) ORDER BY r), '[]') FROM ranges),
    'latitudes', (SELECT CASE WHEN count(*) > 0 THEN
        jsonb_build_array(min(ST_YMin(part)), max(ST_YMax(part))) END FROM parts),
    'interval', CASE WHEN count(*) > 0 THEN
        jsonb_build_array(min(datetime), max(end_datetime)) END,
    'proj_codes', coalesce(jsonb_agg(DISTINCT p->'proj:code')
        FILTER (WHERE p ? 'proj:code'), '[]'),
    'gsd', CASE WHEN count(p->'gsd') > 0 THEN
        jsonb_build_array(min((p->'gsd')::float8), max((p->'gsd')::float8)) END,
    'platforms', coalesce(jsonb_agg(DISTINCT p->'platform')
        FILTER (WHERE p ? 'platform'), '[]'),
    'instruments', (SELECT coalesce(jsonb_agg(name ORDER BY name), '[]')
        FROM instruments),
    'bands', (SELECT coalesce(
        jsonb_agg(band ORDER BY number, band), '[]') FROM bands)
) FROM found
"""


@contextmanager
def in_pgstac(connection: "Connection", lock: str | None = None) -> Iterator[None]:
    """Sets the search path for the block; with `lock`, alone in that collection.

    Raises:
        ValueError: no transaction is open, so that neither would last.
    """
    if connection.autocommit and not connection.info.transaction_status:
        message = "pgSTAC is used within a transaction"
        raise ValueError(message)
    before = connection.execute(_REMEMBER).fetchone()
    connection.execute("SELECT set_config('search_path', 'pgstac, public', true)")
    if lock is not None:
        connection.execute(_LOCK, [f"strata:pgstac:{lock}"])
    yield
    connection.execute(_RESTORE, before)


_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
_REMEMBER = """
SELECT current_setting('search_path'), current_setting('pgstac.readonly', true)
"""
_RESTORE = """
SELECT set_config('search_path', %s, true),
       set_config('pgstac.readonly', coalesce(%s, ''), true)
"""


def _verify(
    connection: "Connection", collection_id: str, batch: dict[str, Json]
) -> None:
    rows = _read(connection, collection_id, list(batch))
    found = dict(rows)
    twice = {name for name, _ in rows} if len(rows) > len(found) else set()
    different = {name for name in found if not _same(found[name], batch[name])}
    if len(found) < len(batch) or different or twice:
        raise ItemsLostError(batch.keys() - found.keys(), different | twice)


def _read(
    connection: "Connection", collection_id: str, ids: Sequence[str]
) -> list[tuple[str, Json]]:
    hydrated = (
        "SELECT id, content_hydrate(items) FROM items"
        " WHERE collection = %s AND id = ANY(%s)"
    )
    return connection.execute(hydrated, [collection_id, list(ids)]).fetchall()


def _one(
    connection: "Connection", query: LiteralString, *values: object
) -> Json | None:
    row = connection.execute(query, values).fetchone()
    return row[0] if row else None


def _normalize(item: Json, collection_id: str) -> Json:
    """Copy with the times in UTC: pgSTAC takes a partition from the text of a time."""
    if item.get("collection") != collection_id:
        message = f"{item['id']} is of collection {item.get('collection')}"
        raise ValueError(message)
    properties = item["properties"]
    times = {key: _utc(properties[key]) for key in TIMES if properties.get(key)}
    return json.loads(_dump(item | {"properties": properties | times}))


def _utc(time: str) -> str:
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        message = f"{time} has no time zone"
        raise ValueError(message)
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _with_datetime(item: Json) -> Json:
    if "properties" in item:  # a search may leave fields out
        item["properties"].setdefault("datetime", None)
    return item


def _split_bbox(body: Json) -> Json:
    box = body.get("bbox")
    if not box or len(box) != POSITIONS or box[0] <= box[2]:
        return body
    west, south, east, north = box
    halves = [(west, 180), (-180, east)]
    parts = [[_ring(left, south, right, north)] for left, right in halves]
    area = {"type": "MultiPolygon", "coordinates": parts}
    return {key: body[key] for key in body if key != "bbox"} | {"intersects": area}


def _ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def _same(found: object, sent: object, tolerance: float = 0) -> bool:
    """Whether two JSON values are equal but for null members and rounded geometry."""
    if isinstance(sent, dict) and isinstance(found, dict):
        keys = {key for key in sent if sent[key] is not None}
        return keys == {key for key in found if found[key] is not None} and all(
            _same(found[key], sent[key], _tolerance(key, tolerance)) for key in keys
        )
    if isinstance(sent, list) and isinstance(found, list):
        pairs = zip(found, sent, strict=False)
        same = (_same(one, other, tolerance) for one, other in pairs)
        return len(sent) == len(found) and all(same)
    if isinstance(sent, float) and isinstance(found, int | float):
        return math.isclose(found, sent, rel_tol=0, abs_tol=tolerance)
    return found == sent


def _tolerance(key: str, inherited: float) -> float:
    return COORDINATE_TOLERANCE if key == "geometry" else inherited


def _dump(value: object) -> str:
    return json.dumps(value, allow_nan=False)


def without_nulls(value: Any) -> Any:  # noqa: ANN401 # JSON of any depth
    """The value without members that are null, as pgSTAC keeps it."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [without_nulls(one) for one in value]
    return value
