"""The checks on a grid: what was measured, against what must be."""

from collections.abc import Mapping
from dataclasses import dataclass

from geo_assets.grid_contract import HexGridContract, Variant
from geo_assets.h3.numbers import BASE_CELLS, PENTAGONS, count_of_base
from geo_assets.witness import Verdict
from geo_resources.grids_model import GridFacts

AREA_TOLERANCE = 1e-3
MAP_DEGREES2 = 360.0 * 180.0
_MAP_TOLERANCE = 1e-9

CHECKS: dict[str, str] = {
    "cell_count": "As many cells as there are: 2 + 120 * 7^r on the Earth.",
    "boundaries_valid": "Every boundary is a valid geometry; none is missing.",
    "neighbours": "The cells that a cell touches are those that H3 says are around it.",
}
EARTH_CHECKS: dict[str, str] = {
    "total_area": "All cells have the area of the Earth, within 0.1 %, and cover the "
    "map once.",
    "parents_complete": "All 7 children of every parent are there, 6 of a pentagon.",
    "pentagons": "There are 12 pentagons.",
}
LAND_CHECKS: dict[str, str] = {"all_land": "Every cell has some land."}


@dataclass(frozen=True)
class Expected:
    """What must be, as far as one can know.

    Attributes:
        cells: how many; None: any number that `most` allows.
        most: no more than these.
        only_land: whether cells without land are wrong here.
        base_cells: those whose cells all are there; None for regions and land.
    """

    cells: int | None
    most: int
    only_land: bool
    base_cells: range | None = None

    @property
    def pentagons(self) -> int:
        """How many."""
        return len(PENTAGONS & {*(self.base_cells or ())})


def checks_of(contract: HexGridContract, variant: Variant) -> Mapping[str, str]:
    """The checks on a grid, in words."""
    if variant == "land":
        return CHECKS | LAND_CHECKS
    return CHECKS if contract.region else CHECKS | EARTH_CHECKS


def expect_bases(resolution: int, base_cells: range, variant: Variant) -> Expected:
    """What a grid of these base cells must hold."""
    cells = sum(count_of_base(base, resolution) for base in base_cells)
    if variant == "land":
        return Expected(None, cells, only_land=True)
    return Expected(cells, cells, only_land=False, base_cells=base_cells)


def judge(facts: GridFacts, expected: Expected, earth_m2: float) -> dict[str, Verdict]:
    """Verdicts by check, without the neighbours and what cannot be told.

    Args:
        facts: measured.
        expected: what must be.
        earth_m2: area of the Earth.
    """
    wanted = f"at most {expected.most}" if expected.cells is None else expected.cells
    enough = expected.cells in {None, facts.cells}
    found = {
        "cell_count": Verdict(
            enough and facts.cells <= expected.most,
            f"{facts.cells} cells, expected {wanted}",
        ),
        "boundaries_valid": Verdict(
            not facts.invalid, f"{facts.invalid} of {facts.cells} are not valid"
        ),
    }
    if expected.only_land:
        least = facts.least_land_share
        found["all_land"] = Verdict(
            least is None or least > 0, f"least share of land {least}"
        )
    if expected.base_cells is not None:
        found |= _judge_earth(facts, expected, earth_m2)
    return found


def _judge_earth(
    facts: GridFacts, expected: Expected, earth_m2: float
) -> dict[str, Verdict]:
    found = {
        "parents_complete": Verdict(
            not facts.broken_families, f"{facts.broken_families} parents lack children"
        ),
        "pentagons": Verdict(
            facts.pentagons == expected.pentagons,
            f"{facts.pentagons} pentagons, expected {expected.pentagons}",
        ),
    }
    if expected.base_cells == range(BASE_CELLS):
        off = facts.area_m2 / earth_m2 - 1
        gap = facts.map_degrees2 / MAP_DEGREES2 - 1
        found["total_area"] = Verdict(
            abs(off) <= AREA_TOLERANCE and abs(gap) <= _MAP_TOLERANCE,
            f"{facts.area_m2:.6e} m2, {off:+.1e} of the Earth's; on the map {gap:+.1e}",
        )
    return found


def judge_neighbours(
    touching: Mapping[int, set[int]], around: Mapping[int, set[int]]
) -> Verdict:
    """Whether each cell touches the cells around it and no others.

    Args:
        touching: by geometry.
        around: by H3, those that are in the table.
    """
    wrong = [c for c in around if touching.get(c, set()) != around[c]]
    example = f", such as {wrong[0]:x}" if wrong else ""
    return Verdict(not wrong, f"{len(wrong)} of {len(around)} differ{example}")
