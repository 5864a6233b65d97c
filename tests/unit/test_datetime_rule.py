"""geo_assets.datetime_rule"""

from datetime import UTC, datetime, timedelta

import pytest

from geo_assets.datetime_rule import check_rule, resolve_time

ARRIVED = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def resolve(rule=None, blob="dem/tile.tif", **tags):
    spaces = {"" if space == "tiff" else space: value for space, value in tags.items()}
    return resolve_time(rule, blob=blob, tags=spaces, last_modified=ARRIVED, now=NOW)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "blob", "moment"),
    [
        ("from: filename %Y%m%d", "a/flood_20200131.tif", utc(2020, 1, 31)),
        ("from: filename %Y%m%d", "a/20190101/flood-20200131_v2.tif", utc(2020, 1, 31)),
        (
            "from: filename %Y-%m-%dT%H%M",
            "x_2020-01-31T2359.tif",
            utc(2020, 1, 31, 23, 59),
        ),
        (
            "from: filename %Y%m%dT%H%M%S%z",
            "x_20200131T010000+0200.tif",
            utc(2020, 1, 30, 23),
        ),
        ("from: filename S_%Y%j", "S_2020366_x.tif", utc(2020, 12, 31)),
        ("from: filename %d.%m.%Y", "31.12.2020.tif", utc(2020, 12, 31)),
        ("from: filename %Y/%m/%d/", "a/2020/01/31/x.tif", utc(2020, 1, 31)),
        ("2020-02-03", "x_19990101.tif", utc(2020, 2, 3)),
        ("2020-02-03T04:05:06+02:00", "x.tif", utc(2020, 2, 3, 2, 5, 6)),
    ],
)
def test_the_rule_says_when(rule, blob, moment):
    check_rule(rule)
    time = resolve(rule, blob, tiff={"TIFFTAG_DATETIME": "2001:01:01 00:00:00"})
    assert (time.moment, time.source, time.warnings) == (moment, "rule", ())


def test_a_rule_does_not_match_inside_a_longer_number():
    time = resolve("from: filename %Y%m%d", "a/id920200131_20210203.tif")
    assert time.moment == utc(2021, 2, 3)


@pytest.mark.parametrize(
    ("rule", "blob", "start", "end"),
    [
        (
            "from: filename %Y",
            "x_2020.tif",
            utc(2020, 1, 1),
            utc(2020, 12, 31, 23, 59, 59),
        ),
        (
            "from: filename %Y%m",
            "x_202002.tif",
            utc(2020, 2, 1),
            utc(2020, 2, 29, 23, 59, 59),
        ),
        (
            "from: filename %b%Y",
            "Dec2020.tif",
            utc(2020, 12, 1),
            utc(2020, 12, 31, 23, 59, 59),
        ),
    ],
)
def test_a_rule_without_a_day_gives_a_range(rule, blob, start, end):
    time = resolve(rule, blob)
    assert (time.moment, time.start, time.end) == (None, start, end)


def test_a_rule_that_does_not_fit_is_visible_and_the_next_source_answers():
    time = resolve("from: filename %d%m%Y", "a/x_20200131.tif")
    assert (time.moment, time.source) == (utc(2020, 1, 31), "filename")
    (warning,) = time.warnings
    assert "%d%m%Y" in warning
    assert "a/x_20200131.tif" in warning


def test_a_rule_for_tags_warns_where_there_are_none():
    time = resolve("from: tags", "x.tif")
    assert time.source == "blob"
    assert "tags" in time.warnings[0]
    tagged = resolve("from: tags", tiff={"TIFFTAG_DATETIME": "2020:01:31 10:11:12"})
    assert (tagged.source, tagged.warnings) == ("tags", ())


@pytest.mark.parametrize(
    "rule",
    [
        "from: filename %q",
        "from: filename %m%d",
        "from: name",
        "yesterday",
        "from: filename %",
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule):
    with pytest.raises(ValueError, match=r"."):
        check_rule(rule)


def test_the_time_of_exposure_comes_before_the_time_of_writing():
    every = {
        "IMAGERY": {"ACQUISITIONDATETIME": "2018-03-04T05:06:07"},
        "EXIF": {"EXIF_DateTimeOriginal": "2019:01:02 03:04:05"},
        "tiff": {"TIFFTAG_DATETIME": "2020:01:31 10:11:12"},
    }
    assert resolve(**every).moment == utc(2018, 3, 4, 5, 6, 7)
    del every["IMAGERY"]
    assert resolve(**every).moment == utc(2019, 1, 2, 3, 4, 5)
    del every["EXIF"]
    assert resolve(**every).moment == utc(2020, 1, 31, 10, 11, 12)
    assert resolve(**every).source == "tags"


def test_the_time_zone_of_a_camera_counts():
    exif = {
        "EXIF_DateTimeOriginal": "2019:01:02 01:00:00",
        "EXIF_OffsetTimeOriginal": "+02:00",
    }
    assert resolve(EXIF=exif).moment == utc(2019, 1, 1, 23)


@pytest.mark.parametrize(
    "text",
    ["0000:00:00 00:00:00", "1899:12:31 23:59:59", "", "soon", "2031:01:01 00:00:00"],
)
def test_a_tag_that_cannot_be_believed_is_passed_over(text):
    tags = {"TIFFTAG_DATETIME": text}
    assert resolve(tiff=tags).source == "blob"
    assert resolve(blob="x_20200131.tif", tiff=tags).source == "filename"


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("20240131.tif", utc(2024, 1, 31)),
        ("a_2024-01-31_b.tif", utc(2024, 1, 31)),
        ("a_2024_01_31.tif", utc(2024, 1, 31)),
        ("S2A_20240131T101112_N05_20240201T000000.tif", utc(2024, 1, 31, 10, 11, 12)),
        ("x-2024-01-31T10:11:12Z.tif", utc(2024, 1, 31, 10, 11, 12)),
        ("20240230_20240229.tif", utc(2024, 2, 29)),
    ],
)
def test_a_date_in_the_name_is_found(name, moment):
    time = resolve(blob=f"20100101/{name}")
    assert (time.moment, time.source) == (moment, "filename")


@pytest.mark.parametrize(
    "name",
    [
        "a.tif",
        "1234567890.tif",
        "20241331.tif",
        "18991231.tif",
        "2024-0131.tif",
        "920240131.tif",
        "202401311.tif",
        "20271231.tif",
        "20230229.tif",
    ],
)
def test_what_only_looks_like_a_date_is_left_alone(name):
    assert resolve(blob=name).source == "blob"


def test_without_anything_the_arrival_is_a_range_and_says_so():
    time = resolve()
    assert (time.moment, time.start, time.end) == (None, ARRIVED, ARRIVED)
    assert (time.source, time.warnings) == ("blob", ())


def test_a_day_ahead_is_believed_and_two_are_not():
    ahead = {days: f"{NOW + timedelta(days=days):%Y%m%d}.tif" for days in (1, 2)}
    assert resolve(blob=ahead[1]).source == "filename"
    assert resolve(blob=ahead[2]).source == "blob"
