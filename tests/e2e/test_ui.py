"""Dagster's web interface, as somebody sees and uses it who looks after `rasters`."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import rasterio
from playwright.sync_api import Locator, Page, Route, expect

from geo_assets.errors import NoCrsError
from tests.e2e.conftest import (
    BAD,
    DEM,
    LOT_ROWS,
    LOTS,
    ORTHO,
    PATIENCE_SECONDS,
    Stack,
    eventually,
)

pytestmark = pytest.mark.e2e

GROUP = "/locations/strata/asset-groups/rasters/lineage"
COGS = ("cog_visualization", "cog_analysis", "cog_archive")
ASSETS = ("bronze", "validated", *COGS, "item", "collection")
HOT_USD_PER_GB = 0.0115
OUTER_ROWS = """rows => rows
    .filter(row => !row.parentElement.closest('td'))
    .map(row => [...row.cells].map(cell => cell.innerText.trim()))"""


def open_partition(
    page: Page, thing: str, partition: str, until: str, dataset: str = "rasters"
) -> Locator:
    """Click on a partition of an asset; its page, once the label `until` is there."""
    page.goto(f"/assets/{dataset}/{thing}?view=partitions")
    page.get_by_text(partition, exact=True).first.click()
    expect(page.get_by_role("cell", name=until, exact=True)).to_be_visible()
    return page.locator("tr")


def metadata(rows: Locator) -> dict[str, str]:
    """The metadata table that a page shows, in its order."""
    cells = rows.evaluate_all(OUTER_ROWS)
    return {row[0]: row[1] for row in cells if len(row) > 1}


def file_of(text: str) -> Path:
    """The file that a link of local storage names."""
    path = Path(text)
    assert path.is_absolute()
    assert path.is_file()
    return path


def test_the_asset_graph_shows_every_asset_of_the_dataset(page):
    page.goto(GROUP)
    for thing in ASSETS:
        expect(page.get_by_text(thing, exact=True).first).to_be_visible()
    expect(page.get_by_role("button", name="Materialize all (9)")).to_be_visible()


def test_a_cog_shows_its_picture_first_and_then_what_it_is_and_costs(stack, page):
    rows = open_partition(page, "cog_visualization", ORTHO, "ratio to source")
    shown = metadata(rows)
    assert next(iter(shown)) == "preview"
    picture = page.get_by_role("img", name="preview")
    expect(picture).to_be_visible()
    assert picture.evaluate("img => img.decode().then(() => img.naturalWidth)") > 0

    cog = file_of(shown["file"])
    source = stack.platform.container("bronze") / ORTHO
    size = cog.stat().st_size
    assert int(shown["bytes"]) == size
    ratio = size / source.stat().st_size
    assert float(shown["ratio to source"]) == pytest.approx(ratio, abs=1e-4)
    usd = size / 1e9 * HOT_USD_PER_GB
    assert float(shown["monthly cost USD"]) == pytest.approx(usd, rel=0.01)
    with rasterio.open(cog) as dataset:
        assert shown["CRS"] == dataset.crs.to_string() == "EPSG:32633"
        bounds = [float(number) for number in shown["bounds"].split(", ")]
        assert bounds == list(dataset.bounds)
        assert dataset.compression.name.upper() == shown["compression"]
    assert json.loads(file_of(shown["item"]).read_text("utf-8"))["id"] == "city~ortho"


def test_the_band_table_has_a_row_for_each_band_with_its_statistics(stack, page):
    open_partition(page, "cog_analysis", ORTHO, "bands")
    table = page.get_by_role("table").filter(has_text="valid %").last
    lines = [line.split("\t") for line in table.inner_text().strip().split("\n")]
    head, *bands = lines
    assert [band[head.index("name")] for band in bands] == ["red", "green", "blue"]
    with rasterio.open(stack.platform.container("bronze") / ORTHO) as source:
        for index, band in enumerate(bands, start=1):
            pixels = source.read(index, masked=True).compressed()
            shown = dict(zip(head, band, strict=True))
            assert shown["nodata"] == "0"
            assert float(shown["min"]) == pixels.min()
            assert float(shown["max"]) == pixels.max()
            assert float(shown["mean"]) == pytest.approx(pixels.mean(), rel=1e-5)


def test_a_table_shows_its_map_first_and_then_its_rows_and_place(stack, page):
    rows = open_partition(page, "table", LOTS, "rows refused", "vectors")
    shown = metadata(rows)
    assert next(iter(shown)) == "preview"
    picture = page.get_by_role("img", name="preview")
    expect(picture).to_be_visible()
    assert picture.evaluate("img => img.decode().then(() => img.naturalWidth)") > 0

    (table,) = [
        one["table"]
        for one in stack.platform.ledger()[LOTS]["products"]
        if "table" in one
    ]
    (found,) = stack.platform.query(
        f"SELECT count(*) AS rows, sum(lot) AS lots FROM {table}"  # noqa: S608
    )
    assert (found["rows"], found["lots"]) == (LOT_ROWS, sum(range(LOT_ROWS)))
    assert (shown["rows"], shown["rows refused"]) == (str(LOT_ROWS), "0")
    assert (shown["CRS"], shown["geometry"]) == ("EPSG:4326", "MultiPolygon")
    assert [float(one) for one in shown["extent"].split(", ")] == [10, 50, 12.9, 50.9]
    expect(page.get_by_text(f"TABLE {table} LIMIT 10;").first).to_be_visible()


def test_an_item_names_itself_and_all_its_files(page):
    shown = metadata(open_partition(page, "item", DEM, "collection"))
    item = json.loads(file_of(shown["item"]).read_text(encoding="utf-8"))
    assert (shown["id"], shown["collection"]) == (item["id"], item["collection"])
    assert [float(x) for x in shown["bbox"].split(", ")] == item["bbox"]
    files = {file_of(shown[f"{tier.removeprefix('cog_')} file"]) for tier in COGS}
    total = sum(path.stat().st_size for path in files)
    assert int(shown["bytes of all tiers"]) == total


def test_a_rejected_file_says_why_and_what_to_do(page):
    shown = metadata(open_partition(page, "bronze", BAD, "what to do"))
    assert (shown["status"], shown["code"]) == ("rejected", NoCrsError.code)
    assert shown["code"] == "NO_CRS"
    assert "coordinate reference system" in shown["reason"]
    assert "gdal_edit" in shown["what to do"]
    assert shown["found"] == "no CRS"


def test_a_rejected_file_is_red_on_the_assets_that_it_did_not_become(stack, page):
    page.goto("/assets/rasters/cog_archive?view=partitions")
    page.get_by_text(BAD, exact=True).first.click()
    expect(page.get_by_text("did not materialize this asset")).to_be_visible()
    assert stack.statuses("cog_archive") == ({ORTHO, DEM}, {BAD})


@pytest.mark.parametrize(
    ("thing", "checks"),
    [
        ("cog_analysis", ("cog_valid", "pixels_identical")),
        ("item", ("item_valid", "item_found", "item_complete")),
    ],
)
def test_the_checks_of_an_asset_are_seen_to_have_passed(page, thing, checks):
    page.goto(f"/assets/rasters/{thing}?view=checks")
    expect(page.get_by_text(f"Checks ({len(checks)})")).to_be_visible()
    for check in checks:
        expect(page.get_by_text(check, exact=True).first).to_be_visible()
    passed = page.get_by_text("Succeeded", exact=True)
    expect(passed).to_have_count(len(checks))


def launch(page: Page, dialog_title: str, choose: str) -> None:
    """Choose partitions in the dialog that is open, and launch what it offers."""
    dialog = page.get_by_role("dialog").filter(has_text=dialog_title)
    expect(dialog.get_by_text("Partition selection")).to_be_visible()
    if choose == "All":
        dialog.get_by_role("button", name="All", exact=True).click()
    else:
        dialog.get_by_text("Select a partition").click()
        page.get_by_role("menuitem").filter(has_text=choose).click()
        page.keyboard.press("Escape")
    button = dialog.get_by_role("button", name=re.compile("^Launch"))
    expect(button).to_be_enabled()
    button.click()
    expect(dialog).to_be_hidden()


def new_runs(stack: Stack, before: dict[str, dict]) -> list[dict]:
    """Runs that were not there before, once there are some and all have ended."""
    eventually(lambda: stack.runs().keys() - before.keys(), "a new run")
    after = stack.ended_runs()
    return [after[run] for run in after.keys() - before.keys()]


def test_a_backfill_of_all_files_started_in_the_ui_ends(stack, page):
    before = stack.ended_runs()
    page.goto(GROUP)
    page.get_by_role("button", name="Materialize all (9)").click()
    launch(page, "Launch runs to materialize", "All")

    page.goto("/runs?view=backfills")
    expect(page.get_by_text("Failed", exact=True).last).to_be_visible()
    made = {run["runId"]: run["status"] for run in new_runs(stack, before)}
    for thing in ("validated", *COGS, "item"):
        assert stack.statuses(thing) == ({ORTHO, DEM}, {BAD})
        assert set(stack.materializations(thing).values()) <= made.keys()
    assert "FAILURE" in made.values()


def test_one_file_can_be_materialised_from_the_ui(stack, page):
    before, old = stack.ended_runs(), stack.materializations("cog_archive")
    page.goto("/assets/rasters/cog_archive?view=partitions")
    page.get_by_role("button", name="Materialize").first.click()
    launch(page, "Launch runs to materialize", DEM)

    (run,) = new_runs(stack, before)
    assert run["status"] == "SUCCESS"
    new = stack.materializations("cog_archive")
    assert new == {**old, DEM: run["runId"]}
    assert run["runId"] not in stack.materializations("cog_analysis").values()


def test_a_failed_run_executed_again_from_failure_takes_the_bad_file_alone(stack, page):
    before, old = stack.ended_runs(), stack.materializations("item")
    failed = next(
        run["runId"]
        for run in before.values()
        if (run["jobName"], run["status"]) == ("rasters__ingest", "FAILURE")
    )
    page.goto(f"/runs/{failed}")
    again = page.get_by_role("button", name="Re-execute all")
    again.locator("xpath=following-sibling::*//button").click()
    page.get_by_role("menuitem").filter(has_text="From failure").click()

    (run,) = new_runs(stack, before)
    assert (run["parentRunId"], run["status"]) == (failed, "FAILURE")
    expect(page.get_by_text("1 of 1 files are not usable").first).to_be_visible()
    assert stack.materializations("item") == old
    assert stack.platform.ledger()[BAD]["status"] == "rejected"


def test_no_page_and_no_answer_holds_a_password(stack, page):
    bodies: list[str] = []
    answers: list[str] = []

    def record(route: Route) -> None:
        answer = route.fetch(timeout=PATIENCE_SECONDS * 1000)
        answers.append(answer.text())
        route.fulfill(response=answer)

    page.route(re.compile("/graphql"), record)
    ended = stack.ended_runs().values()
    run = next(run["runId"] for run in ended if run["status"] == "FAILURE")
    for address, landmark in {
        "/config": "run_storage",
        "/locations/strata/resources/database": "application_name",
        "/locations/strata/resources/storage": "storage",
        "/locations/strata/sensors/bronze_arrivals": "bronze_arrivals",
        f"/runs/{run}": "RUN_FAILURE",
        "/assets/rasters/collection": "files rejected",
    }.items():
        page.goto(address)
        expect(page.get_by_text(landmark).first).to_be_visible()
        bodies.append(page.content())
    page.goto(f"/runs/{run}")
    page.get_by_role("button", name="View tags and config").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    bodies.append(page.content())
    page.unroute_all(behavior="wait")

    told = "\n".join([*bodies, *answers])
    assert "PostgresRunStorage" in told
    assert len(answers) > len(ASSETS)
    services = json.loads((stack.platform.home / "services.json").read_text("utf-8"))
    for url in services.values():
        password = urlsplit(url).password
        assert password
        assert password not in told
