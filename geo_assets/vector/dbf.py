"""The .dbf of a shapefile: whether it is whole, and what its text is written in."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geo_assets.errors import BadEncodingError, CorruptError
from geo_assets.vector.encoding import decodes, language_driver, normalise

_HEADER = struct.Struct(
    "<BBBBIHH"
)  # version, date, records, bytes of header, of record
_FIELD_BYTES = 32
_AT_ONCE_BYTES = 16 << 20
_FALLBACKS = ("UTF-8", "CP1252", "ISO-8859-1")
_NEWLINE = 10
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Dbf:
    """What a .dbf says of itself."""

    path: Path
    records: int
    header_bytes: int
    record_bytes: int
    language: int
    """Language driver, byte 29 of the header."""
    texts: tuple[tuple[int, int], ...]
    """(start, end) within a record of the fields that hold text."""
    names: tuple[bytes, ...]
    """Of the fields, undecoded."""


def read_dbf(path: Path) -> Dbf:
    """The header of a .dbf.

    Raises:
        CorruptError: the header is damaged, or there are fewer bytes than it declares.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_FIELD_BYTES)
        if len(head) < _FIELD_BYTES:
            raise _damaged(f"{size} bytes", "a header of at least 32 bytes")
        _, _, _, _, records, header, record = _HEADER.unpack_from(head)
        raw = file.read(max(0, header - _FIELD_BYTES))
    fields = _fields(raw)
    declared = header + records * record
    if header < _FIELD_BYTES or not record or size < declared:
        raise _damaged(f"{size} bytes", f"{declared} bytes for {records} records")
    texts = tuple((start, end) for kind, _, start, end in fields if kind in b"CM")
    names = tuple(name for _, name, _, _ in fields)
    return Dbf(path, records, header, record, head[29], texts, names)


def _fields(raw: bytes) -> list[tuple[int, bytes, int, int]]:
    """(type, name, start, end) of the fields; a record begins with a deletion flag."""
    found, start = [], 1
    for at in range(0, len(raw) - _FIELD_BYTES + 1, _FIELD_BYTES):
        one = raw[at : at + _FIELD_BYTES]
        if one[0] == 0x0D:  # noqa: PLR2004 (end of the fields)
            break
        width = one[16] + (256 * one[17] if one[11:12] == b"C" else 0)
        found.append((one[11], one[:11].split(b"\0")[0], start, start + width))
        start += width
    return found


def find_text_encoding(dbf: Dbf, cpg: str | None, asked: str | None) -> tuple[str, str]:
    """The encoding of all text in the .dbf, and where it was found.

    The dataset's word comes first, then the .cpg, the language driver, UTF-8 and
    CP1252; the first in which everything is valid is taken.

    Args:
        dbf: the table.
        cpg: what the .cpg says.
        asked: what the dataset says.

    Raises:
        BadEncodingError: the text is not in the encoding that the dataset names.
    """
    if asked is not None:
        return _as_asked(dbf, asked), "dataset"
    candidates = (
        (normalise(cpg) if cpg else None, ".cpg"),
        (language_driver(dbf.language), "language driver"),
        *((one, "content") for one in _FALLBACKS),
    )
    if _is_ascii(dbf):
        named = next((c for c in candidates if c[0] and c[1] != "content"), None)
        return (named[0] or "UTF-8", named[1]) if named else ("UTF-8", "content")
    for encoding, origin in candidates:
        if encoding and _fits(dbf, encoding):
            return encoding, origin
    return "ISO-8859-1", "content"


def _as_asked(dbf: Dbf, asked: str) -> str:
    encoding = normalise(asked)
    if encoding is None or not _fits(dbf, encoding):
        raise BadEncodingError(
            f"The text of {dbf.path.name} is not {asked}.",
            found=f"bytes that are not {asked}",
            expected=asked,
        )
    return encoding


def _is_ascii(dbf: Dbf) -> bool:
    return all(piece.isascii() for piece in _pieces(dbf))


def _fits(dbf: Dbf, encoding: str) -> bool:
    return all(decodes([piece], encoding) for piece in _pieces(dbf, cut=encoding))


def _pieces(dbf: Dbf, cut: str | None = None) -> Iterator[bytes]:
    """Text of the table, values apart by newlines, a part of a column at a time.

    Args:
        dbf: the table.
        cut: an encoding in which a value may end within a character, as writers that
            fill a field to its last byte leave it.
    """
    yield b"\n".join(dbf.names)
    if not dbf.records or not dbf.texts:
        return
    size = dbf.record_bytes
    at_once = max(1, _AT_ONCE_BYTES // size)
    with dbf.path.open("rb") as file:
        file.seek(dbf.header_bytes)
        for start in range(0, dbf.records, at_once):
            rows = min(at_once, dbf.records - start)
            table = np.fromfile(file, np.uint8, rows * size).reshape(rows, size)
            for first, last in dbf.texts:
                yield from _column(table[:, first:last], cut)


def _column(values: Bytes, cut: str | None) -> Iterator[bytes]:
    raw = values.tobytes()
    if cut is None or raw.isascii():
        yield raw
        return
    ends = np.full((len(values), 1), _NEWLINE, np.uint8)
    lines = np.hstack([values, ends]).tobytes()
    if decodes([lines], cut):  # the usual case, without a look at each value
        yield lines
        return
    width = values.shape[1]
    cuts = (raw[at : at + width] for at in range(0, len(raw), width))
    yield b"\n".join(_whole(value, cut) for value in cuts if not value.isascii())


def _whole(value: bytes, encoding: str) -> bytes:
    """The value without a last character that the width of the field cut in two."""
    for less in range(min(4, len(value))):
        if decodes([value[: len(value) - less]], encoding):
            return value[: len(value) - less]
    return value


def _damaged(found: str, expected: str) -> CorruptError:
    return CorruptError(
        "The .dbf is damaged or cut off.", found=found, expected=expected
    )
