"""geo_assets.raster.item, item_bands, item_grid"""

import hashlib
import json
import math
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyproj
import pystac
import pystac.extensions.sat
import pystac.extensions.view
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.crs import CRS

from geo_assets.catalog.stac_validate import validate_item
from geo_assets.datetime_rule import ItemTime
from geo_assets.raster.facts import SourceBlob
from geo_assets.raster.footprint import footprint
from geo_assets.raster.item import ItemFacts, ThumbnailAsset, build_item
from geo_assets.raster.tiers import Tier
from geo_assets.sensing.read import read_sensing
from tests.unit.raster.rasters import CASES, make_tiers, pixels_of, rgb, write_raster
from tests.unit.sensing import sidecars as made

SCHEMAS = Path(
    os.environ.get(
        "STRATA_STAC_SCHEMAS", Path(__file__).parents[4] / "shared" / "schemas"
    )
)
NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
MOMENT = ItemTime(moment=datetime(2024, 1, 31, 10, tzinfo=UTC), source="rule")
ARRIVAL = ItemTime(start=NOW, end=NOW, source="blob")


def item_of(source, *, time=MOMENT, thumbnail=None, beside=(), **options):
    tiers = make_tiers(source, **options)
    made, profile = tiers.made, tiers.profile
    told = read_sensing("scene/a.tif", profile.tags, beside)
    whole = np.ones((made.height, made.width), bool)
    crs = CRS.from_wkt(made.crs_wkt) if made.crs_wkt else CRS.from_epsg(4326)
    facts = ItemFacts(
        item_id="scene~a",
        collection="dem",
        profile=profile,
        made=made,
        hrefs={tier: f"az://silver/dem/scene/a/{tier}.tif" for tier in made.cogs},
        source=SourceBlob(
            blob="scene/a.tif",
            href="az://bronze/scene/a.tif",
            etag="0x8D",
            sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
            size_bytes=source.stat().st_size,
            last_modified=NOW,
        ),
        footprint=footprint(whole, Affine(*made.transform), crs),
        time=time,
        thumbnail=thumbnail,
        operations=("decoded once", "written as COG"),
        software={"gdal": "3.10.3", "rasterio": "1.4.4", "strata": "0.1.0"},
        sensing=told.sensing,
        sidecars=told.sidecars,
        created=NOW,
    )
    return build_item(ItemFacts.model_validate_json(facts.model_dump_json()))


def assert_valid(item):
    """Core always; each extension where its schema is at hand, with a field of it."""
    report = validate_item(item, SCHEMAS if SCHEMAS.is_dir() else None)
    assert report.errors == ()
    assert len(report.checked) + len(report.unchecked) == 1 + len(
        item["stac_extensions"]
    )
    assert not SCHEMAS.is_dir() or report.unchecked == ()
    json.dumps(item, allow_nan=False)
    for uri in item["stac_extensions"]:
        name = uri.split("/")[3]
        prefix = {"projection": "proj:", "render": "renders"}.get(name, f"{name}:")
        assert f'"{prefix}' in json.dumps(item)


def accepted(case):
    """Cases that are accepted: the others never get an item."""
    return not any(word in case for word in ("gcp", "rpc", "complex_int16"))


@pytest.mark.parametrize("case", [case for case in CASES if accepted(case)])
def test_the_item_of_any_raster_is_valid(case, tmp_path):
    CASES[case](tmp_path / "in.tif")
    assert_valid(item_of(tmp_path / "in.tif"))


@pytest.fixture
def scene(tmp_path):
    """Four bands of 16 bits with holes, scale and colours."""

    def finish(dataset):
        dataset.descriptions = ("B02", "B03", "B04", "NIR")
        dataset.scales, dataset.offsets = (1e-4,) * 4, (-0.1,) * 4
        dataset.units = ("reflectance",) * 4
        dataset.update_tags(ns="IMAGERY", CLOUDCOVER="12.5", SATELLITEID="Sentinel-2A")

    pixels = pixels_of("uint16", (4, 600, 700))
    pixels[:, :200, :300] = 0
    return write_raster(tmp_path / "in.tif", pixels, finish, nodata=0)


