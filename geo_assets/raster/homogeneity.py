"""Which rasters of a dataset are unlike the others.

A dataset is meant to be of one kind; a file that is not is still a good file. The
majority says what is usual.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from pyproj import CRS

from geo_assets.contract import Aspect

TOLERANCE = 0.2  # of the usual resolution
FACTS = (  # where the ledger has what is compared: the grid of the products, or,
    # of a file that is only catalogued, its own
    "$.profile.bands.size()",
    "$.profile.dtype",
    "$.tier_pass.crs_wkt",
    "$.tier_pass.transform",
    "$.profile.crs_wkt",
    "$.profile.transform",
)


@dataclass(frozen=True)
class Kind:
    """What one raster is like.

    Attributes:
        pixel: edge of a square of a pixel's area, in units of the CRS.
    """

    blob: str
    bands: int
    dtype: str
    crs: str
    pixel: float


@dataclass(frozen=True)
class Likeness:
    """How alike the rasters of a dataset are in one aspect.

    Attributes:
        usual: what most of them have, for people.
        odd: names of the files that differ, each with what it has.
    """

    compared: int
    usual: str
    odd: dict[str, str]

    @property
    def words(self) -> str:
        """In one sentence, for people.

        >>> Likeness(0, "", {}).words, Likeness(3, "uint8", {"a.tif": "int8"}).words
        ('No file was compared.', '1 of 3 files differs from what is usual.')
        """
        if not self.compared:
            return "No file was compared."
        differ = "differs" if len(self.odd) == 1 else "differ"
        return f"{len(self.odd)} of {self.compared} files {differ} from what is usual."


def read_kind(blob: str, facts: Sequence[Any]) -> Kind | None:
    """What the ledger knows of a file; None if it knows too little.

    >>> grid = [2.0, 0.0, 9.0, 0.0, -8.0, 9.0]
    >>> read_kind("a.tif", [3, "uint8", None, None, "LOCAL", grid])
    Kind(blob='a.tif', bands=3, dtype='uint8', crs='LOCAL', pixel=4.0)
    """
    bands, dtype, *grids = facts
    crs, transform = grids[2:] if grids[1] is None else grids[:2]
    if bands is None or dtype is None or crs is None or transform is None:
        return None
    a, b, _, d, e, _ = map(float, transform)
    return Kind(blob, bands, dtype, crs, math.sqrt(abs(a * e - b * d)))


def compare(kinds: Sequence[Kind], aspect: Aspect) -> Likeness:
    """Compare rasters in one aspect; resolutions only within their CRS."""
    kinds = _with_same_crs_said_alike(kinds)
    if aspect == "resolution":
        return _compare_resolutions(kinds)
    tell: dict[Aspect, Callable[[Kind], Hashable]] = {
        "bands": lambda kind: kind.bands,
        "dtype": lambda kind: kind.dtype,
        "crs": lambda kind: kind.crs,
    }
    said = {kind.blob: tell[aspect](kind) for kind in kinds}
    if not said:
        return Likeness(0, "", {})
    usual, _ = Counter(said.values()).most_common(1)[0]
    odd = {blob: _words(value) for blob, value in said.items() if value != usual}
    return Likeness(len(said), _words(usual), odd)


def _compare_resolutions(kinds: Sequence[Kind]) -> Likeness:
    pixels: dict[str, list[float]] = {}
    for kind in kinds:
        pixels.setdefault(kind.crs, []).append(kind.pixel)
    usual = {crs: median(found) for crs, found in pixels.items()}
    odd = {
        kind.blob: f"{kind.pixel:.6g}"
        for kind in kinds
        if abs(kind.pixel / usual[kind.crs] - 1) > TOLERANCE
    }
    words = ", ".join(f"{size:.6g} ({_words(crs)})" for crs, size in usual.items())
    return Likeness(len(kinds), words, odd)


def _with_same_crs_said_alike(kinds: Sequence[Kind]) -> list[Kind]:
    """The rasters, with one text for every CRS, however it was written down."""
    known: list[tuple[str, CRS]] = []
    alike: dict[str, str] = {}
    for text in dict.fromkeys(kind.crs for kind in kinds):
        crs = CRS.from_wkt(text)
        alike[text] = next((one for one, other in known if other == crs), text)
        if alike[text] == text:
            known.append((text, crs))
    return [replace(kind, crs=alike[kind.crs]) for kind in kinds]


def _words(value: Hashable) -> str:
    """A value for people; of WKT its name."""
    text = str(value)
    return text.split('"')[1] if '["' in text else text
