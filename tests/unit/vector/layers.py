"""Layers, contracts and batches for tests of the cleaner."""

import pyarrow as pa
import shapely
from pyproj import CRS

from geo_assets.contract import GeometryRules, Source, VectorContract
from geo_assets.vector.clean import Cleaner
from geo_assets.vector.model import GEOMETRY, Layer

SQUARE = "POLYGON((0 0,4 0,4 4,0 4,0 0))"


def contract(geometry=None, **rules):
    rules |= {"geometry": GeometryRules(**(geometry or {}))}
    return VectorContract(name="places", source=Source(pattern="*"), **rules)


def layer(kind="Unknown", crs="EPSG:4326"):
    return Layer(
        name="places",
        reader="ogr",
        path="/scratch/places.gpkg",
        driver="GPKG",
        fields=(),
        geometry_type=kind,
        crs_wkt=crs and CRS.from_user_input(crs).to_wkt(),
        feature_count=None,
    )


def wkb(*geometries):
    """Column of ISO WKB of WKT, bytes or None."""
    plain = [
        shapely.to_wkb(shapely.from_wkt(one), flavor="iso", byte_order=1)
        if isinstance(one, str)
        else one
        for one in geometries
    ]
    return pa.array(plain, pa.binary())


def batch(*geometries, **attributes):
    arrays = {name: pa.array(values) for name, values in attributes.items()}
    arrays[GEOMETRY] = wkb(*geometries)
    return pa.RecordBatch.from_pydict(arrays)


def clean(rows, kind="Unknown", crs="EPSG:4326", family=None, **rules):
    """Cleaner and cleaned batch of a layer of one batch."""
    sampled = rules.pop("sample", None)
    cleaner = Cleaner(
        layer(kind, crs), rows.schema, contract(**rules), family, sample=sampled
    )
    return cleaner, cleaner.clean(rows, 0, {})


def shapes(cleaned):
    """WKT of the cleaned geometries."""
    return [
        one and shapely.from_wkb(one).wkt for one in cleaned.column("geom").to_pylist()
    ]


def found_schema():
    return pa.schema([(GEOMETRY, pa.binary())])
