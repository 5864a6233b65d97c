"""geo_assets.raster.inspect, with placement and tags"""

import json
import math

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import tifffile
from rasterio.enums import ColorInterp, Resampling

from geo_assets.raster.gdal_env import rasterio_is_quiet
from geo_assets.raster.inspect import DTYPES, RasterProfile
from tests.unit.raster.odd import (
    GRID,
    UTM,
    noise,
    profile_of,
    ramp,
    set_control_points,
    set_rpc,
    turned,
    write_raster,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.tif"


# facts


def test_a_profile_states_the_grid_and_the_crs(path):
    profile = profile_of(write_raster(path, ramp(height=40, width=50)))
    assert (profile.driver, profile.dtype, profile.count) == ("GTiff", "uint8", 1)
    assert (profile.width, profile.height) == (50, 40)
    assert profile.transform == (10, 0, 500_000, 0, -10, 5_400_000)
    assert profile.affine == GRID
    assert profile.bounds == (500_000, 5_399_600, 500_500, 5_400_000)
    assert profile.crs_code == UTM
    assert profile.crs == rasterio.CRS.from_string(UTM)
    assert profile.crs_wkt is not None
    assert profile.crs_wkt.startswith("PROJCRS")
    assert (profile.mask, profile.nodata, profile.categorical) == ("none", None, False)
    assert profile.valid_fraction_estimate == 1
    assert profile.warnings == ()


def test_a_profile_survives_json_with_nan_as_nodata(path):
    profile = profile_of(write_raster(path, ramp(dtype="float32"), nodata=math.nan))
    text = profile.model_dump_json()
    again = RasterProfile.model_validate_json(text)
    assert again.nodata is not None
    assert math.isnan(again.nodata)
    assert again.mask == "nodata"
    json.dumps(json.loads(text), allow_nan=False)


def test_every_word_of_a_band_is_kept(path):
    def edit(dataset):
        dataset.scales, dataset.offsets = (1e-4, 2.0), (-0.1, 0.0)
        dataset.descriptions, dataset.units = ("B04", None), ("reflectance", None)
        dataset.update_tags(1, WAVELENGTH="665")
        dataset.update_tags(SENSOR="MSI", TIFFTAG_DATETIME="2024:01:01 00:00:00")
        dataset.update_tags(ns="IMAGERY", CLOUDCOVER="3")

    profile = profile_of(write_raster(path, ramp(2, dtype="uint16"), edit, nodata=0))
    red, other = profile.bands
    assert (red.scale, red.offset, red.unit) == (1e-4, -0.1, "reflectance")
    assert (red.description, red.nodata) == ("B04", 0)
    assert red.tags == {"WAVELENGTH": "665"}
    assert (other.scale, other.description, other.unit) == (2, None, None)
    assert profile.tags[""]["SENSOR"] == "MSI"
    assert profile.tags[""]["TIFFTAG_DATETIME"] == "2024:01:01 00:00:00"
    assert profile.tags["IMAGERY"] == {"CLOUDCOVER": "3"}
    assert not {"SUBDATASETS", "DERIVED_SUBDATASETS"} & set(profile.tags)


def test_xmp_and_tags_in_latin_1_are_read(path):
    tags = [
        (315, "s", None, "Zürich".encode("latin-1"), True),
        (700, "B", 13, b"<x:xmpmeta/>\0", True),
    ]
    tifffile.imwrite(path, ramp()[0], extratags=tags, metadata=None)
    profile = profile_of(path)
    assert profile.tags[""]["TIFFTAG_ARTIST"] == "Zürich"
    assert profile.tags["xml:XMP"] == {"xml:XMP": "<x:xmpmeta/>"}


def test_a_description_that_is_not_utf8_is_left_out_with_a_warning(path):
    xml = b'<GDALMetadata><Item name="DESCRIPTION" sample="0" role="description">'
    tags = [(42112, "s", None, xml + b"Z\xfcrich</Item></GDALMetadata>", True)]
    tifffile.imwrite(path, ramp()[0], extratags=tags, metadata=None)
    profile = profile_of(path)
    assert profile.bands[0].description is None
    assert "not UTF-8" in profile.warnings[0]


@pytest.mark.parametrize("dtype", [name for name in DTYPES if name != "float16"])
def test_every_pixel_type_is_known(path, dtype):
    assert profile_of(write_raster(path, ramp(dtype=dtype))).dtype == dtype


def test_bits_below_a_byte_are_stated(path):
    profile = profile_of(write_raster(path, ramp() % 2, nbits=1))
    assert (profile.bands[0].nbits, profile.dtype) == (1, "uint8")
    assert profile.categorical


def test_layout_and_overviews_are_stated(path):
    profile = profile_of(
        write_raster(
            path,
            noise(3, 600, 700),
            lambda dataset: dataset.build_overviews([2, 4], Resampling.nearest),
            tiled=True,
            blockxsize=128,
            blockysize=256,
            compress="deflate",
            interleave="band",
        )
    )
    assert profile.block_shape == (256, 128)
    assert (profile.compression, profile.interleave) == ("DEFLATE", "BAND")
    assert profile.overview_count == 2


def test_a_palette_is_kept_and_means_classes(path):
    colors = {0: (1, 2, 3, 255), 7: (9, 8, 7, 255)}
    profile = profile_of(
        write_raster(
            path,
            noise(),
            lambda dataset: dataset.write_colormap(1, colors),
            photometric="palette",
        )
    )
    assert profile.palette is not None
    assert {code: profile.palette[code] for code in colors} == colors
    assert profile.categorical
    assert profile.bands[0].color == "palette"


def test_bigtiff_and_big_endian_are_read(tmp_path):
    big = write_raster(tmp_path / "big.tif", ramp(), BIGTIFF="YES")
    assert profile_of(big).width == 50
    tifffile.imwrite(tmp_path / "mm.tif", ramp(dtype="uint16")[0], byteorder=">")
    assert profile_of(tmp_path / "mm.tif").dtype == "uint16"


@pytest.mark.parametrize("codec", ["JP2", "J2K"])
def test_jpeg_2000_is_read(tmp_path, codec):
    source = write_raster(tmp_path / "a.tif", noise(3), photometric="rgb")
    target = tmp_path / "a.bin"
    with rasterio_is_quiet():
        rasterio.shutil.copy(source, target, driver="JP2OpenJPEG", CODEC=codec)
    profile = profile_of(target)
    assert (profile.driver, profile.count) == ("JP2OpenJPEG", 3)
    placed = (UTM, (10, 0, 500_000, 0, -10, 5_400_000))
    nowhere = (None, (1, 0, 0, 0, 1, 0))
    found = (profile.crs_code, profile.transform)
    assert found == (placed if codec == "JP2" else nowhere)


@pytest.mark.timeout(120)
def test_a_damaged_box_of_jpeg_2000_is_not_walked_for_ever(tmp_path):
    source = write_raster(tmp_path / "a.tif", noise(3), photometric="rgb")
    target = tmp_path / "a.jp2"
    rasterio.shutil.copy(source, target, driver="JP2OpenJPEG")
    body = bytearray(target.read_bytes())
    body[body.index(b"colr") - 4] = 15  # the box claims 250 MB
    target.write_bytes(body)
    assert profile_of(target).interleave == "PIXEL"  # GDAL reads the pixels


def test_control_points_and_rpc_give_bounds(tmp_path):
    bare = {"crs": None, "transform": None}
    points = write_raster(tmp_path / "g.tif", ramp(), set_control_points, **bare)
    model = write_raster(tmp_path / "r.tif", ramp(), set_rpc, **bare)
    by_points, by_model = profile_of(points), profile_of(model)
    assert (by_points.gcp_count, by_points.crs_code) == (4, "EPSG:4326")
    assert by_points.bounds == pytest.approx((10, 49.9, 10.1, 50))
    assert (by_model.has_rpc, by_model.crs_code) == (True, "EPSG:4326")
    assert by_model.bounds == pytest.approx((9.8, 49.9, 10.2, 50.1))
    assert "LAT_OFF" in by_model.tags["RPC"]


def test_a_turned_grid_is_rotated_and_rounding_is_not(tmp_path):
    turn = write_raster(tmp_path / "t.tif", ramp(), transform=turned(20))
    noise_only = write_raster(tmp_path / "n.tif", ramp(), transform=turned(1e-9))
    assert profile_of(turn).rotated
    assert not profile_of(noise_only).rotated


def test_a_vertical_crs_is_not_lost(path):
    profile = profile_of(write_raster(path, ramp(), crs="EPSG:32633+5773"))
    assert profile.crs_code is None
    assert profile.crs_wkt is not None
    assert profile.crs_wkt.startswith("COMPOUNDCRS")


# what is missing, and what the pixels say


def test_nodata_mask_alpha_and_nan_are_told_apart(tmp_path):
    holes = ramp(3, dtype="float32")
    holes[:, :20] = math.nan
    opaque = np.concatenate([ramp(3), np.full((1, 40, 50), 255, "uint8")])
    opaque[3, :20] = 0
    rgba = {"photometric": "rgb", "alpha": "yes"}
    files = {
        "nodata": write_raster(tmp_path / "n.tif", np.nan_to_num(holes), nodata=0),
        "nan": write_raster(tmp_path / "f.tif", holes),
        "alpha": write_raster(tmp_path / "r.tif", opaque, **rgba),
        "none": write_raster(tmp_path / "x.tif", ramp(3)),
    }
    found = {key: profile_of(file) for key, file in files.items()}
    assert {key: profile.mask for key, profile in found.items()} == {
        "nodata": "nodata",
        "nan": "nodata",
        "alpha": "alpha",
        "none": "none",
    }
    assert found["alpha"].alpha_index == 3
    assert found["alpha"].valid_fraction_estimate == 0.5
    assert found["nan"].valid_fraction_estimate == 0.5
    assert found["nodata"].valid_fraction_estimate == pytest.approx(0.5, abs=0.01)
    assert "NaN" in found["nan"].warnings[0]


def test_an_internal_mask_is_read_and_one_beside_the_file_is_not(tmp_path):
    half = np.full((40, 50), 255, "uint8")
    half[:20] = 0
    for name, inside in (("in.tif", True), ("out.tif", False)):
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside):
            write_raster(tmp_path / name, ramp(), lambda d: d.write_mask(half))
    assert (tmp_path / "out.tif.msk").exists()
    inside, outside = profile_of(tmp_path / "in.tif"), profile_of(tmp_path / "out.tif")
    assert (inside.mask, inside.valid_fraction_estimate) == ("mask", 0.5)
    assert (outside.mask, outside.valid_fraction_estimate) == ("none", 1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_fourth_band_of_data_is_no_alpha_whatever_its_label(path, dtype):
    high = np.iinfo(dtype).max
    pixels = noise(4, dtype=dtype, high=high)
    profile = profile_of(write_raster(path, pixels, photometric="rgb", alpha="yes"))
    with rasterio.open(path) as dataset:
        assert dataset.colorinterp[3] == ColorInterp.alpha
    assert (profile.bands[3].color, profile.mask) == ("undefined", "none")
    assert (profile.alpha_index, profile.valid_fraction_estimate) == (None, 1)
    assert "labelled alpha" in profile.warnings[0]


def test_a_soft_alpha_edge_stays_alpha(path):
    pixels = noise(4)
    pixels[3] = 255
    pixels[3, :, :50] = 0
    pixels[3, :, 50:60] = np.arange(10) * 20
    profile = profile_of(write_raster(path, pixels, photometric="rgb", alpha="yes"))
    assert (profile.mask, profile.alpha_index, profile.warnings) == ("alpha", 3, ())


def test_few_integers_are_classes_and_heights_are_not(tmp_path):
    classes = np.array([10, 20, 30, 95], "uint8")[noise(high=4)]
    heights = (np.indices((300, 300)).sum(axis=0) // 20).astype("int16")
    profiles = {
        "classes": profile_of(write_raster(tmp_path / "c.tif", classes, nodata=0)),
        "two": profile_of(write_raster(tmp_path / "t.tif", noise(high=2))),
        "heights": profile_of(write_raster(tmp_path / "h.tif", heights)),
        "grey": profile_of(write_raster(tmp_path / "g.tif", noise())),
        "one": profile_of(write_raster(tmp_path / "o.tif", np.full((99, 99), 7, "u1"))),
        "rgb": profile_of(write_raster(tmp_path / "r.tif", noise(3, high=4))),
        "float": profile_of(write_raster(tmp_path / "f.tif", classes.astype("f4"))),
        "metres": profile_of(
            write_raster(tmp_path / "m.tif", classes, lambda d: d.set_band_unit(1, "m"))
        ),
    }
    found = {key for key, profile in profiles.items() if profile.categorical}
    assert found == {"classes", "two"}
