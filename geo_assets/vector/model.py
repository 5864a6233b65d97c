"""What the vector stages hand to each other: facts and Arrow batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

GEOMETRY = "__wkb__"  # field of ISO WKB in the batches of a reader
FID, GEOM, SOURCE_ID = "fid", "geom", "source_id"  # columns that are ours
TIME_TEXT = b"strata:time"  # field metadata: text holds a time; value: "datetime"
JSON_TEXT = b"strata:json"  # field metadata: text holds JSON
SAMPLE = 1000  # refused rows that are kept per file


class Facts(BaseModel):
    """Base of all facts: frozen, exact."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Family(StrEnum):
    """Kinds of geometry that a table per kind is made of."""

    POINT = "point"
    LINE = "line"
    POLYGON = "polygon"


class Field(Facts):
    """A field of a source layer."""

    name: str
    """As the file writes it."""
    type: str
    """Arrow type, as text."""


class Layer(Facts):
    """A layer of a source, as its reader will deliver it."""

    name: str
    """As the file writes it; the blob's stem where the format has no layers."""
    reader: str
    """Which reader of `read.py` opens it."""
    path: str
    """What the reader opens: a local file below the scratch folder."""
    driver: str
    """Format, by GDAL's name (`GPKG`, `GeoJSON`, `Parquet`, ...)."""
    fields: tuple[Field, ...]
    """Attributes that are loaded, in their order."""
    fields_skipped: tuple[str, ...] = ()
    """Attributes that the contract leaves out, or that cannot be loaded."""
    geometry_type: str | None
    """As declared: `Point`, `MultiPolygon Z`, ...; `Unknown` if mixed or not said;
    None without geometry."""
    crs_wkt: str | None
    """WKT 2 of the CRS; None when the source states none."""
    feature_count: int | None
    """As declared; None when only reading tells."""
    encoding: str | None = None
    """Of the text, where it had to be found out."""
    options: dict[str, str] = {}
    """What else the reader needs to know, e.g. delimiter and columns of a CSV."""
    notes: tuple[str, ...] = ()
    """What a person should know of the layer: `.prj is missing`, ..."""


class SkippedLayer(Facts):
    """A layer of the file that is not loaded, and why."""

    name: str
    reason: str


class Source(Facts):
    """A file that can be read, and what it holds."""

    format: str
    """By GDAL's name, with the container: `GPKG`, `ESRI Shapefile (zip)`, ..."""
    layers: tuple[Layer, ...]
    """Those that are loaded; at least one."""
    skipped: tuple[SkippedLayer, ...] = ()
    """Those that are not."""
    notes: tuple[str, ...] = ()
    """What a person should know of the file."""


class Batches(Protocol):
    """The rows of a layer as they are read, once.

    A field whose metadata has `TIME_TEXT` holds times as ISO 8601 text with the offset
    that the file gives, if any; one with `JSON_TEXT` holds JSON.
    """

    @property
    def schema(self) -> pa.Schema:
        """Attributes by their source names, then `GEOMETRY`, if there is one."""
        ...

    @property
    def problems(self) -> dict[str, int]:
        """What could not be represented, by kind; complete after the last batch."""
        ...

    @property
    def bad_rows(self) -> dict[int, str]:
        """Row number (from 0) and reason of rows to refuse, so far as read."""
        ...

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Batches of a few megabytes, in the order of the file."""
        ...


class Column(Facts):
    """A column of the table."""

    name: str
    """Legal, lower-case, unique in the table."""
    source: str
    """Name of the field in the file."""
    type: str
    """PostgreSQL type: bigint, text, jsonb, timestamptz, ..."""


class TargetCrs(Facts):
    """The CRS of a table."""

    srid: int
    """In PostGIS's spatial_ref_sys; 0 for a CRS without a code that is kept."""
    code: str | None
    """`EPSG:25832`; None without."""
    name: str
    wkt: str
    """WKT 2."""


class LayerTally(BaseModel):
    """What was counted while a layer was read and cleaned."""

    model_config = ConfigDict(extra="forbid")

    rows_read: int = 0
    rows_loaded: int = 0
    refused: dict[str, int] = {}
    """Rows that are not loaded, by reason; with `rows_loaded` they make `rows_read`."""
    changed: dict[str, int] = {}
    """Values and geometries that were changed, by kind of change."""
    geometry_types: dict[str, int] = {}
    """Rows by type as loaded; `NULL` for those without."""
    invalid_before: int = 0
    """Geometries that were invalid when read."""
    extent: tuple[float, float, float, float] | None = None
    """(west, south, east, north) of what is loaded, in the target CRS."""
    extent_source: tuple[float, float, float, float] | None = None
    """The same in the CRS of the source."""


class Reject(Facts):
    """A row that was refused."""

    layer: str
    row: int
    """Its number in the file, from 1."""
    code: str
    reason: str
    attributes: dict[str, Any] = {}
    wkt: str | None = None
    """Its geometry, in the CRS of the source, cut short when long."""
    geometry_wgs84: dict[str, Any] | None = None
    """GeoJSON, where it can be said."""


@dataclass(frozen=True)
class TableSpec:
    """A table to make in schema `geo`."""

    name: str
    columns: tuple[Column, ...]
    geometry_type: str | None
    """PostGIS typmod (`MultiPolygon`, `PointZ`, `Geometry`); None without geometry."""
    srid: int
    shared: bool = False
    """Holds the rows of several source files: has a column `source_id`."""
    comment: str = ""
    """What the table is, for people who list tables."""
