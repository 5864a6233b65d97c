"""From the CRS of a layer to that of its table."""

import threading
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from pyproj import CRS, Transformer

from geo_assets.contract import VectorContract
from geo_assets.crs import (
    exact_code,
    farthest,
    quarter_turn,
    read_crs,
    same_place,
    stated_crs,
    to_crs,
)
from geo_assets.vector.model import TargetCrs
from geo_assets.vector.wkb import Floats

_WORLD = "EPSG:4326"
NO_CRS = TargetCrs(srid=0, code=None, name="", wkt="")  # of a layer without geometry


@dataclass(frozen=True)
class Frame:
    """Source and target of a layer's coordinates; x is always first."""

    source: CRS
    target: CRS
    _threads: threading.local = field(default_factory=threading.local)

    @cached_property
    def _farthest(self) -> tuple[float, float]:
        return farthest(self.target)

    @cached_property
    def moves(self) -> bool:
        """Whether coordinates change."""
        return not same_place(self.source, self.target)

    @property
    def in_degrees(self) -> bool:
        """Whether the target has longitudes and latitudes in degrees."""
        return self.target.is_geographic and round(quarter_turn(self.target), 6) == 90  # noqa: PLR2004

    @cached_property
    def facts(self) -> TargetCrs:
        """The target, as the catalogue has it."""
        code = exact_code(self.target)
        return TargetCrs(
            srid=code[1] if code else 0,
            code=f"{code[0]}:{code[1]}" if code else None,
            name=self.target.name,
            wkt=self.target.to_wkt(),
        )

    def move(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Coordinates in the target; infinite where it has no such place."""
        x, y = self._way("target", self.target).transform(x, y)
        most_x, most_y = self._farthest
        lost = (np.abs(x) > most_x) | (np.abs(y) > most_y)
        if lost.any():
            x[lost] = y[lost] = np.inf
        return x, y

    def to_world(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Coordinates of the source as longitude and latitude, WGS 84."""
        return self._way("world", read_crs("OGC:CRS84")).transform(x, y)

    def _way(self, name: str, goal: CRS) -> Transformer:
        # PROJ's objects may not be shared between threads.
        if not hasattr(self._threads, name):
            setattr(self._threads, name, to_crs(self.source, goal))
        return getattr(self._threads, name)


def plan_frame(crs_wkt: str | None, contract: VectorContract) -> Frame:
    """Where coordinates come from and go to, by the dataset's rules.

    Raises:
        NoCrsError: neither the file nor the dataset says where the coordinates are.
        BadCrsError, NotEarthError: one of the CRSs cannot be used.
    """
    source = stated_crs(crs_wkt, contract.source_crs)
    if contract.crs is not None:
        return Frame(source, read_crs(contract.crs))
    code = exact_code(source)
    if code is not None:
        # A WKT without a code may say the same in other words: PostGIS goes by code.
        return Frame(source, CRS.from_authority(*code))
    if contract.custom_crs == "keep":
        return Frame(source, source)
    return Frame(source, read_crs(_WORLD))
