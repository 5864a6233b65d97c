"""Native (GeoArrow) encodings of geometries, as WKB."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported: pyright cannot see them.
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_DEPTH = {  # lists around the coordinates
    "point": 0,
    "linestring": 1,
    "multipoint": 1,
    "polygon": 2,
    "multilinestring": 2,
    "multipolygon": 3,
}


def native_to_wkb(column: pa.Array, encoding: str) -> pa.Array:
    """Geometries of any GeoParquet encoding as ISO WKB; nulls stay null.

    Args:
        column: one batch of the geometry column.
        encoding: `WKB` or one of the native ones, as the metadata names it.
    """
    if encoding == "WKB":
        return column.cast(pa.binary())
    import shapely
    from shapely import GeometryType

    kind = encoding.lower()
    offsets, points = _unnest(column, _DEPTH[kind])
    coordinates = _coordinates(points)
    if kind == "point":
        missing = np.isnan(coordinates).all(axis=1)
        made = np.empty(len(coordinates), dtype=object)
        made[~missing] = shapely.points(coordinates[~missing])
        made[missing] = shapely.Point()
    else:
        named = {
            name.lower(): value for name, value in GeometryType.__members__.items()
        }
        made = shapely.from_ragged_array(
            named[kind], coordinates, tuple(reversed(offsets))
        )
    wkb = shapely.to_wkb(made, flavor="iso", byte_order=1)
    return pc.if_else(column.is_valid(), pa.array(wkb, pa.binary()), None)


def _unnest(column: pa.Array, depth: int) -> tuple[list[np.ndarray], pa.Array]:
    """Offsets of the lists from the outside in, and what lies innermost.

    Null lists count as empty; slices are made to begin at 0.
    """
    found = []
    for _ in range(depth):
        lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        found.append(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
        column = column.flatten()
    return found, column


def _coordinates(points: pa.Array) -> np.ndarray:
    """(n, 2 or 3) coordinates; a null point is NaN."""
    if pa.types.is_struct(points.type):
        names = [one.name for one in points.type]
        wanted = [name for name in ("x", "y", "z") if name in names]
        axes = [pc.struct_field(points, name) for name in wanted]
        return np.column_stack([_floats(axis) for axis in axes])
    width = points.type.list_size
    values = pc.if_else(
        points.is_valid(), points, pa.scalar([np.nan] * width, points.type)
    )
    flat = values.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(points), width)[:, :3]


def _floats(axis: pa.Array) -> np.ndarray:
    return axis.cast(pa.float64()).to_numpy(zero_copy_only=False)
