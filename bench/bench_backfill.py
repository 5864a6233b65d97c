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
from collections.abc import Mapping
from typing import Any

from bench_overhead import OPEN, is_done, wait
from bench_partitions import Web
from machine import machine
from stack import Folder, Stack, temporary_home
from tiny_files import write_tiny

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
        AND asset_key <> '["rasters", "bronze"]'
    GROUP BY 1, 2 HAVING count(*) = 2
) AS found
"""
RUNS = "SELECT count(*) AS runs FROM run_tags WHERE key = 'dagster/backfill'"
ENDED = ("COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED")


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


def launch(web: Web) -> str:
    """Ask for every partition of every asset; the backfill's id.

    Raises:
        LookupError: Dagster does not take it.
    """
    selection = [{"path": ["rasters", one]} for one in ASSETS]
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


def main() -> None:
    """Print the table; exit 1 if anything is not as it was."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=300)
    count = parser.parse_args().files
    with temporary_home() as home:
        stack = Stack(home, Folder(home), web=True, settle_seconds=1.0)
        write_tiny(home / "tiny", count)
        try:
            stack.up()
            stack.serve()
            web = Web(stack)
            web.wait()
            (home / "tiny").rename(home / "storage" / "bronze" / "tiny")
            wait(lambda: is_done(stack, count), 120 + count)
            before, begin = digests(stack), time.perf_counter()
            status = finish(web, launch(web), 300 + count)
            wall = time.perf_counter() - begin
            wait(lambda: is_done(stack, count), 60)
            accepted = stack.ask(OPEN)[0]["accepted"]
            runs = stack.ask_dagster(RUNS)[0]["runs"]
            twice = stack.ask_dagster(TWICE)[0]["partitions"]
            after = digests(stack)
        finally:
            stack.down()
    print("| files | backfill | runs | wall, s | ms a file | accepted | again | COGs |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | --- |")
    same = "the same bytes" if before == after else "**other bytes**"
    print(
        f"| {count} | {status} | {runs} | {wall:.1f} | {1000 * wall / count:.0f} "
        f"| {accepted} | {twice} | {len(after)}, {same} |"
    )
    print(f"\n{machine()}")
    good = status == ENDED[0] and accepted == count and twice == len(ASSETS) * count
    sys.exit(0 if good and before == after else 1)


if __name__ == "__main__":
    main()
