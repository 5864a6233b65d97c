"""geo_assets.raster.inspect: what is refused, and that nothing crashes it"""

import json

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling

from geo_assets.errors import (
    AmbiguousContentError,
    CorruptError,
    EmptyDatasetError,
    EmptyFileError,
    ExternalReferenceError,
    SourceError,
    UnsupportedCodecError,
    UnsupportedDtypeError,
    UnsupportedFormatError,
)
from geo_assets.raster.gdal_env import open_raster, rasterio_is_quiet
from tests.unit.raster.odd import (
    SHORT,
    forge_tags,
    noise,
    profile_of,
    ramp,
    set_control_points,
    tiff_bytes,
    write_raster,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.tif"


def test_nothing_beside_the_file_is_read(tmp_path):
    path = write_raster(tmp_path / "a.tif", ramp(), crs=None, transform=None)
    (tmp_path / "a.tfw").write_text("10\n0\n0\n-10\n500000\n5400000\n")
    (tmp_path / "a.tif.aux.xml").write_text(
        "<PAMDataset><SRS>EPSG:4326</SRS><GeoTransform>1,1,0,1,0,-1</GeoTransform>"
        '<Metadata><MDI key="EVIL">1</MDI></Metadata></PAMDataset>'
    )
    (tmp_path / "a.tif.ovr").write_bytes(path.read_bytes())
    profile = profile_of(path)
    assert (profile.crs_wkt, profile.transform) == (None, (1, 0, 0, 0, 1, 0))
    assert (profile.tags.get("", {}).get("EVIL"), profile.overview_count) == (None, 0)


def test_a_vrt_is_not_opened_under_any_name_nor_by_any_way(tmp_path):
    write_raster(tmp_path / "real.tif", ramp())
    vrt = tmp_path / "a.tif"
    vrt.write_text(
        '<VRTDataset rasterXSize="50" rasterYSize="40"><VRTRasterBand band="1" '
        'dataType="Byte"><SimpleSource><SourceFilename relativeToVRT="1">real.tif'
        "</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with rasterio_is_quiet(), rasterio.open(vrt) as dataset:
        assert dataset.driver == "VRT"  # GDAL would
    with pytest.raises(ExternalReferenceError):
        profile_of(vrt)
    with pytest.raises(UnsupportedFormatError), open_raster(str(vrt), "GTiff"):
        pass


@pytest.mark.parametrize("code", [34712, 50002, 34661, 65000])
def test_an_unknown_codec_is_named_as_such(path, code):
    forge_tags(write_raster(path, noise(), compress="deflate"), {259: code})
    with pytest.raises(UnsupportedCodecError):
        profile_of(path)


def test_mixed_and_unknown_pixel_types_are_refused(tmp_path):
    ints = write_raster(tmp_path / "c.tif", ramp(dtype="int16"), dtype="complex_int16")
    odd_bits = forge_tags(write_raster(tmp_path / "b.tif", ramp()), {258: 48})
    tifffile.imwrite(
        tmp_path / "m.tif", ramp(3), photometric="rgb", planarconfig="separate"
    )
    with tifffile.TiffFile(tmp_path / "m.tif") as file:
        at = file.pages[0].tags[258].valueoffset
    mixed = bytearray((tmp_path / "m.tif").read_bytes())
    mixed[at + 2] = 16
    (tmp_path / "m.tif").write_bytes(mixed)
    for file in (ints, odd_bits, tmp_path / "m.tif"):
        with pytest.raises(UnsupportedDtypeError):
            profile_of(file)


def test_a_file_without_bands_or_pixels_is_empty(tmp_path):
    no_band = forge_tags(write_raster(tmp_path / "b.tif", ramp()), {277: 0})
    no_pixel = forge_tags(write_raster(tmp_path / "p.tif", ramp()), {256: 0})
    for file in (no_band, no_pixel):
        with pytest.raises(EmptyDatasetError):
            profile_of(file)
    (tmp_path / "e.tif").touch()
    with pytest.raises(EmptyFileError):
        profile_of(tmp_path / "e.tif")


def test_several_pages_are_ambiguous_unless_they_are_overviews_or_masks(path):
    tifffile.imwrite(path, ramp(2), photometric="minisblack")
    with pytest.raises(AmbiguousContentError) as caught:
        profile_of(path)
    assert caught.value.evidence["found"] == "2 pages"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        write_raster(
            path,
            noise(),
            lambda d: (
                d.write_mask(np.full((200, 200), 255, "uint8")),
                d.build_overviews([2], Resampling.nearest),
            ),
        )
    assert profile_of(path).overview_count == 1


@pytest.mark.parametrize("length", [8, 9, 50, 120])
def test_a_truncated_directory_is_corrupt(path, length):
    path.write_bytes(write_raster(path, ramp()).read_bytes()[:length])
    with pytest.raises(CorruptError):
        profile_of(path)


# fuzz


class Seeds(list):
    def __repr__(self):
        return "<small valid files>"  # hypothesis shows its arguments


@pytest.fixture(scope="module")
def seeds(tmp_path_factory) -> Seeds:
    """Small valid files of several layouts."""
    folder = tmp_path_factory.mktemp("seeds")

    def edit(dataset):
        dataset.update_tags(1, A="b")
        dataset.descriptions = ("x",)

    colors = {1: (1, 2, 3, 255)}
    files = [
        write_raster(folder / "a.tif", ramp(), edit, compress="deflate", nodata=3),
        write_raster(
            folder / "b.tif", ramp(3), tiled=True, blockxsize=16, blockysize=16
        ),
        write_raster(folder / "c.tif", ramp(), lambda d: d.write_colormap(1, colors)),
        write_raster(folder / "d.tif", ramp(), set_control_points, transform=None),
        write_raster(folder / "e.tif", ramp(dtype="float32"), BIGTIFF="YES"),
    ]
    rasterio.shutil.copy(files[1], folder / "f.jp2", driver="JP2OpenJPEG")
    return Seeds(file.read_bytes() for file in [*files, folder / "f.jp2"])


BYTES = st.sampled_from([0, 1, 2, 127, 128, 255]) | st.integers(0, 255)


PLACES = st.integers(0, 600) | st.integers(0, 20_000)  # directories come first


@pytest.mark.filterwarnings(
    # rasterio's log handler cannot decode what GDAL quotes from a broken file
    "ignore::pytest.PytestUnraisableExceptionWarning"
)
@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 5),
    changes=st.lists(st.tuples(PLACES, BYTES), min_size=1, max_size=6),
    length=st.none() | PLACES,
)
def test_no_mutation_raises_anything_but_a_source_error(
    seeds, tmp_path, seed, changes, length
):
    body = bytearray(seeds[seed])
    for place, byte in changes:
        body[place % len(body)] = byte
    path = tmp_path / "fuzz.tif"
    path.write_bytes(body[:length])
    try:
        profile = profile_of(path)
    except SourceError as error:
        json.dumps(error.evidence, allow_nan=False)
    else:
        json.dumps(json.loads(profile.model_dump_json()), allow_nan=False)


def test_a_directory_of_unknown_fields_is_no_crash(path):
    path.write_bytes(tiff_bytes(dict.fromkeys(range(250, 300), (SHORT, 0))))
    with pytest.raises(SourceError):
        profile_of(path)
