"""`strata demo`: samples through the whole chain, and where to look."""

from collections.abc import Sequence

import typer

from geo_cli import services
from geo_cli.connections import open_storage
from geo_cli.demo_grid import print_containers, print_grid, print_statistics
from geo_cli.demo_join import print_join
from geo_cli.ingest import Outcome, deliver, finish, read_outcomes
from geo_cli.processes import ServiceError
from geo_cli.report import print_table
from geo_resources.settings import Settings
from samples.synthetic import EXPECTED, write_samples

INBOX = "bronze"


def run_demo(settings: Settings) -> None:
    """Everything up, samples in bronze, worked on until idle, and told.

    Samples that were put in before are left as they are, so a second time is quick and
    changes nothing.
    """
    settings = services.up(settings)
    folder = settings.home / "demo"
    paths = write_samples(folder)
    targets = [(path, (INBOX, path.relative_to(folder).as_posix())) for path in paths]
    deliveries = deliver(settings, open_storage(settings), targets)
    fresh = sum(not one.unchanged for one in deliveries)
    typer.echo(f"{fresh} new samples in {INBOX}, {len(paths) - fresh} unchanged")
    finish(settings, deliveries)
    outcomes = read_outcomes(settings, deliveries)
    print_outcome_table(outcomes)
    print_places(settings)
    require_expected(outcomes)
    print_grid(settings)
    print_join(settings)
    print_statistics(settings)
    print_containers(settings)


def require_expected(outcomes: Sequence[Outcome]) -> None:
    """Pass if every sample became what it was made for.

    Raises:
        ServiceError: some did not.
    """
    odd = [
        f"{one.blob} ({one.code or one.status}, not {EXPECTED[one.blob]})"
        for one in outcomes
        if EXPECTED[one.blob] not in {one.status, one.code}
    ]
    if odd:
        message = f"not what was expected: {'; '.join(odd)}"
        raise ServiceError(message)


def print_outcome_table(outcomes: Sequence[Outcome]) -> None:
    """What became of each sample."""
    rows = (
        (one.blob, one.status, one.code or "", one.message or "", one.products)
        for one in outcomes
    )
    columns = ("sample", "became", "code", "why", "products")
    print_table(columns, rows, empty="no sample")


def print_places(settings: Settings) -> None:
    """Where to look at what was made."""
    storage = open_storage(settings)
    example = storage.public_url("silver", "rasters")
    lines = {
        "COGs": example,
        "tables": 'eval "$(.venv/bin/strata env)" && psql -c '
        "'SELECT table_name, rows, blob FROM ops.tables'",
        "catalogue": 'eval "$(.venv/bin/strata env)" && psql -c '
        "'SELECT collection, id FROM pgstac.items'",
        "ledger": ".venv/bin/strata status",
        "lineage": "make dev",
    }
    for name, where in lines.items():
        typer.echo(f"{name:10}  {where}")
