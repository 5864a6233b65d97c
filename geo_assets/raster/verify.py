"""Read a written COG back: is it one, is it what was declared, are the pixels there?"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rasterio
from rasterio.crs import CRS
from rasterio.enums import MaskFlags
from rasterio.io import DatasetReader
from rio_cogeo.cogeo import cog_validate

from geo_assets.raster.checksum import block_checksum, combined_checksum
from geo_assets.raster.describe import RESAMPLING_TAG
from geo_assets.raster.gdal_env import gdal_env, rasterio_is_quiet
from geo_assets.raster.grid import BLOCK, Level
from geo_assets.raster.inspect import RasterProfile
from geo_assets.raster.product import Cog
from geo_assets.raster.source import exact_nodata, read_block, window_at
from geo_assets.raster.tiers import Facts, Tier

COMPRESSIONS = {"YCbCr JPEG": "jpeg", None: "none"}  # GDAL's names that are not ours


class Mismatch(Facts):
    """A fact that was declared, and what the file says instead."""

    option: str
    declared: str
    found: str


class CogReport(Facts):
    """What reading a COG back has shown.

    Attributes:
        errors: what rio-cogeo's strict validator says, its warnings included.
        pixel_checksum: of the file's pixels; None for the visualization tier.
    """

    tier: Tier
    errors: tuple[str, ...]
    mismatches: tuple[Mismatch, ...]
    pixel_checksum: str | None

    @property
    def ok(self) -> bool:
        """Whether the file is a COG, as declared, with all pixels of the source."""
        return not self.errors and not self.mismatches

    @property
    def complaints(self) -> tuple[str, ...]:
        """Everything that is wrong with the file, in words."""
        told = (
            f"{one.option} is {one.found}, not {one.declared}"
            for one in self.mismatches
        )
        return (*self.errors, *told)

    @property
    def pixels_identical(self) -> bool:
        """Whether no pixel of a lossless tier differs from the source's."""
        return all(one.option != "pixel_checksum" for one in self.mismatches)


def verify_cog(
    path: Path, cog: Cog, profile: RasterProfile | None = None, *, threads: int = 1
) -> CogReport:
    """Report on a written COG, read back with GDAL.

    Decodes a lossless tier once, row by row of blocks; memory as for one row. Faults
    are reported, not raised; a file that GDAL cannot read raises rasterio's error.

    Args:
        path: the file.
        cog: what `write_tiers` said of it.
        profile: of the source, whose bands a lossless tier must describe in full; None
            leaves that out.
        threads: of GDAL's decoder.
    """
    with rasterio.Env(**gdal_env()), rasterio_is_quiet():
        errors = validate(path, cog)
        with rasterio.open(path, driver="GTiff", NUM_THREADS=threads) as dataset:
            checksum = read_checksum(dataset, cog) if cog.pixel_checksum else None
            found = _facts(dataset) | {
                "pixel_checksum": checksum,
                "size_bytes": path.stat().st_size,
            }
            mismatches = [
                *_mismatches(_declared(cog), found),
                *_grid_mismatches(cog, dataset),
            ]
            if profile is not None and cog.pixel_checksum:
                mismatches += _band_mismatches(profile, dataset)
    return CogReport(
        tier=cog.tier,
        errors=errors,
        mismatches=tuple(mismatches),
        pixel_checksum=checksum,
    )


def verify_mosaic(
    path: str, options: dict[str, str], cog: Cog, overview: CogReport
) -> CogReport:
    """Report on the tiles of a giant, read as one raster, beside that on its overview.

    Decodes all tiles of a lossless tier once; memory as for one row of blocks.

    Args:
        path: of the VRT, local or `/vsiaz/…`.
        options: GDAL configuration that opens it; holds credentials.
        cog: what is known of the whole.
        overview: what reading the overview back has shown.
    """
    with (
        rasterio.Env(**{**gdal_env(), **options}),
        rasterio_is_quiet(),
        rasterio.open(path, driver="VRT") as dataset,
    ):
        known = cog.pixel_checksum
        checksum = read_checksum(dataset, cog) if known else None
        found = {"width": dataset.width, "height": dataset.height}
        declared = {"width": cog.width, "height": cog.height}
        mismatches = [
            *overview.mismatches,
            *_mismatches(
                declared | {"pixel_checksum": known},
                found | {"pixel_checksum": checksum},
            ),
            *_grid_mismatches(cog, dataset),
        ]
    return CogReport(
        tier=cog.tier,
        errors=overview.errors,
        mismatches=tuple(mismatches),
        pixel_checksum=checksum,
    )


def validate(path: Path, cog: Cog) -> tuple[str, ...]:
    """What rio-cogeo says against a file.

    It measures overviews by their width alone, and so refuses every overview of a
    raster one pixel wide, GDAL's own included: that one is not a fault.
    """
    _, errors, warnings = cog_validate(str(path), strict=True, quiet=True)
    return tuple(
        text
        for text in (*errors, *warnings)
        if cog.width > 1 or not text.startswith("Invalid Decimation 1 ")
    )


def read_checksum(dataset: DatasetReader, cog: Cog) -> str:
    """Checksum of all pixels of an open file, as `checksum.py` defines it."""
    shape = (dataset.height, dataset.width, dataset.count)
    crcs = _block_checksums(dataset, masked=cog.masked)
    return combined_checksum(shape, dataset.dtypes[0], crcs)


