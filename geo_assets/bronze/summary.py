"""What an inventory found, in numbers and in words."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")
_THOUSAND = 1000


class Found(BaseModel):
    """Blobs and what they take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    blobs: int
    bytes: int


class Group(Found):
    """The blobs that have something in common."""

    name: str


class Point(Found):
    """An inventory of the same blobs, now or earlier."""

    taken_at: datetime
    unclaimed: int


class Inventory(BaseModel):
    """Summary of a snapshot.

    Attributes:
        filters: which blobs were looked at; empty for all.
        oldest, newest: of the times at which blobs were last modified.
        by_standing: `claimed` by a dataset, `new` to the ledger, `unclaimed`; of
            products: `product`, `export`, `to be deleted`, or `unowned`.
        by_tier: what is stored for which purpose; `source` is what arrived.
        same_content: copies beyond the first, by SHA-256 of what runs have read.
        probably_same: further blobs of the same extent and time, but other bytes.
        examples: names of what should be looked at.
        trend: inventories of the same blobs, oldest first; the last is this one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    taken_at: datetime
    href: str
    filters: dict[str, Any]
    blobs: int
    bytes: int
    oldest: datetime | None
    newest: datetime | None
    by_container: tuple[Group, ...]
    by_extension: tuple[Group, ...]
    by_kind: tuple[Group, ...]
    by_size_class: tuple[Group, ...]
    by_standing: tuple[Group, ...]
    by_dataset: tuple[Group, ...]
    by_tier: tuple[Group, ...]
    same_content: Found
    probably_same: Found
    examples: dict[str, tuple[str, ...]]
    trend: tuple[Point, ...]

    def standing(self, name: str) -> int:
        """How many blobs are of that standing."""
        return sum(one.blobs for one in self.by_standing if one.name == name)

    @property
    def growth(self) -> Found:
        """What has come since the inventory before this; negative for what has gone."""
        before = self.trend[-2] if len(self.trend) > 1 else Found(blobs=0, bytes=0)
        return Found(blobs=self.blobs - before.blobs, bytes=self.bytes - before.bytes)


def size_text(size_bytes: float) -> str:
    """A size for people, powers of ten.

    >>> size_text(0), size_text(999), size_text(1_250_000), size_text(-3e9)
    ('0 bytes', '999 bytes', '1.2 MB', '-3.0 GB')
    """
    size, unit = float(size_bytes), 0
    while abs(size) >= _THOUSAND and unit < len(_UNITS) - 1:
        size, unit = size / _THOUSAND, unit + 1
    return f"{size:.0f} bytes" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def markdown(title: str, groups: Sequence[Group], empty: str = "none") -> str:
    """Groups as a table that Dagster shows."""
    lines = (
        f"| {_cell(one.name or empty)} | {one.blobs:,} | {size_text(one.bytes)} |"
        for one in groups
    )
    return "\n".join([f"| {title} | blobs | size |", "| --- | ---: | ---: |", *lines])


def trend_markdown(trend: Sequence[Point]) -> str:
    """The inventories over time, as a table that Dagster shows."""
    head = ["| taken | blobs | size | unclaimed |", "| --- | ---: | ---: | ---: |"]
    return "\n".join([*head, *_trend_lines(trend)])


def _trend_lines(trend: Sequence[Point]) -> Iterator[str]:
    for one in trend:
        taken = one.taken_at.strftime("%Y-%m-%d %H:%M")
        yield f"| {taken} | {one.blobs:,} | {size_text(one.bytes)} | {one.unclaimed} |"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")
