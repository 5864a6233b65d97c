"""Statistics of rasters per cell against points that H3 itself places."""

import h3 as h3text
import h3.api.numpy_int as h3
import numpy as np
import pyproj
import pytest
import shapely
from rasterio.features import geometry_mask
from rasterio.io import MemoryFile
from rasterio.transform import from_origin, rowcol

from geo_assets.h3.coverage import Block, add_block, empty_moments
from geo_assets.h3.frame import Frame, Window
from geo_assets.h3.native import cells_at
from geo_assets.h3.rings import rings_of
from geo_assets.h3.zonal import TooManyClassesError, Totals, zonal_statistics

FINE = 16  # points along each side of a pixel
NODATA, SPREAD = -9999.0, 5
COUNT, SUM, WEIGHT, MEAN, M2, MIN, MAX = range(7)

PLACES = {  # CRS, west, north, pixel, resolution
    "alps": ("EPSG:4326", 7.0, 47.0, 0.01, 6),
    "antimeridian": ("EPSG:4326", 179.7, 10.0, 0.01, 5),
    "beyond 180": ("EPSG:4326", 180.2, -17.0, 0.02, 5),
    "north pole": ("EPSG:4326", -180.0, 90.0, 9.0, 2),
    "south pole": ("EPSG:4326", -180.0, -66.24, 9.0, 2),
    "utm": ("EPSG:32632", 400_000, 5_200_000, 1_000, 6),
    "utm over 180": ("EPSG:32601", 150_000, 1_200_000, 2_000, 5),
    "polar stereographic": ("EPSG:3413", -900_000, 900_000, 45_000, 3),
    "antarctic": ("EPSG:3031", -900_000, 900_000, 45_000, 3),
    "web mercator": ("EPSG:3857", 19_900_000, 4_000_000, 2_000, 5),
    "seam of a world map": ("ESRI:54009", -18_000_000, 9_000_000, 300_000, 1),
    "other datum": ("EPSG:4267", -101.0, 40.0, 0.01, 6),
    "pentagon": ("EPSG:4326", 10.4, 58.9, 0.02, 5),
    "cells below a pixel": ("EPSG:4326", 7.0, 47.0, 0.05, 7),
}


def open_raster(values, crs, west, north, pixel, **profile):
    bands = values if values.ndim == 3 else values[None]
    height = pixel * (0.066 if "pole" in str(profile.pop("place", "")) else 1)
    memory = MemoryFile()
    profile = {"nodata": NODATA if values.dtype.kind == "f" else None} | profile
    with memory.open(
        driver="GTiff",
        width=bands.shape[2],
        height=bands.shape[1],
        count=len(bands),
        dtype=bands.dtype,
        crs=crs,
        transform=from_origin(west, north, pixel, height),
        **profile,
    ) as written:
        written.write(bands)
    return memory.open()


def random_values(rows=40, columns=40):
    drawn = np.random.default_rng(6)
    values = drawn.normal(3000, SPREAD, (rows, columns))
    values[drawn.random(values.shape) < 0.1] = NODATA
    return values


def expected(raster, resolution, band=1):
    """(cell → count, sum, weight, mean, m2) of FINE² points in each valid pixel."""
    values, valid = raster.read(band), raster.read_masks(band) > 0
    steps = np.arange(FINE) / FINE
    rows, columns = np.nonzero(valid)
    y, x = np.meshgrid(steps, steps, indexing="ij")
    drawn = np.random.default_rng(7)
    jitter = drawn.random((2, len(rows), FINE**2)) / FINE  # edges along rows are fair
    at_row = (rows[:, None] + y.ravel() + jitter[0]).ravel()
    at_column = (columns[:, None] + x.ravel() + jitter[1]).ravel()
    east = raster.transform.c + at_column * raster.transform.a
    north = raster.transform.f + at_row * raster.transform.e
    back = pyproj.Transformer.from_crs(raster.crs, 4326, always_xy=True)
    lon, lat = back.transform(east, north)
    area = np.repeat(geodesic_areas(raster)[rows, columns], FINE**2)
    seen = np.isfinite(lon) & (area > 0)
    lonlat = np.column_stack([lon, lat])[seen]
    cells, place = np.unique(cells_at(lonlat, resolution), return_inverse=True)
    share = np.full(len(lonlat), 1 / FINE**2)
    weight, value = (
        area[seen] / FINE**2,
        np.repeat(values[rows, columns], FINE**2)[seen],
    )
    first = [np.bincount(place, one) for one in (share, share * value, weight)]
    mean = np.bincount(place, weight * value) / first[2]
    m2 = np.bincount(place, weight * (value - mean[place]) ** 2)
    told = np.column_stack([*first, mean, m2])
    return dict(zip(cells.tolist(), told, strict=True))


