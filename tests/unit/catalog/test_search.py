"""geo_assets.catalog.search"""

import pytest

from geo_assets.catalog.search import SearchError, search_body

DAY = "2024-01-31T00:00:00Z/2024-01-31T23:59:59.999999Z"


def test_what_is_not_asked_for_is_not_in_the_body():
    assert search_body() == {}
    assert search_body(collections=["dem"], ids=["a"], sort_by=["-datetime", "id"]) == {
        "collections": ["dem"],
        "ids": ["a"],
        "sortby": [
            {"field": "datetime", "direction": "desc"},
            {"field": "id", "direction": "asc"},
        ],
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,2,3,4", [1, 2, 3, 4]),
        ("170,-90,-170,90", [170, -90, -170, 90]),
        ("1,2,0,3,4,9", [1, 2, 3, 4]),
    ],
)
def test_a_box_has_four_numbers(text, found):
    assert search_body(bbox=text)["bbox"] == found


@pytest.mark.parametrize(
    "text", ["1,2,3", "a,b,c,d", "1,4,3,2", "0,0,181,1", "0,0,0,nan"]
)
def test_a_box_that_is_none_is_refused(text):
    with pytest.raises(SearchError):
        search_body(bbox=text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2024-01-31", DAY),
        ("2024-02", "2024-02-01T00:00:00Z/2024-02-29T23:59:59.999999Z"),
        ("2023/2024", "2023-01-01T00:00:00Z/2024-12-31T23:59:59.999999Z"),
        ("../2024-01-31", f"../{DAY.partition('/')[2]}"),
        ("2024-01-31/", "2024-01-31T00:00:00Z/.."),
        ("2024-01-31T10:00:00+02:00", "2024-01-31T08:00:00Z"),
        ("2024-01-31T10:00:00", "2024-01-31T10:00:00Z"),
        ("2024/9999", "2024-01-01T00:00:00Z/9999-12-31T23:59:59.999999Z"),
        ("9999-12", "9999-12-01T00:00:00Z/9999-12-31T23:59:59.999999Z"),
        ("9999-12-31", "9999-12-31T00:00:00Z/9999-12-31T23:59:59.999999Z"),
    ],
)
def test_a_time_means_all_that_it_names(text, found):
    assert search_body(time=text)["datetime"] == found


BEYOND = ["0001-01-01T00:00:00+05:00", "9999-12-31T23:00:00-05:00"]
NONE = ["yesterday", "2024-02-30", "2024/2023", "1/2/3", "../..", "/", ".."]


@pytest.mark.parametrize("text", [*BEYOND, *NONE])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(SearchError):
        search_body(time=text)


def test_a_filter_is_cql2_in_either_form():
    asked = {"op": "<", "args": [{"property": "eo:cloud_cover"}, 10]}
    text = search_body(cql2="eo:cloud_cover < 10")
    assert text == {"filter": asked, "filter-lang": "cql2-json"}
    as_json = '{"op": "<", "args": [{"property": "eo:cloud_cover"}, 10]}'
    assert search_body(cql2=as_json) == text


@pytest.mark.parametrize("text", ["cloud <", "{", '{"op": 1}'])
def test_a_filter_that_is_none_is_refused(text):
    with pytest.raises(SearchError, match="CQL2"):
        search_body(cql2=text)
