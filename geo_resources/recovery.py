"""How long and how often the platform tries again: numbers, from the settings."""

import random
from datetime import timedelta
from pathlib import Path
from typing import Self

import dagster as dg
from pydantic import Field

from geo_resources.breakers import Breakers
from geo_resources.settings import Settings

BREAKERS_FOLDER = "breakers"  # below home


class Recovery(dg.ConfigurableResource):
    """Waits within a run, delays between runs, and the breakers before the services."""

    waits_seconds: list[float] = Field(
        default=[5, 10, 20], description="Before each further try within a run"
    )
    jitter: float = Field(
        default=0, ge=0, description="Random share added to each of these waits"
    )
    first_delay_seconds: float = Field(
        default=60,
        gt=0,
        description="Until a failed file is queued again; doubles with each attempt",
    )
    most_attempts: int = Field(
        default=6, ge=1, description="Runs that a failing file takes part in"
    )
    folder: str = Field(description="Where the breakers of this host keep their state")
    breaker_faults: int = Field(
        default=5, ge=1, description="Faults in a row after which a breaker opens"
    )
    breaker_seconds: float = Field(
        default=30, gt=0, description="How long it stays open before a trial"
    )
    breaker_patience_seconds: float = Field(
        default=600, ge=0, description="Longest time that work waits for it"
    )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The numbers that the settings name."""
        return cls(
            waits_seconds=[float(w) for w in settings.retry_waits_seconds.split(",")],
            jitter=settings.retry_jitter,
            first_delay_seconds=settings.recovery_delay_seconds,
            most_attempts=settings.recovery_attempts,
            folder=str(settings.home / BREAKERS_FOLDER),
            breaker_faults=settings.breaker_faults,
            breaker_seconds=settings.breaker_seconds,
            breaker_patience_seconds=settings.breaker_patience_seconds,
        )

    def wait(self, tries: int) -> float | None:
        """Seconds to wait after so many tries; None when it was the last."""
        if tries > len(self.waits_seconds):
            return None
        spread = random.uniform(0, self.jitter)  # noqa: S311 - no secret
        return self.waits_seconds[tries - 1] * (1 + spread)

    def delay(self, attempts: int) -> timedelta | None:
        """Time until a failed file is queued again; None when it is left alone."""
        if attempts >= self.most_attempts:
            return None
        return timedelta(seconds=self.first_delay_seconds) * 2 ** (attempts - 1)

    def open_breakers(self) -> Breakers:
        """The breakers that all processes of this host share."""
        return Breakers(
            Path(self.folder),
            self.breaker_faults,
            self.breaker_seconds,
            self.breaker_patience_seconds,
        )
