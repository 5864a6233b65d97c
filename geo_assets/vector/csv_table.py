"""CSV text as Arrow columns of text, rows that do not fit the header put right."""

import csv
import io
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa
from pyarrow import csv as pacsv

from geo_assets.contract import Csv
from geo_assets.errors import CorruptError, NoFeaturesError
from geo_assets.vector.sniff import unsupported
from geo_assets.vector.stream import Findings

SHORT_ROWS = "rows with fewer fields than the header: the rest is NULL"
LONG_ROWS = "rows with empty fields beyond the header: left out"
BLOCKS = (16 << 20, 256 << 20)  # bytes; a row must fit into one
TABLES = (".csv", ".tsv")  # extensions that promise a table
_DELIMITERS = ",;\t|"
_SAMPLE_BYTES, _SAMPLE_ROWS = 1 << 18, 100
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Dialect:
    """How a CSV is written."""

    delimiter: str
    names: tuple[str, ...]
    """Of the columns, as the header writes them; `field_1`, ... without header."""
    skip: int
    """Lines before the first row."""


def find_dialect(path: Path, rules: Csv, name: str) -> Dialect:
    """Delimiter and header of a CSV in UTF-8.

    Raises:
        UnsupportedFormatError: it is text, but no table.
        NoFeaturesError: there is a header and nothing else.
    """
    with path.open("rb") as file:
        raw = file.read(_SAMPLE_BYTES)
    text = raw.decode(errors="ignore")
    said = re.match(r"sep=(.)\r?\n", text, re.IGNORECASE)  # Excel's own first line
    skip = 1 if said else 0
    body = text.split("\n", 1)[1] if said else text
    blank = len(body) - len(body.lstrip("\r\n"))
    skip += body[:blank].count("\n")
    delimiter = rules.delimiter or (said.group(1) if said else None)
    whole = len(raw) < _SAMPLE_BYTES
    delimiter = delimiter or _find_delimiter(body[blank:], whole=whole)
    table = PurePosixPath(name).suffix.lower() in TABLES
    if delimiter is None and not table:
        raise unsupported(name, "plain text")
    rows = _sample(body[blank:], delimiter or ",", whole=whole)
    names, headed = _header(rows[0])
    if headed and len(rows) == 1 and whole:
        raise NoFeaturesError(
            f"{name} has a header and no rows.", found=list(names)[:50], expected="rows"
        )
    return Dialect(delimiter or ",", names, skip + headed)


def _sample(text: str, delimiter: str, *, whole: bool) -> list[list[str]]:
    """The first rows; the last one of a cut-off sample is left out."""
    lines = io.StringIO(text, newline="")
    found: list[list[str]] = []
    csv.field_size_limit(sys.maxsize)  # geometries as text are long
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            if row:
                found.append(row)
            if len(found) > _SAMPLE_ROWS:
                break
    except csv.Error as error:
        raise _broken(str(error)) from error
    return found if whole or len(found) == 1 else found[:-1]


def _find_delimiter(text: str, *, whole: bool) -> str | None:
    """The delimiter that gives the most rows as many fields as the header."""

    def score(delimiter: str) -> tuple[float, int]:
        rows = _sample(text, delimiter, whole=whole)
        width = len(rows[0]) if rows else 0
        if width < 2:  # noqa: PLR2004 (a single column has no delimiter)
            return (0.0, 0)
        same = sum(len(row) == width for row in rows) / len(rows)
        return (round(same, 1), width)

    best = max(_DELIMITERS, key=score)
    return best if score(best)[1] and score(best)[0] >= 0.5 else None  # noqa: PLR2004


def _header(first: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Names of the columns, and whether the first row holds them."""
    cells = [cell.strip() for cell in first]
    if any(_NUMBER.fullmatch(cell) for cell in cells):
        return tuple(f"field_{i}" for i in range(1, len(cells) + 1)), False
    return tuple(cells), True


class Table:
    """The rows of a CSV as text, a block at a time; columns are named `c0`, `c1`, ...

    Args:
        path: the file, in UTF-8.
        dialect: how it is written.
        block: bytes that are parsed at once; each row must fit.
        findings: gets counts and rows to refuse.
    """

    def __init__(
        self, path: Path, dialect: Dialect, block: int, findings: Findings
    ) -> None:
        self._path, self._dialect, self._block = path, dialect, block
        self._findings = findings
        self._odd: list[str] = []

    def __iter__(self) -> Iterator[tuple[pa.RecordBatch, dict[int, str]]]:
        """Batches, and the rows in them (by position) to refuse, with the reason."""
        names = [f"c{i}" for i in range(len(self._dialect.names))]
        reader = self._open(names)
        while (batch := self._next(reader)) is not None:
            yield batch, {}
            yield from self._mended(batch.schema)
        schema = pa.schema([pa.field(name, pa.string()) for name in names])
        yield from self._mended(schema)

    def _open(self, names: list[str]) -> pacsv.CSVStreamingReader:
        try:
            return pacsv.open_csv(
                self._path,
                pacsv.ReadOptions(
                    use_threads=True,
                    block_size=self._block,
                    skip_rows=self._dialect.skip,
                    column_names=names,
                ),
                pacsv.ParseOptions(
                    delimiter=self._dialect.delimiter,
                    newlines_in_values=True,
                    invalid_row_handler=self._keep_odd,
                ),
                pacsv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowException as error:
            raise _broken(str(error)) from error

    def _keep_odd(self, row: pacsv.InvalidRow) -> str:
        self._odd.append(row.text)
        return "skip"

    @staticmethod
    def _next(reader: pacsv.CSVStreamingReader) -> pa.RecordBatch | None:
        try:
            return next(reader, None)
        except pa.ArrowException as error:
            raise _broken(str(error)) from error

    def _mended(
        self, schema: pa.Schema
    ) -> Iterator[tuple[pa.RecordBatch, dict[int, str]]]:
        """Rows of another width than the header's: filled up, cut or to be refused."""
        odd, self._odd = self._odd, []
        if not odd:
            return
        width, rows, bad = len(schema), [], {}
        for text in odd:
            cells = next(
                csv.reader(
                    io.StringIO(text, newline=""), delimiter=self._dialect.delimiter
                )
            )
            if len(cells) > width and any(cells[width:]):
                bad[len(rows)] = f"{len(cells)} fields, the header has {width}"
            else:
                self._findings.count(SHORT_ROWS if len(cells) < width else LONG_ROWS)
            cells = [cell or None for cell in cells[:width]]
            rows.append(cells + [None] * (width - len(cells)))
        arrays = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema), bad


def _broken(why: str) -> CorruptError:
    return CorruptError(
        f"The CSV cannot be read: {why[:300]}",
        found=why[:300],
        expected="rows with quotes that are closed",
    )
