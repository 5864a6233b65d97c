"""The catalogue as a whole: pages of a search, all items of a collection, its end.

As in `pgstac.py`, the caller's transaction holds everything and nothing is committed.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from geo_resources.pgstac import Json, in_pgstac, search, without_nulls

if TYPE_CHECKING:
    from psycopg import Connection

PAGE = 100  # items of one search; pgSTAC hydrates each of them
ROWS_AT_ONCE = 500


class ItemsLeftError(Exception):
    """The collection holds items that files of the ledger own."""


def collection_ids(connection: "Connection") -> list[str]:
    """All collections, by name."""
    with in_pgstac(connection):
        rows = connection.execute("SELECT id FROM collections ORDER BY id").fetchall()
    return [name for (name,) in rows]


def search_items(
    connection: "Connection", body: Json, most: int | None
) -> Iterator[Json]:
    """The items that a search finds, page by page, in its order.

    Args:
        connection: in a transaction, for as long as items are read.
        body: of a STAC API search, without `limit`.
        most: end after so many; all if None.
    """
    token: str | None = None
    left = most
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        more = {"token": token} if token else {}
        page = search(connection, {**body, **more, "limit": size})
        yield from page["features"]
        token = _next_token(page)
        if token is None:
            return
        left = None if left is None else left - len(page["features"])


def _next_token(page: Json) -> str | None:
    """What the `next` link of a page ends in."""
    hrefs = [link["href"] for link in page["links"] if link["rel"] == "next"]
    if not hrefs:
        return None
    return parse_qs(urlsplit(hrefs[0]).query)["token"][0]


def stream_items(connection: "Connection", collection_id: str) -> Iterator[Json]:
    """Every item of a collection by id, as a client sees it; memory stays flat.

    Put together here: pgSTAC's own function takes some milliseconds per item.
    """
    bases: dict[str | None, Json] = {}
    with in_pgstac(connection), connection.cursor(name="items") as cursor:
        cursor.itersize = ROWS_AT_ONCE
        cursor.execute(_STREAM, [collection_id])
        for name, geometry, content in cursor:
            tag = content.pop("pgstac:base_item", None)
            if tag not in bases:
                bases[tag] = _base_item(connection, collection_id, tag)
            item = {"id": name, "type": "Feature", "collection": collection_id}
            yield _hydrate(bases[tag], {**item, "geometry": geometry, **content})


_STREAM = """
SELECT id, ST_AsGeoJSON(geometry, 20)::jsonb, content
FROM items WHERE collection = %s ORDER BY id
"""


def _base_item(connection: "Connection", collection_id: str, tag: object) -> Json:
    """What the items of a collection have in common, as of when they were loaded."""
    query = "SELECT collection_base_item(%s, %s::int)"
    row = connection.execute(query, [collection_id, tag]).fetchone()
    return (row[0] if row else None) or {}


def _hydrate(base: Json, item: Json) -> Json:
    from hydraters import hydrate

    whole = without_nulls(hydrate(base, item, strip_unmatched_markers=True))
    whole["properties"].setdefault("datetime", None)
    return whole


def count_items(connection: "Connection", collection_id: str) -> int | None:
    """How many items a collection holds; None if there is no such collection."""
    with in_pgstac(connection):
        row = connection.execute(_COUNT, [collection_id]).fetchone()
    return row[0] if row else None


_COUNT = """
SELECT (SELECT count(*) FROM items AS i WHERE i.collection = c.id)
FROM collections AS c WHERE c.id = %s
"""


def delete_collection(connection: "Connection", collection_id: str) -> int:
    """Delete a collection with the items that no file owns; how many items those were.

    Raises:
        LookupError: there is no such collection.
        ItemsLeftError: files of the ledger own items of it: `unpublish` those first.
    """
    with in_pgstac(connection, lock=collection_id):
        count = count_items(connection, collection_id)
        if count is None:
            message = f"there is no collection {collection_id}"
            raise LookupError(message)
        owned = connection.execute(
            _OWNED, [json.dumps([{"collection": collection_id}])]
        )
        if files := owned.fetchall():
            names = ", ".join(f"{one[0]}/{one[1]}" for one in files)
            message = f"items of {collection_id} belong to {names}"
            raise ItemsLeftError(message)
        connection.execute("SELECT delete_collection(%s)", [collection_id])
    return count


_OWNED = """
SELECT container, blob FROM ops.ledger WHERE products @> %s::jsonb ORDER BY id LIMIT 5
"""
