"""How far a piece of work is, how fast it goes, and how long it will yet take. Pure."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Unit = Literal["files", "tiles"]
"""What is counted; tiles are parts of a file."""


@dataclass(frozen=True)
class Standing:
    """Work at one moment.

    Attributes:
        files: done, well or badly.
        total_files: to be done.
        bytes: of the files that are done.
        total_bytes: of all of them; 0 if sizes say nothing of the work.
        seconds: since the work began.
        unit: what `files` are.
    """

    files: int
    total_files: int
    bytes: int
    total_bytes: int
    seconds: float
    unit: Unit = "files"

    @property
    def share_done(self) -> float:
        """Between 0 and 1: a file costs something by itself, and by its bytes.

        >>> Standing(1, 2, 10, 100, 5).share_done
        0.3
        """
        if self.files >= self.total_files:
            return 1.0
        by_files = self.files / self.total_files
        if not self.total_bytes:
            return by_files
        return (by_files + self.bytes / self.total_bytes) / 2

    @property
    def bytes_per_second(self) -> float | None:
        """Speed so far; None when nothing is done yet."""
        return self.bytes / self.seconds if self.seconds > 0 and self.files else None

    @property
    def remaining_seconds(self) -> float | None:
        """What is left at the speed so far; None when nothing is done yet.

        >>> Standing(1, 4, 25, 100, 10).remaining_seconds
        30.0
        """
        share = self.share_done
        return self.seconds * (1 - share) / share if share else None

    def words(self) -> str:
        """In one line, for people.

        >>> Standing(12, 20, 34_100_000, 80_000_000, 11).words()
        '12/20 files, 34.1 of 80.0 MB, 3.1 MB/s, 10 s left'
        >>> Standing(0, 20, 0, 80_000_000, 0).words()
        '0/20 files, 0.0 of 80.0 MB'
        >>> Standing(4, 16, 0, 0, 11, "tiles").words()
        '4/16 tiles, 33 s left'
        """
        parts = [f"{self.files}/{self.total_files} {self.unit}"]
        if self.total_bytes:
            done, total = self.bytes / 1e6, self.total_bytes / 1e6
            parts.append(f"{done:.1f} of {total:.1f} MB")
        if self.bytes_per_second:
            parts.append(f"{self.bytes_per_second / 1e6:.1f} MB/s")
        if self.remaining_seconds is not None:
            parts.append(f"{duration(self.remaining_seconds)} left")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """A time span in its two largest units.

    >>> duration(9.4), duration(75), duration(7_380), duration(200_000)
    ('9 s', '1 min 15 s', '2 h 03 min', '2 d 07 h')
    """
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004
        return f"{whole} s"
    if whole < 3_600:  # noqa: PLR2004
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:  # noqa: PLR2004
        return f"{whole // 3_600} h {whole % 3_600 // 60:02} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3_600:02} h"


class Progress:
    """Counts what is done.

    Args:
        total_files: to be done.
        total_bytes: of all of them.
        clock: seconds; the work begins now.
        unit: what is counted.
    """

    def __init__(
        self,
        total_files: int,
        total_bytes: int,
        clock: Callable[[], float] = time.monotonic,
        unit: Unit = "files",
    ) -> None:
        self._unit: Unit = unit
        self._total_files = total_files
        self._total_bytes = total_bytes
        self._clock = clock
        self._began = clock()
        self._files = self._bytes = 0

    def add(self, size_bytes: int) -> Standing:
        """One more file is done."""
        self._files += 1
        self._bytes += size_bytes
        return self.standing()

    def standing(self) -> Standing:
        """Where the work is now."""
        return Standing(
            self._files,
            self._total_files,
            self._bytes,
            self._total_bytes,
            self._clock() - self._began,
            self._unit,
        )
