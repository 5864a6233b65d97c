"""How long, and with how much memory, worker processes may work on files."""

from typing import Self

import dagster as dg
from pydantic import Field

from geo_resources import machine
from geo_resources.settings import Settings

MACHINE_SHARE = 0.8  # of the memory: what is left is for PostgreSQL and the daemon


class WorkerLimits(dg.ConfigurableResource):
    """Bounds by the size of the source; a worker that exceeds them is killed."""

    deadline_base_seconds: float = Field(default=300.0, description="For any source")
    slowest_bytes_per_second: float = Field(
        default=500_000.0, description="Of the source as stored; far below any machine"
    )
    memory_base_bytes: int = Field(
        default=3_000_000_000,
        description="For any source; ordinary ones take 0.6 GB at most",
    )
    memory_ordinary_bytes: int = Field(
        default=600_000_000, description="What any source is expected to take"
    )
    memory_per_byte: float = Field(
        default=4.0, description="Bytes of memory per source byte"
    )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The bounds that the settings name."""
        return cls(
            deadline_base_seconds=settings.worker_deadline_seconds,
            memory_base_bytes=int(settings.worker_memory_gb * 1e9),
            memory_per_byte=settings.worker_memory_per_byte,
        )

    def deadline_seconds(self, size_bytes: int) -> float:
        """How long work on a source of this size may take before it counts as hung.

        >>> WorkerLimits().deadline_seconds(1_000_000_000)
        2300.0
        """
        return self.deadline_base_seconds + size_bytes / self.slowest_bytes_per_second

    def memory_bytes(self, size_bytes: int) -> int:
        """How much memory one call on a source of this size may take for itself.

        Never more than most of the machine's: else its out-of-memory killer chooses
        whom it ends, and it may be PostgreSQL.

        >>> limits = WorkerLimits(memory_base_bytes=1_000, memory_per_byte=4)
        >>> limits.memory_bytes(50), limits.memory_bytes(1 << 60) < 1 << 60
        (1200, True)
        """
        by_size = self.memory_base_bytes + self.memory_per_byte * size_bytes
        return int(min(by_size, machine_bytes()))

    def expected_bytes(self, size_bytes: int) -> int:
        """How much memory is set aside for a source of this size (ADR 0024).

        >>> limits = WorkerLimits(memory_ordinary_bytes=500, memory_per_byte=4)
        >>> limits.expected_bytes(50)
        700
        """
        by_size = self.memory_ordinary_bytes + self.memory_per_byte * size_bytes
        return int(min(by_size, self.memory_bytes(size_bytes)))

    @staticmethod
    def share_bytes(runs: int) -> int:
        """How much memory the workers of each of so many runs may take together."""
        return machine_bytes() // max(runs, 1)


def machine_bytes() -> int:
    """Memory of this machine, or container, that workers may take."""
    return int(MACHINE_SHARE * machine.memory_bytes())
