"""A whole container again: a backfill of every file, as the UI asks for one.

    python bench/bench_backfill.py [--files 300]

Tiny rasters arrive at once and are accepted. Then all partitions of all assets of the
inbox are asked for by the web interface's own call (GraphQL), and Dagster's daemon
carries the backfill through. Afterwards every file must still be accepted, with the
same bytes in silver, and every partition materialised twice. Exit 1 if not.
"""

import argparse
import hashlib
import json
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench_overhead import OPEN, is_done, wait
from bench_partitions import Web
from machine import machine
from stack import Folder, Stack, temporary_home
from tiny_files import write_tiny

DATASET = "rasters"
ASSETS = ("validated", "cog_visualization", "cog_analysis", "cog_archive", "item")
LAUNCH = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
STATUS = """
query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status }
  }
}
"""
TWICE = """
SELECT count(*) AS partitions FROM (
    SELECT asset_key, partition FROM event_logs
    WHERE dagster_event_type = 'ASSET_MATERIALIZATION' AND partition IS NOT NULL
        AND asset_key NOT LIKE '%"bronze"]'
    GROUP BY 1, 2 HAVING count(*) = 2
) AS found
"""
RUNS = "SELECT count(*) AS runs FROM run_tags WHERE key = 'dagster/backfill'"
ENDED = ("COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")
HEAD = """\
| files | backfill | runs | wall, s | ms a file | accepted | again | COGs |
| ---: | --- | ---: | ---: | ---: | ---: | ---: | --- |"""


class Again(NamedTuple):
    """What became of a backfill of all files of a dataset."""

    files: int
    status: str
    runs: int
    wall_s: float
    accepted: int
    twice: int
    """Partitions of all assets that were materialised twice."""
    cogs: int
    is_same: bool
    """Whether silver holds the same bytes."""

    def row(self) -> str:
        """A line of the table."""
        same = "the same bytes" if self.is_same else "**other bytes**"
        return (
            f"| {self.files} | {self.status} | {self.runs} | {self.wall_s:.1f} "
            f"| {1000 * self.wall_s / self.files:.0f} "
            f"| {self.accepted} | {self.twice} | {self.cogs}, {same} |"
        )

    def is_good(self, assets: int) -> bool:
        """Whether every file went through so many assets again, and became the same."""
        whole = self.status == ENDED[0] and self.accepted == self.files
        return whole and self.is_same and self.twice == assets * self.files


def ask(web: Web, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The answer's data.

    Raises:
        LookupError: the answer is an error.
    """
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(  # noqa: S310 - our own web interface
        web.url, body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
        found = json.loads(answer.read())
    if "errors" in found:
        raise LookupError(found["errors"])
    return found["data"]


def launch(web: Web, dataset: str, assets: Sequence[str]) -> str:
    """Ask for every partition of assets of a dataset; the backfill's id.

    Raises:
        LookupError: Dagster does not take it.
    """
    selection = [{"path": [dataset, one]} for one in assets]
    params = {"assetSelection": selection, "allPartitions": True}
    found = ask(web, LAUNCH, {"params": params})["launchPartitionBackfill"]
    if "backfillId" not in found:
        raise LookupError(found)
    return found["backfillId"]


def finish(web: Web, backfill: str, seconds: float) -> str:
    """Its status when it has ended."""
    state: list[str] = []

    def is_over() -> bool:
        found = ask(web, STATUS, {"id": backfill})["partitionBackfillOrError"]
        state[:] = [found["status"]]
        return state[0] in ENDED

    wait(is_over, seconds)
    return state[0]


def digests(stack: Stack) -> dict[str, str]:
    """Of every COG in silver."""
    return {
        name: hashlib.sha256(data).hexdigest()
        for name, data in stack.blobs.read("silver").items()
        if name.endswith(".tif")
    }


def arrive(stack: Stack, folder: Path, count: int, seconds: float) -> float:
    """Let a folder of files arrive at once; seconds until all have found their end."""
    begin = time.perf_counter()
    folder.rename(stack.home / "storage" / "bronze" / folder.name)
    wait(lambda: is_done(stack, count), seconds)
    return time.perf_counter() - begin


def make_again(
    stack: Stack, web: Web, count: int, dataset: str, assets: Sequence[str]
) -> Again:
    """Backfill all files of a dataset, and compare."""
    before, begin = digests(stack), time.perf_counter()
    status = finish(web, launch(web, dataset, assets), 300 + 2 * count)
    wall = time.perf_counter() - begin
    wait(lambda: is_done(stack, count), 60)
    after = digests(stack)
    return Again(
        files=count,
        status=status,
        runs=stack.ask_dagster(RUNS)[0]["runs"],
        wall_s=wall,
        accepted=stack.ask(OPEN)[0]["accepted"],
        twice=stack.ask_dagster(TWICE)[0]["partitions"],
        cogs=len(after),
        is_same=before == after,
    )


def main() -> None:
    """Print the table; exit 1 if anything is not as it was."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=300)
    count = parser.parse_args().files
    with temporary_home() as home:
        write_tiny(home / "tiny", count)
        with Stack(home, Folder(home), web=True, settle_seconds=1.0) as stack:
            stack.serve()
            web = Web(stack)
            web.wait()
            arrive(stack, home / "tiny", count, 120 + count)
            again = make_again(stack, web, count, DATASET, ASSETS)
    print(f"{HEAD}\n{again.row()}\n\n{machine()}")
    sys.exit(0 if again.is_good(len(ASSETS)) else 1)


if __name__ == "__main__":
    main()