def _block_checksums(dataset: DatasetReader, *, masked: bool) -> Iterator[int]:
    level = Level(dataset.width, dataset.height)
    for row in range(level.rows):
        window = window_at(0, row * BLOCK, level.width, level.row_height(row))
        rows = read_block(dataset, window, dataset.dtypes[0], 0 if masked else None)
        for left in range(0, level.width, BLOCK):
            columns = slice(left, left + BLOCK)
            mask = None if rows.mask is None else rows.mask[:, columns]
            yield block_checksum(rows.pixels[:, columns].copy(), mask)


def _declared(cog: Cog) -> dict[str, Any]:
    """Facts of a COG that a file can be asked for."""
    return {
        "layout": "COG",
        "size_bytes": cog.size_bytes,
        "width": cog.width,
        "height": cog.height,
        "dtype": cog.dtype,
        "band_count": cog.band_count,
        "nodata": cog.nodata,
        "masked": cog.masked,
        "compression": cog.compression,
        "jpeg_quality": None if cog.pixel_checksum else cog.level,
        "predictor": cog.predictor,
        "interleave": "PIXEL",
        "block_size": (cog.block_size, cog.block_size),
        "overview_count": cog.overview_count,
        "overview_resampling": cog.overview_resampling,
        "pixel_checksum": cog.pixel_checksum,
    }


def _facts(dataset: DatasetReader) -> dict[str, Any]:
    """The same facts as GDAL reads them."""
    structure = dataset.tags(ns="IMAGE_STRUCTURE")
    compression = structure.get("COMPRESSION")
    quality = structure.get("JPEG_QUALITY")
    single = dataset.count == 1  # GDAL calls a single band BAND, however it is stored
    return {
        "layout": structure.get("LAYOUT"),
        "width": dataset.width,
        "height": dataset.height,
        "dtype": _only(dataset.dtypes),
        "band_count": dataset.count,
        "nodata": exact_nodata(dataset),
        "masked": _has_mask(dataset),
        "compression": COMPRESSIONS.get(compression, str(compression).lower()),
        "jpeg_quality": None if quality is None else int(quality),
        "predictor": int(structure.get("PREDICTOR", 1)),
        "interleave": "PIXEL" if single else structure.get("INTERLEAVE"),
        "block_size": _only(dataset.block_shapes),
        "overview_count": len(dataset.overviews(1)),
        "overview_resampling": dataset.tags().get(RESAMPLING_TAG, "").lower(),
    }


def _has_mask(dataset: DatasetReader) -> bool:
    flags = dataset.mask_flag_enums[0]
    return MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags


def _only(values: Any) -> Any:  # noqa: ANN401 - one value of any kind
    """The one value that all bands share; all values if they differ."""
    return values[0] if len(set(values)) == 1 else values


def _mismatches(declared: dict[str, Any], found: dict[str, Any]) -> Iterator[Mismatch]:
    for option, value in declared.items():
        if not _same(value, found[option]):
            yield Mismatch(option=option, declared=str(value), found=str(found[option]))


def _same(one: object, two: object) -> bool:
    both_nan = [isinstance(x, float) and math.isnan(x) for x in (one, two)]
    return all(both_nan) or one == two


def _grid_mismatches(cog: Cog, dataset: DatasetReader) -> Iterator[Mismatch]:
    """A file with GCPs has its CRS there, and no transform."""
    if dataset.gcps[0]:
        return
    crs = CRS.from_wkt(cog.crs_wkt) if cog.crs_wkt else None
    if crs != dataset.crs:
        yield Mismatch(option="crs", declared=str(crs), found=str(dataset.crs))
    transform = tuple(dataset.transform)[:6]
    pixel = max(abs(cog.transform[0]), abs(cog.transform[4]))
    pairs = zip(cog.transform, transform, strict=True)
    if not all(math.isclose(a, b, abs_tol=1e-9 * pixel) for a, b in pairs):
        declared = str(cog.transform)
        yield Mismatch(option="transform", declared=declared, found=str(transform))


def _band_mismatches(
    profile: RasterProfile, dataset: DatasetReader
) -> Iterator[Mismatch]:
    """What the source says of its bands."""
    bands = profile.bands
    declared = {
        "colors": [band.color for band in bands],
        "descriptions": [band.description or None for band in bands],
        "units": [band.unit or None for band in bands],
        "scales": [band.scale for band in bands],
        "offsets": [band.offset for band in bands],
        "palette": profile.palette,
    }
    palette = None
    if profile.palette is not None:
        colors = dataset.colormap(_palette_band(profile))
        palette = {code: colors.get(code) for code in profile.palette}
    yield from _mismatches(
        declared,
        {
            "colors": [color.name for color in dataset.colorinterp],
            "descriptions": [text or None for text in dataset.descriptions],
            "units": [unit or None for unit in dataset.units],
            "scales": list(dataset.scales),
            "offsets": list(dataset.offsets),
            "palette": palette,
        },
    )


def _palette_band(profile: RasterProfile) -> int:
    return next(band.index for band in profile.bands if band.color == "palette")
