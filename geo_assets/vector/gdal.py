"""pyogrio's GDAL: only the drivers that are allowed, no network, errors as ours.

It is not rasterio's: what is set here leaves rasters alone.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from geo_assets.errors import CorruptError

DRIVERS = {
    "ESRI Shapefile",
    "FlatGeobuf",
    "GML",
    "GPKG",
    "GPX",
    "GeoJSON",
    "GeoJSONSeq",
    "LIBKML",
    "MEM",
    "MapInfo File",
    "OpenFileGDB",
}
_NO_PROXY_THERE = "http://127.0.0.1:9"  # the discard port: every request fails at once
_CONFIG: dict[str, Any] = {
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
    "GDAL_HTTP_PROXY": _NO_PROXY_THERE,  # what else fetches: schemas, links
    "GDAL_HTTP_TIMEOUT": "1",
    "GDAL_HTTP_MAX_RETRY": "0",
    "GML_DOWNLOAD_SCHEMA": "NO",
    "GML_SKIP_RESOLVE_ELEMS": "ALL",  # xlink:href may name files and addresses
    "OGR_SQLITE_ALLOW_EXTERNAL_ACCESS": "NO",
    "OGR_SQLITE_LOAD_EXTENSIONS": None,
    "OGR_GEOJSON_MAX_OBJ_SIZE": "1000",  # MB; the default of 200 refuses big polygons
    "OGR_GPKG_FOREIGN_KEY_CHECK": "NO",
    "SHAPE_RESTORE_SHX": "NO",
}


@cache
def prepare() -> None:
    """Leave GDAL only the drivers that are allowed, and no way to the network."""
    import pyogrio
    from pyogrio.core import _register_drivers  # re-reads OGR_SKIP; nothing public does

    others = sorted(set(pyogrio.list_drivers()) - DRIVERS)
    config = {**_CONFIG, "OGR_SKIP": ",".join(others)}
    pyogrio.set_gdal_config_options(config)
    _register_drivers()
    if left := set(pyogrio.list_drivers()) - DRIVERS:
        message = f"GDAL still has the drivers {sorted(left)}"
        raise RuntimeError(message)


@contextmanager
def reported(path: Path, driver: str) -> Iterator[list[str]]:
    """GDAL's errors as ours; its warnings in the list.

    Raises:
        CorruptError: GDAL could not read the file.
    """
    said: list[str] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield said
        said.extend(dict.fromkeys(str(one.message) for one in caught))
    except _faults() as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's trouble
        raise broken(path, driver, error) from error


@cache
def _faults() -> tuple[type[Exception], ...]:
    from pyogrio import errors

    ours = (errors.DataSourceError, errors.DataLayerError, errors.FeatureError)
    return (*ours, errors.GeometryError, errors.CRSError, pa.ArrowException, OSError)


def broken(path: Path, driver: str, error: Exception) -> CorruptError:
    """GDAL's complaint as an error of ours."""
    said = str(error).replace(str(path.parent), "").strip() or type(error).__name__
    return CorruptError(
        f"The file cannot be read as {driver}: {said[:500]}",
        found=said[:500],
        expected=f"a complete {driver} file",
    )


def crs_wkt(text: str | None) -> str | None:
    """WKT 2 of a CRS as GDAL gives it; None if it says that the CRS is not known.

    Text that PROJ cannot read comes back as it is, for the cleaner to refuse.
    """
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    if not text:
        return None
    try:
        crs = CRS.from_user_input(text)
    except CRSError:
        return text
    unknown = crs.name.lower().startswith("undefined ")  # GeoPackage's srs_id 0 and -1
    return None if unknown else crs.to_wkt()
