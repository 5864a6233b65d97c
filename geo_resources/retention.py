"""How long what is over is kept: the policy, as the settings name it."""

from datetime import datetime, timedelta
from typing import Self

import dagster as dg
from pydantic import Field

from geo_resources.settings import Settings

MOST_KEYS = 50_000  # of a dataset; the pages of Dagster slow down towards 100,000


class Retention(dg.ConfigurableResource):
    """Ages and numbers beyond which something goes; see docs/operations.md."""

    runs_days: float = Field(default=30.0, description="Good and cancelled runs")
    failed_runs_days: float = Field(default=90.0, description="Failed runs")
    gone_days: float = Field(default=30.0, description="Partitions of deleted files")
    evidence_days: float = Field(default=365.0, description="Evidence on deleted files")
    messages_days: float = Field(default=90.0, description="Messages that are done")
    live_keys: int = Field(
        default=10_000, description="Partitions of a dataset, aimed at"
    )
    most_keys: int = Field(
        default=MOST_KEYS, description="Partitions of a dataset, at most"
    )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The policy that the settings name."""
        return cls(
            runs_days=settings.keep_runs_days,
            failed_runs_days=settings.keep_failed_runs_days,
            gone_days=settings.keep_gone_days,
            evidence_days=settings.keep_evidence_days,
            messages_days=settings.keep_messages_days,
            live_keys=settings.live_keys,
        )


def days_before(now: datetime, days: float) -> datetime:
    """The moment so many days ago."""
    return now - timedelta(days=days)
