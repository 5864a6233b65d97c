"""Rows that were refused, for the people who can mend them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from shapely.geometry.base import BaseGeometry

from geo_assets.vector.frame import Frame
from geo_assets.vector.model import Reject

_LONGEST_VALUE, _LONGEST_WKT = 200, 2000  # characters
_MOST_POINTS = 2000  # of a geometry that is drawn


def describe_rows(
    layer: str,
    attributes: pa.RecordBatch,
    refused: Sequence[tuple[int, str, str, bytes | None]],
    frame: Frame | None,
) -> list[Reject]:
    """Refused rows as facts.

    Args:
        layer: they are of.
        attributes: of the rows, in their order, by source names.
        refused: number in the file from 1, code, reason, and WKB that GEOS may read.
        frame: of the layer; None without geometry.
    """
    values = attributes.to_pylist() or [{}] * len(refused)
    found = []
    for (row, code, reason, raw), own in zip(refused, values, strict=True):
        geometry = _read(raw)
        found.append(
            Reject(
                layer=layer,
                row=row,
                code=code,
                reason=reason,
                attributes={name: _text(value) for name, value in own.items()},
                wkt=None if geometry is None else _wkt(geometry),
                geometry_wgs84=_drawn(geometry, frame),
            )
        )
    return found


def write_rejects(rejects: Iterable[Reject], path: Path) -> None:
    """Write refused rows as GeoJSON, in one line, WGS 84.

    A feature's `id` is the row's number in the file. Its geometry is null where it
    cannot be drawn; `wkt` has it then, in the CRS of the source.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write('{"type":"FeatureCollection","features":[')
        for number, reject in enumerate(rejects):
            file.write("," if number else "")
            feature = json.dumps(_feature(reject), ensure_ascii=False, allow_nan=False)
            file.write(feature)
        file.write("]}")


def _feature(reject: Reject) -> Mapping[str, Any]:
    attributes = json.dumps(reject.attributes, ensure_ascii=False)
    return {
        "type": "Feature",
        "id": reject.row,
        "geometry": reject.geometry_wgs84,
        "properties": {
            "layer": reject.layer,
            "row": reject.row,
            "code": reject.code,
            "reason": reject.reason,
            "attributes": attributes,
            "wkt": None if reject.geometry_wgs84 else reject.wkt,
        },
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)[:_LONGEST_VALUE]


def _read(raw: bytes | None) -> BaseGeometry | None:
    if raw is None:
        return None
    try:
        return shapely.from_wkb(raw, on_invalid="ignore")
    except (NotImplementedError, shapely.errors.GEOSException):
        return None  # a curve, which GEOS does not know


def _wkt(geometry: BaseGeometry) -> str:
    return shapely.to_wkt(geometry, rounding_precision=9)[:_LONGEST_WKT]


def _drawn(geometry: BaseGeometry | None, frame: Frame | None) -> dict[str, Any] | None:
    if geometry is None or frame is None or geometry.is_empty:
        return None
    flat = shapely.force_2d(geometry)
    points = shapely.get_coordinates(flat)
    if len(points) > _MOST_POINTS:
        return None
    x, y = frame.to_world(points[:, 0], points[:, 1])
    placed = np.column_stack([x, y]).round(9)
    if not np.isfinite(placed).all() or np.abs(placed[:, 1]).max() > 90:  # noqa: PLR2004
        return None
    return json.loads(shapely.to_geojson(shapely.set_coordinates(flat, placed)))
