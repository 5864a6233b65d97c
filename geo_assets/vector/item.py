"""The STAC item of a vector file: its tables, where they lie, where they come from.

STAC 1.1 with the table, projection, file and processing extensions; pystac builds the
core. One item per file, one asset per table.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any

import pyogrio
import pystac
import shapely
from pydantic import BaseModel, ConfigDict
from shapely.geometry import MultiPolygon, box, mapping

from geo_assets.catalog.stac import (
    SourceBlob,
    clean,
    extensions,
    file_fields,
    links,
    time_text,
)
from geo_assets.datetime_rule import ItemTime
from geo_assets.extent import span_longitudes
from geo_assets.vector.facts import LoadedTable, VectorFacts
from geo_assets.vector.model import FID, GEOM, SOURCE_ID

TABLE_MEDIA_TYPE = "application/vnd.postgresql.table"
OUR_COLUMNS = {
    FID: ("bigint", "Number of the row in its file, from 1"),
    SOURCE_ID: ("bigint", "File of the row, see ops.table_sources"),
}
Extent = tuple[float, float, float, float]


class FileAsset(BaseModel, frozen=True):
    """A file beside the tables."""

    href: str
    title: str
    media_type: str
    role: str
    size_bytes: int
    sha256: str


class ItemFacts(BaseModel):
    """Everything that the item says.

    Attributes:
        time: when the data is of.
        files: assets beside the tables, by key.
        shared: the tables hold rows of other files too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    item_id: str
    collection: str
    source: SourceBlob
    facts: VectorFacts
    time: ItemTime
    files: dict[str, FileAsset]
    shared: bool
    created: datetime


def build_item(stated: ItemFacts) -> dict[str, Any]:
    """The item as JSON: finite numbers only, no empty members, extensions as used."""
    boxes = [t.extent_wgs84 for t in stated.facts.tables if t.extent_wgs84]
    item = pystac.Item(
        id=stated.item_id,
        geometry=footprint(boxes),
        bbox=[*around(boxes)],
        datetime=stated.time.moment,
        start_datetime=stated.time.start,
        end_datetime=stated.time.end,
        properties=_properties(stated),
        collection=stated.collection,
        assets=_assets(stated),
    )
    document = item.to_dict(include_self_link=False)
    document["links"] = links(stated.collection, stated.source)
    document["stac_extensions"] = extensions(document)
    return clean(document)


def around(boxes: Iterable[Extent]) -> Extent:
    """The box around boxes in degrees; west > east where it crosses 180.

    >>> around([(170, -20, -175, -10), (160, -30, 165, -25)])
    (160.0, -30.0, -175.0, -10.0)
    """
    found = [*boxes]
    ranges = [part for west, _, east, _ in found for part in _ranges(west, east)]
    west, east = span_longitudes(ranges)
    south, north = min(one[1] for one in found), max(one[3] for one in found)
    return (float(west), float(south), float(east), float(north))


def _ranges(west: float, east: float) -> list[tuple[float, float]]:
    return [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]


def footprint(boxes: Iterable[Extent]) -> dict[str, Any]:
    """GeoJSON of boxes in degrees, cut at 180, counter-clockwise."""
    parts = [
        box(left, south, max(right, left + 1e-9), max(north, south + 1e-9))
        for west, south, east, north in boxes
        for left, right in _ranges(west, east)
    ]
    polygons = shapely.get_parts(shapely.union_all(parts))
    wound = [*shapely.orient_polygons(polygons)]
    return mapping(wound[0] if len(wound) == 1 else MultiPolygon(wound))


def _properties(stated: ItemFacts) -> dict[str, Any]:
    facts = stated.facts
    codes = {table.crs.code for table in facts.tables if table.geometry_type}
    first = facts.tables[0]
    return {
        "title": PurePosixPath(stated.source.blob).name,
        "created": time_text(stated.created),
        "proj:code": codes.pop() if len(codes) == 1 else None,
        "table:row_count": facts.rows_loaded,
        "table:primary_geometry": GEOM if first.geometry_type else None,
        "table:columns": _columns(first, shared=stated.shared)
        if len(facts.tables) == 1
        else None,
        "processing:lineage": "; ".join(_operations(facts)),
        "processing:software": software_versions(),
        "strata:datetime_source": stated.time.source,
        "strata:source": stated.source.blob,
        "strata:format": facts.source.format,
        "strata:rows_rejected": facts.rows_rejected,
    }


def _assets(stated: ItemFacts) -> dict[str, pystac.Asset]:
    tables = {
        table.name: pystac.Asset(
            href=f"postgresql:///?table=geo.{table.name}",
            title=f"Table geo.{table.name}, layer {table.layer}",
            media_type=TABLE_MEDIA_TYPE,
            roles=["data"],
            extra_fields={
                "table:columns": _columns(table, shared=stated.shared),
                "table:row_count": table.rows,
                "table:primary_geometry": GEOM if table.geometry_type else None,
                "proj:code": table.crs.code,
                "proj:bbox": [*table.extent] if table.extent else None,
                "file:size": table.size_bytes,
            },
        )
        for table in stated.facts.tables
    }
    files = {
        key: pystac.Asset(
            href=one.href,
            title=one.title,
            media_type=one.media_type,
            roles=[one.role],
            extra_fields=file_fields(one.size_bytes, one.sha256),
        )
        for key, one in stated.files.items()
    }
    return tables | files


def _columns(table: LoadedTable, *, shared: bool) -> list[dict[str, str]]:
    ours = [FID, SOURCE_ID] if shared else [FID]
    listed = [
        {
            "name": name,
            "type": OUR_COLUMNS[name][0],
            "description": OUR_COLUMNS[name][1],
        }
        for name in ours
    ]
    listed += [
        {"name": column.name, "type": column.type, "description": column.source}
        for column in table.columns
    ]
    if table.geometry_type:
        kind = f"geometry({table.geometry_type}, {table.crs.srid})"
        listed.append({"name": GEOM, "type": kind, "description": table.crs.name})
    return listed


def _operations(facts: VectorFacts) -> list[str]:
    """What was done to rows and geometries, for people."""
    said = [f"read as {facts.source.format}"]
    for table in facts.tables:
        changed = table.tally.changed | table.problems
        said += [f"{table.layer}: {what}: {n}" for what, n in changed.items()]
        refused = sum(table.tally.refused.values())
        said += [f"{table.layer}: {refused} rows refused"] if refused else []
    said += [f"layer {one.name} skipped: {one.reason}" for one in facts.source.skipped]
    return said


@cache
def software_versions() -> dict[str, str]:
    """What made the tables, by name and version."""
    names = ("strata", "pyogrio", "shapely", "pyproj", "pyarrow", "pgpq")
    gdal = ".".join(map(str, pyogrio.__gdal_version__))
    geos = ".".join(map(str, shapely.geos_version))
    return {"gdal": gdal, "geos": geos} | {name: version(name) for name in names}
