"""Encodings of text: found, named alike, and proven on the whole file."""

import codecs
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from geo_assets.errors import BadEncodingError
from geo_assets.vector.sniff import guess_wide

_CHUNK = 1 << 22
_UNDEFINED_IN_CP1252 = bytes((0x81, 0x8D, 0x8F, 0x90, 0x9D))
_LDID = {  # language driver of a .dbf, byte 29: dBASE and Esri's documentation
    0x01: "cp437",
    0x02: "cp850",
    0x03: "cp1252",
    0x08: "cp865",
    0x09: "cp437",
    0x0A: "cp850",
    0x0B: "cp437",
    0x0D: "cp437",
    0x0E: "cp850",
    0x0F: "cp437",
    0x10: "cp850",
    0x11: "cp437",
    0x12: "cp850",
    0x13: "cp932",
    0x14: "cp850",
    0x15: "cp437",
    0x16: "cp850",
    0x17: "cp865",
    0x18: "cp437",
    0x19: "cp437",
    0x1A: "cp850",
    0x1B: "cp437",
    0x1C: "cp863",
    0x1D: "cp850",
    0x1F: "cp852",
    0x22: "cp852",
    0x23: "cp852",
    0x24: "cp860",
    0x25: "cp850",
    0x26: "cp866",
    0x37: "cp850",
    0x40: "cp852",
    0x4D: "cp936",
    0x4E: "cp949",
    0x4F: "cp950",
    0x50: "cp874",
    0x57: "cp1252",
    0x58: "cp1252",
    0x59: "cp1252",
    0x64: "cp852",
    0x65: "cp866",
    0x66: "cp865",
    0x67: "cp861",
    0x6A: "cp737",
    0x6B: "cp857",
    0x78: "cp950",
    0x79: "cp949",
    0x7A: "cp936",
    0x7B: "cp932",
    0x7C: "cp874",
    0x86: "cp737",
    0x87: "cp852",
    0x88: "cp857",
    0xC8: "cp1250",
    0xC9: "cp1251",
    0xCA: "cp1254",
    0xCB: "cp1253",
    0xCC: "cp1257",
}


def language_driver(code: int) -> str | None:
    """The encoding that byte 29 of a .dbf names; None if it says nothing.

    >>> language_driver(0x57)
    'CP1252'
    """
    return normalise(_LDID[code]) if code in _LDID else None


def normalise(name: str) -> str | None:
    """The encoding that a .cpg, a contract or a person means, by its usual name.

    >>> normalise("ANSI 1251"), normalise("utf8"), normalise("88591"), normalise("?")
    ('CP1251', 'UTF-8', 'ISO-8859-1', None)
    """
    text = name.strip().strip("\x00\"'").upper().replace("_", "-")
    if text in ("UTF8", "65001", "CP65001", "UTF-8-SIG", "SYSTEM UTF-8"):
        return "UTF-8"
    if iso := re.fullmatch(r"(?:ISO)?[- ]?8859[- ]?(\d{1,2})", text):
        return _known(f"ISO-8859-{int(iso.group(1))}")
    if page := re.search(r"(?<!\d)(\d{3,5})$", text):
        return _known(f"CP{page.group(1)}") or _known(text)
    return _known(text)


def _known(name: str) -> str | None:
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    text = found.upper().replace("_", "-")
    if text.startswith("ISO8859"):
        return f"ISO-8859-{text.removeprefix('ISO8859-')}"
    return {"ASCII": "UTF-8"}.get(text, text) if _is_text(name) else None


def _is_text(name: str) -> bool:
    """Python's registry also holds codecs that are no encodings of text (zip, hex)."""
    try:
        return isinstance(b"".decode(name), str)
    except (LookupError, ValueError):
        return False


def decodes(chunks: Iterable[bytes], encoding: str) -> bool:
    """Whether all of the text is valid in the encoding."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        for chunk in chunks:
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def chunks_of(path: Path) -> Iterator[bytes]:
    """The bytes of a file, a few megabytes at a time."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def find_encoding(path: Path, asked: str | None) -> str:
    """The encoding of a text file, valid from its first byte to its last.

    A byte order mark decides, then `asked`, then UTF-8, then CP1252, and at last
    ISO-8859-1, which fits anything.

    Args:
        path: a text file.
        asked: what the dataset says.

    Raises:
        BadEncodingError: the text is not in the encoding that is named.
    """
    with path.open("rb") as file:
        wide = guess_wide(file.read(1 << 16))
    named = normalise(asked) if asked else None
    if asked and named is None:
        raise _unfit(asked, "it is not known")
    for encoding in filter(None, (wide, named)):
        if decodes(chunks_of(path), encoding):
            return "UTF-8" if encoding == "utf-8-sig" else encoding.upper()
        raise _unfit(encoding, "the text is not valid in it")
    if decodes(chunks_of(path), "utf-8"):
        return "UTF-8"
    return "CP1252" if decodes(chunks_of(path), "cp1252") else "ISO-8859-1"


def _unfit(encoding: str, why: str) -> BadEncodingError:
    return BadEncodingError(
        f"The text cannot be read as {encoding}: {why}.",
        found=f"bytes that are not {encoding}",
        expected=encoding,
    )


def as_utf8(path: Path, encoding: str, target: Path) -> Path:
    """The file in UTF-8 without byte order mark: itself, or a copy at `target`."""
    with path.open("rb") as file:
        marked = file.read(3) == codecs.BOM_UTF8
    if encoding == "UTF-8" and not marked:
        return path
    decoder = codecs.getincrementaldecoder("utf-8-sig" if marked else encoding)()
    with target.open("wb") as out:
        for chunk in chunks_of(path):
            out.write(decoder.decode(chunk).encode())
        out.write(decoder.decode(b"", final=True).encode())
    return target
