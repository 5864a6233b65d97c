"""Where the schemas of STAC extensions lie; they are not ours to ship."""

from pathlib import Path

import dagster as dg
from pydantic import Field


class StacSchemas(dg.ConfigurableResource):
    """A folder of extension schemas; without one, extensions are not checked."""

    folder: str = Field(default="", description="STRATA_STAC_SCHEMAS; empty: none")

    @property
    def path(self) -> Path | None:
        """The folder, if there is one."""
        return Path(self.folder) if self.folder else None
