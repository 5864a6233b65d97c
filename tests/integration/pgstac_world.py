"""Collections and items, and what is most often asked of them."""

from contextlib import contextmanager

from geo_resources.database import Database
from geo_resources.pgstac import (
    aggregate,
    ensure_collection,
    get_item,
    load_items,
    search,
)

COG = "image/tiff; application=geotiff; profile=cloud-optimized"


@contextmanager
def opened(url):
    """A database with a collection `dem` of nothing."""
    database = Database(url=url)
    with database.transaction() as connection:
        ensure_collection(connection, collection("dem"))
    yield database
    database.close()


def collection(name, **more):
    return {
        "type": "Collection",
        "stac_version": "1.1.0",
        "id": name,
        "description": "Heights",
        "license": "other",
        "links": [],
        "extent": {
            "spatial": {"bbox": [[-180, -90, 180, 90]]},
            "temporal": {"interval": [[None, None]]},
        },
        "item_assets": {
            tier: {"type": COG, "roles": ["data"], "title": tier}
            for tier in ("analysis", "archive")
        },
    } | more


def item(name, time="2024-01-31T10:00:00Z", west=10.0, **properties):
    """An item whose `archive` asset is missing although the collection has one."""
    ring = [[west, 50], [west + 1, 50], [west + 1, 51], [west, 51], [west, 50]]
    band = {"name": "height", "data_type": "float32", "unit": "m"}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": name,
        "collection": "dem",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, 50, west + 1, 51],
        "links": [],
        "properties": {"datetime": time, "proj:code": "EPSG:32633"} | properties,
        "assets": {
            "analysis": {
                "href": f"s/{name}.tif",
                "type": COG,
                "roles": ["data"],
                "file:size": 1000,
                "bands": [band | {"statistics": {"mean": 1 / 3, "minimum": -1e-30}}],
            }
        },
    }


def load(database, items, name="dem"):
    with database.transaction() as connection:
        return load_items(connection, name, items)


def read(database, name):
    with database.transaction() as connection:
        return get_item(connection, "dem", name)


def count(database):
    with database.transaction() as connection:
        return aggregate(connection, "dem")["items"]


def found_by(database, **body):
    with database.transaction() as connection:
        answer = search(connection, {"collections": ["dem"]} | body)
    return sorted(feature["id"] for feature in answer["features"])
