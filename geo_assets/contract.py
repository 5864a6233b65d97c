"""The contract of a dataset: where its files come from and what is made of them.

Plain data, checked when the YAML is read; every part of the platform reads it so.
"""

import re
from fnmatch import translate
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    Field,
    field_validator,
    model_validator,
)

from geo_assets.contract_h3 import RasterStatistics, VectorStatistics
from geo_assets.contract_quality import Quality
from geo_assets.contract_stac import STRICT, Stac
from geo_assets.contract_tiling import RasterLimits, Tiling

TierName = Literal["visualization", "analysis", "archive"]
TierChoice = Literal["visualization", "analysis", "archive", "both", "all", "none"]
TIERS: tuple[TierName, ...] = ("visualization", "analysis", "archive")
Aspect = Literal["bands", "dtype", "crs", "resolution"]
ASPECTS: tuple[Aspect, ...] = ("bands", "dtype", "crs", "resolution")
CHOICES: dict[str, tuple[TierName, ...]] = {
    "both": TIERS[:2],
    "all": TIERS,
    "none": (),
}
DATASET_NAME = r"^[a-z][a-z0-9_]{0,47}$"  # also an asset group and a STAC id
TAKEN_NAMES = frozenset({"queries", "production"})
TABLE_NAME = r"^[a-z][a-z0-9_]{0,47}$"  # leaves room for `_polygon` and our suffixes

Positive = Annotated[int, Field(gt=0)]


class Contract(BaseModel):
    """Base of the contract's parts: frozen, and an unknown attribute is an error."""

    model_config = STRICT


class Source(Contract):
    """Which blobs belong to the dataset."""

    container: str = "bronze"
    """Container that is watched."""
    pattern: str | list[str]
    """Glob over blob names, case ignored (`**` crosses folders), or several."""

    @cached_property
    def _matcher(self) -> re.Pattern[str]:
        patterns = [self.pattern] if isinstance(self.pattern, str) else self.pattern
        regex = "|".join(f"(?:{glob_to_regex(one)})" for one in patterns)
        return re.compile(regex, re.IGNORECASE | re.DOTALL)

    def takes(self, container: str, blob: str) -> bool:
        """Whether a blob of `container` belongs to the dataset."""
        return container == self.container and bool(self._matcher.fullmatch(blob))


def glob_to_regex(pattern: str) -> str:
    """Regular expression of a glob in which `*` stays in a folder and `**/` does not.

    >>> bool(re.fullmatch(glob_to_regex("dem/**/*.tif"), "dem/a.tif"))
    True
    >>> bool(re.fullmatch(glob_to_regex("dem/*.tif"), "dem/x/a.tif"))
    False
    """
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(wild.get(part) or _literal(part) for part in parts)


def _literal(part: str) -> str:
    """A literal with its character classes (`[ab]`), which globs share with regexes."""
    return translate(part).removeprefix("(?s:").removesuffix(r")\Z")


class DatasetContract(Contract):
    """What every kind of dataset says of itself."""

    name: str = Field(pattern=DATASET_NAME)
    """Lower-case letters, digits, `_`: group, STAC collection, folder in silver."""
    title: str | None = None
    """Title for people."""
    description: str | None = None
    """What the dataset is, in a sentence."""
    source: Source
    """Which blobs belong to it."""
    stac: Stac = Stac()
    """What the catalogue says."""
    owners: list[str] = []
    """Dagster owners: `team:…` or an e-mail address."""
    duplicates: Literal["refer", "allow"] = "refer"
    """Same content under another name: refer to the first, or take it as its own."""
    on_delete: Literal["keep", "unpublish"] = "keep"
    """What becomes of the products of a blob that is deleted from its container."""
    success_threshold: float = Field(default=0.5, ge=0, le=1)
    """Share of good files in a batch below which the dataset's check is an ERROR."""
    quality: Quality = Quality()
    """How complete items are expected to be."""
    promote: Literal["manual", "auto"] = "manual"
    """Who lets production serve a new version: a person, or good checks."""
    promote_engine: Literal["copy", "data_factory"] = "copy"
    """What carries the rows there: COPY through Strata, or Azure Data Factory."""

    @field_validator("name")
    @classmethod
    def _free(cls, name: str) -> str:
        if name in TAKEN_NAMES:
            message = f"{name!r} is a folder and a group of the platform's own"
            raise ValueError(message)
        return name

    @property
    def makes(self) -> str:
        """What becomes of a file, in a few words."""
        raise NotImplementedError

    @property
    def reads_sidecars(self) -> bool:
        """Whether loose parts of a shapefile are read with its `.shp`."""
        return False


