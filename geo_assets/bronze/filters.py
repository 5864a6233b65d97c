"""Which blobs an inventory looks at, as run configuration and on the command line."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from geo_assets.bronze.kinds import extension


class Filters(BaseModel):
    """All blobs, unless something is said. What matches none is an empty inventory.

    Attributes:
        containers: only these of the platform's containers.
        prefix: only names that begin so.
        extensions: only these, with or without a dot; `""` is having none.
        modified_since, modified_before: from this time on, and before that; UTC if it
            says nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    containers: tuple[str, ...] = ()
    prefix: str = ""
    extensions: tuple[str, ...] = ()
    min_bytes: int | None = Field(default=None, ge=0)
    max_bytes: int | None = Field(default=None, ge=0)
    modified_since: datetime | None = None
    modified_before: datetime | None = None

    @field_validator("extensions")
    @classmethod
    def _without_dots(cls, given: Sequence[str]) -> tuple[str, ...]:
        return tuple(sorted({one.lower().lstrip(".") for one in given}))

    @field_validator("modified_since", "modified_before")
    @classmethod
    def _aware(cls, moment: datetime | None) -> datetime | None:
        if moment is None:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    @property
    def folder(self) -> str:
        """The innermost folder that holds every name of the prefix.

        >>> Filters(prefix="dem/2024/til").folder
        'dem/2024'
        """
        return self.prefix.rpartition("/")[0]

    def take(self, name: str, size_bytes: int, modified: datetime) -> bool:
        """Whether a blob is looked at.

        >>> Filters(extensions=(".TIF",)).take("a/b.tif", 1, datetime.now(UTC))
        True
        """
        return (
            name.startswith(self.prefix)
            and (not self.extensions or extension(name) in self.extensions)
            and (self.min_bytes is None or size_bytes >= self.min_bytes)
            and (self.max_bytes is None or size_bytes <= self.max_bytes)
            and (self.modified_since is None or modified >= self.modified_since)
            and (self.modified_before is None or modified < self.modified_before)
        )

    @property
    def as_json(self) -> dict[str, Any]:
        """What was said; nothing for all blobs."""
        return self.model_dump(mode="json", exclude_defaults=True)
