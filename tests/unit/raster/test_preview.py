"""geo_assets.raster.preview"""

import base64
import re
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import imagecodecs
import numpy as np
import pytest

from geo_assets.raster.preview import picture_markdown, read_picture, write_thumbnail
from geo_assets.raster.tiers import Tier
from tests.unit.raster.rasters import make_tiers, pixels_of, write_raster


@pytest.fixture
def photo(tmp_path):
    """Red above, blue below, the left quarter missing."""
    pixels = np.zeros((3, 1200, 1600), "uint8")
    pixels[0, :600], pixels[2, 600:] = 200, 200
    pixels[1] = 20
    pixels[:, :, :400] = 0
    source = write_raster(tmp_path / "in.tif", pixels, photometric="RGB", nodata=0)
    return make_tiers(source).targets


@pytest.mark.parametrize("suffix", [".webp", ".png"])
@pytest.mark.parametrize("tier", [Tier.VISUALIZATION, Tier.ANALYSIS])
def test_a_thumbnail_shows_the_raster_and_leaves_out_what_is_missing(
    photo, tier, suffix, tmp_path
):
    target = tmp_path / f"t{suffix}"
    made = write_thumbnail(photo[tier], target)

    content = target.read_bytes()
    picture = imagecodecs.imread(target)
    assert (made.width, made.height, made.size_bytes) == (512, 384, len(content))
    assert picture.shape == (384, 512, 4)
    assert (picture[:, :120, 3] == 0).all()
    assert (picture[:, 136:, 3] == 255).all()
    np.testing.assert_allclose(
        picture[:180, 140:, :3].mean((0, 1)), (200, 20, 0), atol=12
    )
    np.testing.assert_allclose(
        picture[200:, 140:, :3].mean((0, 1)), (0, 20, 200), atol=12
    )
    assert made.media_type == f"image/{suffix[1:]}"
    assert list(tmp_path.glob("*.aux.xml")) == []


def test_a_small_raster_is_not_blown_up(tmp_path):
    source = write_raster(tmp_path / "in.tif", pixels_of("uint8", (1, 7, 300)))
    assert read_picture(source, 512).shape == (7, 300, 4)
    assert read_picture(source, 10).shape == (1, 10, 4)


@pytest.mark.parametrize(
    "dtype", ["uint16", "int16", "int32", "float32", "float64", "int8", "uint64"]
)
def test_values_are_stretched_to_the_whole_range_of_greys(dtype, tmp_path):
    ramp = np.linspace(0, 120, 400)[None, None, :].repeat(300, axis=1).astype(dtype)
    picture = read_picture(write_raster(tmp_path / "in.tif", ramp), 512)

    grey = picture[150, :, 0].astype(int)
    assert (grey[0], grey[-1]) == (0, 255)
    assert abs(grey[200] - 128) < 6
    assert (picture[..., 0] == picture[..., 2]).all()
    assert (picture[..., 3] == 255).all()


def test_nan_is_missing(tmp_path):
    pixels = pixels_of("float32", (1, 100, 100))
    pixels[0, :, :50] = np.nan
    picture = read_picture(write_raster(tmp_path / "in.tif", pixels), 512)
    assert (picture[:, :50, 3] == 0).all()
    assert (picture[:, 50:, 3] == 255).all()


def test_nothing_valid_is_a_picture_of_nothing(tmp_path):
    source = write_raster(
        tmp_path / "in.tif", np.full((1, 64, 64), -9999, "float32"), nodata=-9999
    )
    assert not read_picture(source, 32)[..., 3].any()
    assert picture_markdown(source) is not None


def test_classes_have_the_colours_of_their_palette(tmp_path):
    codes = np.zeros((1, 100, 100), "uint8")
    codes[0, :, 50:] = 3
    colors = {0: (255, 0, 0, 255), 3: (0, 99, 7, 255)}
    source = write_raster(
        tmp_path / "in.tif", codes, lambda d: d.write_colormap(1, colors)
    )
    picture = read_picture(source, 100)
    assert picture[5, 5].tolist() == [255, 0, 0, 255]
    assert picture[5, 95].tolist() == [0, 99, 7, 255]


def test_complex_values_have_no_picture(tmp_path):
    source = write_raster(tmp_path / "in.tif", pixels_of("complex64", (1, 64, 64)))
    assert read_picture(source, 64) is None
    assert write_thumbnail(source, tmp_path / "t.webp") is None
    assert picture_markdown(source) is None
    assert not (tmp_path / "t.webp").exists()


def shown(markdown):
    """The bitmap and the size on the page, as a browser would take them."""
    address = re.fullmatch(r"!\[preview\]\(data:image/svg\+xml,([^() ]*)\)", markdown)[
        1
    ]
    svg = ET.fromstring(unquote(address))  # noqa: S314 # our own
    (image,) = svg
    kind, data = image.get("href").split(",")
    assert kind == "data:image/webp;base64"
    bitmap = imagecodecs.webp_decode(base64.b64decode(data, validate=True))
    return bitmap, (int(svg.get("width")), int(svg.get("height")))


@pytest.mark.parametrize("origin", ["cog", ".webp", ".png"])
def test_the_inline_picture_is_short_and_shows_the_raster(photo, origin, tmp_path):
    path = photo[Tier.VISUALIZATION]
    if origin != "cog":
        path = tmp_path / f"t{origin}"
        write_thumbnail(photo[Tier.VISUALIZATION], path)

    markdown = picture_markdown(path)

    assert len(markdown) < 1000
    bitmap, size = shown(markdown)
    assert size == (224, 168)
    rows, cols = bitmap.shape[:2]
    assert cols >= 40
    assert bitmap[rows // 2, 1, 3] == 0
    assert bitmap[2, cols // 2, 0] > 150
    assert bitmap[2, cols // 2, 2] < 90
    assert bitmap[-3, cols // 2, 2] > 150


def test_noise_still_fits(tmp_path):
    noise = np.random.default_rng(0).integers(1, 256, (3, 600, 600), "uint8")
    source = write_raster(tmp_path / "in.tif", noise, photometric="RGB")
    markdown = picture_markdown(source)
    assert len(markdown) < 1000
    assert shown(markdown)[1] == (224, 224)


def test_a_thumbnail_is_encoded_with_loss(tmp_path):
    noise = np.random.default_rng(0).integers(1, 256, (3, 512, 512), "uint8")
    source = write_raster(tmp_path / "in.tif", noise, photometric="RGB")
    made = write_thumbnail(source, tmp_path / "t.webp")
    assert made.size_bytes < noise.nbytes / 2


def test_noise_with_a_ragged_edge_fits_on_paper(tmp_path):
    random = np.random.default_rng(0)
    noise = random.integers(1, 256, (3, 600, 600), "uint8")
    noise[:, random.random((600, 600)) < 0.5] = 0
    source = write_raster(tmp_path / "in.tif", noise, photometric="RGB", nodata=0)
    bitmap, _ = shown(picture_markdown(source))
    assert bitmap.shape[2] == 3 or (bitmap[..., 3] == 255).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 3000), (1, 3000, 2)])
def test_any_shape_has_a_picture(shape, tmp_path):
    source = write_raster(tmp_path / "in.tif", pixels_of("uint8", shape))
    assert write_thumbnail(source, tmp_path / "t.webp") is not None
    assert len(picture_markdown(tmp_path / "t.webp")) < 1000