class RasterContract(DatasetContract):
    """A dataset of rasters."""

    tiers: TierChoice | list[TierName] = "all"
    """COGs to make: a list, or `both` (visualization, analysis), or `all`; `none` with
    `bronze_items`: then files are only catalogued."""
    bronze_items: bool = False
    """Items show the file in bronze as well, as the asset `source`."""
    crs: str | None = None
    """Target CRS (EPSG:… or WKT) to warp to. Omitted: the source's own is kept."""
    tile: Tiling | None = None
    """When and how giant rasters are cut."""
    h3: RasterStatistics | None = None
    """Statistics per H3 cell."""
    writer: Literal["stream", "gdal"] = "stream"
    """`stream`: one decode for all tiers; `gdal`: GDAL's COG driver, tier by tier."""
    archive_codec: Literal["deflate", "lzw", "zstd"] = "deflate"
    """Lossless compression of the archive tier."""
    alike: list[Aspect] = list(ASPECTS)
    """In what all files should be alike; checks on the collection warn of odd ones."""
    limits: RasterLimits = RasterLimits()
    """What a single file may cost."""

    @field_validator("tiers")
    @classmethod
    def _at_least_one(cls, tiers: TierChoice | list[TierName]) -> object:
        if not tiers:
            message = "choose at least one tier"
            raise ValueError(message)
        return tiers

    @model_validator(mode="after")
    def _statistics_need_pixels(self) -> Self:
        if self.h3 is not None and not {"analysis", "archive"} & {*self.wanted_tiers}:
            message = (
                "`h3` is computed from the analysis or the archive tier, and `tiers` "
                "has neither: the visualization tier is a picture, not a measurement"
            )
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _something_is_made(self) -> Self:
        if self.wanted_tiers:
            return self
        if not self.bronze_items:
            message = "nothing would be made: say `bronze_items: true`, or tiers"
            raise ValueError(message)
        for name in ("crs", "tile", "h3"):
            if getattr(self, name) is not None:
                message = f"`{name}` is of the tiers, and there are none"
                raise ValueError(message)
        return self

    @property
    def wanted_tiers(self) -> tuple[TierName, ...]:
        """The tiers to make, in their canonical order."""
        chosen = [self.tiers] if isinstance(self.tiers, str) else self.tiers
        named = {name for one in chosen for name in CHOICES.get(one, (one,))}
        return tuple(tier for tier in TIERS if tier in named)

    @property
    def makes(self) -> str:
        """The tiers."""
        return ", ".join(self.wanted_tiers) or "items only"


class Columns(Contract):
    """Which attributes of the source become columns."""

    include: list[str] = []
    """Source fields to load, by their name in the file; all if empty."""
    exclude: list[str] = []
    """Source fields to leave out."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.include and self.exclude:
            message = "give `include` or `exclude`, not both"
            raise ValueError(message)
        return self


class GeometryRules(Contract):
    """What becomes of geometries that are not plain, valid and flat."""

    dimensions: Literal["2d", "keep"] = "2d"
    """`2d` drops Z and M; `keep` stores them (a layer of both gets Z = 0)."""
    null: Literal["keep", "refuse"] = "keep"
    """Rows without geometry, or with an empty one: NULL, or refused and counted."""
    invalid: Literal["repair", "refuse", "keep"] = "repair"
    """Invalid geometries: `make_valid` by structure, refused row by row, or kept."""
    collections: Literal["extract", "keep", "refuse"] = "extract"
    """GeometryCollections: the parts of their highest dimension, as they are (the
    column is then of any type), or refused row by row."""
    curves: Literal["linearize", "refuse"] = "linearize"
    """Arcs and curve polygons: as lines within 4 degrees per segment, or refused."""
    split: bool = False
    """A table per kind of geometry: `<table>_point`, `_line`, `_polygon`."""
    antimeridian: Literal["split", "keep"] = "split"
    """Geometries in a geographic CRS that cross 180 degrees: cut there, or kept."""


class Csv(Contract):
    """How a CSV or TSV is read where its content does not say."""

    delimiter: Literal[",", ";", "\t", "|", " "] | None = None
    """Between fields; found in the first lines if omitted."""
    decimal: Literal[".", ","] | None = None
    """Decimal mark of numbers; found if omitted."""
    x: str | None = None
    """Column of x or longitude; the usual names if omitted (lon, longitude, x, ...)."""
    y: str | None = None
    """Column of y or latitude; the usual names if omitted."""
    geometry: str | None = None
    """Column of WKT, hexadecimal WKB or GeoJSON; found if omitted."""


class VectorLimits(Contract):
    """What a single file may cost."""

    max_unpacked_gigabytes: float = Field(default=50.0, gt=0)
    """Archives that unpack to more are refused as TOO_LARGE."""
    max_rows: Positive = 500_000_000
    """Files with more rows are refused as TOO_LARGE."""
    max_columns: Annotated[int, Field(gt=0, le=1500)] = 1000
    """Layers with more fields are refused as TOO_LARGE; PostgreSQL takes 1,600."""
    max_depth: Positive = 64
    """Deepest nesting of JSON, XML and geometry collections."""


class RowBounds(Contract):
    """How many rows a file is expected to bring; a check warns outside."""

    least: Annotated[int, Field(ge=0)] = 0
    """Fewest rows."""
    most: Positive | None = None
    """Most rows; no bound if omitted."""


class TileRules(Contract):
    """How vector tiles are made of a table."""

    min_zoom: Annotated[int, Field(ge=0, le=22)] = 0
    """Lowest zoom."""
    max_zoom: Annotated[int, Field(ge=0, le=22)] | None = None
    """Highest zoom. Omitted: found by the data's density, so that it holds all."""
    simplification: float = Field(default=1.0, gt=0, le=100)
    """Multiplies the tolerance to which lines are simplified below the highest zoom."""
    attributes: list[str] = []
    """Columns of the table that the tiles carry; all if empty."""
    crowded: Literal["drop", "coalesce"] = "drop"
    """Features of a tile that is too large: the densest are left out, or merged."""

    @model_validator(mode="after")
    def _zooms_are_a_range(self) -> Self:
        if self.max_zoom is not None and self.max_zoom < self.min_zoom:
            message = f"`max_zoom` {self.max_zoom} is below `min_zoom` {self.min_zoom}"
            raise ValueError(message)
        return self


