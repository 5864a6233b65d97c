"""geo_assets.crs"""

import math

import pytest
from pyproj import CRS, Transformer

from geo_assets.crs import (
    area_bounds,
    check_coordinates,
    exact_code,
    outside_area,
    quarter_turn,
    read_crs,
    same_place,
    stated_crs,
    to_crs,
)
from geo_assets.errors import (
    BadCrsError,
    NoCrsError,
    NotEarthError,
    OutOfExtentError,
)

LAEA = "+proj=laea +lat_0=10 +lon_0=20 +datum=WGS84"
CODES = [4326, 25832, 3857, 31467, 4807, 2193, 3031, 27700, 3035, 2263, 28992]
UNDEFINED = [
    'LOCAL_CS["Undefined Cartesian SRS",UNIT["metre",1]]',
    (
        'GEOGCS["Undefined geographic SRS",DATUM["unknown",SPHEROID["unknown",6378137,'
        '298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]]'
    ),
]


@pytest.mark.parametrize("code", CODES)
def test_a_code_survives_every_wkt_that_keeps_it(code):
    crs = CRS.from_epsg(code)
    for version in ("WKT2_2019", "WKT2_2015"):
        assert exact_code(read_crs(crs.to_wkt(version))) == ("EPSG", code)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("version", ["WKT1_ESRI", "WKT1_GDAL"])
def test_a_code_from_an_old_wkt_means_the_same_coordinates(code, version):
    """Another code may be found, e.g. the one with easting first: same numbers."""
    crs = CRS.from_epsg(code)
    found = exact_code(read_crs(crs.to_wkt(version)))
    assert found is not None
    way = Transformer.from_crs(crs, CRS.from_authority(*found), always_xy=True)
    area = area_bounds(crs)
    x, y = (area[0] + area[2]) / 2, (area[1] + area[3]) / 2
    assert way.transform(x, y) == pytest.approx((x, y), abs=1e-6)


def test_a_custom_crs_has_no_code_however_similar_one_with_a_code_is():
    # PROJ guesses ESRI:102017 for it, at a confidence of 25.
    assert exact_code(read_crs(LAEA)) is None
    assert exact_code(read_crs(CRS.from_user_input(LAEA).to_wkt())) is None


def test_a_code_that_a_file_states_wrongly_is_not_believed():
    wkt = CRS.from_epsg(25832).to_wkt("WKT1_GDAL")
    liar = wkt.replace(
        'PARAMETER["central_meridian",9]', 'PARAMETER["central_meridian",8]'
    )
    assert 'AUTHORITY["EPSG","25832"]' in liar
    assert exact_code(read_crs(liar)) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [("OGC:CRS84", 4326), ("EPSG:4979", 4326), ("EPSG:7415", 28992)],
)
def test_axis_order_and_heights_do_not_matter(text, code):
    assert exact_code(read_crs(text)) == ("EPSG", code)


def test_the_way_to_wgs_84_in_an_old_crs_does_not_change_its_code():
    bound = read_crs("+proj=utm +zone=32 +ellps=GRS80 +towgs84=0,0,0 +units=m")
    assert bound.is_bound
    assert exact_code(bound) in {("EPSG", 25832), None}


@pytest.mark.parametrize("wkt", UNDEFINED)
def test_an_undefined_crs_states_none(wkt):
    with pytest.raises(NoCrsError):
        stated_crs(wkt, None)
    assert exact_code(stated_crs(wkt, "EPSG:25832")) == ("EPSG", 25832)


def test_the_file_goes_before_the_dataset():
    assert exact_code(stated_crs("EPSG:3857", "EPSG:25832")) == ("EPSG", 3857)
    with pytest.raises(NoCrsError) as caught:
        stated_crs(None, None)
    assert caught.value.code == "NO_CRS"


@pytest.mark.parametrize("text", ["EPSG:4978", "EPSG:5703", "nonsense", "EPSG:1"])
def test_what_places_nothing_on_the_ground_is_refused(text):
    with pytest.raises(BadCrsError):
        read_crs(text)


def test_the_moon_is_not_the_earth():
    with pytest.raises(NotEarthError):
        read_crs("IAU_2015:30100")


