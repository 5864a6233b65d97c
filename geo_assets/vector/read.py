"""Files of vectors, opened: what they hold, and their rows as Arrow batches.

Native readers run here, so this runs in a worker process that can be killed.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath

from geo_assets.contract import VectorContract
from geo_assets.errors import MissingSidecarError
from geo_assets.vector.bundle import describe_zip, loose_shapefile
from geo_assets.vector.choice import Found, choose_layers
from geo_assets.vector.csv_read import read_csv
from geo_assets.vector.geojson_read import read_geojson
from geo_assets.vector.geoparquet import read_parquet
from geo_assets.vector.model import Batches, Layer, Source
from geo_assets.vector.ogr import read_ogr
from geo_assets.vector.shapefile import DRIVER, describe_shapefile
from geo_assets.vector.single import describe_single
from geo_assets.vector.sniff import sniff
from geo_assets.vector.stream import RowBatches

Reader = Callable[
    [Layer, VectorContract, int], AbstractContextManager[RowBatches, bool | None]
]
_READERS: dict[str, Reader] = {
    "ogr": read_ogr,
    "csv": read_csv,
    "geojson": read_geojson,
    "parquet": read_parquet,
}


def open_source(path: Path, blob: str, contract: VectorContract, work: Path) -> Source:
    """What the file is, by its content, and the layers that are loaded.

    Archives are unpacked into `work`, text is put into UTF-8 there; the file itself is
    not changed, and nothing but it is read.

    Args:
        path: the file, local.
        blob: its name, for people and for the names of layers; never trusted.
        contract: of the dataset.
        work: a scratch folder that lives as long as the source is read.

    Raises:
        SourceError: of the kind that says why the file cannot be used.
    """
    found = _describe(path, blob, contract, work)
    chosen = choose_layers(found, PurePosixPath(blob).name, contract)
    return Source(
        format=chosen.format,
        layers=tuple(chosen.layers),
        skipped=tuple(chosen.skipped),
        notes=tuple(dict.fromkeys(chosen.notes)),
    )


def _describe(path: Path, blob: str, contract: VectorContract, work: Path) -> Found:
    try:
        kind = sniff(path, blob)
    except MissingSidecarError:
        shapes = loose_shapefile(path, blob, work) if contract.sidecars else None
        if shapes is None:
            raise
        return Found(DRIVER, [describe_shapefile(shapes, contract)])
    if kind == "zip":
        return describe_zip(path, blob, contract, work)
    return describe_single(path, kind, blob, contract, work / "source")


@contextmanager
def read_layer(
    source: Source,
    layer: Layer,
    contract: VectorContract,
    batch_bytes: int = 4 << 20,
) -> Iterator[Batches]:
    """The rows of a layer, streamed: memory does not grow with the file.

    Args:
        source: what `open_source` found.
        layer: one of its layers.
        contract: of the dataset; `where` and `columns` are applied here.
        batch_bytes: about the largest size of a batch.

    Raises:
        CorruptError: the file ends too early or is damaged.
        BadWhereError: `where` does not fit the rows.
    """
    if layer not in source.layers:
        message = f"layer {layer.name!r} is not of this source"
        raise ValueError(message)
    with _READERS[layer.reader](layer, contract, batch_bytes) as batches:
        yield batches
