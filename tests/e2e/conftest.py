"""`strata dev` as its users have it, and a browser to look at it with."""

import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
import shapely
from playwright.sync_api import Browser, Page, expect, sync_playwright

from geo_cli.cluster import LOOPBACK, free_port
from tests.conftest import temporary_home
from tests.e2e.platform import STRATA, Platform, write_raster

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",  # we may be root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)
VIEW = {"width": 1500, "height": 1000}
PATIENCE_SECONDS = 240
POLL_SECONDS = 0.5
END_SECONDS = 90
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}

ORTHO, DEM, BAD = "city/ortho.tif", "dem.tif", "without_crs.tif"
LOTS, LOT_ROWS = "lots.geojson", 3
T = TypeVar("T")


def eventually(ask: Callable[[], T], what: str) -> T:
    """The first answer that holds; fails when it takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(POLL_SECONDS)
    return answer


@dataclass(frozen=True)
class Stack:
    """A running `strata dev` over one home."""

    platform: Platform
    url: str

    def ask(self, query: str, **variables: Any) -> Any:
        """Data of a GraphQL query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(  # noqa: S310 - our own webserver
            f"{self.url}/graphql", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310
            told = json.load(answer)
        assert "errors" not in told, told["errors"]
        return told["data"]

    def runs(self) -> dict[str, dict[str, Any]]:
        """Status, job and parent of every run but those of schedules at their hour."""
        query = (
            "{runsOrError{... on Runs{results{runId status jobName parentRunId "
            "tags{key}}}}}"
        )
        runs = self.ask(query)["runsOrError"]["results"]
        by_clock = {"key": "dagster/schedule_name"}
        return {run["runId"]: run for run in runs if by_clock not in run["tags"]}

    def ended_runs(self) -> dict[str, dict[str, Any]]:
        """All runs, once there are some and none goes on."""

        def look() -> dict[str, dict[str, Any]]:
            runs = self.runs()
            return runs if {run["status"] for run in runs.values()} <= ENDED else {}

        return eventually(look, "the end of all runs")

    def materializations(self, thing: str) -> dict[str, str]:
        """Per partition of an asset of `rasters`, the run that made it last."""
        query = (
            "query($key: AssetKeyInput!){assetNodeOrError(assetKey: $key){"
            "... on AssetNode{assetMaterializations(limit: 200){runId partition}}}}"
        )
        found = self.ask(query, key={"path": ["rasters", thing]})
        newest_first = found["assetNodeOrError"]["assetMaterializations"]
        return {one["partition"]: one["runId"] for one in reversed(newest_first)}

    def statuses(self, thing: str) -> tuple[set[str], set[str]]:
        """Materialised and failed partitions of an asset of `rasters`."""
        query = (
            "query($key: AssetKeyInput!){assetNodeOrError(assetKey: $key){"
            "... on AssetNode{assetPartitionStatuses{... on DefaultPartitionStatuses"
            "{materializedPartitions failedPartitions}}}}}"
        )
        found = self.ask(query, key={"path": ["rasters", thing]})
        one = found["assetNodeOrError"]["assetPartitionStatuses"]
        return set(one["materializedPartitions"]), set(one["failedPartitions"])


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """`strata dev` that took in two good rasters, a bad one and a vector file."""
    with temporary_home() as home:
        platform = Platform(home, {})
        bronze = platform.container("bronze")
        write_raster(bronze / ORTHO, seed=1, size=600)
        write_raster(bronze / DEM, seed=2, size=400, bands=1, dtype="float32")
        write_raster(bronze / BAD, seed=3, size=300, crs=None)
        write_lots(bronze / LOTS)
        process, log = start_dev(platform)
        try:
            stack = Stack(platform, eventually(lambda: find_url(process, log), "a URL"))
            eventually(stack.runs, "the sensor's run")
            stack.ended_runs()
            yield stack
        finally:
            end_dev(platform, process)


def write_lots(path: Path) -> None:
    """Squares side by side, numbered."""
    features = [
        {
            "type": "Feature",
            "properties": {"lot": number, "owner": f"owner {number}"},
            "geometry": shapely.geometry.mapping(
                shapely.box(10 + number, 50, 10.9 + number, 50.9)
            ),
        }
        for number in range(LOT_ROWS)
    ]
    collection = {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(collection), encoding="utf-8")


def start_dev(platform: Platform) -> tuple[subprocess.Popen[bytes], Path]:
    """`strata dev` in the background, and the file that it writes to."""
    log = platform.home / "dev.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [STRATA, "dev", "--port", str(free_port())],
            env=platform.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return process, log


def find_url(process: subprocess.Popen[bytes], log: Path) -> str | None:
    """Address that `strata dev` printed, once it did."""
    text = log.read_text(encoding="utf-8")
    assert process.poll() is None, text
    words = text.split()
    return next((word for word in words if word.startswith(f"http://{LOOPBACK}")), None)


def end_dev(platform: Platform, process: subprocess.Popen[bytes]) -> None:
    """Stop it as Ctrl-C does; nothing of it may be left."""
    process.send_signal(signal.SIGTERM)
    process.wait(END_SECONDS)
    platform.strata("down")
    left = psutil.wait_procs([*processes_of(platform.home)], END_SECONDS)[1]
    said = [one.cmdline() for one in left]
    for one in left:
        one.kill()
    assert not left, said


def processes_of(home: Path) -> Iterator[psutil.Process]:
    """Processes that were started with this STRATA_HOME, or that name it."""
    for process in psutil.process_iter():
        try:
            named = str(home) in " ".join(process.cmdline())
            if named or process.environ().get("STRATA_HOME") == str(home):
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*FLAGS], timeout=PATIENCE_SECONDS * 1000
        )
        yield browser
        browser.close()


@pytest.fixture
def page(stack: Stack, browser: Browser) -> Iterator[Page]:
    """An empty page; addresses are relative to the stack's."""
    expect.set_options(timeout=PATIENCE_SECONDS * 1000 / 2)
    context = browser.new_context(base_url=stack.url, viewport=VIEW)  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(PATIENCE_SECONDS * 1000 / 2)
    yield page
    context.close()
