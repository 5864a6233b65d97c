"""A file's way, as its owner sees it: dropped into bronze, found in the catalogue."""

import json
import shutil
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

from tests.conftest import temporary_home
from tests.e2e.platform import Platform, product_files, write_raster

pytestmark = pytest.mark.e2e

TIERS = {"visualization", "analysis", "archive"}


@pytest.fixture(scope="module")
def platform():
    """A platform with its own database server, after its first run over six files."""
    with temporary_home() as home:
        platform = Platform(home, {})
        platform.strata("up")
        bronze = platform.container("bronze")
        write_raster(bronze / "city/ortho.tif", seed=1)
        write_raster(bronze / "dem.tif", seed=2, bands=1, dtype="float32", west=510_000)
        write_raster(bronze / "refused.tif", crs=None)
        (bronze / "empty.tif").touch()
        (bronze / "notes.txt").write_text("hello", encoding="utf-8")
        (bronze / "odd, [name] 100%.tif").write_bytes(
            write_raster(home / "odd.tif", seed=3, west=520_000).read_bytes()
        )
        shutil.copy(bronze / "city/ortho.tif", bronze / "same.tif")
        platform.strata("run", "--until-idle")
        yield platform
        platform.strata("down")


def path_of(href: str) -> str:
    return unquote(urlsplit(href).path)


def test_every_file_has_one_row_that_says_what_became_of_it(platform):
    rows = [
        json.loads(line)
        for line in platform.strata("status", "--json").split("\n")
        if line
    ]
    assert sorted(row["blob"] for row in rows) == sorted(platform.blobs("bronze"))
    status = {row["blob"]: (row["status"], row["code"]) for row in rows}
    twins = {status.pop("city/ortho.tif"), status.pop("same.tif")}
    assert twins == {("accepted", None), ("duplicate", "DUPLICATE")}
    assert status == {
        "dem.tif": ("accepted", None),
        "odd, [name] 100%.tif": ("accepted", None),
        "refused.tif": ("rejected", "NO_CRS"),
        "empty.tif": ("rejected", "EMPTY_FILE"),
        "notes.txt": ("ignored", None),
    }


def test_every_file_in_silver_belongs_to_exactly_one_accepted_row(platform):
    rows = platform.ledger().values()
    owned = product_files(row for row in rows if row["status"] == "accepted")
    found = [str(path) for path in platform.blobs("silver").values()]
    assert sorted(map(path_of, owned)) == sorted(found)
    assert not product_files(row for row in rows if row["status"] != "accepted")


def test_every_tier_is_a_strict_cog_and_the_lossless_ones_hold_every_pixel(platform):
    row = platform.ledger()["dem.tif"]
    cogs = {one["tier"]: one for one in row["products"] if one["kind"] == "cog"}
    assert set(cogs) == TIERS
    with rasterio.open(platform.container("bronze") / "dem.tif") as source:
        pixels = source.read()
    for tier, product in cogs.items():
        path = path_of(product["href"])
        valid, errors, warnings = cog_validate(path, strict=True)
        assert (valid, errors, warnings) == (True, [], [])
        with rasterio.open(path) as cog:
            assert cog.crs == rasterio.crs.CRS.from_epsg(32633)
            if tier != "visualization":
                np.testing.assert_array_equal(cog.read(), pixels)


def test_a_search_by_place_finds_the_item_of_each_accepted_file(platform):
    found = platform.query(
        "SELECT f ->> 'id' AS id FROM jsonb_array_elements(pgstac.search("
        """'{"collections": ["rasters"], "bbox": [14, 48, 16, 49], "limit": 50}'"""
        ") -> 'features') AS f"
    )
    accepted = [
        row for row in platform.ledger().values() if row["status"] == "accepted"
    ]
    items = [
        one["item"] for row in accepted for one in row["products"] if "item" in one
    ]
    assert sorted(row["id"] for row in found) == sorted(items)
    assert len(items) == 3


def test_the_collection_counts_what_is_there(platform):
    (row,) = platform.query(
        "SELECT content FROM pgstac.collections WHERE id = 'rasters'"
    )
    assert row["content"]["strata:items"] == 3


def test_a_second_run_changes_nothing(platform):
    before = platform.ledger(), stamps(platform)
    platform.strata("run", "--until-idle")
    assert (platform.ledger(), stamps(platform)) == before


def stamps(platform):
    return {
        name: path.stat().st_mtime_ns for name, path in platform.blobs("silver").items()
    }


def test_a_changed_file_replaces_its_products_and_a_deleted_one_leaves_them(platform):
    bronze = platform.container("bronze")
    old = platform.ledger()["dem.tif"]
    write_raster(bronze / "dem.tif", seed=9, bands=1, dtype="float32", size=600)
    (bronze / "odd, [name] 100%.tif").unlink()
    platform.strata("run", "--until-idle")

    lines = platform.strata("status", "--json").splitlines()
    versions = [row for row in map(json.loads, lines) if row["blob"] == "dem.tif"]
    assert [row["status"] for row in versions] == ["gone", "accepted"]
    assert versions[0]["etag"] == old["etag"]
    assert not versions[0]["products"]
    cogs = {one.get("tier"): one for one in versions[1]["products"]}
    with rasterio.open(path_of(cogs["analysis"]["href"])) as cog:
        assert cog.shape == (600, 600)
    (items,) = platform.query("SELECT count(*) AS n FROM pgstac.items WHERE id = 'dem'")
    assert items["n"] == 1
    gone = platform.ledger()["odd, [name] 100%.tif"]
    assert gone["status"] == "gone"
    assert all(
        path_of(h) in map(str, platform.blobs("silver").values())
        for h in product_files([gone])
    )


def test_unpublish_takes_the_products_back_and_only_when_told(platform):
    before = stamps(platform)
    platform.strata("unpublish", "dem.tif")
    assert stamps(platform) == before

    platform.strata("unpublish", "dem.tif", "--yes")
    platform.strata("run", "--until-idle")
    assert platform.ledger()["dem.tif"]["status"] == "ignored"
    assert not [
        name for name in platform.blobs("silver") if name.startswith("rasters/dem/")
    ]
    (items,) = platform.query("SELECT count(*) AS n FROM pgstac.items WHERE id = 'dem'")
    assert items["n"] == 0


def test_ingest_says_by_its_exit_code_whether_all_was_accepted(platform, tmp_path):
    good = write_raster(tmp_path / "good.tif", seed=20)
    bad = write_raster(tmp_path / "bad.tif", crs=None, seed=21)
    assert "good.tif" in platform.strata("ingest", str(good))
    with pytest.raises(AssertionError, match="NO_CRS"):
        platform.strata("ingest", str(bad))
