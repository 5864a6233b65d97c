"""geo_assets.sensing: what tags, names and sidecars say of how a picture was taken"""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo_assets.sensing.names import may_tell, stem_of, wanted_stems
from geo_assets.sensing.read import read_sensing
from tests.unit.sensing import sidecars as made

SCENE = made.PLANET["id"]


def at(time):
    """A moment of the day on which all scenes of these tests were taken."""
    return datetime.fromisoformat(f"2024-06-17T{time}").replace(tzinfo=UTC)


def known(told):
    """What is known, without who said it."""
    return told.sensing.model_dump(exclude_defaults=True, exclude={"said_by"})


def read(text, blob="a.tif", name="a.xml"):
    return read_sensing(blob, {}, [made.sidecar(name, text)])


@pytest.mark.parametrize("write", [made.mtl_text, made.mtl_json, made.mtl_xml])
def test_a_landsat_mtl_says_the_same_in_each_of_its_formats(write):
    told = read(write(), name=f"{made.LANDSAT}_MTL.txt")
    assert known(told) == {
        "platform": "landsat-9",
        "instruments": ("oli", "tirs"),
        "acquired": at("10:16:21.761351"),
        "cloud_percent": 12.34,
        "off_nadir": 0.001,
        "sun_azimuth": 145.25,
        "sun_elevation": 62.5,
        "processing_level": "L2SP",
    }
    (facts,) = told.sidecars
    assert facts.kind == "Landsat MTL"
    group = "LANDSAT_METADATA_FILE/IMAGE_ATTRIBUTES/"
    assert facts.kept[f"{group}WRS_PATH"] == "195"  # nothing of ours has it; it is kept


def test_sentinel_2_is_read_from_its_tile_then_its_product_then_its_name():
    beside = [made.sidecar("p.xml", made.MTD_PRODUCT)]
    beside.append(made.sidecar("t.xml", made.MTD_TILE))
    told = read_sensing(made.S2_IMAGE, {}, beside)
    assert known(told) == {
        "platform": "sentinel-2b",
        "constellation": "sentinel-2",
        "instruments": ("msi",),
        "acquired": at("10:25:44.123456"),
        "cloud_percent": 7.25,
        "incidence_angle": 4.5,
        "sun_azimuth": 149.25,
        "sun_elevation": 62.5,
        "orbit_state": "descending",
        "relative_orbit": 65,
        "processing_level": "L2A",
    }
    assert told.sensing.said_by["cloud_percent"] == "t.xml"
    assert told.sensing.said_by["orbit_state"] == "p.xml"


def test_names_of_sentinel_2_say_what_they_say_and_no_more():
    told = read_sensing(made.S2_IMAGE, {})
    assert known(told) == {
        "platform": "sentinel-2b",
        "constellation": "sentinel-2",
        "instruments": ("msi",),
        "acquired": at("10:15:59"),
        "relative_orbit": 65,
        "processing_level": "L2A",
    }
    alone = known(read_sensing("x/T32UMU_20240617T101559_B8A_20m.jp2", {}))
    assert "platform" not in alone
    assert alone["constellation"] == "sentinel-2"


def test_the_name_of_a_landsat_product_tells_the_satellite():
    told = known(read_sensing("LT05_L1TP_195026_19900617_20200101_02_T1_B4.TIF", {}))
    assert (told["platform"], told["instruments"]) == ("landsat-5", ("tm",))
    assert (
        known(read_sensing("xLT05_L1TP_195026_19900617_20200101_02_T1.tif", {})) == {}
    )


@pytest.mark.parametrize("text", [made.IMD, made.MAXAR_XML])
def test_a_maxar_product_says_the_same_in_imd_and_in_xml(text):
    assert known(read(text)) == {
        "platform": "worldview-3",
        "acquired": at("10:37:11.923850"),
        "gsd_m": 1.33,
        "cloud_percent": 7.1,
        "off_nadir": 16.9,
        "incidence_angle": 18.4,
        "view_azimuth": 213.4,
        "sun_azimuth": 151.3,
        "sun_elevation": 62.7,
        "processing_level": "LV2A",
    }


def maxar_mosaic(text, begin, end, **changes):
    """A product with a second image, in which some words are others."""
    first = text[text.index(begin) : text.index(end)]
    second = first.replace("IMAGE_1", "IMAGE_2")
    for old, new in changes.items():
        second = second.replace(old, new)
    return text.replace(first, first + second)


MOSAICS = [
    (made.IMD, "BEGIN_GROUP = IMAGE_1", "END;"),
    (made.IMD.replace("IMAGE_1", "IMAGE"), "BEGIN_GROUP = IMAGE", "END;"),
    (made.MAXAR_XML, "<IMAGE>", "</IMD>"),
]


