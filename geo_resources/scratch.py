"""Local disk for work in progress; what a dead run left behind is swept."""

import shutil
from collections.abc import Collection, Iterator
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

    def sweep(self, living_runs: Collection[str]) -> int:
        """Delete the folders of all other runs; returns how many there were."""
        root = Path(self.root)
        stale = [
            folder
            for folder in (root.iterdir() if root.exists() else ())
            if folder.name not in living_runs
        ]
        for folder in stale:
            shutil.rmtree(folder, ignore_errors=True)
        return len(stale)
