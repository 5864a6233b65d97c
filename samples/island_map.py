"""Invented vectors of the island: paths and reserves, weather stations, a swapped one."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import geopandas as gpd
import numpy as np
import pyogrio
import shapely

WEST_M, SOUTH_M, SIDE_M = 560_000.0, 4_806_000.0, 24_000.0
UTM_26N: Final = "EPSG:32626"
WRITTEN: Final = "2024-07-11T00:00:00.000Z"  # GeoPackage notes when; seeded, too
_STATIONS: Final = (
    ("Nordkap", "43,5921", "-25,8876", 12.4, "2019-05-04"),
    ("Am Kegel", "43,5342", "-25,9107", 7.1, "2021-11-30"),
    ("Südhafen", "43,4475", "-25,9312", 13.0, "2018-02-17"),
    ("Versuchsfeld; West", "43,5010", "-26,0150", None, "2023-08-01"),
)


def write_paths() -> bytes:
    """A GeoPackage of two layers: paths as lines, reserves as polygons, one invalid."""
    rng = np.random.default_rng(26)
    starts = rng.uniform(0.3, 0.7, (24, 2)) * SIDE_M + (WEST_M, SOUTH_M)
    lines = [
        shapely.LineString(start + np.cumsum(rng.normal(0, 220, (40, 2)), axis=0))
        for start in starts
    ]
    paths = gpd.GeoDataFrame(
        {
            "name": [f"Path {number}" for number in range(1, 25)],
            "length_m": [round(line.length) for line in lines],
            "select": rng.integers(0, 2, 24).astype(bool),
        },
        geometry=lines,
        crs=UTM_26N,
    )
    middle = np.array([WEST_M, SOUTH_M]) + SIDE_M / 2
    rings = [middle + (x, y) for x, y in ((-3000, 2500), (2800, -1200), (0, -4200))]
    areas = [shapely.Point(ring).buffer(1400, quad_segs=12) for ring in rings]
    x, y = middle
    bow_tie = [(x, y), (x + 900, y + 900), (x + 900, y), (x, y + 900)]
    reserves = gpd.GeoDataFrame(
        {
            "Name": ["North wood", "Dunes", "South moor", "Drawn in a hurry"],
            "since": [1987, 2003, None, 2024],
        },
        geometry=[*areas, shapely.Polygon(bow_tie)],
        crs=UTM_26N,
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "paths.gpkg"
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": WRITTEN})
        try:
            pyogrio.write_dataframe(paths, path, layer="paths")
            pyogrio.write_dataframe(reserves, path, layer="reserves")
        finally:
            pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
        return path.read_bytes()


def write_stations() -> bytes:
    """A CSV as a German spreadsheet writes it: semicolons, decimal commas, a BOM."""
    lines = ["name;lat;lon;temperature;since"]
    for name, lat, lon, temperature, since in _STATIONS:
        quoted = f'"{name}"' if ";" in name else name
        shown = "" if temperature is None else str(temperature).replace(".", ",")
        lines.append(f"{quoted};{lat};{lon};{shown};{since}")
    return ("\r\n".join(lines) + "\r\n").encode("utf-8-sig")


def write_swapped() -> bytes:
    """GeoJSON whose axes are swapped: Fiji would lie beyond the North Pole."""
    places = {
        "Suva": (-18.14, 178.44),
        "Nadi": (-17.80, 177.42),
        "Labasa": (-16.43, 179.37),
    }
    features = [
        {
            "type": "Feature",
            "properties": {"name": name},
            "geometry": {"type": "Point", "coordinates": [latitude, longitude]},
        }
        for name, (latitude, longitude) in places.items()
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()
