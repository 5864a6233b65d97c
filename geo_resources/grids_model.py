"""The words of the grids: which part of which table, and what was found in it."""

from typing import NamedTuple

SCHEMA = "h3"


class GridPart(NamedTuple):
    """The cells of one resolution, or those of one base cell of it.

    A grid is one table, partitioned by ranges of cells: a part is replaced as a whole.
    """

    root: str
    """The table of all resolutions."""
    table: str
    """Its partition of the resolution."""
    leaf: str | None
    """The partition of that for a base cell; None: it is not partitioned further."""
    bounds: tuple[int, int]
    """Cells of this part: from, and up to but not including."""
    table_bounds: tuple[int, int]
    """Cells of the resolution."""

    @property
    def name(self) -> str:
        """Of the table with the rows."""
        return self.leaf or self.table

    @property
    def parent(self) -> str:
        """Of which it is a partition."""
        return self.table if self.leaf else self.root

    @property
    def staging(self) -> str:
        """Where its rows are before anybody sees them."""
        return f"{self.name}__stg"


class GridFacts(NamedTuple):
    """What a table of cells really holds, measured in the database."""

    base_cells: int = 0
    """How many there are cells of."""
    cells: int = 0
    pentagons: int = 0
    area_m2: float = 0.0
    land_m2: float = 0.0
    least_land_share: float | None = None
    """None without cells."""
    map_degrees2: float = 0.0
    """Area of the boundaries on the map of longitude and latitude."""
    invalid: int = 0
    """Boundaries that are no valid geometry, or none at all."""
    broken_families: int = 0
    """Parents that not all children are there of."""

    def __add__(self, other: "GridFacts") -> "GridFacts":  # type: ignore[override]
        """Of both together; their base cells differ."""
        shares = [
            one.least_land_share
            for one in (self, other)
            if one.least_land_share is not None
        ]
        sums = {
            name: getattr(self, name) + getattr(other, name)
            for name in self._fields
            if name != "least_land_share"
        }
        return GridFacts(**sums, least_land_share=min(shares, default=None))
