"""Vector files as people deliver them, and what other readers make of them."""

import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely

Frame = gpd.GeoDataFrame
Oracle = Callable[[Path], Frame]
NAMES = ("Ä 1", "zwei", "tré", "四", "O'Neil", "six", "7", "acht")
UTM, WGS84 = 25832, 4326
VRT = """<OGRVRTDataSource><OGRVRTLayer name="passwd">
<SrcDataSource>CSV:/etc/passwd</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"""
BOWTIE = "POLYGON ((10 50, 11 51, 11 50, 10 51, 10 50))"
COLLAPSED = "POLYGON ((10 50, 11 51, 12 52, 10 50))"
SQUARE = "POLYGON ((10 50, 11 50, 11 51, 10 51, 10 50))"


def lots(crs: int = WGS84, seed: int = 0) -> Frame:
    """Eight polygons near Stuttgart, with text and with integers, one of them NULL."""
    x, y = 9.0 + np.arange(8) / 100, 48.5 + np.arange(8) / 200 + seed / 1000
    squares = shapely.box(x, y, x + 0.005, y + 0.005)
    return _frame(shapely.to_wkb(squares), seed).to_crs(crs)


def wells(crs: int = WGS84, seed: int = 0) -> Frame:
    """Eight points."""
    points = shapely.points(9.0 + np.arange(8) / 64, 48.5 + np.arange(8) / 128)
    return _frame(shapely.to_wkb(points), seed).to_crs(crs)


def roads(crs: int = WGS84, seed: int = 0) -> Frame:
    """Eight lines."""
    starts = 9.0 + np.arange(8) / 100
    lines = [[(x, 48.5), (x + 0.01, 48.6), (x, 48.7)] for x in starts]
    return _frame(shapely.to_wkb(shapely.linestrings(lines)), seed).to_crs(crs)


def _frame(wkb: Sequence[bytes], seed: int) -> Frame:
    number = pd.array([seed * 100 + i for i in range(7)] + [None], "Int64")
    columns = {"name": list(NAMES), "number": number}
    return gpd.GeoDataFrame(columns, geometry=shapely.from_wkb(wkb), crs=WGS84)


def save(frame: Frame, path: Path, driver: str, **more: object) -> Path:
    """A file of GDAL's making."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pyogrio.write_dataframe(frame, path, driver=driver, **more)
    return path


def pack(path: Path, members: Mapping[str, Path | bytes | str]) -> Path:
    """A zip; names are taken as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            data = content.read_bytes() if isinstance(content, Path) else content
            archive.writestr(name, data)
    return path