def geodesic_areas(raster):
    """Area of every pixel by GeographicLib, its edges drawn with many points."""
    if "Mollweide" in raster.crs.to_wkt():
        return equal_areas(raster)
    geod = pyproj.Geod(ellps="WGS84")
    back = pyproj.Transformer.from_crs(raster.crs, 4326, always_xy=True)
    side = np.linspace(0, 1, 9)[:-1]
    zero, one = np.zeros(8), np.ones(8)
    ring_x = np.concatenate([side, one, side[::-1] + 1 / 8, zero])
    ring_y = np.concatenate([zero, side, one, side[::-1] + 1 / 8])
    areas = np.zeros((raster.height, raster.width))
    for row in range(raster.height):
        for column in range(raster.width):
            if raster.crs.is_geographic and column:
                areas[row, column] = areas[row, 0]
                continue
            x = raster.transform.c + (column + ring_x) * raster.transform.a
            y = raster.transform.f + (row + ring_y) * raster.transform.e
            lon, lat = back.transform(x, y)
            if np.isfinite(lon).all():
                areas[row, column] = abs(geod.polygon_area_perimeter(lon, lat)[0])
    return areas


def equal_areas(raster):
    """Of an equal-area map on a sphere; of pixels that reach out of the world, 0."""
    back = pyproj.Transformer.from_crs(raster.crs, 4326, always_xy=True)
    rows, columns = np.mgrid[: raster.height, : raster.width]
    a, b = raster.transform.a, raster.transform.e
    areas = np.full(rows.shape, abs(a * b))
    for x, y in ((0, 0.5), (1, 0.5), (0.5, 0), (0.5, 1)):
        east = raster.transform.c + (columns + x) * a
        lon, _ = back.transform(east, raster.transform.f + (rows + y) * b)
        areas[~np.isfinite(lon)] = 0
    return areas


def merged(partials, band=1):
    """All that was said of each cell, put together by the definition."""
    found = {}
    for partial in partials:
        if partial.band == band:
            for cell, row in zip(partial.cells.tolist(), partial.moments, strict=True):
                found.setdefault(cell, []).append(row)
    return {cell: merge(np.array(rows)) for cell, rows in found.items()}


def merge(rows):
    weight = rows[:, WEIGHT].sum()
    mean = (rows[:, WEIGHT] * rows[:, MEAN]).sum() / weight
    m2 = (rows[:, M2] + rows[:, WEIGHT] * (rows[:, MEAN] - mean) ** 2).sum()
    first = [rows[:, COUNT].sum(), rows[:, SUM].sum(), weight, mean, m2]
    return np.array([*first, rows[:, MIN].min(), rows[:, MAX].max()])


