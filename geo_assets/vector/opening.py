"""Bytes of a batch become geometries; what GEOS must not see, it does not see."""

import numpy as np
import pyarrow as pa
import shapely

from geo_assets.vector.curves import TooDeepError, WkbError, parse, straighten, write
from geo_assets.vector.flat import is_flat, surely_flat
from geo_assets.vector.shapes import (
    CURVE_LINEARIZED,
    RING_CLOSED,
    SURFACE_FLATTENED,
    Refusal,
    ShapeRules,
    Shapes,
    refuse_odd,
)
from geo_assets.vector.wkb import (
    COLLECTION,
    CURVES,
    MULTIPOINT,
    SURFACES,
    Flags,
)


class Opening:
    """Geometries of one batch, from bytes to GEOS.

    Attributes:
        shapes: of the batch; take what is refused and counted.
        how: the rules.
        heads: of the bytes as read.
        open: rows that are not settled and not NULL.
        raw: their WKB, plain in the end; None for all others.
        geometries: of `raw`.
        rewrite: rows whose bytes in the column are not good any more.
    """

    def __init__(self, shapes: Shapes, how: ShapeRules, settled: Flags) -> None:
        self.shapes, self.how, self.heads = shapes, how, shapes.heads
        self.open = self.heads.present & ~settled
        self.raw: np.ndarray = np.full(len(settled), None, object)
        read = shapes.read.filter(pa.array(self.open))
        self.raw[self.open] = read.to_numpy(zero_copy_only=False)
        self.geometries: np.ndarray = self.raw
        self.rewrite = self.open & ~self.heads.plain
        self.counts: dict[str, np.ndarray] = {}

    def read(self) -> None:
        """Geometries of the rows that belong to the table and can be read."""
        self._sort_out()
        self._make_plain()
        self._read()

    def count(self, what: str, rows: Flags | int, number: int = 1) -> None:
        """Note a change of rows; it counts if they are loaded in the end."""
        counts = self.counts.setdefault(what, np.zeros(len(self.raw), np.int64))
        counts[rows] += number

    def _sort_out(self) -> None:
        """Kinds that do not belong here, by their first bytes."""
        kind = self.heads.kind
        simple = (kind > 0) & (kind < COLLECTION)
        self.leave(simple & ~self.how.plan.takes(kind))

    def leave(self, rows: Flags) -> None:
        """Rows of another kind: of another table, or refused."""
        if self.how.splitting:
            self.shapes.elsewhere |= rows & self.shapes.alive()
        else:
            self.shapes.refuse(rows, Refusal.WRONG_TYPE)

    def _make_plain(self) -> None:
        """Curves and surfaces as GEOS reads them; nothing is nested deep."""
        kind, alive = self.heads.kind, self.shapes.alive()
        alive &= self.open
        multi = (kind >= MULTIPOINT) & (kind < COLLECTION)
        multi &= ~surely_flat(self.heads, alive)
        for row in np.flatnonzero(multi & alive).tolist():
            if not is_flat(self.raw[row]):
                self.refuse(row, Refusal.BAD_WKB)
        for row in np.flatnonzero((kind >= COLLECTION) & alive).tolist():
            self._straighten(row)

    def _straighten(self, row: int) -> None:
        try:
            node = parse(self.raw[row], self.how.max_depth)
            kinds = node.kinds()
            curved = not kinds.isdisjoint(CURVES)
            surface = not kinds.isdisjoint(SURFACES)
            if curved and self.how.rules.curves == "refuse":
                self.refuse(row, Refusal.CURVE)
            elif curved or surface:
                plain = write(straighten(node), z=node.z, m=node.m)
                self.raw[row], self.rewrite[row] = plain, True
                self.count(CURVE_LINEARIZED, row, int(curved))
                self.count(SURFACE_FLATTENED, row, int(surface))
        except TooDeepError:
            self.refuse(row, Refusal.TOO_DEEP)
        except WkbError:
            self.refuse(row, Refusal.BAD_WKB)

    def refuse(self, row: int, why: Refusal) -> None:
        """Refuse a row; one of no kind in one table only."""
        rows = np.zeros(len(self.raw), np.bool_)
        rows[row] = True
        if self.heads.kind[row] < COLLECTION:
            self.shapes.refuse(rows, why)
        else:
            refuse_odd(self.shapes, rows, why, self.how)

    def _read(self) -> None:
        wanted = self.open & self.shapes.alive()
        self.raw[~wanted] = None
        self.geometries = shapely.from_wkb(self.raw, on_invalid="ignore")
        lost = wanted & shapely.is_missing(self.geometries)
        if not lost.any():
            return
        self.geometries[lost] = shapely.from_wkb(self.raw[lost], on_invalid="fix")
        self.shapes.refuse(lost & shapely.is_missing(self.geometries), Refusal.BAD_WKB)
        self.count(RING_CLOSED, lost)
        self.rewrite |= lost

    def drop_dead(self) -> None:
        """Forget the geometries of rows that are not loaded."""
        self.geometries[~self.shapes.alive()] = None