def pack_folder(path: Path, folder: Path, prefix: str = "") -> Path:
    """A zip of all files below a folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return pack(path, {f"{prefix}{file.relative_to(folder)}": file for file in files})


def read(layer: str | None = None, inside: str = "") -> Oracle:
    """What GDAL reads through geopandas, `inside` of a zip if said."""

    def oracle(path: Path) -> Frame:
        name = f"/vsizip/{path}/{inside}" if inside else path
        return pyogrio.read_dataframe(name, layer=layer)

    return oracle


def read_decimal_commas(path: Path) -> Frame:
    """What pandas makes of the CSV."""
    table = pd.read_csv(path, sep=";", decimal=",")
    points = gpd.points_from_xy(table["Längengrad"], table["Breitengrad"])
    return gpd.GeoDataFrame(table[["name"]], geometry=points, crs=WGS84)


def placemarks(frame: Frame) -> str:
    """Points as KML."""
    return "".join(
        f"<Placemark><name>{name}</name><Point><coordinates>{point.x},{point.y},0"
        "</coordinates></Point></Placemark>"
        for name, point in zip(frame["name"], frame.geometry, strict=True)
    )


def kml(**folders: Frame) -> str:
    """A document whose folders are layers."""
    body = "".join(
        f"<Folder><name>{name}</name>{placemarks(frame)}</Folder>"
        for name, frame in folders.items()
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<kml xmlns="http://www.opengis.net/kml/2.2">'
        f"<Document>{body}</Document></kml>"
    )


def gpx() -> str:
    """Waypoints and a track."""
    points = wells(seed=5)
    way = "".join(
        f'<wpt lat="{one.y}" lon="{one.x}"><name>{name}</name></wpt>'
        for name, one in zip(points["name"], points.geometry, strict=True)
    )
    steps = "".join(f'<trkpt lat="{one.y}" lon="{one.x}"/>' for one in points.geometry)
    return (
        '<gpx version="1.1" creator="test" xmlns="http://www.topografix.com/GPX/1/1">'
        f"{way}<trk><name>walk</name><trkseg>{steps}</trkseg></trk></gpx>"
    )


# blob: layer as the ledger names it: how somebody else reads it
FORMATS: Mapping[str, Mapping[str, Oracle]] = {
    "formats/lots.geojson": {"lots": read()},
    "formats/lines.geojsonl": {"lines": read()},
    "formats/town.gpkg": {"lots": read("lots"), "trees": read("trees")},
    "formats/roads.zip": {"roads": read(inside="delivery 2024/shp/roads.shp")},
    "formats/wells.csv": {"wells": read_decimal_commas},
    "formats/places.kml": {"Wells": read("Wells"), "Gates": read("Gates")},
    "formats/sites.kmz": {"Sites": read("Sites")},
    "formats/lots.parquet": {"lots": gpd.read_parquet},
    "formats/lots.fgb": {"lots": read()},
    "formats/walk.gpx": {"waypoints": read("waypoints"), "tracks": read("tracks")},
    "formats/parcels.gml": {"parcels": read()},
    "formats/mapinfo.zip": {"signs": read(inside="signs.tab")},
    "formats/base.zip": {"lots": read("lots", "base.gdb")},
}
SRIDS = {  # where it is not WGS 84
    "formats/town.gpkg": {"lots": UTM, "trees": WGS84},
    "formats/roads.zip": {"roads": UTM},
    "formats/parcels.gml": {"parcels": UTM},
    "formats/base.zip": {"lots": UTM},
}
REJECTED: Mapping[str, str] = {
    "bad/no_prj.zip": "NO_CRS",
    "bad/plane.csv": "NO_CRS",
    "bad/vrt.geojson": "EXTERNAL_REFERENCE",
    "bad/entity.kml": "EXTERNAL_REFERENCE",
    "bad/slip.zip": "UNSAFE_ARCHIVE",
    "bad/swapped.geojson": "OUT_OF_EXTENT",
    "bad/no_bytes.gpkg": "EMPTY_FILE",
    "bad/no_features.geojson": "NO_FEATURES",
    "bad/sums.csv": "NO_GEOMETRY",
    "bad/lone.shp": "MISSING_SIDECAR",
    "bad/cut.gpkg": "CORRUPT",
    "bad/page.geojson": "UNSUPPORTED_FORMAT",
}


def write_town(path: Path, **layers: Frame) -> Path:
    """A GeoPackage of these layers."""
    path.unlink(missing_ok=True)
    for name, frame in layers.items():
        save(frame, path, "GPKG", layer=name, append=path.exists())
    return path


def write_formats(inbox: Path, made: Path) -> None:
    """A file per format below `inbox`; `made` takes what they are packed from."""
    formats = inbox / "formats"
    save(lots(seed=1), formats / "lots.geojson", "GeoJSON")
    save(roads(seed=1), formats / "lines.geojsonl", "GeoJSONSeq")
    write_town(formats / "town.gpkg", lots=lots(UTM, 2), trees=wells(seed=2))
    save(lots(seed=3), formats / "lots.fgb", "FlatGeobuf")
    lots(seed=4).to_parquet(formats / "lots.parquet")
    _write_texts(formats)
    _write_zips(formats, made)
    save(lots(UTM, 6), made / "gml" / "parcels.gml", "GML")
    shutil.copy(made / "gml" / "parcels.gml", formats / "parcels.gml")  # without .xsd


def _write_texts(formats: Path) -> None:
    points = wells()
    rows = [
        f"{name};{point.y:.7f};{point.x:.7f}".replace(".", ",")
        for name, point in zip(points["name"], points.geometry, strict=True)
    ]
    table = "\n".join(["name;Breitengrad;Längengrad", *rows])
    (formats / "wells.csv").write_text(table, encoding="utf-8-sig")
    text = kml(Wells=wells(), Gates=wells().iloc[2:5])
    (formats / "places.kml").write_text(text, encoding="utf-8")
    pack(formats / "sites.kmz", {"doc.kml": kml(Sites=wells().iloc[:6])})
    (formats / "walk.gpx").write_text(gpx(), encoding="utf-8")


def _write_zips(formats: Path, made: Path) -> None:
    save(roads(UTM), made / "shp" / "roads.shp", "ESRI Shapefile", encoding="UTF-8")
    files = {f"delivery 2024/shp/{p.name}": p for p in (made / "shp").iterdir()}
    ghosts = {f"__MACOSX/{name.replace('roads', '._roads')}": b"\0" for name in files}
    pack(formats / "roads.zip", {**files, **ghosts, "delivery 2024/.DS_Store": b"x"})
    tab = save(wells(), made / "tab" / "signs.tab", "MapInfo File", encoding="UTF-8")
    pack_folder(formats / "mapinfo.zip", tab.parent)
    gdb = save(
        lots(UTM, 7),
        made / "gdb" / "base.gdb",
        "OpenFileGDB",
        layer="lots",
        TARGET_ARCGIS_VERSION="ARCGIS_PRO_3_2_OR_LATER",
    )
    pack_folder(formats / "base.zip", gdb.parent)


def write_bad(inbox: Path, made: Path) -> None:
    """Files that must be refused."""
    bad = inbox / "bad"
    bad.mkdir(parents=True)
    shapes = [p for p in (made / "shp").iterdir() if p.suffix != ".prj"]
    pack(bad / "no_prj.zip", {p.name: p for p in shapes})
    shutil.copy(made / "shp" / "roads.shp", bad / "lone.shp")
    pack(bad / "slip.zip", {f"../../evil{p.suffix}": p for p in shapes})
    whole = write_town(made / "cut.gpkg", lots=lots(seed=8)).read_bytes()
    (bad / "cut.gpkg").write_bytes(whole[: len(whole) // 2])
    sydney = shapely.points([-33.9, -33.8], [151.2, 151.3])
    swapped = gpd.GeoDataFrame({"name": ["a", "b"]}, geometry=sydney, crs=WGS84)
    save(swapped, bad / "swapped.geojson", "GeoJSON")
    none = '{"type": "FeatureCollection", "features": []}'
    doctype = '<!DOCTYPE kml [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    texts = {
        "plane.csv": "name,x,y\na,500000,5400000\nb,500100,5400100\n",
        "sums.csv": "name,total\na,1\nb,2\n",
        "vrt.geojson": VRT,
        "entity.kml": f"<?xml version='1.0'?>{doctype}<kml>&x;</kml>",
        "no_features.geojson": none,
        "no_bytes.gpkg": "",
        "page.geojson": "<!doctype html><html><body>Not found</body></html>",
    }
    for name, text in texts.items():
        (bad / name).write_text(text, encoding="utf-8")


def write_partly_bad(path: Path) -> Path:
    """Five rows: sound, to be repaired, beyond repair, unreadable, without geometry."""
    values = [SQUARE, BOWTIE, COLLAPSED, "POLYGON ((10 50, 11"]
    rows = [f'{i},"SRID=4326;{wkt}"' for i, wkt in enumerate(values, 1)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["id,wkt", *rows, "5,", ""]), encoding="utf-8")
    return path
