"""The production database: one that serves, and that no file is ever loaded into."""

from pydantic import Field

from geo_resources.database import Database
from geo_resources.settings import Settings


class ProductionDatabase(Database):
    """The database into which datasets are promoted."""

    application_name: str = Field(
        default="strata promotion", description="What pg_stat_activity shows"
    )

    @property
    def address(self) -> str:
        """URL of libpq's form, password included; from the settings when omitted."""
        return self.url or Settings.from_environment().require_production_url()
