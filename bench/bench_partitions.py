"""The pages of a dataset with 50,000 partitions: their GraphQL, timed.

    python bench/bench_partitions.py [--keys 50000] [--limit 3]

A real web interface over a real PostgreSQL. 90 % of the partitions are materialised in
every asset of `rasters`: one event per asset is Dagster's own, the others are copies of
it in the tables. Each query is asked three times: cold (the web interface has just
started, its cache of statuses is empty), warm, and after an arrival (one more key and
one more event). A page asks some at the same time; here one comes after the other, and
`page` is their sum. Exit 1 if a page takes longer than --limit seconds.
"""

import argparse
import json
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from machine import machine
from stack import Folder, Stack, temporary_home

from geo_assets.naming import files_partitions
from geo_cli.cluster import LOOPBACK
from geo_cli.watch import open_instance

DATASET, THING = "rasters", "cog_analysis"
START_SECONDS = 120
SHARE = 0.9
COPY = """
INSERT INTO event_logs
    (run_id, event, dagster_event_type, timestamp, step_key, asset_key, partition)
SELECT e.run_id, replace(e.event, %s, d.partition), e.dagster_event_type, e.timestamp,
    e.step_key, e.asset_key, d.partition
FROM event_logs AS e, dynamic_partitions AS d
WHERE e.partition = %s AND e.dagster_event_type = 'ASSET_MATERIALIZATION'
    AND d.partitions_def_name = %s AND d.partition <> %s AND d.partition < %s
"""
ASSET = "assetNodeOrError(assetKey: $key){... on AssetNode{"
STATS = "partitionStats{numMaterialized numPartitions numFailed numMaterializing}"
STATUSES = (
    "assetPartitionStatuses{... on DefaultPartitionStatuses{materializedPartitions "
    "failedPartitions unmaterializedPartitions materializingPartitions}}"
)
EVENT = "runId partition timestamp metadataEntries{label}"
LOADED = "{repositoriesOrError{... on RepositoryConnection{nodes{name}}}}"
KEY = "query($key: AssetKeyInput!){"
_ABOUT = (
    f"{KEY}{ASSET} id groupName kinds hasMaterializePermission "
    f"partitionDefinition{{name type}} {STATS} "
    f"assetMaterializations(limit: 1){{{EVENT}}} }}}}}}"
)
_NEIGHBOURS = (
    f"{KEY}{ASSET} id dependencyKeys{{path}} dependedByKeys{{path}} "
    "assetChecksOrError{... on AssetChecks{checks{name}}} }}}"
)
_KEYS = (
    f"{KEY}{ASSET} id partitionKeysByDimension{{name type partitionKeys}} "
    f"{STATUSES} }}}}}}"
)
_EVENTS = f"{KEY}{ASSET} id assetMaterializations(limit: 100){{{EVENT}}} }}}}}}"
_GROUP = (
    f'{{assetNodes(group: {{groupName: "{DATASET}", repositoryName: "__repository__", '
    f'repositoryLocationName: "strata"}}){{id {STATS} '
    f"assetMaterializations(limit: 1){{{EVENT}}} }}}}"
)
QUERIES: Mapping[str, tuple[str, ...]] = {  # what the pages of the UI ask for
    "asset": (_ABOUT, _NEIGHBOURS),
    "partitions": (_KEYS,),
    "events": (_EVENTS,),
    "lineage": (_GROUP,),
}


def assets_of(dataset: str) -> Iterator[dg.AssetKey]:
    """The assets of a dataset that have its files as partitions."""
    from geo_assets.definitions import defs

    for key, node in _nodes(defs()):
        definition = node.partitions_def
        name = getattr(definition, "name", None)
        if name == files_partitions(dataset):
            yield key


def _nodes(definitions: dg.Definitions) -> Iterator[tuple[dg.AssetKey, Any]]:
    graph = definitions.get_repository_def().asset_graph
    for key in graph.get_all_asset_keys():
        yield key, graph.get(key)


