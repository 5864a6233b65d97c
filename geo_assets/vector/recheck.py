"""Ask the outside world again whether a published vector file is still as promised."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from geo_assets.contract import VectorContract
from geo_assets.errors import SourceError
from geo_assets.vector.verdict import answers
from geo_assets.witness import Verdict
from geo_assets.witness import Witness as AnyWitness
from geo_resources import tables
from geo_resources.tables import TableFacts

if TYPE_CHECKING:
    from geo_assets.vector.facts import LoadedTable, VectorFacts


Witness = AnyWitness[VectorContract]


def facts_of(witness: Witness) -> "VectorFacts":
    """What the run that loaded the tables has found out."""
    from geo_assets.vector.facts import VectorFacts

    return VectorFacts.model_validate(witness.file.facts)


def source_is_valid(witness: Witness) -> Verdict:
    """The blob in bronze can still be read and fits the contract."""
    from geo_assets.vector.read import open_source

    file = witness.file
    work = witness.folder / "work"
    work.mkdir()
    fetched = witness.storage.fetch(file.container, file.blob, witness.folder)
    try:
        open_source(fetched.path, file.blob, witness.contract, work)
    except SourceError as error:
        return Verdict(passed=False, found=f"{error.code}: {error.message}")
    return Verdict(passed=True)


def _ask(check: str) -> Callable[[Witness], Verdict]:
    """The answer that the tables of today give to a check."""

    def ask(witness: Witness) -> Verdict:
        missing = [*_missing(witness)]
        if missing or not witness.file.facts:
            gone = ", ".join(missing) or "every table"
            return Verdict(passed=False, found=f"{gone} is not there")
        facts = facts_of(witness).model_copy(update={"tables": _measured(witness)})
        given = {one.check: one for one in answers(witness.contract, facts, ())}
        answer = given[check]
        return Verdict(passed=answer.passed, found=answer.found)

    return ask


def _missing(witness: Witness) -> Iterator[str]:
    with witness.database.transaction() as connection:
        for name in _names(witness):
            if tables.find_table(connection, name) is None:
                yield name


def _names(witness: Witness) -> Sequence[str]:
    named = (one["table"] for one in witness.file.products if "table" in one)
    return [name.removeprefix("geo.") for name in named]


def _measured(witness: Witness) -> tuple["LoadedTable", ...]:
    """Facts of the load, with what PostGIS says today put over them."""
    found = []
    with witness.database.transaction() as connection:
        for table in facts_of(witness).tables:
            now = tables.measure(connection, table.name, validity_rows=None)
            rows = tables.rows_of(
                connection, table.name, witness.file.container, witness.file.blob
            )
            found.append(table.model_copy(update=_update(now, rows)))
    return tuple(found)


def _update(now: TableFacts, rows: int) -> Mapping[str, object]:
    return {
        "rows": rows,
        "srid": now.srid,
        "types": now.types,
        "checked": now.checked,
        "invalid": now.invalid,
    }


TABLE_QUESTIONS: Mapping[str, Callable[[Witness], Verdict]] = {
    name: _ask(name)
    for name in (
        "counts_match",
        "srid_right",
        "geometries_valid",
        "extent_plausible",
        "schema_stable",
        "rows_expected",
    )
}
