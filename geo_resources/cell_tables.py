"""Statistics per H3 cell: rows of a file are replaced together, at one moment.

All in one transaction: `lock_rows`, `begin_rows`, `copy_rows`, `merge_rows` or
`roll_up`, then `draw_cells`. A kill at any point leaves the old rows and nothing else;
readers see the old or the new. Names of tables come from `naming.py` of whoever calls.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, LiteralString, NamedTuple

from geo_resources.grids_model import SCHEMA
from geo_resources.tables_locks import lock_tables
from geo_resources.tables_sql import patient

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composed, Identifier

MOMENTS = ("cell", "band", "count", "sum", "weight", "mean", "m2", "min", "max")
AMOUNTS = ("cell", "measure", "class", "amount")
_AT_ONCE = 20_000  # cells that are drawn at a time


class Form(NamedTuple):
    """A kind of table of statistics."""

    columns: tuple[str, ...]
    """Without the source."""
    body: LiteralString
    key: LiteralString
    """Columns that tell rows of a cell apart."""
    merge: LiteralString
    """Rows of several parts as one: of files, of windows, of the children of a cell."""


_MOMENTS: LiteralString = """
    cell bigint NOT NULL, band smallint NOT NULL, count double precision NOT NULL,
    sum double precision NOT NULL, weight double precision NOT NULL,
    mean double precision NOT NULL, m2 double precision NOT NULL,
    min double precision NOT NULL, max double precision NOT NULL
"""
_AMOUNTS: LiteralString = """
    cell bigint NOT NULL, measure text NOT NULL, class text NOT NULL,
    amount double precision NOT NULL
"""

# The mean of all parts first: deviations from it do not cancel out (Chan, Golub and
# LeVeque, Updating formulae and a pairwise algorithm for computing variances, 1979).
_MERGE_MOMENTS: LiteralString = """
SELECT cell, band, sum(count) AS count, sum(sum) AS sum, sum(weight) AS weight,
    min(centre) AS mean, sum(m2 + weight * (mean - centre) ^ 2) AS m2,
    min(min) AS min, max(max) AS max
FROM (
    SELECT *, sum(weight * mean) OVER cells / sum(weight) OVER cells AS centre
    FROM ({parts}) AS part WINDOW cells AS (PARTITION BY cell, band)
) AS centred
GROUP BY cell, band
"""
_MERGE_AMOUNTS: LiteralString = """
SELECT cell, measure, class, sum(amount) AS amount
FROM ({parts}) AS part GROUP BY cell, measure, class
"""
FORMS = {
    "moments": Form(MOMENTS, _MOMENTS, "cell, band", _MERGE_MOMENTS),
    "amounts": Form(AMOUNTS, _AMOUNTS, "cell, measure, class", _MERGE_AMOUNTS),
}


class CellTable(NamedTuple):
    """A table of statistics of a dataset."""

    name: str
    form: Form


def ensure_table(connection: "Connection", table: CellTable) -> None:
    """Make the table if there is none; several processes may do so at once."""
    from psycopg import sql

    lock_tables(connection, [f"{SCHEMA}.{table.name} made"])
    create = sql.SQL(
        "CREATE TABLE IF NOT EXISTS {name} ({body}, source bigint NOT NULL,"
        " PRIMARY KEY ({key}, source));"
        "CREATE INDEX IF NOT EXISTS {index} ON {name} (source);"
        "COMMENT ON COLUMN {name}.source IS 'The file: id in ops.exports'"
    ).format(
        name=_name(table.name),
        body=sql.SQL(table.form.body),
        key=sql.SQL(table.form.key),
        index=sql.Identifier(f"{table.name}_source"),
    )
    connection.execute(create)


def ensure_view(connection: "Connection", name: str, query: "Composed") -> None:
    """Make a view, or make it anew if it says something else.

    Raises:
        psycopg.errors.DependentObjectsStillExist: it changes, and somebody hung another
            view on it.
    """
    from psycopg import sql

    lock_tables(connection, [f"{SCHEMA}.{name} made"])
    text = query.as_string(connection)
    ask = "SELECT obj_description(to_regclass(%s))"
    found = connection.execute(ask, [f'{SCHEMA}."{name}"']).fetchone()
    if found is not None and found[0] == (said := _saying(text)):
        return
    said = _saying(text)
    make = sql.SQL(
        "DROP VIEW IF EXISTS {name}; CREATE VIEW {name} AS {query};"
        "COMMENT ON VIEW {name} IS {said}"
    )
    connection.execute(
        make.format(name=_name(name), query=query, said=sql.Literal(said))
    )


def _saying(query: str) -> str:
    from hashlib import sha256

    digest = sha256(query.encode()).hexdigest()[:16]
    return f"Statistics per H3 cell, of all files; made by Strata ({digest})"


def lock_rows(connection: "Connection", table: CellTable, source: int) -> None:
    """Be the only one at work on a file until the transaction ends."""
    lock_tables(connection, [f"{SCHEMA}.{table.name} {source}"])


def begin_rows(connection: "Connection", table: CellTable) -> None:
    """Take an empty table for the new rows of a file; `lock_rows` comes before."""
    from psycopg import sql

    create = sql.SQL("CREATE TEMPORARY TABLE staged ({}) ON COMMIT DROP")
    connection.execute(create.format(sql.SQL(table.form.body)))


def copy_rows(
    connection: "Connection", table: CellTable, chunks: Iterable[bytes | memoryview]
) -> None:
    """Take in parts of rows, as a COPY BINARY stream."""
    from psycopg import sql

    columns = sql.SQL(", ").join(map(sql.Identifier, table.form.columns))
    copy = sql.SQL("COPY pg_temp.staged ({}) FROM STDIN (FORMAT binary)")
    with (
        patient(connection),
        connection.cursor() as cursor,
        cursor.copy(copy.format(columns)) as stream,
    ):
        for chunk in chunks:
            stream.write(chunk)


def replace_rows(connection: "Connection", table: CellTable, source: int) -> int:
    """Put what was taken in, merged, in the place of the file's rows; how many."""
    from psycopg import sql

    delete_rows(connection, table, source)
    parts = sql.SQL("SELECT * FROM {}").format(sql.Identifier("pg_temp", "staged"))
    return _insert(connection, table, source, parts)