def make_history(stack: Stack, count: int) -> int:
    """Keys, and events of most of them; returns how many events."""
    name = files_partitions(DATASET)
    keys = [f"f{i:06d}.tif" for i in range(count)]
    with open_instance(stack.settings) as instance:
        instance.add_dynamic_partitions(name, keys)
        for asset in assets_of(DATASET):
            report(instance, asset, keys[0])
        bound = [keys[0], keys[0], name, keys[0], keys[int(SHARE * count)]]
        stack.ask_dagster(COPY, *bound)
    stack.ask_dagster("ANALYZE event_logs")
    return stack.ask_dagster("SELECT count(*) FROM event_logs")[0]["count"]


def report(instance: dg.DagsterInstance, asset: dg.AssetKey, key: str) -> None:
    """One materialisation, as a run reports it."""
    metadata = {"bytes": 1_000_000, "ratio": 0.5, "href": f"file:///silver/{key}"}
    event = dg.AssetMaterialization(asset, partition=key, metadata=metadata)
    instance.report_runless_asset_event(event)


def arrive(stack: Stack) -> None:
    """One more key, and one more event."""
    with open_instance(stack.settings) as instance:
        instance.add_dynamic_partitions(files_partitions(DATASET), ["zz_new.tif"])
        report(instance, dg.AssetKey([DATASET, THING]), "zz_new.tif")


class Web:
    """The web interface of a stack."""

    def __init__(self, stack: Stack) -> None:
        self.url = f"http://{LOOPBACK}:{stack.port}/graphql"

    def wait(self) -> None:
        """Until it answers, with the code location loaded."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if b"__repository__" in self.ask(LOADED):
                    return
            except (OSError, LookupError):
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.5)

    def ask(self, query: str) -> bytes:
        """The answer.

        Raises:
            LookupError: the answer is an error.
        """
        variables = {"key": {"path": [DATASET, THING]}}
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(  # noqa: S310 - our own web interface
            self.url, body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            told = answer.read()
        found = json.loads(told)
        if "errors" in found or not all(found["data"].values()):
            raise LookupError(found)
        return told

    def time(self, page: str) -> tuple[float, int]:
        """Seconds and bytes of all queries of a page."""
        begin = time.perf_counter()
        size = sum(len(self.ask(query)) for query in QUERIES[page])
        return time.perf_counter() - begin, size


def restart(stack: Stack, web: Web) -> None:
    """A web interface that has just started."""
    if stack.webserver:
        stack.webserver.kill()
        stack.webserver.wait()
    stack.start_web()
    web.wait()


def measure(stack: Stack) -> Iterator[tuple[str, list[float], int]]:
    """Per page: seconds cold, warm and after an arrival; bytes."""
    web = Web(stack)
    for page in QUERIES:
        restart(stack, web)
        cold, _ = web.time(page)
        warm, size = web.time(page)
        arrive(stack)
        after, _ = web.time(page)
        yield page, [cold, warm, after], size


def main() -> None:
    """Print the table; exit 1 if a page takes too long."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keys", type=int, default=50_000)
    parser.add_argument("--limit", type=float, default=3.0, help="seconds of a page")
    arguments = parser.parse_args()
    slow = []
    with (
        temporary_home() as home,
        Stack(home, Folder(home), web=True) as stack,
    ):
        begin = time.perf_counter()
        events = make_history(stack, arguments.keys)
        seconds = time.perf_counter() - begin
        print(f"{arguments.keys} keys, {events} events, made in {seconds:.0f} s\n")
        print("| page | cold, s | warm, s | after an arrival, s | answer, MB |")
        print("| --- | ---: | ---: | ---: | ---: |", flush=True)
        for page, times, size in measure(stack):
            told = " | ".join(f"{one:.2f}" for one in times)
            print(f"| {page} | {told} | {size / 1e6:.2f} |", flush=True)
            slow += [page] if max(times) > arguments.limit else []
    print(f"\n{machine()}")
    sys.exit(f"slower than {arguments.limit:g} s: {slow}" if slow else 0)


if __name__ == "__main__":
    main()
