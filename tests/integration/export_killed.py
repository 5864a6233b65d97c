"""An export that kills its process; arguments: database, home, storage, where."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geo_assets.contract import VectorContract
from geo_assets.gold.desk import GOLD, ExportDesk
from geo_assets.gold.recipes import wanted_of
from geo_resources import exports, local_blobs
from geo_resources.database import Database
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage

CONTRACT = VectorContract.model_validate(
    {
        "name": "lots",
        "source": {"pattern": "**"},
        "table": "lots",
        "exports": ["geoparquet"],
    }
)
BLOB = "lots/lots.parquet"
DEADLY: Mapping[str, tuple[Any, str]] = {
    "written": (Storage, "upload"),
    "moved into gold": (local_blobs, "flush_to_disk"),
    "in its place": (exports, "finish"),
}


def export(database: Database, storage: Storage, home: Path, run_id: str) -> int:
    """Make what is due; how many."""
    storage.ensure_containers([GOLD])
    desk = ExportDesk(CONTRACT, storage, database, Scratch(root=str(home)), run_id)
    with database.transaction() as connection:
        due = exports.due(connection, wanted_of([CONTRACT]))
    for one in due:
        desk.begin(one)
        desk.make(one)
    return len(due)


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    url, home, storage, where = sys.argv[1:]
    setattr(*DEADLY[where], die)
    export(Database(url=url), Storage(url=storage), Path(home), "dead")
