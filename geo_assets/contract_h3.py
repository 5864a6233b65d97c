"""What a dataset wants to know per H3 cell."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator

from geo_assets.contract_stac import STRICT

Resolution = Annotated[int, Field(ge=0, le=10)]
Statistic = Literal["mean", "sum", "min", "max", "std", "count"]


class CellStatistics(BaseModel):
    """What rasters and vectors have in common."""

    model_config = STRICT

    resolutions: list[Resolution]
    """H3 resolutions."""
    coarser: Literal["roll_up", "measure"] = "roll_up"
    """All but the finest resolution: put together of its cells, or measured too."""

    @field_validator("resolutions")
    @classmethod
    def _each_once(cls, wanted: Sequence[int]) -> Sequence[int]:
        if not wanted or len({*wanted}) != len(wanted):
            message = "give one or more, each once"
            raise ValueError(message)
        return wanted

    @property
    def finest(self) -> int:
        """The resolution that is always measured."""
        return max(self.resolutions)

    @property
    def measured(self) -> list[int]:
        """Resolutions for which the data themselves are looked at."""
        return [self.finest] if self.coarser == "roll_up" else sorted(self.resolutions)

    @property
    def rolled_up(self) -> list[int]:
        """Resolutions that follow from the finest."""
        return sorted({*self.resolutions} - {*self.measured})


class RasterStatistics(CellStatistics):
    """Statistics of a raster per H3 cell."""

    statistics: list[Statistic] = ["mean"]
    """What the view shows of each cell; all of it is kept."""
    mode: Literal["exact", "centre"] = "exact"
    """Pixels count by the share of them that lies in the cell, or the pixel under the
    cell's centre stands for all of it: quick, for cells not much larger than pixels."""
    categorical: bool = False
    """Values are numbers of classes: the area of each is told, not their mean."""
    max_classes: Annotated[int, Field(gt=0, le=1000)] = 64
    """A categorical raster with more different values is refused."""


class VectorStatistics(CellStatistics):
    """Count, area and length of features per H3 cell, and what they carry."""

    sums: list[str] = []
    """Columns of numbers, shared out to cells as area or length are."""
    shares: str | None = None
    """Column of categories, whose shares of count, area and length are told."""
