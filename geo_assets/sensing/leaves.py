"""Metadata files as their leaves: a path and a text each, whatever the format.

The formats are three: XML, JSON, and groups of `KEY = value` lines (NASA's ODL, PVL).
Cost: a few times the file in memory; files are small (`MOST_BYTES`).
"""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple
from xml.parsers import expat

from geo_assets.errors import BadEncodingError, CorruptError, TooLargeError
from geo_assets.sensing.values import tidy
from geo_assets.xml_scan import feed, hardened_parser, too_deep

MOST_BYTES = 8 << 20  # the largest known: DIMAP and Sentinel-2 tiles, 1 to 2 MB
MOST_LEAVES = 200_000
MOST_DEPTH = 64
_BEGINS = {"GROUP", "BEGIN_GROUP", "OBJECT", "BEGIN_OBJECT"}
_ENDS = {"END_GROUP", "END_OBJECT"}


class Leaf(NamedTuple):
    """A value, and the names of the groups it is in, its own name last.

    Attributes:
        group: number of the innermost group: two of one name differ in it.
    """

    path: tuple[str, ...]
    text: str
    group: int = 0

    @property
    def name(self) -> str:
        """Its own name."""
        return self.path[-1]


class Leaves:
    """The values of a metadata file, in its order.

    Args:
        found: path and text of each.
    """

    def __init__(self, found: list[Leaf]) -> None:
        self.found = found
        self._first: dict[str, str] = {}
        for leaf in found:
            self._first.setdefault(leaf.name, leaf.text)

    @property
    def roots(self) -> set[str]:
        """Names of the outermost groups."""
        return {leaf.path[0] for leaf in self.found if len(leaf.path) > 1}

    def first(self, *names: str) -> str | None:
        """The first value of the first of these names that there is."""
        return next((self._first[name] for name in names if name in self._first), None)

    def every(self, name: str) -> list[str]:
        """All values of a name."""
        return [leaf.text for leaf in self.found if leaf.name == name]

    def below(self, *groups: str) -> "Leaves":
        """The values within groups of these names, one within the other."""
        inside = [leaf for leaf in self.found if _is_within(leaf.path[:-1], groups)]
        return Leaves(inside)


def _is_within(path: tuple[str, ...], groups: tuple[str, ...]) -> bool:
    rest = iter(path)
    return all(group in rest for group in groups)


def read_leaves(data: bytes) -> Leaves:
    """The values of a metadata file; its format is told by its first character.

    Texts are cut, and tidy: nobody has to look at them again.

    Raises:
        SourceError: it cannot be read, or is none that may be.
    """
    if len(data) > MOST_BYTES:
        raise _too_large(f"{len(data)} bytes", f"at most {MOST_BYTES} bytes")
    begin = data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    readers = {b"<": _xml, b"{": _json}
    found: list[Leaf] = []
    for leaf in readers.get(begin, _statements)(data):
        found.append(leaf._replace(text=tidy(leaf.text)))
        if len(found) > MOST_LEAVES:
            raise _too_large(f"more than {MOST_LEAVES} values", "metadata of a scene")
    return Leaves(found)


def _too_large(found: str, expected: str) -> TooLargeError:
    message = "The file is too large for metadata."
    return TooLargeError(message, found=found, expected=expected)


def _xml(data: bytes) -> list[Leaf]:
    """Texts of elements without children, and attributes as `@name`; no prefixes."""
    parser, found = hardened_parser(), []
    path: list[str] = []
    texts: list[str] = []
    groups, numbers = [0], count(1)

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(name.rpartition(":")[2])
        if len(path) > MOST_DEPTH:
            raise too_deep(MOST_DEPTH)
        groups.append(next(numbers))
        for key, text in attributes.items():
            name = f"@{key.rpartition(':')[2]}"
            found.append(Leaf((*path, name), text, groups[-1]))
        if len(found) > MOST_LEAVES:
            raise _too_large(f"more than {MOST_LEAVES} values", "metadata of a scene")
        texts.clear()

    def end(_name: str) -> None:
        groups.pop()
        if text := "".join(texts).strip():
            found.append(Leaf(tuple(path), text, groups[-1]))
        texts.clear()
        path.pop()

    _listen(parser, start, end, texts)
    feed(parser, [data])
    return found


def _listen(
    parser: expat.XMLParserType, start: object, end: object, texts: list[str]
) -> None:
    parser.StartElementHandler = start  # pyright: ignore[reportAttributeAccessIssue]
    parser.EndElementHandler = end  # pyright: ignore[reportAttributeAccessIssue]
    parser.CharacterDataHandler = texts.append


def _json(data: bytes) -> Iterator[Leaf]:
    try:
        document = json.loads(data)
    except RecursionError as error:
        raise too_deep(MOST_DEPTH) from error
    except ValueError as error:
        raise CorruptError(
            f"The JSON cannot be read: {error}.",
            found=str(error),
            expected="one JSON object",
        ) from error
    return _json_leaves(document, Leaf((), ""), count(1))


def _json_leaves(
    value: Any,  # noqa: ANN401
    at: Leaf,
    numbers: Iterator[int],
    depth: int = 0,
) -> Iterator[Leaf]:
    """Leaves of JSON; members of lists have the name of the list, and are deeper."""
    if depth > MOST_DEPTH:
        raise too_deep(MOST_DEPTH)
    if isinstance(value, dict):
        group = next(numbers)
        for key, part in value.items():
            inside = Leaf((*at.path, key), "", group)
            yield from _json_leaves(part, inside, numbers, depth + 1)
    elif isinstance(value, list):
        for part in value:
            yield from _json_leaves(part, at, numbers, depth + 1)
    elif value is not None and at.path:
        text = value if isinstance(value, str) else json.dumps(value)
        yield at._replace(text=text)


def _statements(data: bytes) -> Iterator[Leaf]:
    """Leaves of `KEY = value` lines in groups, of ODL or PVL."""
    path: list[str] = []
    groups, numbers = [0], count(1)
    for statement in _joined(_text_of(data)):
        key, is_assigned, value = (part.strip() for part in statement.partition("="))
        if not is_assigned:
            continue
        value = value.removesuffix(";").rstrip().strip('"')
        if key.upper() in _BEGINS:
            path.append(value)
            groups.append(next(numbers))
        elif key.upper() in _ENDS:
            del path[-1:], groups[max(1, len(groups) - 1) :]
        else:
            yield Leaf((*path, key), value, groups[-1])
        if len(path) > MOST_DEPTH:
            raise too_deep(MOST_DEPTH)


def _joined(text: str) -> Iterator[str]:
    """Statements: lines, but for those that end within parentheses."""
    parts: list[str] = []
    depth = 0
    for line in text.splitlines():
        parts.append(line.strip())
        depth += line.count("(") - line.count(")")
        if depth <= 0:
            yield " ".join(parts)
            parts, depth = [], 0


def _text_of(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadEncodingError(
            "The text is not UTF-8.", found=str(error), expected="text in UTF-8"
        ) from error
