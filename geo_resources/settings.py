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
OF_DAGSTER = {
    # Planned materialisations of a run, written as one by our storage; else singly.
    "DAGSTER_EVENT_BATCH_SIZE": "500",
    # Ended runs that a status sensor takes in a tick; by default 25 and 5.
    "DAGSTER_RUN_STATUS_SENSOR_FETCH_LIMIT": "100",
    "DAGSTER_RUN_STATUS_SENSOR_PROCESS_LIMIT": "50",
}


def default_storage(values: dict[str, Any]) -> str:
    """Local folder of all containers, when no storage is named."""
    return (values["home"] / "storage").as_uri()


class Settings(BaseModel):
    """Every setting of Strata, by the variable that sets it (the alias)."""

    model_config = ConfigDict(
        frozen=True,
        populate_by_name=True,
        extra="forbid",
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
    production_database_url: SecretStr | None = Field(
        default=None, alias="STRATA_PRODUCTION_DATABASE_URL"
    )
    """PostgreSQL with PostGIS that serves; datasets are promoted into it when set."""
    data_factory: str | None = Field(
        default=None,
        pattern=r"(?i)^/subscriptions/[^/]+/resourceGroups/[^/]+"
        r"/providers/Microsoft\.DataFactory/factories/[^/]+/pipelines/[^/]+$",
        alias="STRATA_DATA_FACTORY",
    )
    """Resource id of the Data Factory pipeline that copies for `data_factory`."""
    data_factory_endpoint: str | None = Field(
        default=None, pattern=r"^https://", alias="STRATA_DATA_FACTORY_ENDPOINT"
    )
    """Azure Resource Manager; of the public cloud when not set."""
    data_factory_seconds: float = Field(
        default=3600.0, gt=0, alias="STRATA_DATA_FACTORY_SECONDS"
    )
    """Time that a run of the pipeline has; then it is cancelled."""
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
    event_queue: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9](?:-?[a-z0-9]){2,62}$",  # Azure's rule
        alias="STRATA_EVENT_QUEUE",
    )
    """Storage Queue with Event Grid messages of the account in `storage`."""
    webhooks: Path | None = Field(default=None, alias="STRATA_WEBHOOKS")
    """YAML or JSON file that names who is told of what becomes of datasets."""
    worker_deadline_seconds: float = Field(
        default=300.0, gt=0, alias="STRATA_WORKER_DEADLINE_SECONDS"
    )
    """Time that a worker has for any file; larger files get more."""
    worker_memory_gb: float = Field(default=3.0, gt=0, alias="STRATA_WORKER_MEMORY_GB")
    """Memory that a worker has for any file, GB of 10^9 bytes."""
    worker_memory_per_byte: float = Field(
        default=4.0, ge=0, alias="STRATA_WORKER_MEMORY_PER_BYTE"
    )
    """Bytes of memory that it has beyond that for each byte of the file."""
    query_seconds: float = Field(default=60.0, gt=0, alias="STRATA_QUERY_SECONDS")
    """Time that a query over gold has."""
    query_memory_gb: float = Field(default=1.0, gt=0, alias="STRATA_QUERY_MEMORY_GB")
    """Memory that a query over gold has, GB of 10^9 bytes."""
    keep_runs_days: float = Field(default=30.0, ge=1, alias="STRATA_KEEP_RUNS_DAYS")
    """Age from which good runs are thinned, or deleted when nothing needs them."""
    keep_failed_runs_days: float = Field(
        default=90.0, ge=1, alias="STRATA_KEEP_FAILED_RUNS_DAYS"
    )
    """The same for failed runs."""
    keep_gone_days: float = Field(default=30.0, ge=0, alias="STRATA_KEEP_GONE_DAYS")
    """Time after which a deleted file loses its partition."""
    keep_evidence_days: float = Field(
        default=365.0, ge=0, alias="STRATA_KEEP_EVIDENCE_DAYS"
    )
    """Time after which the ledger forgets evidence and facts of a deleted file."""
    keep_messages_days: float = Field(
        default=90.0, ge=1, alias="STRATA_KEEP_MESSAGES_DAYS"
    )
    """Age from which messages that are done, or set aside, are deleted."""
    live_keys: int = Field(default=10_000, ge=1, alias="STRATA_LIVE_KEYS")
    """Partitions of a dataset beyond which those of long finished files go."""
    retry_waits_seconds: str = Field(
        default="5,10,20",
        pattern=r"^\d+(\.\d+)?(,\d+(\.\d+)?)*$",
        alias="STRATA_RETRY_WAITS_SECONDS",
    )
    """Waits before each further try of a file within a run, separated by commas."""
    retry_jitter: float = Field(default=0.0, ge=0, alias="STRATA_RETRY_JITTER")
    """Random share that is added to each of these waits."""
    recovery_delay_seconds: float = Field(
        default=60.0, gt=0, alias="STRATA_RECOVERY_DELAY_SECONDS"
    )
    """Time until a failed file is queued again; doubles with each attempt."""
    recovery_attempts: int = Field(default=6, ge=1, alias="STRATA_RECOVERY_ATTEMPTS")
    """Attempts after which a failed file is left alone."""
    breaker_faults: int = Field(default=5, ge=1, alias="STRATA_BREAKER_FAULTS")
    """Faults of a service in a row after which work waits for it."""
    breaker_seconds: float = Field(default=30.0, gt=0, alias="STRATA_BREAKER_SECONDS")
    """Time until one piece of work tries the service again."""
    breaker_patience_seconds: float = Field(
        default=600.0, ge=0, alias="STRATA_BREAKER_PATIENCE_SECONDS"
    )
    """Longest time that work waits for a service before it fails."""
    local_database: bool = True
    """Whether the database is the private cluster below `home`."""

    @field_validator("home", "stac_schemas", "webhooks")
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

    def require_production_url(self) -> str:
        """The production database's URL, password included.

        Raises:
            LookupError: none is named.
        """
        if self.production_database_url is None:
            message = "no production database: set STRATA_PRODUCTION_DATABASE_URL"
            raise LookupError(message)
        return self.production_database_url.get_secret_value()

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


def secret_variable(name: str) -> SecretStr:
    """What a variable holds whose name stands in a file of the user's.

    Raises:
        LookupError: it is not set, or empty.
    """
    if value := ENVIRONMENT.get(name):
        return SecretStr(value)
    message = f"the variable {name} is not set"
    raise LookupError(message)


def process_environment(settings: Settings | None = None) -> dict[str, str]:
    """Environment for a process of ours: this one's, with the settings spelt out.

    Bytecode is kept: without it every run compiles all its imports anew.
    """
    settings = settings or Settings.from_environment()
    inherited = {k: v for k, v in ENVIRONMENT.items() if k != NOT_FOR_CHILDREN}
    return {**OF_DAGSTER, **inherited, **settings.variables()}
