"""When a raster is too large: for one COG, or for the platform."""

from typing import Annotated, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from geo_assets.contract_stac import STRICT

BLOCK = 512  # pixels: edge of the blocks of a COG
Positive = Annotated[int, Field(gt=0)]


class Tiling(BaseModel):
    """When a raster is too large for one COG."""

    model_config = STRICT

    above_megapixels: Positive = 400
    """Rasters with more pixels than this are cut."""
    size: Annotated[int, Field(gt=0, le=65_536)] = 8192
    """Edge of a tile, pixels; a multiple of 512."""
    overlap: Annotated[int, Field(ge=0)] = 0
    """Pixels that a tile shows beyond each of its edges, of its neighbours."""

    @field_validator("size")
    @classmethod
    def _whole_blocks(cls, size: int) -> int:
        if size % BLOCK:
            message = f"{size} is not a multiple of the block size {BLOCK}"
            raise ValueError(message)
        return size

    @model_validator(mode="after")
    def _overviews_align(self) -> Self:
        step = 1 << self.level
        if self.overlap % step or self.overlap >= self.size:
            message = (
                f"`overlap` {self.overlap} is not a multiple of {step} below `size`: "
                "overviews of neighbours would not meet"
            )
            raise ValueError(message)
        return self

    @property
    def level(self) -> int:
        """How often a tile is halved until it fits into one block.

        >>> [Tiling(size=size).level for size in (512, 1024, 1536, 8192)]
        [0, 1, 2, 4]
        """
        return (self.size // BLOCK - 1).bit_length()


class RasterLimits(BaseModel):
    """What a single file may cost."""

    model_config = STRICT

    max_gigapixels: float = Field(default=20.0, gt=0)
    """Larger rasters are refused as TOO_LARGE."""
    max_bands: Positive = 512
    """Rasters with more bands are refused as TOO_LARGE."""
