"""What Dagster is told of a vector file: tables, maps, refusals, checks, as events.

Pure: facts in, events out. Every number of the UI comes from here.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from geo_assets.batch import Broken, Done, Refused
from geo_assets.contract import VectorContract
from geo_assets.events import (
    Announcer,
    Metadata,
    completeness_of,
    coordinates,
    readable,
)
from geo_assets.lineage import Event, Lineage
from geo_assets.specs import key_of
from geo_assets.vector.products import ITEM, REJECTS, SILVER, THUMBNAIL, product_name
from geo_assets.vector.specs import file_specs
from geo_assets.vector.verdict import Answer, answers
from geo_resources.ledger import LedgerRow
from geo_resources.prices import Prices
from geo_resources.storage import Storage
from geo_resources.tables import Published

if TYPE_CHECKING:
    from geo_assets.vector.desk import Ready
    from geo_assets.vector.facts import LoadedTable, VectorFacts

SHOWN_LAYERS = 50  # lines of a table in the UI
SHOWN_REASONS = 20


class Reporter:
    """Turns outcomes into events for one dataset.

    Args:
        contract: of the dataset.
        stages: things of the asset keys that were selected.
        prices: of stored bytes.
        storage: where files beside the tables lie; for links.
    """

    def __init__(
        self,
        contract: VectorContract,
        stages: tuple[str, ...],
        prices: Prices,
        storage: Storage,
    ) -> None:
        self._contract = contract
        self._stages = stages
        self._prices = prices
        self._tell = Announcer(contract, storage, Lineage(file_specs(contract)))

    def events(self, outcome: "Done[Ready] | Refused | Broken") -> Iterator[Event]:
        """Events of one file; a bad file gets no materialisation but of its arrival."""
        yield from self._tell.arrived(outcome)
        if isinstance(outcome, Done):
            yield from self._done(outcome.row, outcome.result)
        else:
            yield from self._tell.not_made(outcome)

    def _done(self, row: LedgerRow, ready: "Ready") -> Iterator[Event]:
        facts = ready.result.facts
        if "validated" in self._stages:
            yield self._tell.made(row, "validated", self._source(facts))
            yield self._tell.check(row, "validated", "source_valid", passed=True)
        if "table" in self._stages:
            yield self._tell.made(row, "table", self._table(row, ready))
            for answer in answers(self._contract, facts, ready.published):
                yield self._answered(row, answer)
        if ITEM in self._stages:
            yield self._tell.made(row, ITEM, self._item(row, ready))
            yield from self._item_checks(row, facts)
            yield self._tell.completeness(row, ready.result.item)

    def _answered(self, row: LedgerRow, answer: Answer) -> dg.AssetCheckEvaluation:
        levels = dg.AssetCheckSeverity
        return self._tell.check(
            row,
            "table",
            answer.check,
            passed=answer.passed,
            metadata={"found": answer.found},
            severity=levels.WARN if answer.warns else levels.ERROR,
        )

    def _source(self, facts: "VectorFacts") -> Metadata:
        layers = [
            dg.TableRecord(
                {
                    "layer": layer.name,
                    "driver": layer.driver,
                    "geometry": layer.geometry_type or "none",
                    "features": str(layer.feature_count or "not said"),
                    "fields": len(layer.fields),
                    "encoding": layer.encoding or "",
                    "notes": "; ".join(layer.notes),
                }
            )
            for layer in facts.source.layers[:SHOWN_LAYERS]
        ]
        skipped = "; ".join(f"{one.name}: {one.reason}" for one in facts.source.skipped)
        return {
            "format": facts.source.format,
            "layers": dg.MetadataValue.table(layers),
            "layers skipped": skipped or "none",
            "warnings": "; ".join(facts.warnings) or "none",
            "seconds": facts.seconds.get("validated", 0.0),
        }

    def _table(self, row: LedgerRow, ready: "Ready") -> Metadata:
        facts = ready.result.facts
        first = facts.tables[0]
        size = sum(table.size_bytes for table in facts.tables)
        return {
            **_preview(facts),
            "rows": facts.rows_loaded,
            "rows refused": facts.rows_rejected,
            **self._refusals(row, facts),
            "CRS": first.crs.code or f"{first.crs.name} (no code)",
            "extent": coordinates(first.extent) if first.extent else "empty",
            "geometry": first.geometry_type or "none",
            "changes": _changes(facts.tables),
            "tables": _tables(facts.tables, ready.published),
            "how": ", ".join(sorted({one.way for one in ready.published})),
            "bytes": size,
            "monthly cost USD": readable(self._prices.monthly_usd(size, "Hot")),
            "open in psql": dg.MetadataValue.md(_queries(facts.tables)),
            "seconds": facts.seconds.get("table", 0.0),
            "dagster/column_schema": dg.MetadataValue.table_schema(_schema(first)),
            "dagster/column_lineage": dg.MetadataValue.column_lineage(
                self._lineage(first)
            ),
            "dagster/partition_row_count": facts.rows_loaded,
            "dagster/table_name": f"geo.{first.name}",
        }

    def _refusals(self, row: LedgerRow, facts: "VectorFacts") -> Metadata:
        if facts.rejects_bytes is None:
            return {}
        lines = [
            f"- {reason}: {count}"
            for table in facts.tables
            for reason, count in [*table.tally.refused.items()][:SHOWN_REASONS]
        ]
        name = product_name(self._contract.name, row.blob, REJECTS)
        return {
            "why refused": dg.MetadataValue.md("\n".join(lines)),
            "refused rows": self._tell.link(SILVER, name),
        }

    def _lineage(self, table: "LoadedTable") -> dg.TableColumnLineage:
        upstream = key_of(self._contract, "validated")
        return dg.TableColumnLineage(
            {
                column.name: [dg.TableColumnDep(upstream, column.source)]
                for column in table.columns
            }
        )

    def _item(self, row: LedgerRow, ready: "Ready") -> Metadata:
        item, facts = ready.result.item, ready.result.facts
        properties = item["properties"]
        start = properties.get("start_datetime")
        end = properties.get("end_datetime")
        links = {"item": ITEM}
        if facts.picture is not None:
            links["thumbnail file"] = THUMBNAIL
        names = {
            label: product_name(self._contract.name, row.blob, kind)
            for label, kind in links.items()
        }
        return {
            **_preview(facts),
            "id": item["id"],
            "collection": self._contract.name,
            "datetime": properties.get("datetime") or f"{start} to {end}",
            "bbox": coordinates(item["bbox"]),
            "rows": facts.rows_loaded,
            "tables": ", ".join(f"geo.{table.name}" for table in facts.tables),
            **completeness_of(item),
            **{k: self._tell.link(SILVER, name) for k, name in names.items()},
        }

    def _item_checks(
        self, row: LedgerRow, facts: "VectorFacts"
    ) -> Iterator[dg.AssetCheckEvaluation]:
        report = facts.item_report
        if report is not None:
            yield self._tell.check(
                row,
                ITEM,
                "item_valid",
                passed=report.valid,
                metadata={
                    "errors": "; ".join(report.errors) or "none",
                    "checked": "; ".join(report.checked) or "nothing",
                    "not checked": "; ".join(report.unchecked) or "nothing",
                },
            )
        yield self._tell.check(row, ITEM, "item_found", passed=True)


def _preview(facts: "VectorFacts") -> Metadata:
    """The map that the UI shows without a click."""
    if facts.picture is None or facts.picture.markdown is None:
        return {}
    return {"preview": dg.MetadataValue.md(facts.picture.markdown)}


def _changes(tables: Sequence["LoadedTable"]) -> str:
    counts = [
        f"{what}: {count}"
        for table in tables
        for what, count in (table.tally.changed | table.problems).items()
    ]
    return "; ".join(counts) or "none"


def _tables(
    tables: Sequence["LoadedTable"], published: Sequence[Published]
) -> dg.MetadataValue:
    versions = {one.table: one for one in published}
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "table": f"geo.{table.name}",
                    "layer": table.layer,
                    "rows of the file": table.rows,
                    "rows in all": versions[table.name].table_rows,
                    "geometry": table.geometry_type or "none",
                    "SRID": table.srid or 0,
                    "columns": len(table.columns),
                    "version": versions[table.name].version,
                }
            )
            for table in tables[:SHOWN_LAYERS]
        ]
    )


def _queries(tables: Sequence["LoadedTable"]) -> str:
    lines = "\n".join(f"TABLE geo.{table.name} LIMIT 10;" for table in tables[:5])
    return f"```sql\n{lines}\n```"


def _schema(table: "LoadedTable") -> dg.TableSchema:
    columns = [dg.TableColumn("fid", "bigint", "Number of the row in its file")]
    columns += [
        dg.TableColumn(column.name, column.type, f"Field {column.source}")
        for column in table.columns
    ]
    if table.geometry_type:
        kind = f"geometry({table.geometry_type}, {table.crs.srid})"
        columns.append(dg.TableColumn("geom", kind, table.crs.name))
    return dg.TableSchema(columns)
