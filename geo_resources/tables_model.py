"""The words of the tables: what is loaded, what was published, why it was refused."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from psycopg import Connection

SCHEMA = "geo"
FID, SOURCE_ID, GEOM = "fid", "source_id", "geom"
PRIMARY_KEY, SPATIAL_INDEX = "_pkey", "_geom_gist"  # suffixes
NAME_BYTES = 63  # of an identifier in PostgreSQL
LOAD_TIMEOUT_S = 6 * 3600  # of one statement over a whole table
STAGING = r"__stg_([0-9]+)$"
_DIGEST_CHARACTERS = 8

Mode = Literal["own", "replace_source", "replace_table", "append_only"]
Way = Literal["created", "swapped", "in place"]
Extent = tuple[float, float, float, float]  # west, south, east, north


class ColumnSpec(Protocol):
    """A column to make."""

    @property
    def name(self) -> str:
        """Legal, lower-case, unique in the table."""
        ...

    @property
    def source(self) -> str:
        """Name of the field in the file; becomes the comment."""
        ...

    @property
    def type(self) -> str:
        """PostgreSQL type."""
        ...


class TableSpec(Protocol):
    """A table to make in schema `geo`."""

    @property
    def name(self) -> str:
        """Without the schema."""
        ...

    @property
    def columns(self) -> Sequence[ColumnSpec]:
        """Without `fid`, `source_id` and `geom`."""
        ...

    @property
    def geometry_type(self) -> str | None:
        """PostGIS typmod; None without geometry."""
        ...

    @property
    def srid(self) -> int:
        """0 for a CRS that spatial_ref_sys does not have."""
        ...

    @property
    def shared(self) -> bool:
        """Whether it has a column `source_id`."""
        ...

    @property
    def comment(self) -> str:
        """Comment of the table."""
        ...


class Transactions(Protocol):
    """Gives transactions, each on a connection of its own; `Database` does."""

    def transaction(self) -> "AbstractContextManager[Connection]":
        """Committed at the end, rolled back by an exception."""
        ...


class Load(NamedTuple):
    """Where the rows of a staging table come from."""

    dataset: str
    container: str
    blob: str
    etag: str
    modified: datetime
    """Last write of the blob: says which file is the newest."""
    ledger_id: int | None = None
    run_id: str | None = None
    layer: str | None = None
    source_crs: str | None = None
    """CRS of the file: a code, a name or WKT."""
    crs_wkt: str | None = None
    """CRS of the table."""
    extent: Extent | None = None
    """In the CRS of the table."""
    extent_wgs84: Extent | None = None


class Source(NamedTuple):
    """A blob version whose rows a table holds, or held."""

    container: str
    blob: str
    etag: str
    ledger_id: int | None
    rows: int


class TableFacts(NamedTuple):
    """What a table really holds, measured in the database."""

    rows: int
    without_geometry: int
    srid: int | None
    """Of the column; None without geometry."""
    geometry_type: str | None
    """Of the column, as PostGIS writes it: MULTIPOLYGON, POINTZ, GEOMETRY."""
    types: dict[str, int]
    """Rows by type; one entry when the column allows one type only."""
    extent: Extent | None
    """In the CRS of the table."""
    checked: int
    """Geometries whose validity was looked at."""
    invalid: int
    """Of those, the invalid ones."""
    bytes: int
    """With indexes and TOAST."""


class Publication(NamedTuple):
    """A staging table that is to become, or to go into, a table."""

    spec: TableSpec
    staging: str
    load: Load
    facts: TableFacts
    """Of the staging table; see `measure`."""
    mode: Mode


class Published(NamedTuple):
    """What came of publishing a table."""

    table: str
    way: Way
    """`in place` keeps what hangs on the table: views, keys, policies, indexes."""
    rows: int
    """Rows of this file."""
    table_rows: int
    """Rows of all files."""
    replaced: int
    """Rows that gave way."""
    version: int
    superseded: tuple[Source, ...]
    """Files whose rows are gone with this, but for earlier versions of this one."""
    columns_before: tuple[dict[str, str], ...] | None
    """Columns of the version before: {name, type, source}; None for the first."""
    changes: tuple[str, ...]
    """What was changed in the columns of a table that stays, in words."""


class TableError(Exception):
    """A table refuses a file.

    Attributes:
        evidence: what was found and expected.
    """

    def __init__(self, message: str, **evidence: object) -> None:
        super().__init__(message)
        self.evidence: Mapping[str, object] = evidence


class SchemaConflictError(TableError):
    """The file's columns do not go into the table without loss."""


class StaleSourceError(TableError):
    """The table already is of a newer file."""


class AppendOnlyConflictError(TableError):
    """Another version of the file is in the table, which never replaces rows."""


class TableTakenError(TableError):
    """The name belongs to somebody else: another file, dataset, or a person."""


class IncompleteCopyError(Exception):
    """The stream of rows ended before its end mark."""


class TableChangedError(Exception):
    """Somebody changed the table while it was being published; try again."""


def staging_name(table: str, ledger_id: int) -> str:
    """Name of the staging table of one ledger row, at most 63 bytes.

    >>> staging_name("lots", 17)
    'lots__stg_17'
    >>> len(staging_name("x" * 60, 123456))
    63
    """
    suffix = f"__stg_{ledger_id}"
    room = NAME_BYTES - len(suffix)
    if len(table.encode()) <= room:
        return table + suffix
    return f"{shorten(table, room)}{suffix}"


def shorten(name: str, room: int) -> str:
    """A name that fits `room` bytes and differs wherever the long one does."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    kept = name.encode()[: room - _DIGEST_CHARACTERS - 1].decode(errors="ignore")
    return f"{kept}_{digest}"


def index_name(table: str, suffix: str) -> str:
    """Name of an index of a table; table names cannot take it, as it begins with `_`.

    >>> index_name("lots", PRIMARY_KEY)
    '_lots_pkey'
    """
    name = f"_{table}{suffix}"
    if len(name.encode()) <= NAME_BYTES:
        return name
    return f"{shorten(f'_{table}', NAME_BYTES - len(suffix))}{suffix}"


def ledger_id_of(staging: str) -> int | None:
    """The ledger row that a staging table was made for; None for other names.

    >>> ledger_id_of("lots__stg_17"), ledger_id_of("lots")
    (17, None)
    """
    found = re.search(STAGING, staging)
    return int(found.group(1)) if found else None
