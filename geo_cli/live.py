"""`strata status --watch`: what is at work, how fast, and how long it will yet take."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from geo_resources.settings import Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from rich.table import Table

    from geo_resources.database import Database
    from geo_resources.ledger_progress import Batch, Flow, OpenGiant

WINDOW_SECONDS = 300.0  # what was finished within it says how fast the work goes
EVERY_SECONDS = 2.0


class Line(NamedTuple):
    """One piece of work that is not done."""

    kind: str
    """`dataset`, `giant`, `run` or `backfill`."""
    name: str
    progress: str
    """In words: files, bytes, rate, remaining time."""


def watch_work(settings: Settings) -> None:
    """Show all work until Ctrl-C; just once where there is no terminal."""
    from rich.console import Console
    from rich.live import Live

    from geo_cli.watch import open_instance
    from geo_resources.database import Database

    console = Console()
    database = Database(url=settings.require_database_url())
    try:
        with open_instance(settings) as instance:
            if not console.is_terminal:
                console.print(as_table(look(instance, database)))
                return
            with Live(console=console, auto_refresh=False) as live:
                while True:
                    live.update(as_table(look(instance, database)), refresh=True)
                    time.sleep(EVERY_SECONDS)
    except KeyboardInterrupt:
        return
    finally:
        database.close()


def as_table(lines: list[Line]) -> "Table":
    """The lines, for a terminal."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table("", "", "progress", box=box.SIMPLE_HEAD, pad_edge=False)
    for line in lines or [Line("", "", "nothing is waiting or at work")]:
        table.add_row(*map(Text, line))  # a plain text would be read for markup
    return table


def look(instance: "DagsterInstance", database: "Database") -> list[Line]:
    """All that waits or is at work now: datasets, giants, runs, backfills."""
    from geo_resources import ledger_progress

    with database.transaction() as connection:
        flows = ledger_progress.flows(connection, WINDOW_SECONDS)
        giants = ledger_progress.open_giants(connection)
        batches = ledger_progress.batches(connection)
    return [
        *(Line("dataset", flow.dataset, flow_words(flow)) for flow in flows),
        *(Line("giant", giant.blob, giant_words(giant)) for giant in giants),
        *(_run_line(instance, batch) for batch in batches),
        *_backfill_lines(instance, database),
    ]


def flow_words(flow: "Flow") -> str:
    """A dataset's open files against what was finished of late.

    >>> from geo_resources.ledger_progress import Flow
    >>> flow_words(Flow("rasters", 30, 60_000_000, 10, 10, 20_000_000, 20.0))
    '30 files, 60.0 MB open (10 running), 1.0 MB/s, 1 min 00 s left'
    >>> flow_words(Flow("rasters", 30, 60_000_000, 0, 0, 0, 0.0))
    '30 files, 60.0 MB open (0 running)'
    >>> flow_words(Flow("rasters", 1, 60_000_000, 0, 0, 0, 0.0))
    '1 file, 60.0 MB open (0 running)'
    """
    from geo_assets.progress import Standing, duration

    files = "1 file" if flow.open_files == 1 else f"{flow.open_files} files"
    sizes = f"{files}, {flow.open_bytes / 1e6:.1f} MB open"
    parts = [f"{sizes} ({flow.running_files} running)"]
    standing = Standing(
        files=flow.done_files,
        total_files=flow.done_files + flow.open_files,
        bytes=flow.done_bytes,
        total_bytes=flow.done_bytes + flow.open_bytes,
        seconds=flow.seconds,
    )
    if standing.bytes_per_second and standing.remaining_seconds is not None:
        parts.append(f"{standing.bytes_per_second / 1e6:.1f} MB/s")
        parts.append(f"{duration(standing.remaining_seconds)} left")
    return ", ".join(parts)


def giant_words(giant: "OpenGiant") -> str:
    """How far the tiles of a giant are, at the speed since it was planned.

    >>> from geo_resources.ledger_progress import OpenGiant
    >>> giant_words(OpenGiant("a.tif", 64, 16, 2, 60.0))
    '16/64 tiles, 3 min 00 s left (2 running)'
    >>> giant_words(OpenGiant("a.tif", 64, 64, 0, 60.0))
    '64/64 tiles, to be put together'
    """
    from geo_assets.progress import Standing

    if giant.made_tiles == giant.tiles:
        return f"{giant.tiles}/{giant.tiles} tiles, to be put together"
    standing = Standing(giant.made_tiles, giant.tiles, 0, 0, giant.seconds, "tiles")
    return f"{standing.words()} ({giant.running_tiles} running)"


def _run_line(instance: "DagsterInstance", batch: "Batch") -> Line:
    """A run as it says itself; before its first word, what it has to do."""
    from geo_assets.pace import PROGRESS_TAG
    from geo_assets.progress import Standing

    run = instance.get_run_by_id(batch.run_id)
    begun = Standing(0, batch.files, 0, batch.bytes, 0.0, batch.unit).words()
    words = run.tags.get(PROGRESS_TAG, begun) if run else "its run is gone"
    return Line("run", f"{batch.run_id[:8]} {batch.dataset}", words)


def _backfill_lines(
    instance: "DagsterInstance", database: "Database"
) -> Iterator[Line]:
    from geo_assets.backfills import backfill_standing, open_backfills

    for backfill in open_backfills(instance):
        standing = backfill_standing(instance, database, backfill.backfill_id)
        if standing is not None:
            yield Line("backfill", backfill.backfill_id, standing.words())
