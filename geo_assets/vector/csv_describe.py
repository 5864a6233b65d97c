"""What a CSV holds: encoding, delimiter, types of all columns, geometry."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported: pyright cannot see them.
import json
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.compute as pc

from geo_assets.contract import VectorContract
from geo_assets.errors import CorruptError, NoGeometryError
from geo_assets.vector.choice import Found, choose_fields
from geo_assets.vector.csv_geometry import Place, find_place
from geo_assets.vector.csv_table import (
    BLOCKS,
    TABLES,
    Dialect,
    Table,
    find_dialect,
)
from geo_assets.vector.csv_types import Guess, trimmed, typed_field
from geo_assets.vector.encoding import as_utf8, find_encoding
from geo_assets.vector.gdal import crs_wkt
from geo_assets.vector.model import Layer
from geo_assets.vector.sniff import unsupported
from geo_assets.vector.stream import Findings, fields_of, row_filter

_SRID = r"^\s*(?i:SRID)\s*=\s*(?P<srid>\d+)"
_DECIMAL_COMMA = r"^\s*-?[\d.]*\d,\d+\s*$"


@dataclass
class _Survey:
    """What a pass over all rows found."""

    guesses: list[Guess]
    place: Place | None = None
    rows: int = 0
    srids: set[int] = field(default_factory=set)
    comma: bool = False
    """Whether coordinates have a decimal comma."""


def describe_csv(path: Path, name: str, contract: VectorContract) -> Found:
    """The only layer of a CSV or TSV.

    Raises:
        UnsupportedFormatError: it is text, but no table.
        BadEncodingError: it is not in the encoding that the dataset names.
        NoGeometryError: no column holds a geometry or coordinates.
        CorruptError: its rows cannot be told apart.
    """
    encoding = find_encoding(path, contract.encoding)
    plain = as_utf8(path, encoding, path.with_suffix(".utf8.csv"))
    dialect = find_dialect(plain, contract.csv, name)
    block, survey = _survey(plain, dialect, contract)
    if survey.place is None and PurePosixPath(name).suffix.lower() not in TABLES:
        raise unsupported(name, "text, perhaps a table, without geometry")
    if survey.place is None:
        raise NoGeometryError(
            f"{name} has no column of coordinates or geometries.",
            found=list(dialect.names)[:200],
            expected="lon and lat, x and y, or a column of WKT, WKB or GeoJSON",
        )
    stem = PurePosixPath(name).stem
    layer = _layer(plain, stem, dialect, survey, contract)
    more = {"encoding": encoding, "options": {**layer.options, "block": str(block)}}
    return Found("CSV", [layer.model_copy(update=more)])


def _survey(
    path: Path, dialect: Dialect, contract: VectorContract
) -> tuple[int, _Survey]:
    """A pass over all rows, with larger blocks when a row does not fit into one."""
    *smaller, largest = BLOCKS
    for block in smaller:
        try:
            return block, _pass(path, dialect, contract, block)
        except CorruptError as error:
            if "straddling" not in error.message:
                raise
    return largest, _pass(path, dialect, contract, largest)


def _pass(
    path: Path, dialect: Dialect, contract: VectorContract, block: int
) -> _Survey:
    survey = _Survey([Guess() for _ in dialect.names])
    for batch, _ in Table(path, dialect, block, Findings()):
        if not survey.rows:
            survey.place = find_place(dialect.names, batch, contract.csv)
        survey.rows += batch.num_rows
        geometry = survey.place.columns if survey.place else ()
        for at, guess in enumerate(survey.guesses):
            if at not in geometry:
                guess.narrow(batch.column(at))
        _look_at_geometry(survey, batch)
    return survey


def _look_at_geometry(survey: _Survey, batch: pa.RecordBatch) -> None:
    place = survey.place
    if place is None:
        return
    columns = [trimmed(batch.column(at)).drop_null() for at in place.columns]
    if place.kind == "wkt":
        found = pc.struct_field(pc.extract_regex(columns[0], _SRID), "srid")
        survey.srids.update(int(one) for one in found.unique().drop_null().to_pylist())
    if place.kind == "xy":
        survey.comma |= any(
            pc.any(pc.match_substring_regex(one, _DECIMAL_COMMA)).as_py()
            for one in columns
        )


def _layer(
    path: Path, stem: str, dialect: Dialect, survey: _Survey, contract: VectorContract
) -> Layer:
    place = survey.place
    rest = [i for i in range(len(dialect.names)) if place and i not in place.columns]
    names = [dialect.names[i] for i in rest]
    kept = [rest[at] for at in choose_fields(names, contract.columns, stem)]
    comma = contract.csv.decimal == "," or (
        contract.csv.decimal is None and dialect.delimiter != ","
    )
    kinds = [one.kind(comma=comma) for one in survey.guesses]
    every = pa.schema([typed_field(dialect.names[i], kinds[i]) for i in rest])
    if contract.where is not None:
        row_filter(contract.where, every)
    schema = pa.schema([typed_field(dialect.names[i], kinds[i]) for i in kept])
    decimal = "," if contract.csv.decimal == "," or (comma and survey.comma) else "."
    crs, notes = _crs(survey, contract)
    return Layer(
        name=stem,
        reader="csv",
        path=str(path),
        driver="CSV",
        fields=fields_of(schema),
        fields_skipped=tuple(dialect.names[i] for i in rest if i not in kept),
        geometry_type="Point" if place and place.kind == "xy" else "Unknown",
        crs_wkt=crs,
        feature_count=None if contract.where else survey.rows,
        options=_options(dialect, survey, kinds, kept, decimal),
        notes=notes,
    )


def _crs(
    survey: _Survey, contract: VectorContract
) -> tuple[str | None, tuple[str, ...]]:
    """Longitude and latitude are EPSG:4326; EWKT says; the dataset's word is last."""
    if len(survey.srids) == 1:
        return crs_wkt(f"EPSG:{next(iter(survey.srids))}"), ()
    if survey.srids:
        return None, (f"several SRIDs: {sorted(survey.srids)}; CRS taken as unknown",)
    if survey.place and survey.place.degrees and contract.source_crs is None:
        return crs_wkt("EPSG:4326"), ()
    return None, ()


def _options(
    dialect: Dialect, survey: _Survey, kinds: list[str], kept: list[int], decimal: str
) -> dict[str, str]:
    place = survey.place
    return {
        "delimiter": dialect.delimiter,
        "names": json.dumps(dialect.names),
        "skip": str(dialect.skip),
        "decimal": decimal,
        "kinds": json.dumps(kinds),
        "kept": json.dumps(kept),
        "geometry": place.kind if place else "",
        "geometry_columns": json.dumps(place.columns if place else []),
        "srid": str(next(iter(survey.srids))) if len(survey.srids) == 1 else "",
    }


SRID = re.compile(_SRID + r"\s*;\s*")
