"""What can be wrong with the files we are given.

Only faults of the source live here: a re-run cannot cure them, so the file is rejected
and its owner is told what to do. Faults of the platform (network, storage, database)
keep the exception of the library that raised them and are tried again.
"""

from typing import Any, ClassVar

Evidence = dict[str, Any]


class SourceError(Exception):
    """The source cannot be used as it is, however often we try.

    Attributes:
        code: stable name, for the ledger, alerts and tests; never reworded.
        suggested_action: what the owner of the file can do about it.
        evidence: `found` and `expected`, JSON-ready, and what else was measured.
    """

    code: ClassVar[str] = "UNREADABLE"
    suggested_action: ClassVar[str] = (
        "Open it with gdalinfo or ogrinfo; export it again."
    )

    def __init__(
        self, message: str, *, found: object, expected: object, **more: object
    ) -> None:
        super().__init__(message)
        self.evidence: Evidence = {"found": found, "expected": expected, **more}

    @property
    def message(self) -> str:
        """The sentence a person reads."""
        return str(self.args[0])

    def __reduce__(self) -> tuple[object, ...]:
        """Survive the way back from a worker process, keyword arguments included."""
        return (_rebuild, (type(self), self.message, self.evidence))


def _rebuild(kind: type[SourceError], message: str, evidence: Evidence) -> SourceError:
    return kind(message, **evidence)


class EmptyFileError(SourceError):
    """The file has no bytes."""

    code = "EMPTY_FILE"
    suggested_action = "Upload the file again: the transfer left nothing."


class UnreadableError(SourceError):
    """GDAL recognises the format but cannot open the file."""

    code = "UNREADABLE"


class CorruptError(SourceError):
    """The file opens, but what it holds is damaged, truncated or cannot be true."""

    code = "CORRUPT"
    suggested_action = "Compare the checksum with the original and upload it again."


class UnsupportedFormatError(SourceError):
    """The content is in a format that this dataset does not take."""

    code = "UNSUPPORTED_FORMAT"
    suggested_action = "Convert it: gdal_translate -of GTiff, or ogr2ogr -f GPKG."


class UnsupportedDtypeError(SourceError):
    """The pixels have a type that no tier can hold."""

    code = "UNSUPPORTED_DTYPE"
    suggested_action = "Convert all bands to one type: gdal_translate -ot <type>"


class UnsupportedCodecError(SourceError):
    """The pixels are compressed in a way this GDAL cannot decode."""

    code = "UNSUPPORTED_CODEC"
    suggested_action = "Compress it anew: gdal_translate -co COMPRESS=DEFLATE"


class NoCrsError(SourceError):
    """The file states no coordinate reference system."""

    code = "NO_CRS"
    suggested_action = "Write the CRS into it: gdal_edit.py -a_srs, or ogr2ogr -a_srs."


class BadCrsError(SourceError):
    """The coordinate reference system cannot be used."""

    code = "BAD_CRS"
    suggested_action = "Give it a CRS that PROJ knows: gdal_edit.py or ogr2ogr -a_srs."


class NotEarthError(SourceError):
    """The coordinate reference system is of another celestial body."""

    code = "NOT_EARTH"
    suggested_action = "Strata catalogues the Earth only; keep the file elsewhere."


class NoGeorefError(SourceError):
    """The file does not say where its pixels lie."""

    code = "NO_GEOREF"
    suggested_action = "Write the extent: gdal_edit.py -a_ullr <ulx> <uly> <lrx> <lry>"


class NotRectifiedError(SourceError):
    """The pixels do not lie on a north-up grid and the dataset does not warp."""

    code = "NOT_RECTIFIED"
    suggested_action = "Run gdalwarp, or set `crs` in the dataset so that Strata warps."


class OutOfExtentError(SourceError):
    """The bounds cannot be true for the coordinate reference system."""

    code = "OUT_OF_EXTENT"
    suggested_action = "Check the CRS and the axis order against the coordinates."


class EmptyDatasetError(SourceError):
    """The file holds no band or no pixel."""

    code = "EMPTY_DATASET"
    suggested_action = "Export the file again with at least one band."


class NoFeaturesError(SourceError):
    """The file holds no feature, or none that the dataset's rules let through."""

    code = "NO_FEATURES"
    suggested_action = "Export the file again; check the dataset's `where` and `layer`."


class NoGeometryError(SourceError):
    """No layer of the file holds a geometry."""

    code = "NO_GEOMETRY"
    suggested_action = "Add a geometry, or name its columns under `csv` in the dataset."


class InvalidGeometryError(SourceError):
    """The geometries cannot be used, and the dataset does not let them be repaired."""

    code = "INVALID_GEOMETRY"
    suggested_action = "Repair them (QGIS: Fix geometries), or set `geometry.invalid`."


class WrongLayerError(SourceError):
    """The layer that the dataset names is not in the file."""

    code = "WRONG_LAYER"
    suggested_action = "Name one of the layers that were found under `layer`."


class SchemaMismatchError(SourceError):
    """The columns do not fit the table that the file belongs to."""

    code = "SCHEMA_MISMATCH"
    suggested_action = "Deliver the same columns, or make it a dataset of its own."


class AppendOnlyError(SourceError):
    """The dataset takes no second version of a file."""

    code = "APPEND_ONLY"
    suggested_action = "Deliver new rows under a new name, or `strata unpublish` first."


class SupersededError(SourceError):
    """A newer file is the table already."""

    code = "SUPERSEDED"
    suggested_action = "Nothing, or upload it again to make it the newest file."


class TableTakenError(SourceError):
    """The table's name belongs to somebody else."""

    code = "TABLE_TAKEN"
    suggested_action = "Give the dataset another `table`, or drop the table by hand."


class BadWhereError(SourceError):
    """The dataset's filter cannot be applied to the file."""

    code = "BAD_WHERE"
    suggested_action = "Correct `where` in the dataset, or deliver the fields it names."


class UnsafeArchiveError(SourceError):
    """The archive does what no honest archive does, or cannot be unpacked safely."""

    code = "UNSAFE_ARCHIVE"
    suggested_action = "Zip the files anew: plain names, no links, no password."


class BadEncodingError(SourceError):
    """Text in the file is not of the encoding that the file or the dataset names."""

    code = "BAD_ENCODING"
    suggested_action = "Save it as UTF-8, or set `encoding` in the dataset."


class AmbiguousContentError(SourceError):
    """The file holds several datasets and does not say which is meant."""

    code = "AMBIGUOUS_CONTENT"
    suggested_action = "Split it: one raster or layer per file, or name `layer`."


class MissingSidecarError(SourceError):
    """A file that belongs to this one did not come with it."""

    code = "MISSING_SIDECAR"
    suggested_action = "Deliver the files together in one zip, or embed the sidecar."


class ExternalReferenceError(SourceError):
    """The content points at other files or addresses instead of holding data."""

    code = "EXTERNAL_REFERENCE"
    suggested_action = "Deliver the data itself: gdal_translate or ogr2ogr writes it."


class TooLargeError(SourceError):
    """The file claims more than the dataset's limits allow."""

    code = "TOO_LARGE"
    suggested_action = "Split the file, or raise the limit in the dataset."


class BadNameError(SourceError):
    """The name cannot be used as the name of a blob."""

    code = "BAD_NAME"
    suggested_action = "Rename the file: printable UTF-8 without control characters."


class DuplicateError(SourceError):
    """The content has been accepted before under another name."""

    code = "DUPLICATE"
    suggested_action = (
        "Nothing: see the first file. Set `duplicates: allow` to keep both."
    )
