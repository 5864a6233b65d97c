"""How amounts per cell are called, in tables and in views."""

from geo_assets.contract_h3 import VectorStatistics

BAND = "band "  # before its number
SUM_OF = "sum "  # before the column
CLASS_OF = "class "  # before a measure that tells categories apart
COUNT = "count"
SIZES = {1: "length_m", 2: "area_m2"}  # by dimension
_IDENTIFIER = 63  # bytes


def columns_of(rules: VectorStatistics) -> dict[str, str]:
    """Columns of the view of features, by measure.

    >>> columns_of(VectorStatistics(resolutions=[5], sums=["people"]))["sum people"]
    'sum_people'
    """
    sizes = {name: name for name in (COUNT, *SIZES.values())}
    return sizes | {SUM_OF + name: f"sum_{name}"[:_IDENTIFIER] for name in rules.sums}
