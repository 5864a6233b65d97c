"""What a collection says of showing it is what a viewer shows: rio-tiler is asked."""

import json

import numpy as np
import pystac
import pytest
import rasterio
from rio_tiler.io import STACReader

from geo_assets.catalog.assets import refresh_collection
from geo_assets.catalog.stac_validate import validate_item
from geo_assets.contract import RasterContract
from geo_resources import pgstac
from geo_resources.database import Database
from geo_resources.prices import Prices
from tests.unit.raster.rasters import write_raster
from tests.unit.raster.test_item import item_of

pytestmark = pytest.mark.integration

COLORS = ("blue", "green", "red", "nir")


class Catalogue:
    """Scenes of four bands in pgSTAC, whose hrefs are files of this machine."""

    def __init__(self, database, folder):
        self.database, self.folder, self.items = database, folder, {}

    def add(self, name, seed, names=COLORS, offset=0.0, mode="uint16"):
        def finish(dataset):
            dataset.descriptions = names
            if offset:
                dataset.scales = (1e-4,) * len(names)
                dataset.offsets = (offset,) * len(names)

        (self.folder / name).mkdir()
        rng = np.random.default_rng(seed)
        pixels = rng.integers(100, 9000, (len(names), 300, 400)).astype(mode)
        pixels[:, :50, :50] = 0
        source = self.folder / name / "in.tif"
        write_raster(source, pixels, finish, nodata=0)
        item = item_of(source) | {"id": name}
        for tier, asset in item["assets"].items():
            asset["href"] = str(source.with_name(f"in.{tier}.tif"))
        self.items[name] = item
        return pixels

    def refresh(self, **stac):
        contract = RasterContract.model_validate(
            {"name": "dem", "source": {"pattern": "**"}, "stac": stac}
        )
        with self.database.transaction() as connection:
            pgstac.ensure_collection(
                connection, {"type": "Collection", "id": "dem", "links": [],
                             "stac_version": "1.1.0", "description": "-",
                             "license": "other", "extent": EVERYWHERE},
            )  # fmt: skip
            pgstac.load_items(connection, "dem", self.items.values())
        self.metadata = refresh_collection(contract, self.database, Prices())
        with self.database.transaction() as connection:
            return pgstac.get_collection(connection, "dem")

    def show(self, name, render):
        """Pixels as TiTiler reads them with the render's members as parameters."""
        item = pystac.Item.from_dict(json.loads(json.dumps(self.items[name])))
        with STACReader("", item=item) as reader:
            return reader.preview(
                assets=render["assets"], expression=render.get("expression")
            )


EVERYWHERE = {
    "spatial": {"bbox": [[-180, -90, 180, 90]]},
    "temporal": {"interval": [[None, None]]},
}


@pytest.fixture
def catalogue(database_url, tmp_path):
    database = Database(url=database_url)
    yield Catalogue(database, tmp_path)
    database.close()


# of the picture, which has none: rio-tiler says so of any bands without statistics
@pytest.mark.filterwarnings("ignore:Some statistics data in STAC are invalid")
def test_combinations_and_indices_are_shown_as_they_are(catalogue):
    pixels = catalogue.add("a", 1).astype("float64")
    catalogue.add("b", 2)
    collection = catalogue.refresh()

    assert validate_item(collection).errors == ()
    renders = collection["renders"]
    assert set(renders) == {
        "default", "picture", "natural_color", "false_color", "ndvi", "ndwi",
    }  # fmt: skip
    assert renders["default"] == renders["picture"]
    blue, green, red, nir = pixels
    valid = blue != 0
    expected = {
        "natural_color": [red, green, blue],
        "false_color": [nir, red, green],
        "ndvi": [(nir - red) / np.where(valid, nir + red, 1)],
        "ndwi": [(green - nir) / np.where(valid, green + nir, 1)],
    }
    for name, bands in expected.items():
        image = catalogue.show("a", renders[name])
        assert image.array.shape == (len(bands), 300, 400)
        assert (~image.array.mask[0] == valid).all()
        for shown, band in zip(image.data, bands, strict=True):
            assert np.allclose(shown[valid], band[valid], atol=1e-6), name
        assert len(renders[name]["rescale"]) == len(bands)
    with rasterio.open(catalogue.items["a"]["assets"]["visualization"]["href"]) as src:
        picture = src.read()
    assert (catalogue.show("a", renders["picture"]).data == picture).all()


