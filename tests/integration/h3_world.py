"""Rasters and features over cells of H3, and the sensor of their statistics."""

import json

import dagster as dg
import numpy as np
import rasterio
import shapely
from rasterio.transform import from_origin

from geo_assets.naming import files_partitions
from tests.integration.vector_world import VectorWorld

RASTER = {"type": "geo_assets.RasterDataset", "tiers": ["analysis"]}
DEPTH = RASTER | {
    "source": {"pattern": "depth/**"},
    "h3": {"resolutions": [5, 6], "statistics": ["mean", "std", "sum", "count"]},
}
ZONES = RASTER | {
    "source": {"pattern": "zones/**"},
    "h3": {"resolutions": [6], "categorical": True, "max_classes": 4},
}
PEOPLE = {
    "source": {"pattern": "people/**"},
    "table": "people",
    "h3": {"resolutions": [5, 6], "sums": ["population"], "shares": "use"},
}
ALL = {"depth": DEPTH, "zones": ZONES, "people": PEOPLE}
WEST, NORTH, STEP = 8.0, 47.0, 0.01
CELL_M2 = 36e6  # of resolution 6
DRAWN = np.random.default_rng(13)
ZONE = np.repeat([1, 2], 20).astype("uint8")[None].repeat(40, axis=0)
TOWN = [shapely.box(WEST, NORTH - 0.4, WEST + 0.4, NORTH).segmentize(0.01)]


def shapes():
    """Points, lines and polygons, over several cells of resolution 6 each."""
    drawn = np.random.default_rng(7)
    at = drawn.uniform(0, 1, (90, 2)) * [0.5, 0.4] + [WEST, NORTH - 0.4]
    points = [*shapely.points(at[:30])]
    lines = [shapely.LineString(path) for path in at[30:60].reshape(10, 3, 2)]
    polygons = [shapely.Point(one).buffer(0.08) for one in at[60:86]]
    return points + lines + polygons


class CellWorld(VectorWorld):
    """The same world, with the sensor of statistics."""

    @property
    def defs(self) -> dg.Definitions:
        """What the code location has."""
        return self._defs

    @defs.setter
    def defs(self, defs: dg.Definitions) -> None:
        self._defs = defs

    def keys(self, dataset: str) -> list[str]:
        """Partitions of the files of a dataset."""
        return [*self._instance.get_dynamic_partitions(files_partitions(dataset))]

    def follow(self, only: str = "") -> list[dg.ExecuteInProcessResult]:
        """Let the sensor look, and execute what it asks for (of one dataset)."""
        sensor = self._defs.resolve_sensor_def("h3_statistics")
        with dg.build_sensor_context(
            instance=self._instance,
            definitions=self._defs,
            resources={"database": self.database},
        ) as context:
            found = sensor(context)
        return [
            self._defs.resolve_job_def(str(one.job_name)).execute_in_process(
                instance=self._instance, tags=one.tags, raise_on_error=False
            )
            for one in getattr(found, "run_requests", None) or ()
            if str(one.job_name).startswith(only)
        ]

    def raster(self, blob, values, west=WEST):
        """Put a raster into bronze."""
        write(self.place(blob), values, west)
        self.settle(blob)

    def features(self, blob, shapes, **columns):
        """Put features into bronze."""
        features = [
            {
                "type": "Feature",
                "properties": {name: values[i] for name, values in columns.items()},
                "geometry": shapely.geometry.mapping(shape),
            }
            for i, shape in enumerate(shapes)
        ]
        text = json.dumps({"type": "FeatureCollection", "features": features})
        self.place(blob).write_text(text)
        self.settle(blob)

    def cells(self, view, resolution):
        """Rows of a view by cell."""
        query = f"SELECT * FROM h3.{view} WHERE resolution = %s"  # noqa: S608 - ours
        return {row["cell"]: row for row in self.ask(query, resolution)}


def write(path, values, west=WEST):
    kind = values.dtype.kind
    with rasterio.open(
        path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0],
        count=1, dtype=values.dtype, crs="EPSG:4326", nodata=-1 if kind == "f" else 0,
        transform=from_origin(west, NORTH, STEP, STEP),
    ) as raster:  # fmt: skip
        raster.write(values, 1)


def depths(rows=40, columns=50):
    values = DRAWN.gamma(2, 1, (rows, columns)).astype("float32")
    values[DRAWN.random(values.shape) < 0.1] = -1
    return values