@pytest.mark.parametrize("place", PLACES)
def test_cells_hold_what_points_in_them_say(place):
    crs, west, north, pixel, resolution = PLACES[place]
    shape = (60, 120) if "world map" in place else (40, 40)
    values = random_values(*shape)
    with open_raster(values, crs, west, north, pixel, place=place) as raster:
        totals = Totals()
        found = merged(zonal_statistics(raster, resolution, totals=totals))
        oracle = expected(raster, resolution)
    assert max((oracle[c][COUNT] for c in oracle.keys() - found.keys()), default=0) == 0
    assert (
        max((found[c][COUNT] for c in found.keys() - oracle.keys()), default=0) < 0.02
    )
    whole = {cell: row for cell, row in oracle.items() if row[COUNT] > 1}
    assert whole or "below" in place
    for cell, right in whole.items():
        row, noise = found[cell], right[COUNT] ** 0.5
        assert row[COUNT] == pytest.approx(right[COUNT], abs=0.04 * noise)
        assert row[SUM] / row[COUNT] == pytest.approx(3000, abs=5 * SPREAD / noise)
        large = 0.0
        if "world map" in place:  # pixels of 300 km, and the map ends in its poles
            large = 0.03 if abs(h3.cell_to_latlng(cell)[0]) < 75 else 0.2
        assert row[WEIGHT] == pytest.approx(right[WEIGHT], rel=0.04 / noise + large)
        assert row[MEAN] == pytest.approx(right[MEAN], abs=0.1 * SPREAD / noise)
        deviations = [(one[M2] / one[WEIGHT]) ** 0.5 for one in (row, right)]
        assert deviations[0] == pytest.approx(deviations[1], abs=0.1 * SPREAD / noise)
    # Nothing lost, nothing twice: the cells share out what the pixels are.
    edge = 2e-4 if "world map" in place else 1e-9  # pixels that leave the world
    sums = np.array([row[:3] for row in found.values()]).sum(axis=0)
    assert sums[COUNT] == pytest.approx(totals.pixels[1], rel=edge)
    assert sums[WEIGHT] == pytest.approx(totals.area_m2[1], rel=edge)
    if "world map" not in place:
        right = sum(row[WEIGHT] for row in oracle.values())
        assert sums[WEIGHT] == pytest.approx(right, rel=1e-4)  # its own edges


def test_minimum_and_maximum_are_of_pixels_that_touch_the_cell():
    with open_raster(random_values(), *PLACES["alps"][:4]) as raster:
        found = merged(zonal_statistics(raster, 6))
        values = raster.read(1, masked=True)
        for cell, row in found.items():
            ring = shapely.Polygon([(x, y) for y, x in h3.cell_to_boundary(cell)])
            inside = geometry_mask(
                [ring], values.shape, raster.transform, all_touched=True, invert=True
            )
            touched = values[inside].compressed()
            assert row[MIN] == pytest.approx(touched.min(), abs=SPREAD)
            assert {row[MIN], row[MAX]} <= {*touched.astype(float)}


def test_shares_of_pixels_are_those_that_shapely_cuts():
    """Of one cell over an empty map: each share, to nine digits."""
    frame = Frame("EPSG:4326", (7.0, 0.001, 0, 46.5, 0, -0.001), 200, 200)
    cell = np.array([h3text.str_to_int(h3text.latlng_to_cell(46.4, 7.1, 7))], np.uint64)
    window = Window(0, 0, 200, 200)
    rings = rings_of(cell, frame, window)
    polygon = shapely.Polygon(rings.xy)
    for row, column in np.ndindex(200, 200):
        if (row + column) % 7 or not polygon.intersects(box := pixel(row, column)):
            continue
        one = np.zeros((200, 200), bool)
        one[row, column] = True
        moments = empty_moments(1)
        add_block(rings, Block(0, 0, np.ones(one.shape), one, one * 1.0), moments)
        right = polygon.intersection(box).area
        assert moments[0, COUNT] == pytest.approx(right, abs=1e-9)


def pixel(row, column):
    return shapely.box(column, row, column + 1, row + 1)