@pytest.mark.parametrize("product", MOSAICS)
def test_a_mosaic_has_a_range_of_times_and_no_angle_that_its_images_do_not_share(
    product,
):
    changes = {"10:37:11": "10:39:00", "62.7": "60", "0.071": "-999"}
    told = known(read(maxar_mosaic(*product, **changes)))
    assert (told["start"].minute, told["end"].minute) == (37, 39)
    assert told["sun_azimuth"] == 151.3
    assert told["platform"] == "worldview-3"
    assert not told.keys() & {"acquired", "sun_elevation", "cloud_percent"}


@pytest.mark.parametrize("product", MOSAICS)
def test_a_mosaic_of_two_satellites_is_of_neither(product):
    changes = {"WV03": "GE01", "2024-06-17T10:37:11": "2020-01-01T10:00:00"}
    told = known(read(maxar_mosaic(*product, **changes)))
    assert "platform" not in told
    assert (told["start"].year, told["end"].year) == (2020, 2024)
    assert told["off_nadir"] == 16.9


def test_a_planet_item_is_read():
    assert known(read(json.dumps(made.PLANET))) == {
        "platform": "2345",
        "constellation": "planetscope",
        "instruments": ("psb.sd",),
        "acquired": at("10:10:10.123456"),
        "gsd_m": 3.8,
        "cloud_percent": 25.0,
        "snow_percent": 1.0,
        "off_nadir": 3.1,
        "view_azimuth": 285.7,
        "sun_azimuth": 120.5,
        "sun_elevation": 55.5,
    }


def test_dimap_of_both_versions_is_read_at_the_centre_of_its_scene():
    assert known(read(made.DIMAP_2)) == {
        "platform": "pleiades-1b",
        "constellation": "pleiades",
        "instruments": ("phr",),
        "acquired": at("10:30:00.500000"),
        "gsd_m": 0.72,
        "cloud_percent": 3.5,
        "snow_percent": 0.0,
        "off_nadir": 12.5,
        "incidence_angle": 13.75,
        "sun_azimuth": 160.25,
        "sun_elevation": 61.5,
        "processing_level": "ORTHO",
    }
    old = known(read(made.DIMAP_1))
    assert (old["platform"], old["instruments"]) == ("spot-5", ("hrg",))
    assert (old["off_nadir"], old["incidence_angle"]) == (9.25, 10.5)


def test_tags_of_the_raster_itself_are_read():
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/'
        '1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:drone-dji="http://www.dji.'
        'com/drone-dji/1.0/" drone-dji:GimbalPitchDegree="-80.5"/></rdf:RDF>'
        "</x:xmpmeta>"
    )
    tags = {
        "IMAGERY": {"SATELLITEID": "WV02", "CLOUDCOVER": "999"},
        "EXIF": {"EXIF_Model": "FC6310 \0"},
        "xml:XMP": {"xml:XMP": packet},
    }
    told = read_sensing("a.tif", tags)
    assert known(told) == {
        "platform": "wv02",
        "instruments": ("fc6310",),
        "off_nadir": 9.5,
    }
    assert told.sensing.said_by["off_nadir"] == "tags XMP"


def test_who_made_the_product_is_believed_and_the_contradiction_is_told():
    tags = {"IMAGERY": {"SATELLITEID": "landsat-8"}}
    told = read_sensing("a.tif", tags, [made.sidecar("a_MTL.txt", made.mtl_text())])
    assert told.sensing.platform == "landsat-9"
    (warning,) = told.warnings
    assert "landsat-9 (a_MTL.txt), landsat-8 (tags IMAGERY)" in warning


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>'
READS_FILES = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (BOMB, "EXTERNAL_REFERENCE"),
        (READS_FILES, "EXTERNAL_REFERENCE"),
        ("<a>" * 100_000, "TOO_LARGE"),
        ('{"a":' * 100_000, "TOO_LARGE"),
        (f'{{"a": {"[" * 500}1{"]" * 500}}}', "TOO_LARGE"),
        ("GROUP = a\n" * 100_000, "TOO_LARGE"),
        ("<a>" + "<b/>" * 9 + '<b c="1"/>' * 300_000 + "</a>", "TOO_LARGE"),
        ("<a><b></a>", "CORRUPT"),
        ('{"a": ', "CORRUPT"),
        (b"KEY = \xff\xfe", "BAD_ENCODING"),
        (b" " * (9 << 20), "TOO_LARGE"),
    ],
)
def test_a_hostile_or_broken_sidecar_is_told_of_and_stops_nothing(text, code):
    told = read_sensing(
        "T.tif", {"EXIF": {"EXIF_Model": "X"}}, [made.sidecar("T", text)]
    )
    assert known(told) == {"instruments": ("x",)}
    (facts,) = told.sidecars
    assert facts.complaint.startswith(code)
    assert code in told.warnings[0]


def s2_orbit(text):
    return (
        "<Level-1C_User_Product><a><SPACECRAFT_NAME>S2A</SPACECRAFT_NAME>"
        f"<SENSING_ORBIT_NUMBER>{text}</SENSING_ORBIT_NUMBER></a>"
        "</Level-1C_User_Product>"
    )