def test_the_range_is_that_of_all_pixels_of_all_items(catalogue):
    one, two = catalogue.add("a", 1), catalogue.add("b", 2)
    (low, high), *_ = catalogue.refresh()["renders"]["natural_color"]["rescale"]
    red = np.concatenate([one[2], two[2]]).astype("float64")
    red = red[red != 0]
    assert low == pytest.approx(max(red.min(), red.mean() - 2 * red.std()), rel=1e-3)
    assert high == pytest.approx(min(red.max(), red.mean() + 2 * red.std()), rel=1e-3)


def test_an_offset_is_reckoned_in_for_it_changes_an_index(catalogue):
    pixels = catalogue.add("a", 1, offset=-0.05).astype("float64")
    renders = catalogue.refresh()["renders"]
    image = catalogue.show("a", renders["ndvi"])
    red, nir = 1e-4 * pixels[2:] - 0.05
    valid = pixels[0] != 0
    with np.errstate(all="ignore"):
        index = (nir - red) / (nir + red)
    usable = valid & (np.abs(nir + red) > 1e-3)
    assert np.allclose(image.data[0][usable], index[usable], rtol=1e-4, atol=1e-5)


def test_bands_in_another_order_are_not_shown_as_if_they_were_the_same(catalogue):
    catalogue.add("a", 1)
    catalogue.add("b", 2, names=("red", "green", "blue", "nir"))
    renders = catalogue.refresh()["renders"]
    assert set(renders) == {"default", "picture", "ndwi"}, "green and nir are the same"


def test_what_the_contract_wants_is_made_or_said_to_lack_bands(catalogue):
    pixels = catalogue.add("a", 1).astype("float64")
    wanted = {
        "greenness": {"expression": "2 * green - sqrt(red * blue)", "title": "Green"},
        "thermal": {"bands": ["lwir11"]},
        "first": {"bands": ["b1"], "colormap": "viridis", "rescale": [[0, 100]]},
    }
    collection = catalogue.refresh(renders=wanted, default_render="greenness")

    renders = collection["renders"]
    assert renders["default"] == renders["greenness"]
    image = catalogue.show("a", renders["greenness"])
    valid = pixels[0] != 0
    expected = 2 * pixels[1] - np.sqrt(pixels[2] * pixels[0])
    assert np.allclose(image.data[0][valid], expected[valid], rtol=1e-4, atol=1e-2)
    assert renders["first"] == {
        "assets": ["analysis"],
        "expression": "b1",
        "rescale": [[0, 100]],
        "colormap_name": "viridis",
    }
    assert "thermal" not in renders
    assert catalogue.metadata["render thermal lacks"] == "lwir11"


def test_a_single_band_is_shown_by_its_values(catalogue):
    pixels = catalogue.add("a", 1, names=("height",), mode="int16")
    render = catalogue.refresh()["renders"]["values"]
    assert render["colormap_name"] == "viridis"
    image = catalogue.show("a", render)
    assert (image.data[0][pixels[0] != 0] == pixels[0][pixels[0] != 0]).all()


def test_a_collection_again_is_the_same_one(catalogue):
    catalogue.add("a", 1)
    first, again = catalogue.refresh(), catalogue.refresh(keywords=["heights"])
    assert again == first | {"keywords": ["heights"]}
    with catalogue.database.transaction() as connection:
        count = connection.execute("SELECT count(*) FROM pgstac.collections").fetchone()
    assert count == (1,)
