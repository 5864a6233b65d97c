"""Geometries that GEOS does not read, as those that it does: arcs, TINs, collections.

One geometry at a time: rare kinds pay, common ones never come here.
"""

import math
import struct
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from geo_assets.vector.wkb import (
    COLLECTION,
    CURVES,
    LINE,
    MULTILINE,
    MULTIPOINT,
    MULTIPOLYGON,
    POINT,
    POLYGON,
    SURFACES,
    Floats,
    head,
)

ARC, COMPOUND, CURVE_POLYGON, MULTICURVE, MULTISURFACE = CURVES
POLYHEDRAL, TIN, TRIANGLE = SURFACES
_STEP = math.radians(4)  # largest angle of a segment; GDAL's default too
_PARTS = {
    MULTIPOINT: {POINT},
    MULTILINE: {LINE},
    MULTIPOLYGON: {POLYGON},
    COLLECTION: {*range(POINT, COLLECTION + 1), *CURVES, *SURFACES},
    COMPOUND: {LINE, ARC},
    CURVE_POLYGON: {LINE, ARC, COMPOUND},
    MULTICURVE: {LINE, ARC, COMPOUND},
    MULTISURFACE: {POLYGON, CURVE_POLYGON},
    POLYHEDRAL: {POLYGON},
    TIN: {POLYGON, TRIANGLE},
}
_RINGS = {POLYGON, TRIANGLE}


class WkbError(ValueError):
    """The bytes are no geometry."""


class TooDeepError(WkbError):
    """Collections lie in collections, more than the dataset allows."""


@dataclass
class Node:
    """A geometry: coordinates, rings or parts, by its kind.

    Attributes:
        kind: WKB type without dimensions.
        z: the third column of coordinates is the height.
        m: the last column is the measure.
        rings: of points and lines the only one; arrays of (points, 2 to 4).
        parts: of what is made of geometries.
    """

    kind: int
    z: bool
    m: bool
    rings: list[Floats] = field(default_factory=list)
    parts: list["Node"] = field(default_factory=list)

    def kinds(self) -> set[int]:
        """Its kind and those of all its parts."""
        return {self.kind}.union(*(part.kinds() for part in self.parts))

    def all_rings(self) -> list[Floats]:
        """Its arrays of coordinates and those of all its parts, in their order."""
        return self.rings + [ring for part in self.parts for ring in part.all_rings()]


def parse(raw: bytes, max_depth: int) -> Node:
    """The geometry of ISO WKB or EWKB of any kind.

    Raises:
        WkbError: the bytes are none.
        TooDeepError: it is nested deeper than `max_depth`.
    """
    try:
        return _Reader(raw).node(max_depth)
    except (struct.error, IndexError) as error:
        message = "the bytes end too early"
        raise WkbError(message) from error


class _Reader:
    """A place in the bytes, that moves on as they are read."""

    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def node(self, depth: int) -> Node:
        if depth < 1:
            message = "collections lie too deep in each other"
            raise TooDeepError(message)
        order = "<" if self.raw[self.at] == 1 else ">"
        self.at += 1
        code = self._count(order)
        self.at += 4 if code & 0x20000000 else 0
        thousands, kind = divmod(code & 0x1FFFFFFF, 1000)
        z = bool(code & 0x80000000) or thousands in {1, 3}
        m = bool(code & 0x40000000) or thousands in {2, 3}
        node = Node(kind, z, m)
        self._fill(node, order, depth)
        return node

    def _fill(self, node: Node, order: str, depth: int) -> None:
        width = 2 + node.z + node.m
        if node.kind == POINT:
            node.rings = [self._coordinates(1, width, order)]
        elif node.kind in {LINE, ARC}:
            node.rings = [self._coordinates(self._count(order), width, order)]
        elif node.kind in _RINGS:
            for _ in range(self._count(order)):
                ring = self._coordinates(self._count(order), width, order)
                node.rings.append(ring)
        elif node.kind in _PARTS:
            for _ in range(self._count(order)):
                part = self.node(depth - 1)
                if part.kind not in _PARTS[node.kind]:
                    message = f"a part of kind {part.kind} in one of {node.kind}"
                    raise WkbError(message)
                node.parts.append(part)
        else:
            message = f"there is no kind {node.kind}"
            raise WkbError(message)

    def _count(self, order: str) -> int:
        (count,) = struct.unpack_from(f"{order}I", self.raw, self.at)
        self.at += 4
        return count

    def _coordinates(self, count: int, width: int, order: str) -> Floats:
        end = self.at + 8 * count * width
        if end > len(self.raw):
            message = "the bytes end too early"
            raise WkbError(message)
        found = np.frombuffer(self.raw[self.at : end], f"{order}f8")
        self.at = end
        return found.reshape(count, width).astype(np.float64)


