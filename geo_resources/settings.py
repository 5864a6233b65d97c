"""What the environment says: read here, once, and nowhere else.

A variable that is set but empty counts as not set. Secrets are `SecretStr`: they are in
no repr and in no log; whoever needs one asks for it by `get_secret_value()`.
"""

import json
import os
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

ENVIRONMENT = os.environ  # noqa: TID251 - here and nowhere else
CHECKOUT = Path(__file__).resolve().parents[1]
SERVICES_FILE = "services.json"  # below home; written by `strata up`, mode 0600
DAGSTER_SCHEME = "postgresql+psycopg2"  # SQLAlchemy 2.1 takes psycopg 3 otherwise
NOT_FOR_CHILDREN = "PYTHONDONTWRITEBYTECODE"  # doubles the start of every run


def default_storage(values: dict[str, Any]) -> str:
    """Local folder of all containers, when no storage is named."""
    return (values["home"] / "storage").as_uri()


class Settings(BaseModel):
    """Every setting of Strata, by the variable that sets it (the alias)."""

    model_config = ConfigDict(
        frozen=True,
        populate_by_name=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    home: Path = Field(default=CHECKOUT / ".strata", alias="STRATA_HOME")
    """Folder of all local state: the private database, logs, Dagster's home."""
    storage: str = Field(default_factory=default_storage, alias="STRATA_STORAGE")
    """`file:///folder` or `az://ACCOUNT`; holds bronze, silver and gold."""
    database_url: SecretStr | None = Field(default=None, alias="STRATA_DATABASE_URL")
    """PostgreSQL with PostGIS; the private cluster of `strata up` when not set."""
    dagster_url: SecretStr | None = Field(default=None, alias="STRATA_DAGSTER_URL")
    """Database of Dagster's own runs and events; `database_url` when not set."""
    stac_schemas: Path | None = Field(default=None, alias="STRATA_STAC_SCHEMAS")
    """Folder of STAC extension schemas; without it the network is asked."""
    azure_connection_string: SecretStr | None = Field(
        default=None, alias="AZURE_STORAGE_CONNECTION_STRING"
    )
    """Connection string of the storage account (Azurite's too)."""
    azure_account_key: SecretStr | None = Field(
        default=None, alias="AZURE_STORAGE_ACCOUNT_KEY"
    )
    """Key of the storage account."""
    azure_sas_token: SecretStr | None = Field(
        default=None, alias="AZURE_STORAGE_SAS_TOKEN"
    )
    """Shared access signature of the storage account."""
    min_free_gb: float = Field(default=2.0, ge=0, alias="STRATA_MIN_FREE_GB")
    """Free disk below which `strata doctor` complains, GB of 10^9 bytes."""
    max_clock_skew_seconds: float = Field(
        default=5.0, ge=0, alias="STRATA_MAX_CLOCK_SKEW_SECONDS"
    )
    """Difference to another clock above which `strata doctor` complains."""
    settle_seconds: float = Field(default=5.0, ge=0, alias="STRATA_SETTLE_SECONDS")
    """Age from which a blob counts as completely written."""
    sensor_interval_seconds: int = Field(
        default=10, ge=1, alias="STRATA_SENSOR_INTERVAL_SECONDS"
    )
    """Shortest time between two ticks of a sensor."""
    price_hot_usd: float = Field(default=0.0115, ge=0, alias="STRATA_PRICE_HOT_USD")
    """USD per GB and month in access tier Hot."""
    price_cool_usd: float = Field(default=0.0100, ge=0, alias="STRATA_PRICE_COOL_USD")
    """USD per GB and month in access tier Cool."""
    price_archive_usd: float = Field(
        default=0.00226, ge=0, alias="STRATA_PRICE_ARCHIVE_USD"
    )
    """USD per GB and month in access tier Archive."""
    local_database: bool = True
    """Whether the database is the private cluster below `home`."""

    @field_validator("home", "stac_schemas")
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        """Our processes do not all have the same working directory."""
        return path and path.expanduser().absolute()

    @classmethod
    def from_environment(cls) -> Self:
        """The settings of this process, completed by what `strata up` wrote down.

        Raises:
            pydantic.ValidationError: a variable has a value that cannot be used.
        """
        aliases = {field.alias for field in cls.model_fields.values()}
        found = {k: v for k, v in ENVIRONMENT.items() if v and k in aliases}
        settings = cls.model_validate(found)
        return settings.model_copy(
            update={"local_database": settings.database_url is None}
        ).with_services()

    def with_services(self) -> Self:
        """These settings with the URLs of the private cluster, if it was ever up."""
        if not self.local_database or not self.services_file.exists():
            return self
        urls = json.loads(self.services_file.read_text(encoding="utf-8"))
        return self.model_copy(
            update={name: SecretStr(url) for name, url in urls.items()}
        )

    @property
    def services_file(self) -> Path:
        """Where `strata up` keeps the URLs of the private cluster."""
        return self.home / SERVICES_FILE

    @property
    def dagster_home(self) -> Path:
        """DAGSTER_HOME of everything that we start."""
        return self.home / "dagster"

    @property
    def dagster_storage_url(self) -> str | None:
        """SQLAlchemy URL of Dagster's storage, with the driver that works."""
        url = self.dagster_url or self.database_url
        if url is None:
            return None
        return f"{DAGSTER_SCHEME}://{url.get_secret_value().partition('://')[2]}"

    def require_database_url(self) -> str:
        """The database's URL, password included.

        Raises:
            LookupError: no database is named and `strata up` never ran.
        """
        if self.database_url is None:
            message = f"no database below {self.home}: run `strata up` first"
            raise LookupError(message)
        return self.database_url.get_secret_value()

    def variables(self) -> dict[str, str]:
        """The variables that give another process these settings."""
        told = self.model_fields_set | {"home", "storage"}
        named = {
            field.alias: _plain(getattr(self, name))
            for name, field in type(self).model_fields.items()
            if field.alias and name in told and getattr(self, name) is not None
        }
        if self.local_database:  # a child reads them from services.json
            named.pop("STRATA_DATABASE_URL", None)
            named.pop("STRATA_DAGSTER_URL", None)
        storage = self.dagster_storage_url
        dagster = {"STRATA_DAGSTER_STORAGE_URL": storage} if storage else {}
        return {**named, **dagster, "DAGSTER_HOME": str(self.dagster_home)}


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def process_environment(settings: Settings | None = None) -> dict[str, str]:
    """Environment for a process of ours: this one's, with the settings spelt out.

    Bytecode is kept: without it every run compiles all its imports anew.
    """
    settings = settings or Settings.from_environment()
    inherited = {k: v for k, v in ENVIRONMENT.items() if k != NOT_FOR_CHILDREN}
    return {**inherited, **settings.variables()}
