"""What is asked of a table before anybody trusts it, answered from measured facts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from geo_assets.contract import VectorContract
from geo_assets.errors import InvalidGeometryError, NoFeaturesError, SourceError
from geo_resources.tables import Published

if TYPE_CHECKING:
    from geo_assets.vector.facts import LoadedTable, VectorFacts

CHECKS = {
    "counts_match": "Every row that was read is in the table, or counted as refused.",
    "srid_right": "The geometry column has the SRID of the target CRS.",
    "geometries_valid": "PostGIS finds no invalid geometry.",
    "extent_plausible": "The rows lie where their CRS is used.",
    "schema_stable": "The columns are those of the version before.",
    "rows_expected": "The number of rows is what the dataset expects.",
}


class Answer(NamedTuple):
    """The answer to a check on a table."""

    check: str
    passed: bool
    found: str
    warns: bool = False


def why_nothing_is_left(refused: Mapping[str, Mapping[str, int]]) -> SourceError:
    """The error of a file without a row that can be loaded.

    Args:
        refused: rows by reason, of each layer.
    """
    from geo_assets.vector.shapes import Refusal

    reasons = {reason for counts in refused.values() for reason in counts}
    if reasons and reasons <= {str(Refusal.INVALID), str(Refusal.COLLAPSED)}:
        return InvalidGeometryError(
            "No geometry of the file can be used.",
            found=dict(refused),
            expected="at least one valid geometry",
        )
    return NoFeaturesError(
        "The file has no row that can be loaded.",
        found=dict(refused),
        expected="at least one row",
    )


def answers(
    contract: VectorContract, facts: "VectorFacts", published: Sequence[Published]
) -> Iterator[Answer]:
    """All checks on the tables of a file."""
    tables = facts.tables
    yield _counts(tables)
    wrong = [f"{t.name}: {t.srid}" for t in tables if _wrong_srid(t)]
    yield Answer("srid_right", not wrong, "; ".join(wrong) or _srids(tables))
    yield _validity(contract, tables)
    outside = [f"{t.name}: {t.outside}" for t in tables if t.outside]
    yield Answer("extent_plausible", not outside, "; ".join(outside) or "inside")
    drift = [line for one in published for line in drifted(one, tables)]
    yield Answer(
        "schema_stable", not drift, "; ".join(drift) or "no change", warns=True
    )
    yield _bounds(contract, facts.rows_loaded)


def _counts(tables: Sequence["LoadedTable"]) -> Answer:
    wrong = []
    for table in tables:
        tally = table.tally
        refused = sum(tally.refused.values())
        if tally.rows_read != table.rows + refused:
            wrong.append(
                f"{table.name}: {tally.rows_read} read, "
                f"{table.rows} loaded, {refused} refused"
            )
    total = sum(table.rows for table in tables)
    return Answer("counts_match", not wrong, "; ".join(wrong) or f"{total} rows")


def _wrong_srid(table: "LoadedTable") -> bool:
    return table.geometry_type is not None and table.srid != table.crs.srid


def _srids(tables: Sequence["LoadedTable"]) -> str:
    return ", ".join(sorted({str(table.srid) for table in tables}))


def _validity(contract: VectorContract, tables: Sequence["LoadedTable"]) -> Answer:
    """Geometries that the dataset keeps as they are only warn."""
    invalid = sum(table.invalid for table in tables)
    checked = sum(table.checked for table in tables)
    return Answer(
        "geometries_valid",
        invalid == 0,
        f"{invalid} of {checked} that were checked are invalid",
        warns=contract.geometry.invalid == "keep",
    )


def drifted(published: Published, tables: Sequence["LoadedTable"]) -> Iterator[str]:
    """What differs from the columns of the version before, in words."""
    before = published.columns_before
    table = next((one for one in tables if one.name == published.table), None)
    if before is None or table is None:
        return
    was = {column["name"]: column["type"] for column in before}
    now = {column.name: column.type for column in table.columns}
    for name in was.keys() - now.keys():
        yield f"{published.table}: {name} is gone"
    for name in now.keys() - was.keys():
        yield f"{published.table}: {name} is new"
    for name in was.keys() & now.keys():
        if was[name] != now[name]:
            yield f"{published.table}: {name} was {was[name]}, is {now[name]}"


def _bounds(contract: VectorContract, rows: int) -> Answer:
    least, most = contract.rows.least, contract.rows.most
    passed = rows >= least and (most is None or rows <= most)
    upper = "any number" if most is None else str(most)
    found = f"{rows} rows, expected {least} to {upper}"
    return Answer("rows_expected", passed, found, warns=True)
