"""What storing a product costs, by the access tier it lies in."""

from collections.abc import Mapping
from typing import Literal, Self

import dagster as dg
from pydantic import Field

from geo_resources.settings import Settings

AccessTier = Literal["Hot", "Cool"]
BYTES_PER_GB = 10**9
ACCESS_TIERS: Mapping[str, AccessTier] = {"archive": "Cool"}  # all else: Hot


class Prices(dg.ConfigurableResource):
    """USD per GB (10^9 bytes) and month, by access tier."""

    hot_usd: float = Field(default=0.0115, ge=0, description="Access tier Hot")
    cool_usd: float = Field(default=0.0100, ge=0, description="Access tier Cool")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The rates that the settings name."""
        return cls(hot_usd=settings.price_hot_usd, cool_usd=settings.price_cool_usd)

    def monthly_usd(self, size_bytes: int, access_tier: AccessTier) -> float:
        """Cost of keeping `size_bytes` for a month, USD.

        >>> round(Prices().monthly_usd(2 * 10**9, "Hot"), 4)
        0.023
        """
        return size_bytes / BYTES_PER_GB * self.usd_per_gb(access_tier)

    def usd_per_gb(self, access_tier: AccessTier) -> float:
        """The rate of an access tier."""
        return {"Hot": self.hot_usd, "Cool": self.cool_usd}[access_tier]
