"""What the tests of the storage share: names, contents, and what a listing says."""

import numpy as np
import rasterio
from rasterio.io import MemoryFile

ACCOUNT = "devstoreaccount1"
BIG = 20_000_000  # bytes: three blocks
NAMES = [
    "a b/c d.tif",
    "100%/#1+2@x~y.tif",
    "ü/é/雪.tif",
    "a?b&c=d;e:f.tif",
    "pct%2Fx.tif",
    "!$'()*,.tif",
    "no suffix",
]


def listed(storage, container, prefix="", **options):
    pages = storage.list_pages(container, prefix, **options)
    return [blob.name for page in pages for blob in page]


def content(storage, container, name, tmp_path):
    return storage.download(container, name, tmp_path / "content").path.read_bytes()


def random_bytes(seed, size=BIG):
    return np.random.default_rng(seed).bytes(size)


def cog_bytes(value):
    with MemoryFile() as memory:
        with memory.open(
            driver="COG",
            width=64,
            height=64,
            count=1,
            dtype="uint8",
            crs="EPSG:32633",
            transform=rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000),
        ) as dataset:
            dataset.write(np.full((1, 64, 64), value, "uint8"))
        return memory.read()


def first_pixel(source):
    with rasterio.Env(**source.options), rasterio.open(source.path) as dataset:
        return int(dataset.read(1)[0, 0])