@pytest.mark.parametrize(
    ("crs", "bounds", "why"),
    [
        ("EPSG:25832", (8, 50, 9, 51), "degrees"),
        ("EPSG:25832", (5.5e6, 4e5, 5.6e6, 5e5), "swapped"),
        ("EPSG:31467", (5.5e6, 3.4e6, 5.6e6, 3.5e6), "swapped"),
        ("EPSG:4258", (50, 8, 51, 9), "swapped"),
        ("EPSG:4326", (50, 100, 51, 120), "swapped"),
        ("EPSG:4326", (100, 80, 101, 95), "no such place"),
        ("EPSG:4326", (5e5, 5e6, 6e5, 6e6), "no such place"),
        ("EPSG:25832", (1e12, 1e12, 2e12, 2e12), "no such place"),
        ("EPSG:27700", (3e6, 3e6, 4e6, 4e6), "area of use"),
    ],
)
def test_coordinates_that_do_not_fit_are_refused_with_evidence(crs, bounds, why):
    with pytest.raises(OutOfExtentError, match=why) as caught:
        check_coordinates(read_crs(crs), bounds, whole=True)
    assert caught.value.evidence["found"] == list(bounds)
    assert caught.value.evidence["crs"] == crs
    assert len(caught.value.evidence["expected"]) == 4


@pytest.mark.parametrize(
    ("crs", "bounds"),
    [
        ("EPSG:25832", (2.8e5, 5.2e6, 9.2e5, 6.1e6)),  # all of Germany in zone 32
        ("EPSG:25832", (0, 0, 5e5, 5.6e6)),  # one row at 0, 0
        ("EPSG:4326", (-180, -90, 180, 90)),
        ("EPSG:4326", (0, -90, 360, 90)),
        ("EPSG:4258", (-61.8, -21.4, 55.8, 70)),  # NUTS with the overseas regions
        ("EPSG:4807", (-5, 46, 8, 57)),  # grads from Paris
        ("EPSG:2193", (1.1e6, 4.8e6, 2.1e6, 6.2e6)),
        ("EPSG:3857", (8, 50, 9, 51)),
        ("EPSG:2263", (9.2e5, 1.2e5, 1.1e6, 2.7e5)),  # feet
        (LAEA, (-1e6, -1e6, 1e6, 1e6)),
    ],
)
def test_coordinates_that_may_be_true_pass(crs, bounds):
    check_coordinates(read_crs(crs), bounds, whole=True)


def test_a_part_of_the_rows_may_be_far_away():
    """Guadeloupe comes first in a file of Europe."""
    etrs, far = read_crs("EPSG:4258"), (-61.8, 15.9, -61.0, 16.5)
    check_coordinates(etrs, far, whole=False)
    assert outside_area(etrs, (-120, -60, -119, -59))
    with pytest.raises(OutOfExtentError):
        check_coordinates(etrs, (-120, -60, -119, -59), whole=True)


@pytest.mark.parametrize("code", CODES)
def test_bounds_of_the_area_hold_what_proj_says_lies_in_it(code):
    crs = CRS.from_epsg(code)
    area, degrees = area_bounds(crs), crs.area_of_use
    way = to_crs(CRS.from_user_input("OGC:CRS84"), crs)
    for east in (0.1, 0.5, 0.9):
        for north in (0.1, 0.5, 0.9):
            width = (degrees.east - degrees.west) % 360 or 360
            x, y = way.transform(
                degrees.west + east * width,
                degrees.south + north * (degrees.north - degrees.south),
            )
            assert area[0] <= x <= area[2]
            assert area[1] <= y <= area[3]


def test_an_angle_has_the_unit_of_its_crs():
    assert quarter_turn(read_crs("EPSG:4326")) == pytest.approx(90)
    assert quarter_turn(read_crs("EPSG:4807")) == pytest.approx(100)


def test_same_place_is_about_coordinates_not_about_names():
    assert same_place(read_crs("OGC:CRS84"), read_crs("EPSG:4326"))
    assert not same_place(read_crs("EPSG:4258"), read_crs("EPSG:4326"))
    assert math.isfinite(
        to_crs(read_crs(LAEA), read_crs("EPSG:4326")).transform(0, 0)[0]
    )
