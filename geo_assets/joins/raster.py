"""Rows of statistics of a raster, window by window."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from geo_assets.contract_h3 import RasterStatistics
from geo_assets.h3.zonal import Totals, zonal_statistics
from geo_assets.joins.measures import BAND
from geo_assets.joins.rows import (
    AMOUNTS,
    MOMENTS,
    class_rows,
    encode,
    moments_rows,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from rasterio.io import DatasetReader


class RasterRows:
    """The rows of a raster; `totals` are known when all were taken.

    Args:
        path: of the raster, as GDAL opens it.
        options: of GDAL, with credentials.
        rules: of the contract.
    """

    def __init__(
        self, path: str, options: Mapping[str, str], rules: RasterStatistics
    ) -> None:
        self._path, self._options, self._rules = path, options, rules
        self.totals = Totals()

    def chunks(self) -> Iterator[bytes | memoryview]:
        """A COPY BINARY stream of parts; memory is that of a window."""
        import rasterio

        schema = AMOUNTS if self._rules.categorical else MOMENTS
        options: dict[str, Any] = {**self._options}
        with rasterio.Env(**options), rasterio.open(self._path) as raster:
            yield from encode(self._batches(raster), schema)

    def _batches(self, raster: "DatasetReader") -> "Iterator[pa.RecordBatch]":
        rules = self._rules
        most = rules.max_classes if rules.categorical else None
        for resolution in rules.measured:
            totals = self.totals if resolution == rules.finest else None
            for partial in zonal_statistics(
                raster, resolution, rules.mode, most, totals
            ):
                if rules.categorical:
                    yield from class_rows(partial, f"{BAND}{partial.band}")
                else:
                    yield moments_rows(partial)
