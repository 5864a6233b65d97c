"""How long, and with how much memory, a query over gold may work."""

from typing import Self

import dagster as dg
from pydantic import Field

from geo_resources.settings import Settings


class QueryLimits(dg.ConfigurableResource):
    """Bounds of a query, named or ad hoc."""

    seconds: float = Field(default=60.0, gt=0, description="Then it is ended")
    memory_bytes: int = Field(
        default=1_000_000_000, gt=0, description="Of DuckDB; nothing goes to disk"
    )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The bounds that the settings name."""
        return cls(
            seconds=settings.query_seconds,
            memory_bytes=int(settings.query_memory_gb * 1e9),
        )