@pytest.mark.parametrize(
    "text",
    [
        s2_orbit("9" * 5000),
        s2_orbit("9" * 29),
        s2_orbit("٩" * 29),
        made.DIMAP_2.replace(">0.7<", ">1e308<").replace(">0.74<", ">1e308<"),
    ],
)
def test_a_number_that_cannot_be_is_not_believed(text):
    told = read(text)
    assert not {"relative_orbit", "gsd_m"} & known(told).keys()
    assert known(told)["platform"]
    assert told.warnings == ()


@pytest.mark.parametrize("odd", ["\ud800", "a\0b", "\udc00\0", "x" * 3_000_000])
@pytest.mark.parametrize("place", ["satellite_id", "instrument", "anything", "key"])
def test_no_text_of_a_sidecar_is_one_that_the_ledger_refuses(odd, place):
    values = made.PLANET["properties"] | {odd if place == "key" else place: odd}
    told = read(json.dumps({"properties": values}))
    kept = told.model_dump_json()  # refuses halves of surrogate pairs
    assert "\\u0000" not in kept
    assert len(kept) < 10_000
    assert known(told)["sun_azimuth"] == 120.5


@pytest.mark.parametrize("odd", ["\ud800", "a\0b", "x" * 60_000])
def test_no_tag_of_a_raster_is_one_that_the_ledger_refuses(odd):
    packet = f'<x:xmpmeta xmlns:x="a"><x:Model>{odd}</x:Model></x:xmpmeta>'
    for tags in (
        {"IMAGERY": {"SATELLITEID": odd}},
        {"EXIF": {"EXIF_Model": odd}},
        {"xml:XMP": {"xml:XMP": packet}},
    ):
        kept = read_sensing("a.tif", tags).model_dump_json()
        assert "\\u0000" not in kept
        assert len(kept) < 2000


@pytest.mark.parametrize(
    "reader",
    [lambda _: int("9" * 5000), lambda _: int(1e999), lambda _: {"gsd_m": -1.0}],
)
def test_a_reader_that_fails_is_a_complaint(reader, monkeypatch):
    readers = {"Landsat MTL": reader}
    monkeypatch.setattr("geo_assets.sensing.read._SIDECARS", readers)
    told = read(made.mtl_text())
    assert known(told) == {}
    assert told.sidecars[0].complaint.startswith("CORRUPT")
    assert "CORRUPT" in told.warnings[0]


def test_metadata_of_an_unknown_kind_is_kept_and_nothing_is_guessed_from_it():
    iso = (
        "<MD_Metadata><SUN_AZIMUTH>12</SUN_AZIMUTH><platform>x</platform></MD_Metadata>"
    )
    told = read(iso)
    assert known(told) == {}
    (facts,) = told.sidecars
    assert (facts.kind, facts.complaint) == (None, None)
    assert facts.kept["MD_Metadata/platform"] == "x"


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_content_of_a_sidecar_raises(data):
    for begin in (
        b"",
        b"<",
        b"{",
        made.IMD[:900].encode(),
        made.DIMAP_2[:2000].encode(),
    ):
        assert len(read(begin + data).sidecars) == 1


@given(
    st.sampled_from([*made.PLANET["properties"]]), st.text() | st.floats() | st.none()
)
def test_no_value_of_a_known_kind_raises(name, value):
    item = {"properties": made.PLANET["properties"] | {name: value}}
    read(json.dumps(item))


@pytest.mark.parametrize(
    ("raster", "sidecar"),
    [
        (f"in/{made.LANDSAT}_SR_B4.TIF", f"in/{made.LANDSAT}_MTL.json"),
        (f"in/{made.LANDSAT}_SR_B4.TIF", f"in/{made.LANDSAT}_mtl.TXT"),
        (made.S2_IMAGE, f"{made.SAFE}/MTD_MSIL2A.xml"),
        (made.S2_IMAGE, f"{made.GRANULE}/MTD_TL.xml"),
        ("d/17JUN24-M2AS-05_P001.TIF", "d/17JUN24-M2AS-05_P001.IMD"),
        ("d/17JUN24-M2AS_R1C2-05_P001.TIF", "d/17JUN24-M2AS-05_P001.XML"),
        (f"{SCENE}_3B_AnalyticMS.tif", f"{SCENE}_metadata.json"),
        ("d/IMG_PHR1B_MS_2024_R1C1.TIF", "d/DIM_PHR1B_MS_2024.XML"),
        ("d/IMAGERY.TIF", "d/METADATA.DIM"),
    ],
)  # fmt: skip
def test_a_sidecar_as_its_operator_names_it_is_wanted(raster, sidecar):
    assert stem_of(sidecar) in wanted_stems(raster)
    assert may_tell(sidecar)


def test_the_sidecar_of_another_scene_or_folder_is_not_wanted():
    wanted = wanted_stems(f"in/{made.LANDSAT}_SR_B4.TIF")
    other = made.LANDSAT.replace("195026", "195027")
    assert not {f"in/{other}_mtl".lower(), f"{made.LANDSAT}_mtl".lower()} & {*wanted}