def write(node: Node, *, z: bool, m: bool) -> bytes:
    """ISO WKB of a geometry without curves, with heights and measures as said.

    What the geometry has not is 0.
    """
    if node.kind == POINT:
        return head(POINT, z=z, m=m) + _bytes(node, node.rings[0], z=z, m=m)
    rings = [
        len(ring).to_bytes(4, "little") + _bytes(node, ring, z=z, m=m)
        for ring in node.rings
    ]
    if node.kind == LINE:
        return head(LINE, z=z, m=m) + rings[0]
    items = rings + [write(part, z=z, m=m) for part in node.parts]
    return (
        head(node.kind, z=z, m=m) + len(items).to_bytes(4, "little") + b"".join(items)
    )


def _bytes(node: Node, ring: Floats, *, z: bool, m: bool) -> bytes:
    nothing = np.zeros(len(ring))
    columns = [ring[:, 0], ring[:, 1]]
    if z:
        columns.append(ring[:, 2] if node.z else nothing)
    if m:
        columns.append(ring[:, -1] if node.m else nothing)
    return np.column_stack(columns).astype("<f8").tobytes()


def straighten(node: Node) -> Node:
    """The geometry with arcs as lines, and surfaces as polygons.

    An arc becomes segments of at most 4 degrees, the same from both of its ends, so
    that neighbours stay neighbours.
    """
    if node.kind in {ARC, COMPOUND}:
        return Node(LINE, node.z, node.m, [_line(node)])
    if node.kind == CURVE_POLYGON:
        return Node(POLYGON, node.z, node.m, [_line(part) for part in node.parts])
    if node.kind == TRIANGLE:
        return Node(POLYGON, node.z, node.m, node.rings)
    kind = {
        MULTICURVE: MULTILINE,
        MULTISURFACE: MULTIPOLYGON,
        POLYHEDRAL: MULTIPOLYGON,
        TIN: MULTIPOLYGON,
    }.get(node.kind, node.kind)
    parts = [straighten(part) for part in node.parts]
    return Node(kind, node.z, node.m, node.rings, parts)


def _line(node: Node) -> Floats:
    """Coordinates of a line, an arc or a chain of both."""
    if node.kind == COMPOUND:
        width = 2 + node.z + node.m
        chain = [_line(part) for part in node.parts] or [np.zeros((0, width))]
        return np.vstack(_joined(chain))
    points = node.rings[0]
    if node.kind == LINE or len(points) == 0:
        return points
    if len(points) % 2 == 0:
        message = f"an arc of {len(points)} points"
        raise WkbError(message)
    ends = range(0, len(points) - 1, 2)
    arcs = [_arc(points[i], points[i + 1], points[i + 2]) for i in ends]
    return np.vstack(_joined(arcs)) if arcs else points


def _joined(chain: list[Floats]) -> list[Floats]:
    """The lines, each without its first point where the one before ends there."""
    return [
        chain[0],
        *(
            after[1:] if len(before) and len(after) and same(before, after) else after
            for before, after in pairwise(chain)
        ),
    ]


def same(before: Floats, after: Floats) -> bool:
    """Whether a line ends where the next begins."""
    return bool((before[-1, :2] == after[0, :2]).all())


def _arc(start: Floats, middle: Floats, end: Floats) -> Floats:
    """Points of the arc through three points, both ends exactly."""
    if tuple(start[:2]) > tuple(end[:2]):
        return _arc(end, middle, start)[::-1]
    centre = _centre(start, middle, end)
    if centre is None:
        return np.vstack([start, middle, end])
    first, past, last = (
        math.atan2(p[1] - centre[1], p[0] - centre[0]) for p in (start, middle, end)
    )
    sweep = (last - first) % math.tau or math.tau
    if (past - first) % math.tau > sweep:
        sweep -= math.tau
    count = max(2, math.ceil(abs(sweep) / _STEP))
    share = np.linspace(0, 1, count + 1)
    angles, radius = first + sweep * share, math.dist(start[:2], centre)
    x, y = centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)
    more = start[2:] + share[:, None] * (end[2:] - start[2:])
    points = np.column_stack([x, y, more])
    points[0], points[-1] = start, end
    return points


def _centre(start: Floats, middle: Floats, end: Floats) -> tuple[float, float] | None:
    """Centre of the circle; None for points in a line."""
    if tuple(start[:2]) == tuple(end[:2]):  # SQL/MM: a circle and its far point
        return (start[0] + middle[0]) / 2, (start[1] + middle[1]) / 2
    bx, by = middle[0] - start[0], middle[1] - start[1]
    cx, cy = end[0] - start[0], end[1] - start[1]
    twice = 2 * (bx * cy - by * cx)
    if abs(twice) <= 1e-12 * (bx * bx + by * by + cx * cx + cy * cy):
        return None
    b, c = bx * bx + by * by, cx * cx + cy * cy
    return start[0] + (cy * b - by * c) / twice, start[1] + (bx * c - cx * b) / twice
