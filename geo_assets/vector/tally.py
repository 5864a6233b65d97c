"""Counts of what becomes of rows, from several threads."""

import threading
from collections.abc import Mapping, Sequence

import numpy as np

from geo_assets.vector.model import LayerTally
from geo_assets.vector.shapes import NOWHERE, Extent, Shapes, joined
from geo_assets.vector.wkb import KINDS, Flags

_MOST_REASONS = 50  # that are told apart; readers may put positions into theirs
_OTHER = "other reasons"


class Tally:
    """A layer's counts as they grow."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = LayerTally()
        self._extent = self._extent_source = NOWHERE

    def note(
        self,
        keep: Flags,
        refused: Sequence[str],
        changed: Mapping[str, int],
        shapes: Shapes | None,
    ) -> None:
        """Add a batch.

        Args:
            keep: rows of it that are loaded.
            refused: reasons of those that are not.
            changed: values that were changed, by kind of change.
            shapes: its geometries, cleaned.
        """
        loaded = int(keep.sum())
        with self._lock:
            counts = self._counts
            counts.rows_read += loaded + len(refused)
            counts.rows_loaded += loaded
            for reason in refused:
                known = reason in counts.refused or len(counts.refused) < _MOST_REASONS
                _add(counts.refused, {reason if known else _OTHER: 1})
            _add(counts.changed, changed)
            if shapes is not None:
                self._note_shapes(shapes, keep)

    def _note_shapes(self, shapes: Shapes, keep: Flags) -> None:
        counts = self._counts
        _add(counts.changed, shapes.changed)
        _add(counts.geometry_types, _types(shapes.kinds[keep]))
        counts.invalid_before += shapes.invalid
        self._extent = joined(self._extent, shapes.extent)
        self._extent_source = joined(self._extent_source, shapes.extent_source)

    def copy(self) -> LayerTally:
        """The counts so far."""
        with self._lock:
            changed = {what: n for what, n in self._counts.changed.items() if n}
            found = self._counts.model_copy(update={"changed": changed}, deep=True)
            found.extent = _stated(self._extent)
            found.extent_source = _stated(self._extent_source)
            return found


def _types(kinds: np.ndarray) -> dict[str, int]:
    numbers, counts = np.unique(kinds, return_counts=True)
    pairs = zip(numbers.tolist(), counts.tolist(), strict=True)
    return {KINDS.get(number, "NULL"): count for number, count in pairs}


def _add(counts: dict[str, int], more: Mapping[str, int]) -> None:
    for what, number in more.items():
        counts[what] = counts.get(what, 0) + number


def _stated(extent: Extent) -> Extent | None:
    return None if extent == NOWHERE else extent
