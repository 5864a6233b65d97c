"""Shapefiles: a set of files that must fit each other."""

import struct
from dataclasses import dataclass
from pathlib import Path

from geo_assets.contract import VectorContract
from geo_assets.errors import BadCrsError, CorruptError
from geo_assets.vector.dbf import find_text_encoding, read_dbf
from geo_assets.vector.gdal import prepare, reported
from geo_assets.vector.model import Layer
from geo_assets.vector.ogr import describe_layer

DRIVER = "ESRI Shapefile"
SIDECARS = (".shx", ".dbf", ".prj", ".cpg")
_HEADER_BYTES, _INDEX_BYTES = 100, 8
_MAGIC = 9994


@dataclass(frozen=True)
class ShapeSet:
    """The files of a shapefile, unpacked under names of our own."""

    name: str
    """As people know it."""
    shp: Path
    """Its sidecars lie beside it, with the extensions in lower case."""

    def sidecar(self, suffix: str) -> Path | None:
        """The sidecar, if it came."""
        path = self.shp.with_suffix(suffix)
        return path if path.exists() else None


def describe_shapefile(shapes: ShapeSet, contract: VectorContract) -> Layer:
    """The layer of a shapefile whose files were found to fit each other.

    A missing or broken .shx is rebuilt; without .dbf there are no attributes.

    Raises:
        CorruptError: a file is cut off, or the .dbf has fewer records than the .shp.
        BadEncodingError: the text is not in the encoding that the dataset names.
    """
    notes = [f"{s} is missing" for s in SIDECARS if shapes.sidecar(s) is None]
    _check_shp(shapes.shp)
    if not _index_fits(shapes):
        _restore_index(shapes.shp)
        notes.append(".shx was rebuilt")
    encoding, more = _attributes(shapes, contract)
    _check_prj(shapes)
    layer, said = describe_layer(
        shapes.shp,
        DRIVER,
        shapes.shp.stem,
        contract,
        name=shapes.name,
        encoding=encoding,
    )
    return layer.model_copy(update={"notes": (*notes, *more, *said)})


def _check_shp(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    size = path.stat().st_size
    if len(head) < _HEADER_BYTES or struct.unpack_from(">i", head)[0] != _MAGIC:
        raise _corrupt(".shp", f"{size} bytes that are no shapefile", "a shapefile")
    declared = 2 * struct.unpack_from(">i", head, 24)[0]  # counted in 16-bit words
    if size < declared:
        raise _corrupt(".shp", f"{size} bytes", f"{declared} bytes, by its header")


def _index_fits(shapes: ShapeSet) -> bool:
    """Whether the .shx is there, whole, and leads to records within the .shp."""
    index = shapes.sidecar(".shx")
    if index is None:
        return False
    raw_size, body = index.stat().st_size, index.stat().st_size - _HEADER_BYTES
    with index.open("rb") as file:
        head = file.read(_HEADER_BYTES)
        first = file.read(_INDEX_BYTES)
        file.seek(max(_HEADER_BYTES, raw_size - _INDEX_BYTES))
        last = file.read(_INDEX_BYTES)
    if len(head) < _HEADER_BYTES or struct.unpack_from(">i", head)[0] != _MAGIC:
        return False
    if body % _INDEX_BYTES or raw_size != 2 * struct.unpack_from(">i", head, 24)[0]:
        return False
    size = shapes.shp.stat().st_size
    if not body:
        return size == _HEADER_BYTES
    return all(_leads(entry, size) for entry in (first, last))


def _leads(entry: bytes, size: int) -> bool:
    offset, length = struct.unpack(">ii", entry)
    return 2 * offset >= _HEADER_BYTES and 2 * (offset + length) + 8 <= size


def _restore_index(shp: Path) -> None:
    """Have GDAL write the .shx anew, from the records of the .shp."""
    import pyogrio

    shp.with_suffix(".shx").unlink(missing_ok=True)
    prepare()
    pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": "YES"})
    try:
        with reported(shp, DRIVER):
            pyogrio.read_info(shp)
    finally:
        pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": "NO"})


def _attributes(
    shapes: ShapeSet, contract: VectorContract
) -> tuple[str | None, list[str]]:
    """Encoding of the text, and what is odd about the .dbf."""
    path = shapes.sidecar(".dbf")
    if path is None:
        return None, ["no attributes: .dbf is missing"]
    dbf = read_dbf(path)
    shapes_count = (_shx_size(shapes) - _HEADER_BYTES) // _INDEX_BYTES
    if dbf.records < shapes_count:
        raise _corrupt(".dbf", f"{dbf.records} records", f"{shapes_count} as in .shp")
    cpg = shapes.sidecar(".cpg")
    said = cpg.read_bytes()[:64].decode("ascii", "ignore") if cpg else None
    encoding, origin = find_text_encoding(dbf, said, contract.encoding)
    notes = [f"text is {encoding}, by the {origin}"]
    if said and origin not in (".cpg", "dataset"):
        notes.append(f"the .cpg says {said.strip()!r}, which the text is not")
    if dbf.records > shapes_count:
        more = dbf.records - shapes_count
        notes.append(f".dbf has {more} records without geometry")
    return encoding, notes


def _shx_size(shapes: ShapeSet) -> int:
    return shapes.shp.with_suffix(".shx").stat().st_size


def _check_prj(shapes: ShapeSet) -> None:
    """A .prj that GDAL cannot read would pass for none at all."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    path = shapes.sidecar(".prj")
    text = (
        path.read_bytes().decode("utf-8-sig", "replace").strip("\0 \r\n")
        if path
        else ""
    )
    if not text:
        return
    try:
        CRS.from_user_input(text)
    except CRSError as error:
        raise BadCrsError(
            "The .prj cannot be understood.", found=text[:500], expected="WKT of a CRS"
        ) from error


def _corrupt(suffix: str, found: str, expected: str) -> CorruptError:
    return CorruptError(
        f"The {suffix} is damaged, cut off or of another shapefile.",
        found=found,
        expected=expected,
    )
