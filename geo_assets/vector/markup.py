"""KML, GPX and GML: XML that was looked through before GDAL parses it."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported: pyright cannot see them.
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from geo_assets.contract import VectorContract
from geo_assets.vector.choice import NOT_NAMED, Found, wanted
from geo_assets.vector.model import Layer, SkippedLayer
from geo_assets.vector.ogr import describe_layer, list_layers, read_ogr
from geo_assets.xml_scan import scan_xml

_DRIVERS = {"KML": "LIBKML", "GPX": "GPX", "GML": "GML"}
_NOT_LOADED = {  # elements of KML that are no features
    "NetworkLink": "links to other addresses, not followed",
    "GroundOverlay": "images on the ground, loaded as outlines",
    "ScreenOverlay": "images on the screen, not loaded",
    "PhotoOverlay": "photographs, not loaded",
    "Model": "3D models, not loaded",
    "Track": "gx:Track with times per point: times are not loaded",
}
_KML_DEFAULTS: dict[str, object] = {  # what LIBKML adds to each feature, if unsaid
    "id": None,
    "description": None,
    "timestamp": None,
    "begin": None,
    "end": None,
    "altitudeMode": None,
    "tessellate": -1,
    "extrude": 0,
    "visibility": -1,
    "drawOrder": None,
    "icon": None,
}
_ENVELOPE = {"lowerCorner", "upperCorner"}  # gml:boundedBy, taken for attributes
_SCAN_BATCH_BYTES = 4 << 20


def describe_markup(path: Path, kind: str, contract: VectorContract) -> Found:
    """The layers of a KML, GPX or GML file.

    Folders of a KML are layers; fields that LIBKML adds and no feature uses are left
    out.

    Raises:
        ExternalReferenceError: a document type or entities.
        TooLargeError: nested too deeply.
        CorruptError: not well-formed, or GDAL cannot read it.
    """
    wanted_elements = frozenset(_NOT_LOADED if kind == "KML" else ())
    scan = scan_xml(path, wanted_elements, contract.limits.max_depth)
    counts = sorted(scan.elements.items())
    found = Found(kind, notes=[f"{n} {tag}: {_NOT_LOADED[tag]}" for tag, n in counts])
    driver = _DRIVERS[kind]
    for name in list_layers(path, driver):
        if not wanted(name, contract):
            found.skipped.append(SkippedLayer(name=name, reason=NOT_NAMED))
            continue
        layer, notes = describe_layer(path, driver, name, contract)
        found.notes.extend(notes)
        found.layers.append(_without_envelope(_without_unused(layer, contract)))
    return found


def _without_unused(layer: Layer, contract: VectorContract) -> Layer:
    """The layer without the fields that its driver adds and no feature fills.

    GPX and GML features are counted on the way: GDAL does not know.
    """
    candidates = _candidates(layer, contract)
    if not candidates and layer.feature_count is not None:
        return layer
    used: set[str] = set()
    rows = 0
    with read_ogr(layer, contract, _SCAN_BATCH_BYTES) as batches:
        for batch in batches:
            rows += batch.num_rows
            used.update(n for n, empty in candidates.items() if _used(batch, n, empty))
    unused = frozenset(candidates) - used
    kept = tuple(one for one in layer.fields if one.name not in unused)
    gone = tuple(one.name for one in layer.fields if one.name in unused)
    counted = rows if contract.where is None else layer.feature_count
    return layer.model_copy(
        update={
            "fields": kept,
            "fields_skipped": (*layer.fields_skipped, *gone),
            "feature_count": counted,
        }
    )


def _without_envelope(layer: Layer) -> Layer:
    """A GML layer without the corners of its features' envelopes."""
    names = {one.name for one in layer.fields}
    if layer.driver != "GML" or not names >= _ENVELOPE:
        return layer
    return layer.model_copy(
        update={
            "fields": tuple(o for o in layer.fields if o.name not in _ENVELOPE),
            "fields_skipped": (*layer.fields_skipped, *sorted(_ENVELOPE)),
        }
    )


def _candidates(layer: Layer, contract: VectorContract) -> dict[str, object]:
    """Fields that may be left out, with the value that stands for nothing."""
    names = [one.name for one in layer.fields]
    once = [one for one in names if names.count(one) == 1]
    asked = contract.columns.include
    if layer.driver == "GPX":
        return {one: None for one in once if one not in asked}
    if layer.driver != "LIBKML":
        return {}
    return {
        one: _KML_DEFAULTS[one]
        for one in once
        if one in _KML_DEFAULTS and one not in asked
    }


def _used(batch: pa.RecordBatch, name: str, empty: object) -> bool:
    column = batch.column(batch.schema.get_field_index(name))
    if column.null_count == len(column):
        return False
    if empty is None:
        return True
    return pc.any(pc.not_equal(column, pa.scalar(empty, column.type))).as_py() is True
