"""How far the work is: a bar on a terminal, nothing where nobody looks."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from geo_cli.idle import Snapshot

Report = Callable[[Snapshot, str | None], None]


@contextmanager
def progress(title: str) -> Iterator[Report]:
    """A report for `run_until_idle` that shows what is left.

    The most files ever open are the whole; what is open no more is done.
    """
    if not sys.stderr.isatty():
        yield lambda _seen, _work: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} files"),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[work]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=0, work="starting")
        most = 0

        def report(seen: Snapshot, work: str | None) -> None:
            nonlocal most
            most = max(most, seen.open_files)
            done = most - seen.open_files
            bar.update(task, total=most, completed=done, work=work or "idle")

        yield report
