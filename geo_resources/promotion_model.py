"""The words of promotion: what is copied, how it is told apart, why it is refused."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from geo_resources.tables_grants import Grant

if TYPE_CHECKING:
    from psycopg import Connection

    from geo_resources.database import Database

NEXT, PREVIOUS = "geo_next", "geo_previous"  # schemas beside `geo`, in production

Action = Literal["promote", "reverse"]
EngineName = Literal["copy", "data_factory"]


class ColumnPlan(NamedTuple):
    """A column to make."""

    name: str
    type: str
    """As format_type writes it."""
    not_null: bool
    lz4: bool
    comment: str | None


class IndexPlan(NamedTuple):
    """An index to build."""

    name: str
    unique: bool
    rest: str
    """From USING on, as PostgreSQL's catalogue writes it."""


class ConstraintPlan(NamedTuple):
    """A constraint to add."""

    name: str
    kind: str
    """p: primary key; u: unique; c: check."""
    definition: str
    made_of: str | None
    """The index that becomes the constraint."""


class TablePlan(NamedTuple):
    """A table of the working database, and what the one in production is to be."""

    name: str
    columns: Sequence[ColumnPlan]
    comment: str | None
    indexes: Sequence[IndexPlan]
    constraints: Sequence[ConstraintPlan]
    grants: Sequence[Grant]

    @property
    def ours(self) -> list[str]:
        """Names of the indexes and constraints that come with it."""
        names = [*self.indexes, *self.constraints]
        return sorted({one.name for one in names})

    @property
    def has_geometry(self) -> bool:
        """Whether it has our column of geometries."""
        return any(
            one.name == "geom" and one.type.startswith("geometry")
            for one in self.columns
        )


class Fingerprint(NamedTuple):
    """What two copies of the same rows agree in, whatever the order of the rows."""

    rows: int
    checksum: str
    """Sum of a 64-bit hash of each row."""
    extent: list[float] | None
    """west, south, east, north in the CRS of the table."""


# Fills the staged tables, which it makes: from a snapshot, into production.
Engine = Callable[["Connection", "Database", Sequence[TablePlan]], None]
Facts = dict[str, Any]


class PromotionError(Exception):
    """A dataset cannot be promoted, or taken back, as things are."""


class PromotionBusyError(PromotionError):
    """Another promotion of the dataset is at work."""


class PromotionRefusedError(PromotionError):
    """Something has to be put right by a person first."""


class PromotionMismatchError(PromotionError):
    """What arrived in production is not what was sent; nothing was swapped."""
