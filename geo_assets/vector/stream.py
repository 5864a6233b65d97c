"""Rows on their way from a reader to the cleaner, and what the reader noticed."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported: pyright cannot see them.
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from geo_assets.errors import BadWhereError, CorruptError
from geo_assets.vector.model import GEOMETRY, JSON_TEXT, TIME_TEXT, Field

MAX_BAD_ROWS = 100_000  # a file with more is broken as a whole
BROKEN_TEXT = "text that is not UTF-8: undecodable bytes replaced"
GEOMETRY_FIELD = pa.field(GEOMETRY, pa.binary())
_RELATION = "strata_rows"
_ROW = "strata_row"


@dataclass
class Findings:
    """What a reader could not represent, collected while it reads."""

    problems: dict[str, int] = field(default_factory=dict)
    """Counts by kind."""
    bad_rows: dict[int, str] = field(default_factory=dict)
    """Rows to refuse, by number from 0, with the reason."""

    def count(self, what: str, rows: int = 1) -> None:
        """Add to the count of a problem."""
        if rows:
            self.problems[what] = self.problems.get(what, 0) + rows

    def refuse(self, row: int, reason: str) -> None:
        """Mark a row as one that the cleaner must refuse.

        Raises:
            CorruptError: more than `MAX_BAD_ROWS` rows are bad.
        """
        if len(self.bad_rows) >= MAX_BAD_ROWS:
            raise CorruptError(
                f"More than {MAX_BAD_ROWS} rows cannot be read: {reason}.",
                found=reason,
                expected="rows that can be read",
                problems=dict(self.problems),
            )
        self.bad_rows[row] = reason


class RowBatches:
    """Batches of a reader, once, with text made sound; see `model.Batches`.

    Args:
        schema: attributes by source names, then the geometry, if any.
        source: makes the batches, in the order of the file, in this schema.
        findings: filled while they are read.
    """

    def __init__(
        self,
        schema: pa.Schema,
        source: Iterable[pa.RecordBatch],
        findings: Findings | None = None,
    ) -> None:
        self.schema = schema
        self._source = source
        self._findings = findings or Findings()

    @property
    def problems(self) -> dict[str, int]:
        """Counts by kind; complete after the last batch."""
        return self._findings.problems

    @property
    def bad_rows(self) -> dict[int, str]:
        """Rows to refuse, by number from 0, with the reason, so far as read."""
        return self._findings.bad_rows

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches, each with text that is valid UTF-8."""
        for batch in self._source:
            if batch.num_rows:
                yield sound_text(batch, self._findings)


def sound_text(batch: pa.RecordBatch, findings: Findings) -> pa.RecordBatch:
    """The batch with undecodable bytes in text replaced and counted.

    GDAL hands bytes through as they are in the file; PostgreSQL would refuse them.
    """
    columns = list(batch.columns)
    for at, column in enumerate(columns):
        if not _is_sound(column):
            columns[at] = _repaired(column, findings)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _is_sound(column: pa.Array) -> bool:
    if not _is_text(column.type):
        return True
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _is_text(kind: pa.DataType) -> bool:
    nested = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    leaf = kind.value_type if nested else kind
    return pa.types.is_string(leaf) or pa.types.is_large_string(leaf)


def _repaired(column: pa.Array, findings: Findings) -> pa.Array:
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = _repaired(column.flatten(), findings)
        lengths = column.value_lengths().fill_null(0)
        offsets = pa.concat_arrays(
            [pa.array([0], pa.int64()), pc.cumulative_sum(lengths.cast(pa.int64()))]
        )
        made = pa.ListArray if pa.types.is_list(kind) else pa.LargeListArray
        width = pa.int32() if pa.types.is_list(kind) else pa.int64()
        return made.from_arrays(
            offsets.cast(width), inner, type=kind, mask=column.is_null()
        )
    large = pa.types.is_large_string(kind)
    raw = column.view(pa.large_binary() if large else pa.binary()).to_pylist()
    texts = [None if one is None else one.decode(errors="replace") for one in raw]
    before = zip(raw, texts, strict=True)
    changed = sum(text is not None and text.encode() != one for one, text in before)
    findings.count(BROKEN_TEXT, changed)
    return pa.array(texts, kind)


def fields_of(schema: pa.Schema) -> tuple[Field, ...]:
    """The attributes of a reader's schema, as facts."""
    return tuple(
        Field(name=one.name, type=str(one.type))
        for one in schema
        if one.name != GEOMETRY
    )


def text_field(name: str, *, time: bool = False, json: bool = False) -> pa.Field:
    """A field of text that holds times or JSON."""
    marks = {TIME_TEXT: b"datetime"} if time else {JSON_TEXT: b"1"} if json else None
    return pa.field(name, pa.string(), metadata=marks)


def row_filter(
    where: str, schema: pa.Schema
) -> Callable[[pa.RecordBatch], pa.RecordBatch]:
    """A function that keeps the rows of a batch for which an SQL expression holds.

    DuckDB evaluates it, without files, network or extensions.

    Args:
        where: expression over the fields of `schema` (their source names).
        schema: of the batches.

    Raises:
        BadWhereError: it is no expression, or names what is not there.
    """
    import duckdb

    check_where(where)
    database = duckdb.connect(
        config={"enable_external_access": "false", "threads": "1"}
    )
    database.execute("SET lock_configuration = true")
    query = f"SELECT {_ROW} FROM {_RELATION} WHERE (\n{where}\n)"  # noqa: S608 (ours)

    def keep(batch: pa.RecordBatch) -> pa.RecordBatch:
        named = [i for i, one in enumerate(batch.schema) if one.name != GEOMETRY]
        rows = pa.array(range(batch.num_rows), pa.int64())
        numbered = pa.Table.from_arrays(
            [*(batch.column(i) for i in named), rows],
            names=[*(batch.schema.field(i).name for i in named), _ROW],
        )
        database.register(_RELATION, numbered)
        kept = database.sql(query).to_arrow_table().column(0).combine_chunks()
        database.unregister(_RELATION)
        return batch.take(kept.sort()) if len(kept) < batch.num_rows else batch

    try:
        keep(pa.RecordBatch.from_pylist([], schema=schema))
    except duckdb.Error as error:
        raise bad_where(where, str(error).split("\n", 1)[0], schema) from error
    return keep


def check_where(where: str | None) -> None:
    """Whether a filter is one expression: no second statement, nothing commented out.

    Raises:
        BadWhereError: it is not.
    """
    bare = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", "x", where or "")
    depth = 0
    for letter in bare:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth < 0:
            break
    odd = next((one for one in (";", "--", "/*", "'", '"') if one in bare), None)
    if odd or depth:
        why = f"it contains {odd}" if odd else "its brackets do not match"
        raise bad_where(where or "", why, pa.schema([]))


def bad_where(where: str, why: str, schema: pa.Schema) -> BadWhereError:
    """The refusal of a filter."""
    return BadWhereError(
        f"The filter cannot be applied: {why}",
        found=where,
        expected="an SQL expression over the fields of the layer",
        fields=[one.name for one in schema if one.name != GEOMETRY][:200],
    )