def test_statistics_are_those_of_every_valid_pixel(scene):
    bands = item_of(scene)["assets"]["analysis"]["bands"]

    with rasterio.open(scene) as dataset:
        for number, band in enumerate(bands, 1):
            values = dataset.read(number).astype("float64")
            valid = values[values != 0]
            assert band["statistics"] == {
                "minimum": valid.min(),
                "maximum": valid.max(),
                "mean": pytest.approx(valid.mean()),
                "stddev": pytest.approx(valid.std()),
                "count": valid.size,
                "valid_percent": pytest.approx(100 * valid.size / values.size),
            }
            histogram = band["raster:histogram"]
            assert sum(histogram["buckets"]) == valid.size
            assert histogram["count"] == len(histogram["buckets"])
            edges = np.linspace(
                histogram["min"], histogram["max"], histogram["count"] + 1
            )
            assert histogram["buckets"] == np.histogram(valid, edges)[0].tolist()


def test_bands_keep_their_names_units_and_scaling(scene):
    assets = item_of(scene)["assets"]

    for tier in ("analysis", "archive"):
        bands = assets[tier]["bands"]
        assert [band["name"] for band in bands] == ["B02", "B03", "B04", "NIR"]
        assert bands[0]["raster:scale"] == 1e-4
        assert bands[0]["raster:offset"] == -0.1
        assert bands[0]["unit"] == "reflectance"
        assert bands[0]["data_type"] == "uint16"
        assert bands[0]["nodata"] == 0
        assert bands[0]["raster:spatial_resolution"] == 0.5
        common = [band.get("eo:common_name") for band in bands]
        assert common == [None, None, None, "nir"]
    shown = assets["visualization"]["bands"]
    assert [band["name"] for band in shown] == ["red", "green", "blue"]
    assert {band["data_type"] for band in shown} == {"uint8"}
    assert not any("statistics" in band for band in shown)


def test_assets_are_the_tiers_with_their_weight_and_checksum(scene):
    thumbnail = ThumbnailAsset(
        href="az://silver/t.webp",
        media_type="image/webp",
        size_bytes=9,
        sha256="ab" * 32,
    )
    item = item_of(scene, thumbnail=thumbnail)
    assets = item["assets"]

    assert {name: asset["roles"] for name, asset in assets.items()} == {
        "visualization": ["visual", "overview"],
        "analysis": ["data"],
        "archive": ["archive"],
        "thumbnail": ["thumbnail"],
    }
    for tier in Tier:
        content = scene.with_name(f"in.{tier}.tif").read_bytes()
        assert assets[tier]["file:size"] == len(content)
        digest = hashlib.sha256(content).hexdigest()
        assert assets[tier]["file:checksum"] == f"1220{digest}"
        assert assets[tier]["href"] == f"az://silver/dem/scene/a/{tier}.tif"
        assert assets[tier]["type"] == (
            "image/tiff; application=geotiff; profile=cloud-optimized"
        )
    assert assets["thumbnail"]["type"] == "image/webp"
    assert_valid(item)


def test_a_tier_that_was_not_made_is_no_asset(scene):
    item = item_of(scene, wanted=[Tier.VISUALIZATION])
    assert list(item["assets"]) == ["visualization"]
    assert "renders" not in item["properties"]
    assert_valid(item)


def test_the_item_says_where_it_comes_from_and_how(scene):
    item = item_of(scene)
    properties = item["properties"]

    (link,) = [link for link in item["links"] if link["rel"] == "derived_from"]
    assert link["href"] == "az://bronze/scene/a.tif"
    assert link["strata:etag"] == "0x8D"
    assert link["file:checksum"][4:] == hashlib.sha256(scene.read_bytes()).hexdigest()
    assert properties["processing:software"]["rasterio"] == "1.4.4"
    assert properties["processing:lineage"] == "decoded once; written as COG"
    assert properties["strata:datetime_source"] == "rule"
    assert properties["platform"] == "sentinel-2a"
    assert properties["eo:cloud_cover"] == 12.5
    assert properties["created"] == "2026-05-06T07:08:09Z"


def test_the_grid_is_described_as_it_is(scene):
    properties = item_of(scene)["properties"]

    assert properties["proj:code"] == "EPSG:32633"
    assert properties["proj:shape"] == [600, 700]
    assert properties["proj:transform"] == [0.5, 0, 500000, 0, -0.5, 5400000]
    assert properties["proj:bbox"] == [500000, 5399700, 500350, 5400000]
    assert properties["gsd"] == 0.5


