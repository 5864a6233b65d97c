"""Azure Data Factory as what carries rows: a pipeline of the user's, run and watched.

The pipeline copies each query's answer into a table of texts in production, which we
make and read: no geometry has to pass through its connectors, which know none. From
there the rows go into the staged tables, and are verified and swapped like any others.

Errors of the SDK pass through as they are. It tries again what is safe to repeat, and
waits as long as the service says (`Retry-After`); the start of a run is sent once.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import dagster as dg
from pydantic import Field, PrivateAttr

from geo_resources.database import Database
from geo_resources.promotion_model import PromotionError, TablePlan
from geo_resources.promotion_transit import make_transit, take_from_transit
from geo_resources.scrub import scrub
from geo_resources.settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.mgmt.datafactory import DataFactoryManagementClient
    from azure.mgmt.datafactory.models import ActivityRun, PipelineRun
    from psycopg import Connection

OVER = {"Succeeded", "Failed", "Cancelled"}
CLOCKS_DIFFER = timedelta(minutes=15)
Say = Callable[[str], object]


class PipelineFailedError(PromotionError):
    """The pipeline failed by what it was told or allowed: it will again."""


class PipelineBrokenError(Exception):
    """The pipeline failed by a fault of the service, or was cancelled by somebody."""


class PipelineDeadlineError(Exception):
    """The pipeline took longer than it may, and was cancelled."""


class _Pipeline(NamedTuple):
    subscription: str
    group: str
    factory: str
    pipeline: str


class DataFactory(dg.ConfigurableResource):
    """A pipeline in Azure Data Factory, entered with the process's own identity."""

    pipeline: str = Field(
        default="", description="STRATA_DATA_FACTORY: its resource id; empty: none"
    )
    endpoint: str = Field(
        default="", description="Azure Resource Manager; empty: the public cloud's"
    )
    seconds: float = Field(default=3600, gt=0, description="Time that a run has")
    poll_seconds: float = Field(
        default=10, gt=0, description="Between two looks at a run"
    )

    _credential: "TokenCredential | None" = PrivateAttr(default=None)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The pipeline that the settings name."""
        return cls(
            pipeline=settings.data_factory or "",
            endpoint=settings.data_factory_endpoint or "",
            seconds=settings.data_factory_seconds,
        )

    def entered_with(self, credential: "TokenCredential") -> Self:
        """The same pipeline, entered as somebody else."""
        copy = self.model_copy()
        copy._credential = credential  # noqa: SLF001 - its own
        return copy

    def copy_all(
        self,
        source: "Connection",
        production: Database,
        plans: Sequence[TablePlan],
        *,
        say: Say,
    ) -> None:
        """Make and fill the staged tables.

        Raises:
            PipelineFailedError: the pipeline is wrong, or may not do what it should.
            PipelineBrokenError: the service broke down.
            PipelineDeadlineError: it took too long.
        """
        with make_transit(source, production, plans) as transits:
            self.run([one.told for one in transits], say)
            for transit in transits:
                take_from_transit(production, transit)

    def run(self, tables: Sequence[dict[str, Any]], say: Say) -> None:
        """Start the pipeline for these tables, and come back when it has succeeded."""
        where = self._where()
        with self._client(where.subscription) as client:
            begun = client.pipelines.create_run(
                where.group,
                where.factory,
                where.pipeline,
                {"tables": [*tables]},
                retry_total=0,  # an answer that was lost may have started one
            )
            say(f"Data Factory {where.factory}: run {begun.run_id} of {where.pipeline}")
            try:
                done = self._wait(client, where, begun.run_id, say)
            except BaseException:
                self._cancel(client, where, begun.run_id, say)
                raise
            activities = self._activities(client, where, begun.run_id)
        for one in activities:
            say(_sentence(one))
        _judge(done, activities)

    def _where(self) -> _Pipeline:
        """The parts of the resource id.

        Raises:
            PromotionError: there is none.
        """
        if not self.pipeline:
            message = "no pipeline: set STRATA_DATA_FACTORY to its resource id"
            raise PromotionError(message)
        parts = self.pipeline.strip("/").split("/")
        return _Pipeline(parts[1], parts[3], parts[7], parts[9])

    def _client(self, subscription: str) -> "DataFactoryManagementClient":
        from azure.identity import DefaultAzureCredential
        from azure.mgmt.datafactory import DataFactoryManagementClient

        credential = self._credential or DefaultAzureCredential()
        more: dict[str, Any] = {}
        if self.endpoint:  # a sovereign cloud's, whose tokens are for itself
            scope = f"{self.endpoint.rstrip('/')}/.default"
            more = {"base_url": self.endpoint, "credential_scopes": [scope]}
        return DataFactoryManagementClient(credential, subscription, **more)

    def _wait(
        self,
        client: "DataFactoryManagementClient",
        where: _Pipeline,
        run_id: str,
        say: Say,
    ) -> "PipelineRun":
        deadline, before = time.monotonic() + self.seconds, None
        while True:
            run = client.pipeline_runs.get(where.group, where.factory, run_id)
            if run.status != before:
                say(f"Data Factory run {run_id}: {run.status}")
                before = run.status
            if run.status in OVER:
                return run
            if time.monotonic() > deadline:
                message = f"run {run_id} is {run.status} after {self.seconds:g} s"
                raise PipelineDeadlineError(message)
            time.sleep(self.poll_seconds)

    def _cancel(
        self,
        client: "DataFactoryManagementClient",
        where: _Pipeline,
        run_id: str,
        say: Say,
    ) -> None:
        """Nobody waits for the run any more; that it goes on must not hide why."""
        from azure.core.exceptions import AzureError

        try:
            client.pipeline_runs.cancel(
                where.group, where.factory, run_id, is_recursive=True
            )
        except AzureError as error:
            say(f"run {run_id} could not be cancelled: {scrub(str(error))}")
        else:
            say(f"run {run_id} is cancelled")

    def _activities(
        self, client: "DataFactoryManagementClient", where: _Pipeline, run_id: str
    ) -> "list[ActivityRun]":
        from azure.mgmt.datafactory.models import RunFilterParameters

        now = datetime.now(UTC)
        since = now - timedelta(seconds=self.seconds) - CLOCKS_DIFFER
        found: list[ActivityRun] = []
        token = None
        while True:
            chosen = RunFilterParameters(
                continuation_token=token,
                last_updated_after=since,
                last_updated_before=now + CLOCKS_DIFFER,
            )
            page = client.activity_runs.query_by_pipeline_run(
                where.group, where.factory, run_id, chosen
            )
            found += page.value
            token = page.continuation_token
            if not token:
                return found


def _sentence(activity: "ActivityRun") -> str:
    """An activity in one line: what it did, how long, how much, or why not."""
    output = activity.output if isinstance(activity.output, dict) else {}
    rows = output.get("rowsCopied")
    words = [f"activity {activity.activity_name}: {activity.status}"]
    if activity.duration_in_ms is not None:
        words.append(f"{activity.duration_in_ms / 1000:g} s")
    if rows is not None:
        words.append(f"{rows} rows")
    if why := _error_of(activity).get("message"):
        words.append(scrub(str(why)))
    return ", ".join(words)


def _error_of(activity: "ActivityRun") -> dict[str, Any]:
    return activity.error if isinstance(activity.error, dict) else {}


def _judge(run: "PipelineRun", activities: "Sequence[ActivityRun]") -> None:
    """Nothing, for a run that succeeded.

    An activity says whose fault it was: `UserError` stays, `SystemError` may pass.
    """
    if run.status == "Succeeded":
        return
    errors = [_error_of(one) for one in activities if one.status == "Failed"]
    message = scrub(
        f"run {run.run_id} of the pipeline: {run.status}, "
        f"{run.message or 'without a message'}"
    )
    if run.status == "Failed" and any(
        one.get("failureType") == "UserError" for one in errors
    ):
        raise PipelineFailedError(message)
    raise PipelineBrokenError(message)
