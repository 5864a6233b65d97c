"""Commands on what lies in the containers: counted, planned for, paid for."""

from datetime import datetime
from typing import Annotated

import typer

from geo_cli.options import AsJson, Dataset
from geo_resources.settings import Settings


def inventory(  # noqa: PLR0913, PLR0917
    container: Annotated[
        list[str] | None,
        typer.Option("--container", "-c", help="Only this one; can be repeated."),
    ] = None,
    prefix: Annotated[str, typer.Option(help="Only names that begin so.")] = "",
    extension: Annotated[
        list[str] | None,
        typer.Option("--extension", "-e", help="Only this one; can be repeated."),
    ] = None,
    min_bytes: Annotated[
        int | None, typer.Option(help="Only from this size on.")
    ] = None,
    max_bytes: Annotated[int | None, typer.Option(help="Only up to this size.")] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Only modified since (ISO 8601, UTC).")
    ] = None,
    before: Annotated[
        datetime | None, typer.Option(help="Only modified before (ISO 8601, UTC).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at every blob of every container; the snapshot is kept in gold.

    Nothing that matches is no error.
    """
    from geo_assets.bronze.filters import Filters
    from geo_cli.inventory import run_inventory
    from geo_cli.print_catalogue import print_inventory

    filters = Filters(
        containers=tuple(container or ()),
        prefix=prefix,
        extensions=tuple(extension or ()),
        min_bytes=min_bytes,
        max_bytes=max_bytes,
        modified_since=since,
        modified_before=before,
    )
    found = run_inventory(Settings.from_environment(), filters)
    print_inventory(found, as_json=as_json)


def plan(
    what: Annotated[
        str | None,
        typer.Argument(help="Dataset, or prefix of blob names; all when not given."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also accepted files, as a backfill would.")
    ] = False,
    sample: Annotated[
        int, typer.Option(min=0, help="Files of each dataset that are tried.")
    ] = 12,
    as_json: AsJson = False,
) -> None:
    """What would be made of the files that wait: a sample is tried, nothing is kept."""
    from geo_cli.plan import run_plan, wanted_by
    from geo_cli.print_catalogue import print_plan

    wanted = wanted_by(what, everything=everything, sample=sample)
    print_plan(run_plan(Settings.from_environment(), wanted), as_json=as_json)


def costs(
    month: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m"], help="Only this month, as 2026-11."),
    ] = None,
    dataset: Dataset = None,
    as_json: AsJson = False,
) -> None:
    """What keeping the files costs, per month, dataset and tier, by the inventories."""
    from geo_cli.inventory import read_costs
    from geo_cli.print_catalogue import print_costs

    found = read_costs(Settings.from_environment(), month, dataset)
    print_costs(found, as_json=as_json)
