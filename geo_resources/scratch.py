"""Local disk for work in progress; what a dead run left behind is swept."""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import dagster as dg
from pydantic import Field


class Scratch(dg.ConfigurableResource):
    """A folder per run and attempt, removed when the work is done."""

    root: str = Field(description="Folder for work in progress; fast local disk")

    @contextmanager
    def folder(self, run_id: str) -> Iterator[Path]:
        """An empty folder of this call alone, deleted on leaving."""
        base = Path(self.root) / run_id
        base.mkdir(parents=True, exist_ok=True)
        path = Path(mkdtemp(dir=base))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def runs(self) -> set[str]:
        """Ids of the runs that have, or had, folders here."""
        root = Path(self.root)
        return {one.name for one in root.iterdir()} if root.exists() else set()

    def delete(self, run_ids: Iterable[str]) -> None:
        """Delete the folders of runs, with what is in them."""
        for run_id in run_ids:
            shutil.rmtree(Path(self.root) / run_id, ignore_errors=True)
