"""What a raster says of itself, read from its header and a few small windows.

The header decides; where the pixels contradict it beyond doubt, a warning says so.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from affine import Affine
from pydantic import BaseModel, ConfigDict
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from geo_assets.errors import (
    AmbiguousContentError,
    CorruptError,
    EmptyFileError,
    UnsupportedDtypeError,
    UnsupportedFormatError,
)
from geo_assets.raster.claims import check_claims, compression
from geo_assets.raster.gdal_env import DRIVERS, REMOTE, open_raster
from geo_assets.raster.placement import read_placement
from geo_assets.raster.samples import Samples, take_samples
from geo_assets.raster.sniff import HEAD_BYTES, sniff_format
from geo_assets.raster.tags import Words, read_band_tags, read_words, structure

Mask = Literal["none", "nodata", "alpha", "mask"]
Color = tuple[int, int, int, int]

DTYPES = (
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
)
PALETTE_LENGTH = 256
BLACK = (0, 0, 0, 255)


class Band(BaseModel):
    """One band as its header states it."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    index: int
    dtype: str
    nodata: float | None
    color: str
    description: str | None
    unit: str | None
    scale: float
    offset: float
    nbits: int | None
    tags: dict[str, str]


class RasterProfile(BaseModel):
    """One raster as its header and a few small windows state it."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    driver: str
    width: int
    height: int
    dtype: str
    crs_wkt: str | None
    crs_code: str | None
    transform: tuple[float, float, float, float, float, float]
    bounds: tuple[float, float, float, float]
    bands: tuple[Band, ...]
    palette: dict[int, Color] | None
    mask: Mask
    categorical: bool
    rotated: bool
    gcp_count: int
    has_rpc: bool
    compression: str | None
    interleave: str
    block_shape: tuple[int, int]
    overview_count: int
    size_bytes: int
    tags: dict[str, dict[str, str]]
    valid_fraction_estimate: float
    warnings: tuple[str, ...]

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.bands)

    @property
    def nodata(self) -> float | None:
        """Nodata of the first band that has one."""
        return next((b.nodata for b in self.bands if b.nodata is not None), None)

    @property
    def alpha_index(self) -> int | None:
        """Position of the alpha band, from 0."""
        return next((i for i, b in enumerate(self.bands) if b.color == "alpha"), None)

    @property
    def crs(self) -> CRS | None:
        """The coordinate reference system as rasterio knows it."""
        return None if self.crs_wkt is None else CRS.from_wkt(self.crs_wkt)

    @property
    def affine(self) -> Affine:
        """The geotransform."""
        return Affine(*self.transform)

    @property
    def lacks_grid(self) -> bool:
        """Whether control points or RPC place the pixels, for want of a grid."""
        return self.affine.is_identity and bool(self.gcp_count or self.has_rpc)


def read_profile(path: str, *, size_bytes: int) -> RasterProfile:
    """Profile of the raster at `path`: one or two requests, about 32 MB decoded.

    Args:
        path: local, or `/vsi...`; then credentials are in the caller's `rasterio.Env`.
        size_bytes: length of the blob; what the header claims is held against it.

    Raises:
        SourceError: the content cannot be used. Faults of disk or network pass through.
    """
    for driver in _drivers(path, size_bytes):
        try:
            with open_raster(path, driver, size_bytes=size_bytes) as dataset:
                return profile_of(dataset, size_bytes)
        except UnsupportedFormatError:
            if driver == DRIVERS[-1] or not path.startswith(REMOTE):
                raise
    raise AssertionError(path)


def _drivers(path: str, size_bytes: int) -> tuple[str, ...]:
    """Drivers to try: what the content asks for; all, where it was not looked at."""
    if size_bytes == 0:
        raise EmptyFileError(
            f"{Path(path).name} is empty.", found="0 bytes", expected="a raster"
        )
    if path.startswith(REMOTE):
        return DRIVERS
    with Path(path).open("rb") as file:
        return (sniff_format(file.read(HEAD_BYTES), Path(path).name),)


def profile_of(dataset: DatasetReader, size_bytes: int) -> RasterProfile:
    """Profile of an open raster, whose file has `size_bytes`."""
    _check_pages(dataset)
    dtype = _one_dtype(dataset)
    check_claims(dataset, size_bytes)
    samples = take_samples(dataset, _labelled_alpha(dataset))
    words = read_words(dataset)
    bands = _bands(dataset, words, is_alpha_data=samples.alpha_is_data)
    place = read_placement(dataset)
    mask = _mask(dataset, samples)
    return RasterProfile(
        driver=dataset.driver,
        width=dataset.width,
        height=dataset.height,
        dtype=dtype,
        crs_wkt=place.crs_wkt,
        crs_code=place.crs_code,
        transform=place.transform,
        bounds=place.bounds,
        bands=bands,
        palette=_palette(dataset, bands),
        mask=mask,
        categorical=_is_categorical(dataset, bands, samples),
        rotated=place.rotated,
        gcp_count=place.gcp_count,
        has_rpc=place.has_rpc,
        compression=compression(dataset),
        interleave=structure(dataset, "INTERLEAVE") or "BAND",
        block_shape=dataset.block_shapes[0],
        overview_count=len(dataset.overviews(1)),
        size_bytes=size_bytes,
        tags=words.tags,
        valid_fraction_estimate=_valid_fraction(samples, mask),
        warnings=(*words.warnings, *_contradictions(dataset, samples)),
    )


def _check_pages(dataset: DatasetReader) -> None:
    """GDAL lists the pages of a TIFF that are neither overviews nor masks."""
    pages = len(dataset.subdatasets)
    if pages > 1:
        name = Path(dataset.name).name
        raise AmbiguousContentError(
            f"{name} holds {pages} rasters and does not say which one is meant.",
            found=f"{pages} pages",
            expected="one raster, with its overviews and masks",
            command=f"gdal_translate GTIFF_DIR:<n>:{name} <target>.tif",
        )


def _one_dtype(dataset: DatasetReader) -> str:
    dtypes = sorted(set(dataset.dtypes))
    if len(dtypes) == 1 and dtypes[0] in DTYPES:
        return dtypes[0]
    raise UnsupportedDtypeError(
        f"{Path(dataset.name).name} has pixels of a type that Strata does not take.",
        found=", ".join(dtypes),
        expected=f"one type for all bands, of {', '.join(DTYPES)}",
    )


def _labelled_alpha(dataset: DatasetReader) -> int | None:
    """Number, from 1, of the band that the header labels alpha."""
    colors = enumerate(dataset.colorinterp, 1)
    return next((i for i, color in colors if color == ColorInterp.alpha), None)


def _bands(
    dataset: DatasetReader, words: Words, *, is_alpha_data: bool
) -> tuple[Band, ...]:
    return tuple(
        Band(
            index=index,
            dtype=dataset.dtypes[index - 1],
            nodata=dataset.nodatavals[index - 1],
            color=_color(dataset, index, is_alpha_data=is_alpha_data),
            description=words.descriptions[index - 1],
            unit=words.units[index - 1],
            scale=dataset.scales[index - 1],
            offset=dataset.offsets[index - 1],
            nbits=_nbits(dataset, index),
            tags=read_band_tags(dataset, index),
        )
        for index in dataset.indexes
    )


def _color(dataset: DatasetReader, band: int, *, is_alpha_data: bool) -> str:
    name = dataset.colorinterp[band - 1].name.lower()
    return "undefined" if name == "alpha" and is_alpha_data else name


def _nbits(dataset: DatasetReader, band: int) -> int | None:
    stored = structure(dataset, "NBITS", band)
    return None if stored is None else int(stored)


def _palette(
    dataset: DatasetReader, bands: tuple[Band, ...]
) -> dict[int, Color] | None:
    """Colours of the first band with a palette, up to the last that is not black."""
    index = next((band.index for band in bands if band.color == "palette"), None)
    if index is None:
        return None
    colors = _colors(dataset, index)
    used = [code for code, color in colors.items() if color != BLACK]
    length = max(PALETTE_LENGTH, max(used, default=0) + 1)
    return {code: color for code, color in colors.items() if code < length}


def _colors(dataset: DatasetReader, band: int) -> dict[int, Color]:
    try:
        return dataset.colormap(band)
    except ValueError as error:  # "NULL color table"
        raise CorruptError(
            f"{Path(dataset.name).name} refers to a palette that it does not hold.",
            found="no colour table",
            expected=f"a colour table for band {band}",
        ) from error


def _mask(dataset: DatasetReader, samples: Samples) -> Mask:
    """How missing pixels are marked; NaN needs no label."""
    flags = {flag for band in dataset.mask_flag_enums for flag in band}
    if MaskFlags.alpha in flags and not samples.alpha_is_data:
        return "alpha"
    if MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags:
        return "mask"
    if MaskFlags.nodata in flags or samples.filled < samples.seen:
        return "nodata"
    return "none"


def _valid_fraction(samples: Samples, mask: Mask) -> float:
    valid = samples.filled if mask == "none" else samples.valid
    return valid / samples.seen if samples.seen else 1.0


def _is_categorical(
    dataset: DatasetReader, bands: tuple[Band, ...], samples: Samples
) -> bool:
    """Palette, or thematic by its tags, or one band of few integers without a unit."""
    if any(band.color == "palette" for band in bands):
        return True
    data = [band for band in bands if band.color != "alpha"]
    if len(data) != 1 or not np.issubdtype(data[0].dtype, np.integer):
        return False
    band = data[0]
    layer_type = band.tags.get("LAYER_TYPE", "").lower()  # Erdas and ESRI write it
    is_measured = band.unit or (band.scale, band.offset) != (1.0, 0.0)
    if layer_type in {"thematic", "athematic"} or is_measured:
        return layer_type == "thematic"
    is_lossy = "JPEG" in (compression(dataset) or "")
    return samples.looks_like_classes and not is_lossy


def _contradictions(dataset: DatasetReader, samples: Samples) -> list[str]:
    """Where pixels and header disagree."""
    found = []
    if samples.alpha_is_data:
        found.append(
            f"Band {_labelled_alpha(dataset)} is labelled alpha, but its values are "
            "those of data (near-infrared?): it is kept as data."
        )
    if samples.filled < samples.seen and dataset.nodata is None:
        found.append("Pixels are NaN without a nodata value: NaN is taken as missing.")
    return found