def test_a_turned_grid_has_the_box_around_it(tmp_path):
    turned = Affine.translation(5e5, 5.4e6) @ Affine.rotation(30) @ Affine.scale(2, -2)
    source = write_raster(
        tmp_path / "in.tif", rgb(), photometric="RGB", transform=turned
    )
    properties = item_of(source)["properties"]

    with rasterio.open(source) as dataset:
        cols, rows = dataset.width, dataset.height
        ends = [(0, 0), (cols, 0), (0, rows), (cols, rows)]
        corners = [dataset.transform * end for end in ends]
    xs, ys = zip(*corners, strict=True)
    expected = [min(xs), min(ys), max(xs), max(ys)]
    assert properties["proj:bbox"] == pytest.approx(expected)
    assert properties["gsd"] == pytest.approx(2)


def test_a_crs_without_a_code_is_spelled_out(tmp_path):
    own = "+proj=laea +lat_0=47.5 +lon_0=13.3 +datum=WGS84 +units=m"
    source = write_raster(tmp_path / "in.tif", rgb(), photometric="RGB", crs=own)
    item = item_of(source)

    assert "proj:code" not in item["properties"]
    assert pyproj.CRS.from_wkt(item["properties"]["proj:wkt2"]).equals(
        pyproj.CRS.from_wkt(CRS.from_string(own).to_wkt(version="WKT2_2019"))
    )
    assert_valid(item)


@pytest.mark.parametrize(
    ("crs", "transform", "expected"),
    [
        ("EPSG:4326", Affine(0.001, 0, 10, 0, -0.001, 60.3), (55.66 + 111.32) / 2),
        ("EPSG:2264", Affine(10, 0, 2e6, 0, -10, 8e5), 10 * 0.3048006),
    ],
    ids=["degrees", "feet"],
)
def test_resolution_is_in_metres(tmp_path, crs, transform, expected):
    source = write_raster(
        tmp_path / "in.tif", rgb(), photometric="RGB", crs=crs, transform=transform
    )
    assert item_of(source)["properties"]["gsd"] == pytest.approx(expected, rel=0.01)


def test_a_warped_raster_is_described_as_it_was_warped(scene):
    properties = item_of(scene, target_crs="EPSG:3857")["properties"]
    assert properties["proj:code"] == "EPSG:3857"
    with rasterio.open(scene.with_name("in.analysis.tif")) as dataset:
        assert properties["proj:shape"] == list(dataset.shape)
        assert properties["proj:transform"] == pytest.approx(
            list(dataset.transform)[:6]
        )


def test_a_stretch_can_be_repeated_by_a_viewer(scene):
    render = item_of(scene)["properties"]["renders"]["visual"]
    assert render["assets"] == ["analysis"]
    assert render["expression"] == "b3;b2;b1"
    assert len(render["rescale"]) == 3
    assert all(low < high for low, high in render["rescale"])


def test_an_unknown_time_is_a_range_with_its_source(scene):
    item = item_of(scene, time=ARRIVAL)

    assert item["properties"]["datetime"] is None
    assert item["properties"]["start_datetime"] == "2026-05-06T07:08:09Z"
    assert item["properties"]["end_datetime"] == "2026-05-06T07:08:09Z"
    assert item["properties"]["strata:datetime_source"] == "blob"
    assert_valid(item)


def test_nothing_in_the_json_is_nan(tmp_path):
    pixels = np.full((2, 64, 64), np.nan, "float32")
    pixels[1, 5, 5] = math.inf
    source = write_raster(tmp_path / "in.tif", pixels, nodata=math.nan)

    item = item_of(source)

    band = item["assets"]["analysis"]["bands"][0]
    assert band["nodata"] == "nan"
    assert "statistics" not in band
    assert_valid(item)


def test_text_of_tags_cannot_break_the_database(tmp_path):
    def finish(dataset):
        dataset.descriptions = ("C:\\temp\\new \u00fc",)

    source = write_raster(tmp_path / "in.tif", rgb()[:1], finish)
    item = item_of(source)
    assert item["assets"]["analysis"]["bands"][0]["name"] == "C:\\temp\\new \u00fc"


