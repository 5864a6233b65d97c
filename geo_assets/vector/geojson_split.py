"""GeoJSON cut into its features, a chunk at a time, without parsing them.

Only quotes and braces are looked at, with numpy; how the text is laid out in lines does
not matter, and memory does not grow with the file.
"""

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from geo_assets.errors import CorruptError, TooLargeError

CHUNK_BYTES = 4 << 20
MAX_FEATURE_BYTES = 1 << 30
_QUOTE, _BACKSLASH, _OPEN, _CLOSE, _SPACE = b'"\\{} '
_TRAILER_BYTES = 16 << 20
_BETWEEN = np.zeros(256, dtype=bool)
_BETWEEN[list(b" \t\r\n,\x1e")] = True
_END_OF_ARRAY = ord("]")


class Splitter:
    """The features of a file, once.

    Args:
        path: GeoJSON in UTF-8, without byte order mark.
        start: where the first feature may begin.
        max_depth: of objects in objects, within a feature.
    """

    def __init__(self, path: Path, start: int, max_depth: int) -> None:
        self._path, self._start, self._max_depth = path, start, max_depth
        self.trailer = b""
        """What follows the features, once all were read."""

    def __iter__(self) -> Iterator[pa.StringArray]:
        """Features as text, some megabytes at a time, without a copy.

        Raises:
            CorruptError: the file ends within a feature, or holds something else.
            TooLargeError: a feature is larger than a gigabyte or nested too deeply.
        """
        rest, wanted = b"", CHUNK_BYTES
        with self._path.open("rb") as file:
            file.seek(self._start)
            while True:
                raw = file.read(max(1, wanted - len(rest)))
                buffer = bytearray(rest) + raw
                starts, ends = self._objects(buffer)
                stop = self._blank(buffer, starts, ends)
                if stop is not None:
                    starts, ends = starts[starts < stop], ends[ends <= stop]
                if len(starts):
                    yield _array(buffer, starts, ends)
                done = int(ends[-1]) if len(ends) else 0
                if stop is not None or not raw:
                    tail = stop if stop is not None else done
                    self._finish(bytes(buffer[tail:]), file.read(_TRAILER_BYTES), stop)
                    return
                rest = bytes(buffer[done:])
                wanted = _next_size(len(rest))

    def _objects(self, buffer: bytearray) -> tuple[np.ndarray, np.ndarray]:
        """Where the whole objects in the buffer begin, and where they are past."""
        data = np.frombuffer(buffer, np.uint8)
        at = np.flatnonzero((data == _QUOTE) | (data == _OPEN) | (data == _CLOSE))
        kinds = data[at]
        quotes = kinds == _QUOTE
        if buffer.find(_BACKSLASH) >= 0:
            real = ~(quotes & _escaped(data, at))
            at, kinds, quotes = at[real], kinds[real], quotes[real]
        outside = (np.cumsum(quotes, dtype=np.int32) & 1) == 0
        braces = outside & ~quotes
        at, opens = at[braces], kinds[braces] == _OPEN
        depth = np.cumsum(np.where(opens, 1, -1), dtype=np.int32)
        self._check_depth(depth)
        starts = at[opens & (depth == 1)]
        ends = at[~opens & (depth == 0)] + 1
        return starts[: len(ends)], ends

    def _check_depth(self, depth: np.ndarray) -> None:
        if len(depth) and int(depth.max()) > self._max_depth:
            raise TooLargeError(
                f"A feature nests objects more than {self._max_depth} deep.",
                found=int(depth.max()),
                expected=f"at most {self._max_depth} (limits.max_depth)",
            )

    @staticmethod
    def _blank(buffer: bytearray, starts: np.ndarray, ends: np.ndarray) -> int | None:
        """Blank what lies between features; where their array ends, if it does."""
        data = np.frombuffer(buffer, np.uint8)
        done = int(ends[-1]) if len(ends) else 0
        begun = buffer.find(b"{", done)  # a feature that is cut off by the chunk
        first = np.concatenate([[0], ends])
        last = np.concatenate([starts, [len(data) if begun < 0 else begun]])
        between = _ranges(first, last)
        odd = between[~_BETWEEN[data[between]]]
        if not len(odd):
            data[between] = _SPACE
            return None
        stop = int(odd[0])
        if data[stop] != _END_OF_ARRAY:
            raise _corrupt(repr(bytes(buffer[stop : stop + 20])))
        data[between[between < stop]] = _SPACE
        return stop

    def _finish(self, rest: bytes, more: bytes, stop: int | None) -> None:
        self.trailer = rest + more
        if stop is None and rest.strip(b" \t\r\n,\x1e\0"):
            raise _corrupt("the file ends within a feature")


def ahead(chunks: Iterable[pa.StringArray]) -> Iterator[pa.StringArray]:
    """The chunks, each made in a thread while the one before is worked on."""
    source = iter(chunks)
    with ThreadPoolExecutor(1, "split") as pool:
        coming = pool.submit(next, source, None)
        while (chunk := coming.result()) is not None:
            coming = pool.submit(next, source, None)
            yield chunk


def _next_size(rest: int) -> int:
    """Bytes of the next buffer: more when not even one feature fitted."""
    if rest > MAX_FEATURE_BYTES:
        raise TooLargeError(
            "A feature is larger than a gigabyte.",
            found=f"more than {rest} bytes",
            expected=f"at most {MAX_FEATURE_BYTES} bytes",
        )
    return max(CHUNK_BYTES, 2 * rest) if rest > CHUNK_BYTES // 2 else CHUNK_BYTES


def _escaped(data: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Which of the positions follow an odd number of backslashes."""
    count = np.zeros(len(at), dtype=np.int32)
    left = np.flatnonzero(at > 0)
    back = 1
    while len(left):
        left = left[at[left] >= back]
        left = left[data[at[left] - back] == _BACKSLASH]
        count[left] += 1
        back += 1
    return (count & 1) == 1


def _ranges(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """All positions from `first` up to `last`, of all pairs."""
    sizes = last - first
    steps = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.repeat(first, sizes) + steps


def _array(buffer: bytearray, starts: np.ndarray, ends: np.ndarray) -> pa.StringArray:
    """The features as text on the buffer itself; blanks between them belong to one."""
    offsets = np.append(starts, ends[-1]).astype(np.int32)
    return pa.StringArray.from_buffers(
        len(starts), pa.py_buffer(offsets), pa.py_buffer(buffer)
    )


def _corrupt(found: str) -> CorruptError:
    return CorruptError(
        "The GeoJSON is damaged or cut off.",
        found=found,
        expected="features, one after the other",
    )


_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]]', re.DOTALL)
_FEATURES = re.compile(rb"\s*:\s*\[")
_HEADER_BYTES = 16 << 20


@dataclass(frozen=True)
class Header:
    """What comes before the features of a FeatureCollection."""

    text: bytes
    """From the first brace to the bracket that opens the features."""
    start: int
    """Bytes before the first feature."""


def find_features(path: Path) -> Header | None:
    """Where the features of a FeatureCollection begin; None if it is none."""
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    depth = 0
    for token in _TOKENS.finditer(head):
        text = token.group()
        if text in b"{[":
            depth += 1
        elif text in b"}]":
            depth -= 1
        if depth == 0:
            return None
        if depth == 1 and text == b'"features"':
            colon = _FEATURES.match(head, token.end())
            if colon is not None:
                return Header(head[: colon.end()], colon.end())
    return None
