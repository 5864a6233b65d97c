"""Ways to make vector files and to read them back, for the tests of reading."""

import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyogrio
import shapely

from geo_assets.contract import VectorContract
from geo_assets.vector.model import GEOMETRY, Layer, Source
from geo_assets.vector.read import open_source, read_layer

POINTS = ("POINT (1 2)", "POINT (3 4)", None)
ATTRIBUTES = {
    "id": pa.array([1, 2**53 + 1, None], pa.int64()),
    "name": pa.array(["Ä", 'q"\n', None], pa.string()),
    "ratio": pa.array([1.5, None, -2.0], pa.float64()),
}


def contract(**attributes: Any) -> VectorContract:
    return VectorContract(
        name="things", source={"container": "bronze", "pattern": "**"}, **attributes
    )


def wkb(texts):
    return pa.array(
        [None if t is None else shapely.to_wkb(shapely.from_wkt(t)) for t in texts],
        pa.binary(),
    )


def write(path: Path, driver: str, texts=POINTS, kind="Point", **more: Any) -> Path:
    """A file made by GDAL, through pyogrio, with `ATTRIBUTES`."""
    attributes = more.pop("attributes", ATTRIBUTES)
    rows = {name: column[: len(texts)] for name, column in attributes.items()}
    table = pa.table({**rows, "geometry": wkb(texts)})
    crs = more.pop("crs", "EPSG:25832")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyogrio.write_arrow(
            table,
            path,
            driver=driver,
            geometry_name="geometry",
            geometry_type=kind,
            crs=crs,
            **more,
        )
    return path


def pack(path: Path, members: Mapping[str, bytes | Path]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            data = content.read_bytes() if isinstance(content, Path) else content
            archive.writestr(name, data)
    return path


def shapes(folder: Path, name: str = "lots", **more: Any) -> dict[str, Path]:
    """The files of a shapefile, by extension."""
    folder.mkdir(exist_ok=True, parents=True)
    write(folder / f"{name}.shp", "ESRI Shapefile", **more)
    return {p.suffix: p for p in folder.iterdir() if p.stem == name}


def open_file(
    path: Path, rules: VectorContract | None = None, blob: str = ""
) -> Source:
    work = path.parent / f"work_{path.name}_{len(list(path.parent.iterdir()))}"
    work.mkdir()
    return open_source(path, blob or path.name, rules or contract(), work)


def read_all(
    source: Source, layer: Layer, rules: VectorContract | None = None, **more: Any
) -> tuple[dict[str, list[Any]], dict[str, int], dict[int, str]]:
    """Columns (geometry as WKT under `wkt`), problems and bad rows of a layer."""
    with read_layer(source, layer, rules or contract(), **more) as batches:
        table = pa.Table.from_batches(list(batches), batches.schema)
        table.validate(full=True)
        assert [f.name for f in layer.fields] == [
            n for n in table.column_names if n != GEOMETRY
        ]
        columns = table.to_pydict()
        if GEOMETRY in columns:
            shown = [g and shapely.from_wkb(g).wkt for g in columns.pop(GEOMETRY)]
            columns["wkt"] = shown
        return columns, batches.problems, batches.bad_rows


def read_file(path: Path, rules: VectorContract | None = None, blob: str = ""):
    """Columns of the only layer of a file."""
    source = open_file(path, rules, blob)
    (layer,) = source.layers
    return read_all(source, layer, rules)[0]
