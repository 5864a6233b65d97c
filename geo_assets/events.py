"""What Dagster is told of any file: its arrival, why it was refused, products, checks.

Pure: facts in, events out.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from geo_assets.batch import Broken, Done, Refused
from geo_assets.catalog.completeness import MISSING, SCORE
from geo_assets.contract import DatasetContract
from geo_assets.errors import DuplicateError, SourceError
from geo_assets.lineage import BRONZE, Event, Lineage
from geo_assets.specs import key_of
from geo_resources.ledger import LedgerRow
from geo_resources.storage import Storage

ITEM_COMPLETE = "item_complete"
Metadata = dict[str, dg.MetadataValue | str | int | float]


class Announcer:
    """Turns what became of the files of a dataset into events.

    Args:
        contract: of the dataset.
        storage: where files and products lie; for links.
        lineage: what is made of what.
    """

    def __init__(
        self, contract: DatasetContract, storage: Storage, lineage: Lineage
    ) -> None:
        self._contract = contract
        self._storage = storage
        self._lineage = lineage

    def arrived(
        self, outcome: Done[Any] | Refused | Broken, status: str = "accepted"
    ) -> Iterator[Event]:
        """The file in bronze, and its verdict; told of every file.

        Told twice: of an external asset, Dagster shows the materialisation, and takes
        the data version from the observation.

        Args:
            outcome: of the file.
            status: of one that is done.
        """
        verdict: Metadata = {"status": status}
        if not isinstance(outcome, Done):
            verdict = self.verdict(outcome)
        row = outcome.row
        metadata: Metadata = {**verdict, **self._arrival(row)}
        yield self.made(row, BRONZE, metadata)
        yield dg.AssetObservation(
            key_of(self._contract, BRONZE),
            partition=row.partition_key,
            metadata={"etag": row.etag},
            tags=self._lineage.tags(BRONZE, row.etag),
        )

    def not_made(self, outcome: Refused | Broken) -> Iterator[Event]:
        """A bad file is seen on the first asset that it did not become."""
        metadata = self.verdict(outcome)
        yield self.observed(outcome.row, "validated", metadata)
        broken = isinstance(outcome, Broken)
        if not broken and not isinstance(outcome.error, DuplicateError):
            yield self.check(
                outcome.row,
                "validated",
                "source_valid",
                passed=False,
                metadata=metadata,
            )

    def verdict(self, outcome: Refused | Broken) -> Metadata:
        """Why the file has no products, and what its owner can do."""
        error, report = outcome.error, outcome.report
        said: Metadata = {
            "status": "failed",
            "code": report.code,
            "reason": report.message,
            "what to do": report.suggested_action,
            "attempt": report.attempt,
            "error": dg.MetadataValue.json(report.as_json()),
        }
        if not isinstance(error, SourceError):
            return said
        duplicate = isinstance(error, DuplicateError)
        return {
            **said,
            "status": "duplicate" if duplicate else "rejected",
            "found": str(report.evidence["found"]),
            "expected": str(report.evidence["expected"]),
            "evidence": dg.MetadataValue.json(report.evidence),
        }

    def _arrival(self, row: LedgerRow) -> Metadata:
        return {
            "dagster/uri": self._storage.href(row.container, row.blob),
            "blob": row.blob,
            "etag": row.etag,
            "bytes": row.bytes,
            "last modified": dg.MetadataValue.timestamp(row.last_modified),
        }

    def made(
        self,
        row: LedgerRow,
        thing: str,
        metadata: Metadata,
        more: Sequence[str] = (),
    ) -> dg.AssetMaterialization:
        """An asset of a file was made, of this version of it and whatever else."""
        return dg.AssetMaterialization(
            key_of(self._contract, thing),
            partition=row.partition_key,
            metadata=metadata,
            tags=self._lineage.tags(thing, row.etag, more),
        )

    def observed(
        self, row: LedgerRow, thing: str, metadata: Metadata
    ) -> dg.AssetObservation:
        """Something is said of an asset of a file that was not made."""
        return dg.AssetObservation(
            key_of(self._contract, thing),
            partition=row.partition_key,
            metadata=metadata,
        )

    def check(  # noqa: PLR0913
        self,
        row: LedgerRow,
        thing: str,
        name: str,
        *,
        passed: bool,
        metadata: Metadata | None = None,
        severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
    ) -> dg.AssetCheckEvaluation:
        """A check on an asset of a file was evaluated."""
        return dg.AssetCheckEvaluation(
            asset_key=key_of(self._contract, thing),
            check_name=name,
            passed=passed,
            partition=row.partition_key,
            metadata={"blob": row.blob, **(metadata or {})},
            severity=severity,
        )

    def completeness(
        self, row: LedgerRow, item: Mapping[str, Any]
    ) -> dg.AssetCheckEvaluation:
        """Whether an item is as complete as its dataset expects; else a warning."""
        minimum = self._contract.quality.minimum
        return self.check(
            row,
            "item",
            ITEM_COMPLETE,
            passed=item["properties"][SCORE] >= minimum,
            metadata={"minimum %": minimum, **completeness_of(item)},
            severity=dg.AssetCheckSeverity.WARN,
        )

    def link(self, container: str, name: str) -> dg.MetadataValue:
        """An address to click on; a local file, which browsers refuse, to copy."""
        url = self._storage.public_url(container, name)
        remote = url.startswith("http")
        return dg.MetadataValue.url(url) if remote else dg.MetadataValue.path(url)


def completeness_of(item: Mapping[str, Any]) -> Metadata:
    """How complete an item is, and what it lacks."""
    properties = item["properties"]
    missing = ", ".join(properties[MISSING])
    return {"completeness %": properties[SCORE], "missing": missing or "nothing"}


def coordinates(numbers: Sequence[float]) -> str:
    """Numbers on one line, as one copies them into a search.

    >>> coordinates((577600.0, 4813760.5, -0.1234567894, 1e-9))
    '577600, 4813760.5, -0.12345679, 0'
    """
    return ", ".join(f"{round(x, 8):.15g}" for x in numbers)


def readable(usd: float) -> float:
    """Three digits of a number that is often tiny.

    >>> readable(0.000060725839)
    6.07e-05
    """
    return float(f"{usd:.3g}")
