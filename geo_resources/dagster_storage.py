"""Dagster's storage in PostgreSQL, whose event log takes many events at once.

A run tells Dagster some fifteen things of each file. Dagster's own storage writes each
in up to three connections and five statements; together they cost a few (ADR 0022).
Rows are the same as Dagster's. `dagster.yaml` names the class; tables and columns are
those of Dagster 1.13, and a test compares with what the installed version writes.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecordStatus as Status,
)
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    SqlEventLogStorageTable,
)
from dagster._serdes import ConfigurableClassData, serialize_value
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import get_token_provider_from_config, pg_url_from_config
from sqlalchemy.dialects import postgresql

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

TOGETHER = 500  # events in one statement
EVALUATED = dg.DagsterEventType.ASSET_CHECK_EVALUATION
OF_ASSETS = {
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_OBSERVATION,
}

UNIQUE = "asset_key", "check_name", "run_id", "partition"  # Dagster's index

Config = Mapping[str, Any]
Stored = tuple[int, dg.EventLogEntry]


class BatchingEventLog(PostgresEventLogStorage):
    """Dagster's event log; events that come together are written together."""

    def __init__(self, **given: Any) -> None:  # noqa: ANN401
        super().__init__(**given)
        self._kept = threading.local()

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Config
    ) -> "BatchingEventLog":
        """As Dagster makes it of the instance's configuration."""
        return cls(inst_data=inst_data, **_arguments(config_value))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Keep what this thread stores, and write it at the end; not nested.

        After an error nothing of it is written.
        """
        self._kept.events = []
        try:
            yield
            events = self._kept.events
        finally:
            del self._kept.events
        self.store_event_batch(events)

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Write an event, or keep it until `together` ends."""
        kept = getattr(self._kept, "events", None)
        if kept is None:
            super().store_event(event)
        else:
            kept.append(event)

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Write events in their order; those of assets and checks as one."""
        for begin in range(0, len(events), TOGETHER):
            some = events[begin : begin + TOGETHER]
            if all(map(_fits, some)):
                self._store_together(some)
            elif any(event.dagster_event_type == EVALUATED for event in some):
                for event in some:
                    super().store_event(event)
            else:
                super().store_event_batch(some)

    def _store_together(self, events: Sequence[dg.EventLogEntry]) -> None:
        """As Dagster: the log first, by itself, then what is looked up in it."""
        insert = SqlEventLogStorageTable.insert().returning(
            SqlEventLogStorageTable.c.id, sort_by_parameter_order=True
        )
        with self._connect() as connection:
            rows = [self._event_to_row(event) for event in events]
            ids = [row[0] for row in connection.execute(insert, rows)]
        stored = list(zip(ids, events, strict=True))
        evaluations = [one for one in stored if one[1].dagster_event_type == EVALUATED]
        of_assets = [one for one in stored if one[1].dagster_event_type != EVALUATED]
        with self.index_transaction() as connection:
            if evaluations:
                self._store_evaluations(connection, evaluations)
            if of_assets:
                numbers, made = zip(*of_assets, strict=True)
                self._store_asset_event_tags(connection, made, numbers)
            for number, event in _newest(of_assets):
                self._store_asset_event(connection, event, number)

    def _store_evaluations(
        self, connection: "Connection", stored: Sequence[Stored]
    ) -> None:
        """Insert the row of each evaluation, or fill in that of a planned one."""
        rows = {}
        for number, event in stored:
            row = self._evaluation_row(number, event)
            rows[tuple(row[name] for name in UNIQUE)] = row
        insert = postgresql.insert(AssetCheckExecutionsTable)
        changed = set(next(iter(rows.values()))) - set(UNIQUE)
        upsert = insert.on_conflict_do_update(
            index_elements=list(UNIQUE),
            set_={name: insert.excluded[name] for name in changed},
        )
        connection.execute(upsert, list(rows.values()))

    def _evaluation_row(self, number: int, event: dg.EventLogEntry) -> dict[str, Any]:
        evaluation = _evaluation(event)
        target = evaluation.target_materialization_data
        status = Status.SUCCEEDED if evaluation.passed else Status.FAILED
        return {
            "asset_key": evaluation.asset_key.to_string(),
            "check_name": evaluation.check_name,
            "partition": evaluation.partition,
            "run_id": event.run_id,
            "execution_status": status.value,
            "evaluation_event": serialize_value(event),
            "evaluation_event_timestamp": self._event_insert_timestamp(event),
            "evaluation_event_storage_id": number,
            "materialization_event_storage_id": target.storage_id if target else None,
        }


class Storage(DagsterPostgresStorage):
    """Dagster's storage in PostgreSQL, with this event log."""

    def __init__(
        self,
        *,
        inst_data: ConfigurableClassData | None = None,
        **given: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(inst_data=inst_data, **given)
        made = {"should_autocreate_tables": False}  # they are there by now
        self._event_log_storage = BatchingEventLog(**given | made)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Config
    ) -> "Storage":
        """As Dagster makes it of the instance's configuration."""
        return cls(inst_data=inst_data, **_arguments(config_value))

    @property
    def event_storage_data(self) -> ConfigurableClassData | None:
        """How another process makes the event log."""
        if self.inst_data is None:
            return None
        name, config = BatchingEventLog.__name__, self.inst_data.config_yaml
        return ConfigurableClassData(__name__, name, config)


def together(instance: dg.DagsterInstance) -> AbstractContextManager[None]:
    """Events of assets and checks that this thread logs within are written as one.

    With a storage that is not ours, which tests have, each is written by itself.
    """
    log = instance.event_log_storage
    return log.together() if isinstance(log, BatchingEventLog) else nullcontext()


def _arguments(config: Config) -> dict[str, Any]:
    return {
        "postgres_url": pg_url_from_config(config),
        "should_autocreate_tables": config.get("should_autocreate_tables", True),
        "token_provider": get_token_provider_from_config(config),
    }


def _fits(event: dg.EventLogEntry) -> bool:
    """Whether an event can be written with others: its rows have a unique key."""
    if event.dagster_event_type != EVALUATED:
        return event.dagster_event_type in OF_ASSETS
    return bool(event.run_id) and _evaluation(event).partition is not None


def _evaluation(event: dg.EventLogEntry) -> dg.AssetCheckEvaluation:
    data = event.get_dagster_event().event_specific_data
    return cast("dg.AssetCheckEvaluation", data)


def _newest(stored: Sequence[Stored]) -> list[Stored]:
    """The last of each asset and kind: the others would be overwritten at once.

    By asset, so that two runs never wait for each other.
    """
    last = {}
    for one in stored:
        key = one[1].get_dagster_event().asset_key
        if key is not None:
            last[key.to_string(), one[1].dagster_event_type] = one
    in_time = sorted(last.items(), key=lambda entry: (entry[0][0], entry[1][0]))
    return [one for _, one in in_time]
