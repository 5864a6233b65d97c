"""STAC as files that need no server: a catalogue, its collections, their items.

Pure: documents of the API in, documents with relative links out.
"""

from collections.abc import Iterable, Sequence
from posixpath import relpath
from typing import Any

from geo_assets.catalog.collection import STAC_VERSION
from geo_assets.naming import STATIC_CATALOG, static_collection_name, static_item_name

JSON = "application/json"
GEOJSON = "application/geo+json"
STRUCTURE = ("self", "root", "parent", "collection", "item", "child", "items")
Json = dict[str, Any]


def static_item(item: Json) -> Json:
    """An item whose links lead from its file to the others."""
    collection = item["collection"]
    place = static_item_name(collection, item["id"])
    up = static_collection_name(collection)
    links = [
        _link("root", place, STATIC_CATALOG, JSON),
        _link("parent", place, up, JSON),
        _link("collection", place, up, JSON),
    ]
    return item | {"links": [*links, *_others(item)]}


def static_collection(collection: Json, items: Iterable[str]) -> Json:
    """A collection that leads to its items.

    Args:
        collection: as the API has it.
        items: ids.
    """
    name = collection["id"]
    place = static_collection_name(name)
    links = [
        _link("root", place, STATIC_CATALOG, JSON),
        _link("parent", place, STATIC_CATALOG, JSON),
        *(_link("item", place, static_item_name(name, one), GEOJSON) for one in items),
    ]
    return collection | {"links": [*_others(collection), *links]}


def static_catalog(collections: Sequence[str]) -> Json:
    """The document that leads to every collection."""
    children = [
        _link("child", STATIC_CATALOG, static_collection_name(one), JSON)
        for one in collections
    ]
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": "strata",
        "title": "Strata",
        "description": "Every dataset of this platform that was exported.",
        "links": [_link("root", STATIC_CATALOG, STATIC_CATALOG, JSON), *children],
    }


def _others(document: Json) -> list[Json]:
    """Links that say something else than where in the catalogue a document is."""
    return [one for one in document["links"] if one["rel"] not in STRUCTURE]


def _link(rel: str, place: str, target: str, media_type: str) -> Json:
    """A link from one blob to another; our names are the same as URI and as path."""
    path = relpath(target, place.rpartition("/")[0])
    return {"rel": rel, "href": f"./{path}", "type": media_type}
