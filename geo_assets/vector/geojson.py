"""GeoJSON and GeoJSONSeq: the fast way for what is plain, GDAL for the rest."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from geo_assets.contract import VectorContract
from geo_assets.errors import BadCrsError, CorruptError
from geo_assets.vector.choice import Found, choose_fields
from geo_assets.vector.encoding import as_utf8, find_encoding, normalise
from geo_assets.vector.gdal import crs_wkt
from geo_assets.vector.geojson_schema import (
    NotPlainError,
    Schema,
    Survey,
    field_of,
)
from geo_assets.vector.geojson_split import Header, Splitter, ahead, find_features
from geo_assets.vector.model import Layer
from geo_assets.vector.ogr import describe_layer, list_layers
from geo_assets.vector.sniff import guess_wide
from geo_assets.vector.stream import fields_of, row_filter

_WGS84 = "EPSG:4326"  # RFC 7946; what it calls CRS84, with longitude first
_ID = "id"
_MULTI: dict[frozenset[str], str] = {
    frozenset((one, f"Multi{one}")): f"Multi{one}"
    for one in ("Point", "LineString", "Polygon")
}


def describe_geojson(
    path: Path, kind: str, stem: str, contract: VectorContract
) -> Found:
    """The only layer of a GeoJSON file, after a pass over all of it.

    Args:
        path: the file; its name is ours.
        kind: `GeoJSON` or `GeoJSONSeq`.
        stem: name of the layer, if the file gives it none.
        contract: of the dataset.

    Raises:
        CorruptError: it is cut off, or no JSON.
        BadEncodingError: it is not UTF-8.
        TooLargeError: nested too deeply.
        BadCrsError: its `crs` cannot be understood.
    """
    plain = _as_utf8(path, contract)
    header = find_features(plain) if kind == "GeoJSON" else None
    if kind == "GeoJSON" and header is None:
        return _by_gdal(plain, kind, stem, contract, "no FeatureCollection")
    try:
        schema, members = _survey(plain, header, contract)
    except NotPlainError as error:
        return _by_gdal(plain, kind, stem, contract, str(error).split("\n", 1)[0])
    return Found(kind, [_layer(plain, kind, stem, contract, schema, members)])


def _as_utf8(path: Path, contract: VectorContract) -> Path:
    with path.open("rb") as file:
        wide = guess_wide(file.read(4096))
    asked = normalise(contract.encoding) if contract.encoding else "UTF-8"
    if wide is None and asked == "UTF-8":
        return path
    encoding = find_encoding(path, contract.encoding)
    return as_utf8(path, encoding, path.with_name(f"utf8_{path.name}"))


def _survey(
    path: Path, header: Header | None, contract: VectorContract
) -> tuple[Schema, dict[str, Any]]:
    """The schema of all features, and the members of the collection but them."""
    start = header.start if header else 0
    splitter = Splitter(path, start, contract.limits.max_depth)
    survey = Survey()
    for features in ahead(splitter):
        survey.add(features)
    if header is None:
        return survey.schema, {}
    if not splitter.trailer.lstrip().startswith(b"]"):
        raise _cut_off("no end of the features")
    try:
        members = json.loads((header.text + splitter.trailer).decode())
    except ValueError as error:
        raise _cut_off(str(error)) from error
    return survey.schema, members if isinstance(members, dict) else {}


def _cut_off(why: str) -> CorruptError:
    return CorruptError(
        "The GeoJSON is damaged or cut off.", found=why, expected="a whole document"
    )


def _by_gdal(
    path: Path, kind: str, stem: str, contract: VectorContract, why: str
) -> Found:
    found = Found(kind, notes=[f"read by GDAL: {why}"])
    for name in list_layers(path, kind):
        layer, notes = describe_layer(path, kind, name, contract)
        shown = stem if name == path.stem else name
        found.layers.append(layer.model_copy(update={"name": shown}))
        found.notes.extend(notes)
    return found


def _layer(  # noqa: PLR0913, PLR0917 (what two passes found)
    path: Path,
    kind: str,
    stem: str,
    contract: VectorContract,
    schema: Schema,
    members: dict[str, Any],
) -> Layer:
    name = members.get("name")
    name = name if isinstance(name, str) and name.strip() else stem
    kinds, notes = _with_id(schema)
    names = list(kinds)
    kept = [names[at] for at in choose_fields(names, contract.columns, name)]
    fields = {one: field_of(one, kinds[one]) for one in names}
    if contract.where is not None:
        row_filter(contract.where, _schema(fields.values()))
    return Layer(
        name=name,
        reader="geojson",
        path=str(path),
        driver=kind,
        fields=fields_of(_schema(fields[one] for one in kept)),
        fields_skipped=tuple(one for one in names if one not in kept),
        geometry_type=_geometry_type(schema.types) if schema.types else "Unknown",
        crs_wkt=_crs(members),
        feature_count=None if contract.where else schema.rows,
        encoding="UTF-8",
        options={
            "kinds": json.dumps(kinds),
            "start": str(_start(path, kind)),
            "id": "own" if len(kinds) > len(schema.kinds) else "",
        },
        notes=tuple(notes),
    )


def _schema(fields: Iterable[pa.Field]) -> pa.Schema:
    return pa.schema(list(fields))


def _start(path: Path, kind: str) -> int:
    header = find_features(path) if kind == "GeoJSON" else None
    return header.start if header else 0


def _with_id(schema: Schema) -> tuple[dict[str, str], list[str]]:
    """The properties, after the features' own `id`, if they have one."""
    if schema.ids == "null":
        return schema.kinds, []
    if any(name.casefold() == _ID for name in schema.kinds):
        return schema.kinds, ["the features' own `id` is not loaded: a property has it"]
    kind = schema.ids if schema.ids in ("int", "real") else "text"
    return {_ID: kind, **schema.kinds}, []


def _geometry_type(types: set[str]) -> str:
    if len(types) == 1:
        return next(iter(types))
    return _MULTI.get(frozenset(types), "Unknown")


def _crs(members: dict[str, Any]) -> str | None:
    """WGS 84, or what a `crs` of the old kind says; null means unknown.

    Raises:
        BadCrsError: it cannot be understood, or is a link.
    """
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    if "crs" not in members:
        return crs_wkt(_WGS84)
    said = members["crs"]
    if said is None:
        return None
    name = said.get("properties", {}).get("name") if isinstance(said, dict) else None
    if isinstance(name, str) and name.upper().endswith("CRS84"):
        return crs_wkt(_WGS84)
    try:
        return CRS.from_user_input(name).to_wkt()
    except CRSError as error:
        raise BadCrsError(
            "The `crs` of the GeoJSON cannot be understood.",
            found=str(said)[:500],
            expected='{"type": "name", "properties": {"name": "urn:ogc:def:crs:..."}}',
        ) from error
