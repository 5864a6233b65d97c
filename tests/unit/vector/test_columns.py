"""geo_assets.vector.columns"""

import keyword
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS

from geo_assets.vector.columns import AVOIDED, legal_name, plan_columns
from geo_assets.vector.model import GEOMETRY

NASTY = [
    "id",
    "ID",
    "Id",
    "select",
    "SELECT",
    "naïve col; drop table x",
    "c" * 70 + "1",
    "c" * 70 + "2",
    "",
    " ",
    "geom",
    "fid",
    "source_id",
    "ctid",
    "xmin",
    "tableoid",
    "数据",
    "Straße",
    "STRASSE",
    "1st",
    "_",
    'a"b',
    "a'b",
    "日" * 40,
    "日" * 40 + "x",
    "tab\there",
    "ﬁeld",
    "%s",
    "{}",
    "\x00bad",
    "İstanbul",
    "한국어",
    "a.b.c",
    "$1",
    "\ud800",
    "user",
    "user_",
]


def planned(names, taken=()):
    schema = pa.schema([pa.field(name, pa.int64()) for name in names])
    return plan_columns(schema, taken)


def check(columns, names):
    found = [column.name for column in columns]
    assert [column.source for column in columns] == names
    assert len(set(found)) == len(found)
    for name in found:
        assert 1 <= len(name.encode()) <= 63
        assert name == name.lower()
        assert name.isidentifier() or unicodedata.normalize("NFKC", name) != name
        assert name not in AVOIDED
        assert not name[0].isdigit()


def test_nasty_names_become_legal_and_unique():
    names = [name for name in NASTY if name != "\ud800"]  # Arrow holds UTF-8 alone
    check(planned(names), names)


def test_half_a_surrogate_pair_is_a_name_too():
    assert legal_name("\ud800") == "field"


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=30))
@example(["a", "a_2", "A", "a_2"])
@example(["x" * 63, "x" * 64, "x" * 65])
@example(["order", "order_", "ORDER"])
@example(["\U0001d360", "a\u00b2"])  # numbers, but no digits
def test_any_names_become_legal_and_unique(names):
    columns = planned(names)
    check(columns, names)
    assert planned(names) == columns


@settings(deadline=None)
@given(st.text(st.sampled_from("ab_1 -é"), max_size=8), st.integers(2, 4))
def test_the_same_name_several_times_is_numbered(name, times):
    columns = planned([name] * times)
    assert columns[0].name == legal_name(name)
    assert columns[1].name == f"{legal_name(name)}_2"


def test_reserved_words_of_an_independent_list_are_avoided():
    # SQLAlchemy adds words that PostgreSQL does not reserve (pg_get_keywords: U, C).
    reserved = set(RESERVED_WORDS) - {"between", "new", "of", "off", "old", "over"}
    assert reserved <= AVOIDED
    assert {legal_name(word) for word in reserved} == {f"{word}_" for word in reserved}


@pytest.mark.parametrize("name", ["fid", "geom", "source_id", "ctid", "xmin", "oid"])
def test_our_own_columns_and_those_of_postgresql_are_avoided(name):
    assert planned([name, name.upper()])[0].name == f"{name}_"


def test_names_that_are_taken_stay_taken():
    assert [c.name for c in planned(["a", "b"], taken=["a"])] == ["a_2", "b"]


def test_good_names_stay_as_they_are():
    good = [
        "name",
        "population_2020",
        "height_m",
        "straße"[:4],
        *keyword.softkwlist[1:],
    ]
    good = [name for name in good if name not in {"_", *AVOIDED}]
    assert [column.name for column in planned(good)] == good


def test_letters_of_all_scripts_stay_and_accents_go():
    names = ["数据", "한국어", "имя", "Größe", "año", "Ŀ·x"]
    assert [legal_name(n) for n in names][:5] == [
        "数据",
        "한국어",
        "имя",
        "grosse",
        "ano",
    ]


def test_the_geometry_is_no_column():
    schema = pa.schema([("a", pa.int64()), (GEOMETRY, pa.binary())])
    assert [column.name for column in plan_columns(schema)] == ["a"]
