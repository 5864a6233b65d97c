"""SIGKILL while a table is made: readers see none, or the whole; nothing is left."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyogrio
import pytest
from psycopg import sql

from geo_assets.vector.wkb import write_points
from tests.e2e.killing import Look, connect, dev_running, kill_at
from tests.e2e.platform import Platform

pytestmark = pytest.mark.e2e

ROWS = 400_000
STAGING = "SELECT oid FROM pg_class WHERE relkind = 'r' AND relname ~ '__stg_[0-9]+$'"


def is_copied(_platform: Platform, connection: psycopg.Connection) -> bool:
    query = f"SELECT coalesce(sum(pg_relation_size(oid)), 0) FROM ({STAGING}) AS s"  # noqa: S608
    return connection.execute(query).fetchone()[0] > 0


def is_indexed(_platform: Platform, connection: psycopg.Connection) -> bool:
    query = f"SELECT count(*) FROM pg_index WHERE indrelid IN ({STAGING})"  # noqa: S608
    return connection.execute(query).fetchone()[0] > 0


def is_published(_platform: Platform, connection: psycopg.Connection) -> bool:
    query = "SELECT count(*) FROM ops.ledger WHERE blob LIKE %s AND status = 'accepted'"
    return connection.execute(query, ["is_published/%"]).fetchone()[0] > 0


STAGES: tuple[Look, ...] = (is_copied, is_indexed, is_published)


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with dev_running() as platform:
        yield platform


def write_points_file(path: Path, first: int) -> None:
    """Numbered points on a grid, as a FlatGeobuf."""
    numbers = np.arange(ROWS)
    places = np.column_stack([numbers % 360 - 179.5, numbers // 360 % 170 - 85.0])
    present = np.ones(ROWS, np.bool_)
    table = pa.table(
        {"v": first + numbers, "g": write_points(places, present, z=False, m=False)}
    )
    pyogrio.write_arrow(
        table,
        path,
        driver="FlatGeobuf",
        geometry_name="g",
        geometry_type="Point",
        crs="EPSG:4326",
    )


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_load_is_made_good(platform, stage):
    whole = {}
    folder = platform.home / "arriving" / stage.__name__
    folder.mkdir(parents=True)
    for number in range(2):
        first = 10 * STAGES.index(stage) + number
        whole[f"{folder.name}/{number}.fgb"] = (ROWS, ROWS, first, first + ROWS - 1)
        write_points_file(folder / f"{number}.fgb", first)
    folder.rename(platform.container("bronze") / folder.name)  # all at once
    with connect(platform) as connection:
        kill_at(stage, platform, connection)
        for name, rows in whole.items():
            assert rows_of(platform, connection, name) in {None, rows}
        platform.strata("run", "--until-idle")
        rows = platform.ledger()
        states = [(rows[name]["status"], rows[name]["message"]) for name in whole]
        assert states == [("accepted", None)] * len(whole)
        assert whole == {name: rows_of(platform, connection, name) for name in whole}
        assert not connection.execute(STAGING).fetchall()
        assert one_of_each(connection)


def rows_of(
    platform: Platform, connection: psycopg.Connection, name: str
) -> tuple[int, ...] | None:
    """Rows, distinct numbers, least and greatest of a blob; None without a table."""
    row = platform.ledger().get(name, {"products": []})
    tables = [one["table"] for one in row["products"] if "table" in one]
    if not tables:
        return None
    (table,) = tables
    query = sql.SQL("SELECT count(*), count(DISTINCT v), min(v), max(v) FROM {}")
    where = sql.Identifier(*table.split("."))
    return connection.execute(query.format(where)).fetchone()


def one_of_each(connection: psycopg.Connection) -> bool:
    """As many tables, items and catalogue rows as accepted files, and no others."""
    counts = connection.execute(
        "SELECT (SELECT count(*) FROM ops.ledger WHERE status = 'accepted'),"
        " (SELECT count(*) FROM ops.ledger), (SELECT count(*) FROM ops.tables),"
        " (SELECT count(*) FROM pgstac.items), (SELECT count(*) FROM pg_class"
        "  WHERE relkind = 'r' AND relnamespace = 'geo'::regnamespace)"
    ).fetchone()
    return len({*counts}) == 1