def test_bands_have_their_own_nodata_scale_and_offset():
    values = np.stack([random_values(), random_values() / 10 * 0 + 7])
    values[1, :20] = NODATA
    with open_raster(values, *PLACES["alps"][:4]) as raster:
        raster.close()
    memory = MemoryFile()
    with memory.open(
        driver="GTiff", width=40, height=40, count=2, dtype="int16", nodata=-1,
        crs="EPSG:4326", transform=from_origin(7, 47, 0.01, 0.01),
    ) as written:  # fmt: skip
        written.write(np.full((40, 40), 30, "int16"), 1)
        written.write(np.where(np.arange(1600).reshape(40, 40) < 800, -1, 5), 2)
        written.scales, written.offsets = (0.1, 1.0), (100.0, 0.0)
    with memory.open() as raster:
        partials = [*zonal_statistics(raster, 6)]
    first, second = merged(partials, 1), merged(partials, 2)
    assert {round(row[MEAN], 9) for row in first.values()} == {103.0}
    assert {row[MIN] for row in second.values()} == {5.0}
    assert sum(row[COUNT] for row in first.values()) == pytest.approx(1600)
    assert sum(row[COUNT] for row in second.values()) == pytest.approx(800)


def test_windows_out_of_the_world_say_nothing_and_lose_nothing():
    values = np.full((60, 120), 7.0)
    with open_raster(values, "ESRI:54009", -36_000_000, 9_000_000, 300_000) as raster:
        totals = Totals()
        found = merged(zonal_statistics(raster, 3, totals=totals))
        on_earth = (equal_areas(raster) > 0).sum()
    assert totals.pixels[1] == pytest.approx(on_earth, rel=0.01)
    counted = sum(row[COUNT] for row in found.values())
    assert counted == pytest.approx(totals.pixels[1], rel=2e-4)


def test_a_raster_without_a_valid_pixel_says_nothing_of_any_cell():
    with open_raster(np.full((40, 40), NODATA), *PLACES["alps"][:4]) as raster:
        assert merged(zonal_statistics(raster, 6)) == {}


def test_classes_share_out_the_area_of_a_cell():
    values = np.random.default_rng(6).integers(1, 5, (40, 40)).astype("uint8")
    values[:3] = 0
    with open_raster(values, *PLACES["alps"][:4], nodata=0) as raster:
        partials = [*zonal_statistics(raster, 6, most_classes=4)]
        totals = Totals()
        whole = merged(zonal_statistics(raster, 6, totals=totals))
        oracle = {}
        for code in range(1, 5):
            with open_raster(
                np.where(values == code, 1, 0).astype("uint8"),
                *PLACES["alps"][:4], nodata=0,
            ) as single:  # fmt: skip
                for cell, row in expected(single, 6).items():
                    oracle[cell, code] = row[WEIGHT]
        with pytest.raises(TooManyClassesError, match="more than 3 classes"):
            [*zonal_statistics(raster, 6, most_classes=3)]
    found = {
        (int(cell), code): area
        for partial in partials
        for code, areas in partial.classes.items()
        for cell, area in zip(partial.cells, areas, strict=True)
        if area
    }
    for at, area in oracle.items():
        assert found[at] == pytest.approx(area, abs=0.02 * area + 2e4)
    for cell, row in whole.items():
        mine = sum(area for (one, _), area in found.items() if one == cell)
        assert mine == pytest.approx(row[WEIGHT])


@pytest.mark.parametrize("place", ["alps", "beyond 180", "north pole", "utm"])
def test_quick_mode_takes_the_pixel_under_the_centre_of_each_cell(place):
    crs, west, north, size, resolution = PLACES[place]
    with open_raster(random_values(), crs, west, north, size, place=place) as raster:
        found = merged(zonal_statistics(raster, resolution, mode="centre"))
        values, forward = raster.read(1), pyproj.Transformer.from_crs(4326, crs)
        near = merged(zonal_statistics(raster, resolution))
        for cell in near.keys() | found.keys():
            lat, lon = h3.cell_to_latlng(cell)
            x, y = forward.transform(lat, lon)
            if raster.crs.is_geographic:
                x, y = y, x
                x = west + (x - west) % 360
            row, column = rowcol(raster.transform, x, y)
            inside = 0 <= row < 40 and 0 <= column < 40
            if inside and values[row, column] != NODATA:
                assert found[cell][MEAN] == pytest.approx(values[row, column])
                area = h3.cell_area(cell, "m^2")  # on a sphere
                assert found[cell][WEIGHT] == pytest.approx(area, rel=0.01)
            else:
                assert cell not in found
