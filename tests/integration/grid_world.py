"""Grids by YAML alone, their schedules and runs, without a daemon."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.run_request import RunRequest

from geo_assets.naming_h3 import grid_job
from tests.integration.vector_world import VectorWorld

MIDNIGHT = datetime(2026, 12, 1, 2, 23, tzinfo=UTC)


class GridWorld(VectorWorld):
    """A world with grids in it."""

    def __init__(self, home: Path, *args: Any) -> None:
        super().__init__(home, *args)
        self.gold = home / "storage" / "gold"
        self.gold.mkdir()

    def tick(self, grid: str) -> list[RunRequest]:
        """What the schedule of a grid asks for."""
        schedule = self._defs.resolve_schedule_def(grid_job(grid))
        context = dg.build_schedule_context(
            instance=self._instance, scheduled_execution_time=MIDNIGHT
        )
        return [*(schedule.evaluate_tick(context).run_requests or ())]

    def make(self, request: RunRequest) -> dg.ExecuteInProcessResult:
        """Execute a run that a schedule asked for."""
        grid = request.asset_selection[0].path[0]
        return self.materialize(grid, *request.asset_selection, **request.tags)

    def materialize(
        self, grid: str, *assets: dg.AssetKey, fails: bool = False, **tags: str
    ) -> dg.ExecuteInProcessResult:
        """Make some assets of a grid."""
        job = self._defs.resolve_job_def(grid_job(grid))
        return job.execute_in_process(
            instance=self._instance,
            asset_selection=[*assets],
            tags=tags,
            raise_on_error=not fails,
        )

    def verdicts(self, done: dg.ExecuteInProcessResult) -> dict[tuple[str, str], bool]:
        """Whether each check passed, by asset and name."""
        return {
            (one.asset_key.path[-1], one.check_name): one.passed
            for one in done.get_asset_check_evaluations()
        }
