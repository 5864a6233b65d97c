"""The rows of a GeoJSON file: DuckDB parses what the splitter cuts."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported: pyright cannot see them.
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from geo_assets.contract import VectorContract
from geo_assets.errors import CorruptError
from geo_assets.vector.geojson_schema import CHUNK, connect, field_of, register, spec_of
from geo_assets.vector.geojson_split import Splitter, ahead
from geo_assets.vector.model import Layer
from geo_assets.vector.ogr import read_ogr
from geo_assets.vector.stream import GEOMETRY_FIELD, Findings, RowBatches, row_filter

_BAD = "geometry that is not valid GeoJSON"
_ID = "id"


@contextmanager
def read_geojson(
    layer: Layer, contract: VectorContract, batch_bytes: int
) -> Iterator[RowBatches]:
    """The rows of a layer that `describe_geojson` described.

    Features with a geometry that cannot be understood come without and are bad.
    """
    if layer.reader == "ogr":
        with read_ogr(layer, contract, batch_bytes) as batches:
            yield batches
        return
    findings = Findings()
    rows = _Rows(layer, contract, findings)
    yield RowBatches(rows.schema, rows.batches(batch_bytes), findings)


class _Rows:
    """What is known of the properties, and the way from features to batches."""

    def __init__(
        self, layer: Layer, contract: VectorContract, findings: Findings
    ) -> None:
        self._layer, self._findings, self._limits = layer, findings, contract.limits
        kinds: dict[str, str] = json.loads(layer.options["kinds"])
        wanted = [one.name for one in layer.fields]
        self._names = wanted if contract.where is None else list(kinds)
        self._full = pa.schema(
            [*(field_of(name, kinds[name]) for name in self._names), GEOMETRY_FIELD]
        )
        self._shown = [*(self._names.index(name) for name in wanted), len(self._names)]
        self.schema = pa.schema([self._full.field(at) for at in self._shown])
        where = contract.where
        attributes = pa.schema(list(self._full)[:-1])
        self._keep = None if where is None else row_filter(where, attributes)
        stored = {name: kinds[name] for name in self._names}
        self._own_id = layer.options["id"] == "own" and _ID in stored
        if self._own_id:
            del stored[_ID]
        self._query = _query(spec_of(stored, geometry=True), properties=bool(stored))

    def batches(self, batch_bytes: int) -> Iterator[pa.RecordBatch]:
        database = connect()
        start = int(self._layer.options["start"])
        first = 0
        path, depth = Path(self._layer.path), self._limits.max_depth
        for features in ahead(Splitter(path, start, depth)):
            register(database, features)
            try:
                table = database.sql(self._query).to_arrow_table()
            except duckdb.Error as error:
                raise CorruptError(
                    "The GeoJSON is damaged.",
                    found=str(error)[:300],
                    expected="the features that were there a moment ago",
                ) from error
            step = max(1, len(features) * batch_bytes // max(1, 2 * table.nbytes))
            for part in table.combine_chunks().to_batches(max_chunksize=step):
                batch = self._batch(part, first)
                first += batch.num_rows
                yield batch

    def _batch(self, raw: pa.RecordBatch, first: int) -> pa.RecordBatch:
        columns = {name: raw.column(name) for name in raw.schema.names}
        values = _flat(columns.get("properties"))
        if self._own_id:
            values[_ID] = columns["id"]
        fields = [self._full.field(at) for at in range(len(self._names))]
        arrays = [pc.cast(values[one.name], one.type) for one in fields]
        geometry = columns["geometry"].cast(pa.binary())
        batch = pa.RecordBatch.from_arrays([*arrays, geometry], schema=self._full)
        batch = batch.append_column("bad", columns["bad"])
        if self._keep is not None:
            batch = self._keep(batch)
        bad = batch.column(batch.num_columns - 1)
        for row in pc.indices_nonzero(bad).to_pylist():
            self._findings.refuse(first + row, _BAD)
        shown = [batch.column(at) for at in self._shown]
        return pa.RecordBatch.from_arrays(shown, schema=self.schema)


def _flat(properties: pa.StructArray | None) -> dict[str, pa.Array]:
    if properties is None:
        return {}
    names = [one.name for one in properties.type]
    return dict(zip(names, properties.flatten(), strict=True))


def _query(spec: str, *, properties: bool) -> str:
    """The query over a chunk; TRY makes NULL of what is no geometry."""
    quoted = spec.replace("'", "''")
    parts = "s.properties AS properties, " if properties else ""
    named = "properties, " if properties else ""
    return f"""
        SELECT {named}id, geometry, has AND geometry IS NULL AS bad FROM (
            SELECT {parts}s.id AS id, s.geometry IS NOT NULL AS has,
                   TRY(ST_AsWKB(ST_GeomFromGeoJSON(s.geometry))) AS geometry
            FROM (SELECT from_json(f, '{quoted}') AS s FROM {CHUNK}))
    """  # noqa: S608 (names are quoted, within JSON)
