"""Products that are not blobs: taken back in the transaction that gives them up."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from geo_resources import pgstac, tables
from geo_resources.ledger import Product

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMA = "geo."


class SourceName(NamedTuple):
    """The blob that made products."""

    container: str
    blob: str


def table_product(
    table: str, rows: int, size_bytes: int, shared_by: SourceName | None
) -> Product:
    """A table of one file, or a file's rows in a table of many.

    Args:
        table: name, without the schema.
        rows: of the file.
        size_bytes: what they take.
        shared_by: the file, in a table of many.
    """
    product: Product = {
        "kind": "table",
        "table": SCHEMA + table,
        "rows": rows,
        "bytes": size_bytes,
    }
    if shared_by is not None:
        product["source"] = "/".join(shared_by)
    return product


def withdraw(
    connection: "Connection", source: SourceName, products: Sequence[Product]
) -> None:
    """Delete the STAC items and the tables, or rows, among a blob's products.

    What another file has put into a table stays.
    """
    for one in products:
        if "item" in one:
            pgstac.delete_items(connection, one["collection"], [one["item"]])
    named = {one["table"].removeprefix(SCHEMA) for one in products if "table" in one}
    for table in sorted(named):  # in one order everywhere: no deadlocks
        tables.withdraw_table(connection, table, *source)
