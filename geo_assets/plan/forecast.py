"""What would be made of a dataset's files: a sample is tried, the rest is reckoned.

Pure: numbers in, numbers out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

SECONDS_PER_FILE = 0.1  # around the work itself: `bench/bench_overhead.py`
SECONDS_PER_MINUTE = 60


@dataclass(frozen=True)
class Trial:
    """What became of a file.

    Attributes:
        made: bytes by tier; of tables, of their rows as they are sent.
        skipped: tiers that make no sense for it, and why.
        tables: that its layers become.
        seconds: of work on one core.
        peak_bytes: most memory of the process so far.
    """

    made: dict[str, int]
    skipped: dict[str, str] = field(default_factory=dict)
    tables: tuple[str, ...] = ()
    rows: int = 0
    rows_refused: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0


class _Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Refusal(_Said):
    """A file of the sample that would be refused."""

    blob: str
    bytes: int
    code: str
    message: str


class Made(_Said):
    """What would be made of one kind: a tier, or tables.

    Attributes:
        usd_per_month: of keeping it; None where the database keeps it.
        basis: `history` of the accepted files of the dataset, or `trial`.
    """

    bytes: int
    usd_per_month: float | None
    basis: Literal["history", "trial"]


class Forecast(_Said):
    """What would be made of the files of a dataset.

    Attributes:
        files, bytes: that would be tried.
        done: accepted as they are, and not made again.
        rejected: refused as they are, and not tried again.
        copies: of the files, known to have the content of another.
        tried: files of the sample that were made, or refused, for this forecast.
        too_large: files of the sample that were only looked at.
        usable: share of the tried files that would be accepted.
        skipped: tiers that would not be made of some files of the sample: why, and of
            how many.
        tables: how many would be written; None if unknown, for nothing was tried.
        collisions: tables of the sample that exist and are not the dataset's.
        minutes: with all cores of this machine; None if nothing was tried.
        memory_bytes: most that the work takes at once on this machine; None likewise.
    """

    dataset: str
    files: int
    bytes: int
    done: int
    rejected: int
    copies: int
    tried: int
    too_large: int
    usable: float | None
    refusals: tuple[Refusal, ...]
    made: dict[str, Made]
    skipped: dict[str, int]
    tables: int | None
    rows: int | None
    rows_refused: int | None
    collisions: tuple[str, ...]
    minutes: float | None
    memory_bytes: int | None

    @property
    def usd_per_month(self) -> float:
        """Of keeping all of it."""
        return sum(one.usd_per_month or 0 for one in self.made.values())


class Tried(_Said):
    """The sample of a dataset.

    Attributes:
        trials: bytes of each source that was made, and what became of it.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    trials: tuple[tuple[int, Trial], ...]
    refusals: tuple[Refusal, ...]
    too_large: int

    @property
    def count(self) -> int:
        """Files that were made, or refused."""
        return len(self.trials) + len(self.refusals)

    @property
    def usable(self) -> float | None:
        """Share that would be accepted."""
        return len(self.trials) / self.count if self.count else None

    @property
    def usable_bytes(self) -> float:
        """The same by bytes; all of them if none was tried."""
        good = sum(size for size, _ in self.trials)
        tried = good + sum(one.bytes for one in self.refusals)
        return good / tried if tried else 1.0


def rates(
    tried: Tried, history: Mapping[str, float]
) -> dict[str, tuple[float, Literal["history", "trial"]]]:
    """Bytes made per byte of the source, by kind: as it was, else as it is in trial.

    >>> one = Trial(made={"analysis": 30})
    >>> rates(Tried(trials=((10, one),), refusals=(), too_large=0), {"archive": 2.0})
    {'archive': (2.0, 'history'), 'analysis': (3.0, 'trial')}
    """
    source = sum(size for size, _ in tried.trials)
    made: Counter[str] = Counter()
    for _, trial in tried.trials:
        made.update(trial.made)
    fresh = {kind: size / source for kind, size in made.items()} if source else {}
    return {
        **{kind: (rate, "history") for kind, rate in history.items()},
        **{k: (rate, "trial") for k, rate in fresh.items() if k not in history},
    }


def minutes(tried: Tried, files: int, size_bytes: int, cores: int) -> float | None:
    """How long all the files take on so many cores; None if none was tried.

    >>> two = Tried(trials=((10, Trial({}, seconds=6)),), refusals=(), too_large=0)
    >>> minutes(two, 0, 100, cores=2)
    0.5
    """
    source = sum(size for size, _ in tried.trials)
    if not source:
        return None
    work = sum(one.seconds for _, one in tried.trials) / source * size_bytes / cores
    return (work + files * SECONDS_PER_FILE) / SECONDS_PER_MINUTE


def scaled(found: Sequence[int], share: float, files: int) -> int | None:
    """A number per file of the sample, as it is for all of them.

    >>> scaled([1, 3], 0.5, 10), scaled([], 1, 10)
    (10, None)
    """
    return round(sum(found) / len(found) * share * files) if found else None
