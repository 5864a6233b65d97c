"""What Dagster is told of exports: tables of products, and which could not be made."""

from collections.abc import Sequence
from typing import NamedTuple

import dagster as dg

from geo_assets.events import Metadata
from geo_resources.exports import Export, Made

SHOWN = 200  # lines of a table in the UI


class Outcome(NamedTuple):
    """What became of an export that was due."""

    export: Export
    href: str
    made: Made | None
    error: str | None


def describe(outcomes: Sequence[Outcome], uri: str) -> Metadata:
    """Metadata of an export asset after a run.

    Args:
        outcomes: of all that was due.
        uri: folder of the dataset in gold.
    """
    made = [one for one in outcomes if one.made is not None]
    lines = [_record(one, one.made) for one in made[:SHOWN] if one.made]
    return {
        "products": dg.MetadataValue.table(lines, schema=_SCHEMA),
        "made": len(made),
        "failed": len(outcomes) - len(made),
        "rows": sum(one.made.rows for one in made if one.made),
        "bytes": sum(one.made.bytes or 0 for one in made if one.made),
        "dagster/uri": uri,
    }


_SCHEMA = dg.TableSchema(
    [
        dg.TableColumn("table", "string"),
        dg.TableColumn("blob", "string"),
        dg.TableColumn("rows", "int"),
        dg.TableColumn("bytes", "int"),
        dg.TableColumn("facts", "string"),
    ]
)


def _record(outcome: Outcome, made: Made) -> dg.TableRecord:
    facts = "; ".join(f"{what}: {fact}" for what, fact in made.facts.items())
    return dg.TableRecord(
        {
            "table": f"geo.{outcome.export.subject}",
            "blob": outcome.href if made.bytes is not None else "none",
            "rows": made.rows,
            "bytes": made.bytes or 0,
            "facts": facts,
        }
    )


def failure_of(outcomes: Sequence[Outcome]) -> dg.Failure:
    """The one failure of a run: what could not be made, and why."""
    bad = [one for one in outcomes if one.error is not None]
    lines = "\n".join(f"- geo.{one.export.subject}: {one.error}" for one in bad)
    return dg.Failure(
        f"{len(bad)} of {len(outcomes)} exports could not be made",
        metadata={"errors": dg.MetadataValue.md(lines)},
        allow_retries=False,
    )
