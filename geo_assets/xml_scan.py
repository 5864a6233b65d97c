"""XML from anywhere: a look through it before GDAL opens it, or a parser of our own.

Entities and document types are refused: they are how an XML file reads other files,
calls addresses or grows without bound. What points elsewhere is counted.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from geo_assets.errors import CorruptError, ExternalReferenceError, TooLargeError

_CHUNK = 1 << 20


@dataclass
class Scan:
    """What an XML file holds."""

    elements: Counter[str] = field(default_factory=Counter)
    """Occurrences of the elements that were asked for, by local name."""
    depth: int = 0
    """Deepest nesting."""


def scan_xml(path: Path, wanted: frozenset[str], max_depth: int) -> Scan:
    """Read all of an XML file and count the `wanted` elements (local names).

    Raises:
        ExternalReferenceError: it has a document type or entities.
        TooLargeError: it nests deeper than `max_depth`.
        CorruptError: it is not well-formed, for example cut off.
    """
    scan = Scan()
    parser = hardened_parser()
    _count(parser, scan, wanted, max_depth)
    with path.open("rb") as file:
        feed(parser, iter(lambda: file.read(_CHUNK), b""))
    return scan


def hardened_parser() -> expat.XMLParserType:
    """A parser that raises an ExternalReferenceError at a document type or entity."""
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.EntityDeclHandler = _refuse_doctype
    return parser


def feed(parser: expat.XMLParserType, chunks: Iterable[bytes]) -> None:
    """Let the parser's handlers see a whole document.

    Raises:
        CorruptError: it is not well-formed, for example cut off.
    """
    try:
        for chunk in chunks:
            parser.Parse(chunk, False)  # noqa: FBT003 (positional in C)
        parser.Parse(b"", True)  # noqa: FBT003
    except expat.ExpatError as error:
        raise CorruptError(
            f"The XML is not well-formed: {error}.",
            found=str(error),
            expected="complete, well-formed XML",
        ) from error


def _count(
    parser: expat.XMLParserType, scan: Scan, wanted: frozenset[str], max_depth: int
) -> None:
    depth = 0

    def start(name: str, _attributes: object) -> None:
        nonlocal depth
        depth += 1
        if depth > scan.depth:
            scan.depth = depth
            if depth > max_depth:
                raise too_deep(max_depth)
        local = name.rpartition(":")[2]
        if local in wanted:
            scan.elements[local] += 1

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartElementHandler = start
    parser.EndElementHandler = end


def _refuse_doctype(*_details: object) -> None:
    raise ExternalReferenceError(
        "The XML declares a document type or entities, which can read other files.",
        found="<!DOCTYPE ...>",
        expected="XML without document type and entities",
    )


def too_deep(max_depth: int) -> TooLargeError:
    """What nests deeper than `max_depth` is refused."""
    return TooLargeError(
        f"The XML is nested more than {max_depth} elements deep.",
        found=f"more than {max_depth} levels",
        expected=f"at most {max_depth} (limits.max_depth)",
    )
