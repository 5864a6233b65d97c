"""Files that are one source by themselves, outside of archives."""

from pathlib import Path, PurePosixPath

from geo_assets.contract import VectorContract
from geo_assets.errors import CorruptError
from geo_assets.vector.choice import NOT_NAMED, Found, wanted
from geo_assets.vector.csv_describe import describe_csv
from geo_assets.vector.geojson import describe_geojson
from geo_assets.vector.geoparquet import describe_parquet
from geo_assets.vector.gpkg import describe_gpkg
from geo_assets.vector.markup import describe_markup
from geo_assets.vector.model import Layer, SkippedLayer
from geo_assets.vector.ogr import describe_layer, list_layers

_SUFFIXES = {  # GDAL opens a link with the extension that the content calls for
    "FlatGeobuf": ".fgb",
    "Parquet": ".parquet",
    "SQLite": ".gpkg",
    "GeoJSON": ".geojson",
    "GeoJSONSeq": ".geojsonl",
    "KML": ".kml",
    "GPX": ".gpx",
    "GML": ".gml",
    "text": ".csv",
}


def describe_single(
    path: Path, kind: str, blob: str, contract: VectorContract, target: Path
) -> Found:
    """The layers of a file that is no archive.

    Args:
        path: the file.
        kind: what `sniff` said.
        blob: its name; its stem names a layer that has no name of its own.
        contract: of the dataset.
        target: name of our own in the scratch folder, without extension.

    Raises:
        SourceError: of the kind that says why the file cannot be used.
    """
    name, stem = PurePosixPath(blob).name, PurePosixPath(blob).stem
    link = target.with_suffix(_SUFFIXES[kind])
    link_file(path, link)
    if kind in ("KML", "GPX", "GML"):
        return named(describe_markup(link, kind, contract), target.name, stem)
    if kind == "SQLite":
        return describe_gpkg(link, contract, name)
    if kind == "Parquet":
        return describe_parquet(link, stem, contract)
    if kind == "text":
        return describe_csv(link, name, contract)
    if kind in ("GeoJSON", "GeoJSONSeq"):
        return describe_geojson(link, kind, stem, contract)
    return named(describe_plain(link, kind, contract), target.name, stem)


def link_file(path: Path, link: Path) -> None:
    """Give a file a second name, so that what GDAL writes beside it lies there too."""
    try:
        link.hardlink_to(path.resolve())
    except OSError:  # another file system
        link.symlink_to(path.resolve())


def describe_plain(path: Path, driver: str, contract: VectorContract) -> Found:
    """The layers of a file, or folder, that GDAL alone understands.

    Raises:
        CorruptError: GDAL cannot read it.
    """
    found = Found(driver)
    for layer in list_layers(path, driver):
        if not wanted(layer, contract):
            found.skipped.append(SkippedLayer(name=layer, reason=NOT_NAMED))
            continue
        described, notes = describe_layer(path, driver, layer, contract)
        if driver == "FlatGeobuf":
            _check_flatgeobuf(path, described)
        found.layers.append(described)
        found.notes.extend(notes)
    return found


def _check_flatgeobuf(path: Path, layer: Layer) -> None:
    """Whether there are at least as many bytes as features need (8 bytes each)."""
    size, least = path.stat().st_size, 8 * (layer.feature_count or 0)
    if size < least:
        raise CorruptError(
            "The FlatGeobuf is cut off.", found=f"{size} bytes", expected=f"{least}"
        )


def named(found: Found, ours: str, stem: str) -> Found:
    """The layers that GDAL named after our link, named after the blob."""
    found.layers = [
        one.model_copy(update={"name": stem}) if one.name == ours else one
        for one in found.layers
    ]
    return found
