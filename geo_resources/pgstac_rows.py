"""STAC items as rows of pgSTAC, in the binary format of COPY.

The rows are those that pgSTAC's own loader makes. Binary, because the server then looks
at each byte of an item once, when it reads the JSON, and not three times.

Source: PostgreSQL, COPY, file formats; PostGIS, EWKB.
"""

import gc
import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain, islice, repeat
from math import isfinite
from typing import NamedTuple

from geo_resources.pgstac import Json, without_nulls

CHUNK = 200  # items in memory; the server waits for the first of them
STORED_APART = ("id", "collection", "geometry", "type", "pgstac:base_item")
_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_SIX = struct.pack(">h", 6)
_length = struct.Struct(">i").pack
_moment = struct.Struct(">q").pack
_WGS84 = 4326
_POLYGON = struct.Struct("<BIII").pack(1, 0x2000_0003, _WGS84, 1)  # of one ring
_RING = 4  # positions at least
_JSONB = b"\x01"  # version of what follows
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TO_MICROSECONDS = len("2000-01-01T00:00:00.000000")


class Target(NamedTuple):
    """Where the items of a collection go.

    Attributes:
        base_item: what all items have in common, and is left out of each.
        base_item_id: its number; None before the collection was ever edited.
        is_cut: whether a partition is of a year or month only.
        is_empty: whether there is no item yet, nor can be: loads take turns.
    """

    collection: str
    partition: str
    base_item: Json
    base_item_id: int | None
    is_cut: bool
    is_empty: bool


def encode_rows(target: Target, items: Iterable[Json]) -> Iterator[bytes]:
    """What COPY takes of id, geometry, collection, datetime, end_datetime, content.

    Many rows at once. The items are taken apart.

    Raises:
        ValueError: an item belongs elsewhere, has no geometry, or holds NaN or a time
            without meaning.
    """
    rest = iter(items)
    yield _HEAD
    while True:
        with _no_collector():
            if not (chunk := [*islice(rest, CHUNK)]):
                break
            rows = [*map(_row, repeat(target), chunk, _places(chunk))]
        yield b"".join(rows)
    yield _END


@contextmanager
def _no_collector() -> Iterator[None]:
    """Without looks for cycles: JSON has none, and they take half of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _row(target: Target, item: Json, place: bytes) -> bytes:
    content = _slim(item, target)
    fields = (
        item["id"].encode(),
        place,
        target.collection.encode(),
        *map(_moment, _interval(content["properties"])),
        _JSONB + _dump(content),
    )
    return _SIX + b"".join([_length(len(field)) + field for field in fields])


def _places(items: Sequence[Json]) -> list[bytes]:
    """Geometries as EWKB.

    Raises:
        ValueError: an item has none, which pgSTAC does not take.
    """
    for item in items:
        if not item.get("geometry"):
            message = f"{item['id']} has no geometry"
            raise ValueError(message)
    places = [_simple_polygon(item["geometry"]) for item in items]
    odd = [number for number, place in enumerate(places) if place is None]
    if odd:
        found = _any_geometry([items[number]["geometry"] for number in odd])
        places = [one or next(found) for one in places]
    return [one for one in places if one is not None]


def _simple_polygon(geometry: Json) -> bytes | None:
    """A flat polygon without holes, as nearly all are: GEOS takes 0.1 s to import."""
    if geometry["type"] != "Polygon" or len(geometry["coordinates"]) != 1:
        return None
    (ring,) = geometry["coordinates"]
    if len(ring) < _RING or ring[0] != ring[-1] or {*map(len, ring)} != {2}:
        return None
    numbers = [*chain.from_iterable(ring)]
    if {*map(type, numbers)} - {int, float} or not isfinite(sum(numbers)):
        return None
    return _POLYGON + struct.pack(f"<I{len(numbers)}d", len(ring), *numbers)


def _any_geometry(geometries: Sequence[Json]) -> Iterator[bytes]:
    import orjson
    import shapely

    shapes = shapely.from_geojson([orjson.dumps(one) for one in geometries])
    return iter(
        shapely.to_wkb(
            shapely.set_srid(shapes, _WGS84), byte_order=1, include_srid=True
        )
    )


def _dump(content: Json) -> bytes:
    """JSON without null members, as pgSTAC keeps none."""
    dumped = _dump_as_it_is(content)
    return _dump_as_it_is(without_nulls(content)) if b"null" in dumped else dumped


def _dump_as_it_is(value: Json) -> bytes:
    """JSON.

    Raises:
        ValueError: a number is NaN or infinity, which would become null.
    """
    import orjson

    dumped = orjson.dumps(value)
    if b"null" in dumped:
        json.dumps(value, allow_nan=False)
    return dumped


def _slim(item: Json, target: Target) -> Json:
    """The item without what its collection says, and without what is in columns."""
    from hydraters import dehydrate

    if item.get("collection") != target.collection:
        message = f"{item['id']} is of collection {item.get('collection')}"
        raise ValueError(message)
    properties = item["properties"]
    for key in ("datetime", "start_datetime", "end_datetime"):
        if time := properties.get(key):
            properties[key] = _utc(time)
    slim = dehydrate(target.base_item, item)  # in place
    content = {key: part for key, part in slim.items() if key not in STORED_APART}
    if target.base_item_id is not None:
        content["pgstac:base_item"] = target.base_item_id
    return content


def _utc(time: str) -> str:
    if time.endswith("Z"):
        datetime.fromisoformat(time)  # raises if it is none
        return time
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        message = f"{time} has no time zone"
        raise ValueError(message)
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _interval(properties: Json) -> tuple[int, int]:
    """First and last moment, as pgSTAC has them, in microseconds.

    Raises:
        ValueError: there is none, or the last comes first.
    """
    start, end = properties.get("start_datetime"), properties.get("end_datetime")
    if not start or not end:
        start = end = properties.get("datetime")
    if not start or not end:
        message = "neither datetime nor start_datetime and end_datetime"
        raise ValueError(message)
    first = _microseconds(start)
    last = first if end is start else _microseconds(end)
    if first > last:
        message = f"{start} comes after {end}"
        raise ValueError(message)
    return first, last


def _microseconds(time: str) -> int:
    """Since 2000, rounded as PostgreSQL does; Python cuts off what is finer.

    >>> _microseconds("2000-01-01T00:00:01.0000007Z")
    1000001
    """
    whole = (datetime.fromisoformat(time) - _EPOCH) // _MICROSECOND
    finer = time[_TO_MICROSECONDS : _TO_MICROSECONDS + 1]
    return whole + (finer.isdigit() and finer >= "5")