def roll_up(
    connection: "Connection",
    table: CellTable,
    source: int,
    finest: int,
    resolutions: Sequence[int],
) -> int:
    """Make the rows of coarser cells anew from those of the finest; how many."""
    from psycopg import sql

    remove = sql.SQL(
        "DELETE FROM {} WHERE source = {} AND h3.resolution(cell) <> {}"
    ).format(_name(table.name), source, finest)
    connection.execute(remove)
    made = 0
    others = sql.SQL(", ").join(
        sql.Identifier(one) for one in table.form.columns if one != "cell"
    )
    for resolution in resolutions:
        parts = sql.SQL(
            "SELECT h3.parent(cell, {resolution}) AS cell, {others} FROM {name}"
            " WHERE source = {source} AND h3.resolution(cell) = {finest}"
        ).format(
            resolution=resolution,
            others=others,
            name=_name(table.name),
            source=source,
            finest=finest,
        )
        made += _insert(connection, table, source, parts)
    return made


def _insert(
    connection: "Connection", table: CellTable, source: int, parts: "Composed"
) -> int:
    from psycopg import sql

    columns = sql.SQL(", ").join(map(sql.Identifier, table.form.columns))
    merged = sql.SQL(table.form.merge).format(parts=parts)
    insert = sql.SQL(
        "INSERT INTO {name} ({columns}, source)"
        " SELECT {columns}, {source} FROM ({merged}) AS whole"
    ).format(name=_name(table.name), columns=columns, source=source, merged=merged)
    with patient(connection):
        return connection.execute(insert).rowcount


def delete_rows(connection: "Connection", table: CellTable, source: int) -> int:
    """Take the rows of a file away; how many."""
    from psycopg import sql

    delete = sql.SQL("DELETE FROM {} WHERE source = {}")
    with patient(connection):
        return connection.execute(delete.format(_name(table.name), source)).rowcount


def href_of(table: CellTable) -> str:
    """Where rows are, as `ops.exports` has it."""
    return f"{_HREF}{table.name}"


_HREF = f"table:{SCHEMA}."


def forget_rows(connection: "Connection", href: str, source: int) -> None:
    """Take the rows of a file away, if the table is still there."""
    name = href.removeprefix(_HREF)
    if exists(connection, name):
        delete_rows(connection, CellTable(name, FORMS["amounts"]), source)


def count_rows(
    connection: "Connection", table: CellTable, source: int, resolution: int
) -> int:
    """Rows of a file at a resolution."""
    from psycopg import sql

    ask = sql.SQL(
        "SELECT count(*) FROM {} WHERE source = {} AND h3.resolution(cell) = {}"
    ).format(_name(table.name), source, resolution)
    found = connection.execute(ask).fetchone()
    return found[0] if found else 0


def sums_of(
    connection: "Connection", table: CellTable, source: int, resolution: int
) -> dict[str, float]:
    """What the cells of a file add up to: `weight` by band, amounts by measure."""
    from psycopg import sql

    query: LiteralString = (
        "SELECT 'band ' || band, sum(weight)"
        if table.form is FORMS["moments"]
        else "SELECT measure, sum(amount)"
    )
    ask = sql.SQL(
        query + " FROM {} WHERE source = {} AND h3.resolution(cell) = {} GROUP BY 1"
    ).format(_name(table.name), source, resolution)
    with patient(connection):
        return dict(connection.execute(ask).fetchall())


def exists(connection: "Connection", name: str) -> bool:
    """Whether there is such a table or view in schema `h3`."""
    ask = "SELECT to_regclass(%s) IS NOT NULL"
    found = connection.execute(ask, [f'{SCHEMA}."{name}"']).fetchone()
    return bool(found and found[0])


Drawn = Iterable[tuple[int, float, str]]


def draw_cells(
    connection: "Connection",
    table: CellTable,
    source: int,
    draw: Callable[[list[int]], Drawn],
) -> int:
    """Add the cells of a file that are not on the map yet; how many. Commit soon.

    Args:
        connection: in a transaction; others that draw wait for its end.
        table: with the rows of the file.
        source: the file.
        draw: area and boundary (WKB in hexadecimal digits) of cells.
    """
    from psycopg import sql

    lock_tables(connection, [f"{SCHEMA}.places"])
    ask = sql.SQL(_NOT_DRAWN).format(_name(table.name), source)
    with patient(connection):
        cells = [row[0] for row in connection.execute(ask)]
        for some in _slices(cells):
            with connection.cursor() as cursor, cursor.copy(_COPY_PLACES) as copy:
                for row in draw(some):
                    copy.write_row(row)
    return len(cells)


def _slices(cells: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(cells), _AT_ONCE):
        yield cells[start : start + _AT_ONCE]


_COPY_PLACES = "COPY h3.places (cell, area_m2, boundary) FROM STDIN"

_NOT_DRAWN: LiteralString = """
SELECT DISTINCT cell FROM {} AS t WHERE source = {}
    AND NOT EXISTS (SELECT FROM h3.places AS p WHERE p.cell = t.cell)
ORDER BY cell
"""


def _name(table: str) -> "Identifier":
    from psycopg import sql

    return sql.Identifier(SCHEMA, table)