def test_bands_of_one_name_are_told_apart(tmp_path):
    def finish(dataset):
        dataset.descriptions = ("x", "x", None)

    source = write_raster(tmp_path / "in.tif", pixels_of("int16", (3, 64, 64)), finish)
    bands = item_of(source)["assets"]["archive"]["bands"]
    assert len({band["name"] for band in bands}) == 3


def test_pystac_reads_the_item(scene):
    item = item_of(scene)
    read = pystac.Item.from_dict(item)
    assert read.datetime == MOMENT.moment
    assert read.to_dict(include_self_link=False, transform_hrefs=False) == item
    assert shapely.geometry.shape(read.geometry).is_valid


SIDECARS = {
    "landsat": (f"scene/{made.LANDSAT}_MTL.json", made.mtl_json()),
    "sentinel": (f"{made.GRANULE}/MTD_TL.xml", made.MTD_TILE),
    "sentinel product": (f"{made.SAFE}/MTD_MSIL2A.xml", made.MTD_PRODUCT),
    "maxar": ("scene/a.IMD", made.IMD),
    "dimap": ("scene/DIM_a.XML", made.DIMAP_2),
}
VIEW = {  # of the view extension 1.0.0, each a number within these bounds
    "view:off_nadir": (0, 90),
    "view:incidence_angle": (0, 90),
    "view:azimuth": (0, 360),
    "view:sun_azimuth": (0, 360),
    "view:sun_elevation": (-90, 90),
}


@pytest.mark.parametrize("kind", SIDECARS)
def test_what_the_sensor_says_is_stac(tmp_path, kind):
    blob, text = SIDECARS[kind]
    beside = made.sidecar(blob, text)
    item = item_of(write_raster(tmp_path / "a.tif", rgb()), beside=[beside])
    report = validate_item(item, SCHEMAS if SCHEMAS.is_dir() else None)
    assert report.errors == ()
    used = {uri.split("/")[3] for uri in item["stac_extensions"]}
    asked = {uri.split("/")[3] for uri in report.checked if "stac-extensions" in uri}
    assert not SCHEMAS.is_dir() or used - asked <= {"view", "sat", "render", "table"}

    properties = item["properties"]
    for name in [name for name in properties if name.startswith("view:")]:
        low, high = VIEW[name]
        assert low <= properties[name] <= high
    orbits = {"sat:orbit_state", "sat:relative_orbit", "sat:absolute_orbit"}
    assert {name for name in properties if name.startswith("sat:")} <= orbits
    assert properties.get("sat:orbit_state") in {None, "ascending", "descending"}

    read = pystac.Item.from_dict(item)
    if "view" in used:
        view = pystac.extensions.view.ViewExtension.ext(read)
        assert view.sun_elevation == properties["view:sun_elevation"]
    if "sat" in used:
        sat = pystac.extensions.sat.SatExtension.ext(read)
        assert sat.relative_orbit == properties["sat:relative_orbit"] == 65
    (link,) = [one for one in item["links"] if one.get("href") == beside.href]
    assert link["rel"] == "derived_from"
    assert link["file:checksum"] == "1220" + beside.sha256


def test_an_item_without_any_word_of_the_sensor_claims_none(tmp_path):
    item = item_of(write_raster(tmp_path / "a.tif", rgb()))
    words = ("view:", "sat:", "eo:cloud", "platform", "constellation", "instruments")
    assert not [name for name in item["properties"] if name.startswith(words)]
    assert not {"view", "sat"} & {uri.split("/")[3] for uri in item["stac_extensions"]}


def test_each_cog_says_by_which_parameters_it_was_made(tmp_path):
    item = item_of(write_raster(tmp_path / "a.tif", rgb()))
    for tier in ("visualization", "analysis"):
        asset = item["assets"][tier]
        said = asset["strata:parameters"]
        with rasterio.open(tmp_path / f"a.{tier}.tif") as cog:
            codec = cog.compression.name.upper()
            assert said["compression"].upper() == codec
            assert said["overview_count"] == len(cog.overviews(1))
            assert said["block_size"] == cog.block_shapes[0][0]
    assert item["properties"]["processing:version"] == "0.1.0"
