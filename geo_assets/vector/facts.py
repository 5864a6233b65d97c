"""What is handed to a vector file's chain, what comes back, what the ledger keeps."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from geo_assets.catalog.stac import SourceBlob
from geo_assets.catalog.stac_validate import ItemReport
from geo_assets.contract import VectorContract
from geo_assets.vector.model import (
    Column,
    Facts,
    Family,
    Layer,
    LayerTally,
    Reject,
    Source,
    TargetCrs,
)


class VectorTask(BaseModel):
    """One file's work.

    Attributes:
        path: local file; read only.
        work: folder of its own, for what has to be unpacked.
    """

    model_config = ConfigDict(frozen=True)

    path: Path
    work: Path
    blob: SourceBlob
    contract: VectorContract
    threads: int


class PlannedTable(Facts):
    """A table that a layer becomes, before its rows are read.

    Attributes:
        takes_nulls: rows without geometry come here; one table of a layer takes them.
    """

    name: str
    layer: Layer
    family: Family | None
    columns: tuple[Column, ...]
    geometry_type: str | None
    target: TargetCrs
    takes_nulls: bool = True

    @property
    def title(self) -> str:
        """The layer, and the kind of geometry if it is split."""
        return f"{self.layer.name} ({self.family})" if self.family else self.layer.name


class VectorPlan(Facts):
    """What will be made of a file."""

    source: Source
    tables: tuple[PlannedTable, ...]


class Streamed(Facts):
    """The rows of a table on their way, as counted by who sent them.

    Attributes:
        outside: why the extent does not fit the CRS of the table; None if it does.
    """

    rows: int
    tally: LayerTally
    problems: dict[str, int]
    rejects: tuple[Reject, ...]
    extent_wgs84: tuple[float, float, float, float] | None
    outside: str | None


class LoadedTable(Facts):
    """A table, loaded and measured.

    Attributes:
        extent: (west, south, east, north) in the CRS of the table.
        extent_wgs84: the same in degrees; west > east across the antimeridian.
        invalid: geometries among those checked that are invalid in PostGIS.
        size_bytes: with indexes and TOAST.
    """

    name: str
    layer: str
    family: Family | None
    columns: tuple[Column, ...]
    geometry_type: str | None
    crs: TargetCrs
    crs_source: str | None
    encoding: str | None
    rows: int
    tally: LayerTally
    problems: dict[str, int]
    extent: tuple[float, float, float, float] | None
    extent_wgs84: tuple[float, float, float, float] | None
    outside: str | None
    srid: int | None
    types: dict[str, int]
    checked: int
    invalid: int
    size_bytes: int


class Picture(Facts):
    """A small map of the file's geometries."""

    size_bytes: int
    sha256: str
    markdown: str | None


class VectorFacts(Facts):
    """Everything known of one file."""

    source: Source
    tables: tuple[LoadedTable, ...]
    picture: Picture | None = None
    rejects_bytes: int | None = None
    item_report: ItemReport | None = None
    warnings: tuple[str, ...] = ()
    seconds: dict[str, float] = Field(default={})

    @property
    def rows_loaded(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def rows_rejected(self) -> int:
        """Rows that were refused."""
        return sum(sum(table.tally.refused.values()) for table in self.tables)
