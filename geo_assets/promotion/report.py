"""What Dagster is told of promotions."""

from collections.abc import Mapping

import dagster as dg

from geo_assets.events import Metadata, coordinates
from geo_resources.promotions import Order, Swapped

USER_TAG = "strata/user"  # on runs that a command starts
SENSOR_TAG = "dagster/sensor_name"


def who_of(tags: Mapping[str, str]) -> str:
    """Who asked for a run; Dagster itself does not know the users of its web interface.

    >>> who_of({"strata/user": "anna@desk"}), who_of({"dagster/sensor_name": "s"})
    ('anna@desk', 'sensor s')
    """
    if user := tags.get(USER_TAG) or tags.get("user"):
        return user
    if sensor := tags.get(SENSOR_TAG):
        return f"sensor {sensor}"
    return "web interface"


def describe(order: Order, swapped: Swapped) -> Metadata:
    """Metadata of a promotion, or of its reversal."""
    undo = "strata promote --reverse"
    items = swapped.items or {}
    return {
        "action": order.action,
        "engine": order.engine,
        "who": order.who,
        "tables": dg.MetadataValue.table(
            [_record(one) for one in swapped.tables], schema=_SCHEMA
        ),
        "rows": sum(one["rows"] for one in swapped.tables),
        "bytes": sum(one["bytes"] for one in swapped.tables),
        "items": items.get("count", 0),
        "checksum of items": str(items.get("checksum", "none")),
        "replaces": str(swapped.replaced or "nothing"),
        "to reverse": f"{undo} {order.dataset} --yes",
    }


_SCHEMA = dg.TableSchema(
    [
        dg.TableColumn("table", "string"),
        dg.TableColumn("rows", "int"),
        dg.TableColumn("bytes", "int"),
        dg.TableColumn("checksum", "string"),
        dg.TableColumn("extent", "string"),
    ]
)


def _record(facts: Mapping[str, object]) -> dg.TableRecord:
    extent = facts["extent"]
    return dg.TableRecord(
        {
            "table": f"geo.{facts['table']}",
            "rows": facts["rows"],  # pyright: ignore[reportArgumentType] JSON
            "bytes": facts["bytes"],  # pyright: ignore[reportArgumentType]
            "checksum": str(facts["checksum"]),
            "extent": coordinates(extent) if isinstance(extent, list) else "",
        }
    )
