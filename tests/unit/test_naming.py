"""geo_assets.naming"""

import re

from hypothesis import assume, example, given
from hypothesis import strategies as st

from geo_assets.naming import blob_stem, escape, item_id, partition_key, unescape

BLOBS = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("/.@%~|,[]"), min_size=1
)


@given(BLOBS)
def test_what_is_escaped_can_be_read_back(name):
    assert unescape(escape(name)) == name


@given(BLOBS, BLOBS)
@example("a.tif", "a")
@example("a.tif", "a.tiff")
@example("a/b.tif", "a~b.tif")
@example("a.b.tif", "a.b")
@example("a//b.tif", "a/%/b.tif")
def test_two_blobs_never_share_a_product_or_an_item(one, other):
    assume(one != other)
    assert blob_stem(one) != blob_stem(other)
    assert item_id(one) != item_id(other)
    assert partition_key(one) != partition_key(other)


@given(BLOBS)
def test_a_stem_stays_below_its_dataset(name):
    parts = blob_stem(name).split("/")
    assert all(part not in {"", ".", ".."} for part in parts)


@given(BLOBS | st.text("x/é", min_size=150, max_size=1024))
def test_a_partition_key_is_what_dagster_allows(name):
    key = partition_key(name)
    assert len(key) <= 200
    assert "..." not in key
    assert not re.search(r'[\x00-\x1f\x7f|,\[\]"]', key)