class VectorContract(DatasetContract):
    """A dataset of vector files, loaded into PostGIS."""

    layer: str | None = None
    """The only layer to load; all layers if omitted."""
    table: str | None = Field(default=None, pattern=TABLE_NAME)
    """Table in schema `geo` for all files. Omitted: one table per file and layer."""
    mode: Literal["replace_source", "replace_table", "append_only"] = "replace_source"
    """With `table`: a file's rows are replaced together, the newest file is the table,
    or a second version of a file is refused."""
    where: str | None = None
    """Only features for which this holds (OGR SQL, source field names)."""
    columns: Columns = Columns()
    """Which attributes are loaded."""
    crs: str | None = None
    """Target CRS (EPSG:… or WKT). Omitted: the source's own is kept."""
    source_crs: str | None = None
    """CRS of files that state none."""
    custom_crs: Literal["reproject", "keep"] = "reproject"
    """A CRS without a code: to EPSG:4326, or stored with SRID 0 and its WKT."""
    encoding: str | None = None
    """Encoding of text in files that state none (shapefile, CSV); found if omitted."""
    geometry: GeometryRules = GeometryRules()
    """What becomes of geometries that are not plain."""
    csv: Csv = Csv()
    """How CSVs are read."""
    dates_out_of_range: Literal["null", "text"] = "null"
    """Dates and times that PostgreSQL cannot hold: NULL and counted, or the column
    becomes text."""
    sidecars: bool = False
    """Shapefiles may lie as loose blobs (.shp, .shx, .dbf, .prj) under one prefix."""
    exports: list[Literal["geoparquet", "pmtiles"]] = []
    """Products in gold, of each table of the dataset."""
    tiles: TileRules = TileRules()
    """How `pmtiles` are made."""
    h3: VectorStatistics | None = None
    """Statistics per H3 cell."""
    rows: RowBounds = RowBounds()
    """How many rows a file is expected to bring."""
    limits: VectorLimits = VectorLimits()
    """What a single file may cost."""

    @model_validator(mode="after")
    def _a_mode_needs_a_table(self) -> Self:
        if self.table is None and self.mode != "replace_source":
            message = (
                f"`mode: {self.mode}` needs `table`: without, each file has its own"
            )
            raise ValueError(message)
        return self

    @property
    def makes(self) -> str:
        """The table, or that there is one per file and layer."""
        if self.table is None:
            return "a table per file and layer"
        return f"table geo.{self.table} ({self.mode})"

    @property
    def reads_sidecars(self) -> bool:
        """Whether loose parts of a shapefile are read with its `.shp`."""
        return self.sidecars

    @property
    def is_shared(self) -> bool:
        """Whether the rows of several files lie in one table."""
        return self.table is not None and self.mode != "replace_table"
