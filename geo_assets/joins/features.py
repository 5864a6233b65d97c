"""Rows of statistics of the tables of a vector file, batch by batch.

A feature counts once, in the cell of a point on it. Its area or length is that of its
parts in cells; what its columns say is shared out by these, and goes with the count
where a feature has neither.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from geo_assets.contract_h3 import VectorStatistics
from geo_assets.h3.overlay import cells_of_features, cut_features
from geo_assets.joins.measures import CLASS_OF, COUNT, SIZES, SUM_OF
from geo_assets.joins.rows import AMOUNTS, amount_rows, encode
from geo_assets.vector.antimeridian import split_crossing

if TYPE_CHECKING:
    import pyarrow as pa

    from geo_assets.h3.cells import Cells

NO_CATEGORY = "none"


class Features(Protocol):
    """Some rows of a table."""

    @property
    def shapes(self) -> list[bytes]:
        """WKB, longitude and latitude."""
        ...

    @property
    def columns(self) -> dict[str, list[Any]]:
        """Of numbers and categories, by name."""
        ...


class FeatureRows:
    """The rows of a file; `expected` is known when all were taken.

    Args:
        batches: of all tables of the file.
        rules: of the contract.
    """

    def __init__(self, batches: Iterable[Features], rules: VectorStatistics) -> None:
        self._taken, self._rules = batches, rules
        self.expected: dict[str, float] = {}

    def chunks(self) -> Iterator[bytes | memoryview]:
        """A COPY BINARY stream of parts; memory is that of a batch of rows."""
        yield from encode(self._batches(), AMOUNTS)

    def _batches(self) -> "Iterator[pa.RecordBatch]":
        for features in self._taken:
            for resolution in self._rules.measured:
                yield from self._count(features, resolution)

    def _count(self, features: Features, resolution: int) -> "Iterator[pa.RecordBatch]":
        shapes = _on_the_map(features.shapes)
        cells = cells_of_features(shapes, resolution)
        numbers = {
            name: np.array(values, np.float64)
            for name, values in features.columns.items()
            if name in self._rules.sums
        }
        labels = self._labels(features, len(shapes))
        everything = np.arange(len(shapes))
        yield from self._rows(cells, COUNT, np.ones(len(cells)), labels)
        self._expect(resolution, COUNT, len(shapes))
        for dimension in (0, *SIZES):
            mine = everything[shapely.get_dimensions(shapes) == dimension]
            if not len(mine):
                continue
            places, at, share = mine, cells[mine], np.ones(len(mine))
            if (size := SIZES.get(dimension)) is not None:
                cut = cut_features(shapes[mine], resolution)
                places, at = mine[cut.places], cut.cells
                yield from self._rows(at, size, cut.sizes, _some(labels, places))
                share = _shares(cut.places, cut.sizes, len(mine))
            for name, values in numbers.items():
                parts = np.nan_to_num(values[places]) * share
                yield from self._rows(at, SUM_OF + name, parts, None)
        for name, values in numbers.items():
            self._expect(resolution, SUM_OF + name, float(np.nansum(values)))

    def _labels(self, features: Features, count: int) -> NDArray[Any] | None:
        if self._rules.shares is None:
            return None
        given = features.columns.get(self._rules.shares, [None] * count)
        return np.array([NO_CATEGORY if one is None else one for one in given])

    def _rows(
        self,
        cells: "Cells",
        measure: str,
        amounts: NDArray[np.float64],
        labels: NDArray[Any] | None,
    ) -> "Iterator[pa.RecordBatch]":
        yield amount_rows(*_summed(cells, measure, "", amounts))
        if labels is not None:
            for label in np.unique(labels):
                some = labels == label
                yield amount_rows(
                    *_summed(cells[some], CLASS_OF + measure, str(label), amounts[some])
                )

    def _expect(self, resolution: int, measure: str, amount: float) -> None:
        if resolution == self._rules.finest:
            self.expected[measure] = self.expected.get(measure, 0.0) + amount


def _on_the_map(wkb: list[bytes]) -> NDArray[Any]:
    """Valid geometries within -180..180, whatever CRS they were brought from."""
    shapes = np.array(shapely.from_wkb(wkb), np.object_)
    split_crossing(shapes, shapely.bounds(shapes))
    return shapely.make_valid(shapes)


def _summed(
    cells: "Cells", measure: str, label: str, amounts: NDArray[np.float64]
) -> "tuple[Cells, str, str, NDArray[np.float64]]":
    found, place = np.unique(cells, return_inverse=True)
    sums = np.zeros(len(found))
    np.add.at(sums, place, amounts)
    return found, measure, label, sums


def _some(labels: NDArray[Any] | None, places: NDArray[Any]) -> NDArray[Any] | None:
    return None if labels is None else labels[places]


def _shares(
    places: NDArray[np.int64], sizes: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Of its feature that each part is."""
    whole = np.bincount(places, sizes, minlength=count)[places]
    parts = np.bincount(places, minlength=count)[places]
    return np.where(whole > 0, sizes / np.where(whole > 0, whole, 1), 1 / parts)
