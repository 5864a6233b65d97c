"""A vector file's way, as its owner sees it: put in, found in PostGIS, taken back."""

import json
import shutil
from urllib.parse import unquote

import psycopg
import pytest
import shapely
from psycopg import sql
from psycopg.rows import dict_row
from shapely.geometry import shape

from tests.conftest import temporary_home
from tests.e2e.platform import Platform, product_files
from tests.e2e.vector_files import (
    FORMATS,
    REJECTED,
    SRIDS,
    UTM,
    WGS84,
    lots,
    write_bad,
    write_formats,
    write_partly_bad,
    write_town,
)

pytestmark = pytest.mark.e2e

TOWN, PARTLY_BAD = "formats/town.gpkg", "rows/partly_bad.csv"
LAYERS = [(blob, layer) for blob, layers in FORMATS.items() for layer in layers]


@pytest.fixture(scope="module")
def platform():
    """A platform with a database server of its own, after `strata ingest FOLDER`."""
    with temporary_home() as home:
        platform = Platform(home, {})
        inbox, made = home / "inbox", home / "made"
        write_formats(inbox, made)
        write_bad(inbox, made)
        write_partly_bad(inbox / PARTLY_BAD)
        shutil.copy(inbox / "formats/lots.fgb", inbox / "same.fgb")
        platform.strata("ingest", str(inbox), check=False)
        yield platform
        platform.strata("down")


@pytest.fixture(scope="module")
def rows(platform):
    """The ledger after that, by blob."""
    return platform.ledger()


@pytest.fixture(scope="module")
def ask(platform):
    """Rows of a query; `{}` in it are tables of schema geo."""
    url = json.loads(platform.strata("up", "--json"))["database_url"]
    with psycopg.connect(url, row_factory=dict_row, autocommit=True) as connection:

        def ask(query, *values, of=()):
            names = [sql.Identifier("geo", one) for one in of]
            return connection.execute(sql.SQL(query).format(*names), values).fetchall()

        yield ask


def tables_of(row):
    """Table of each layer, by the ledger."""
    return {one["layer"]: one["table"] for one in row["layers"] if "table" in one}


def shapes_of(ask, table):
    """Geometry by name, as PostGIS gives it."""
    found = ask("SELECT name, ST_AsBinary(geom) AS wkb FROM {}", of=[table])
    return {row["name"]: shapely.from_wkb(row["wkb"]) for row in found}


def is_there(ask, table):
    """Whether there is such a table."""
    return (
        ask("SELECT to_regclass(%s) AS there", f"geo.{table}")[0]["there"] is not None
    )


def stamps(platform, ask):
    """What a table or a file that was made anew would change."""
    files = {
        name: path.stat().st_mtime_ns for name, path in platform.blobs("silver").items()
    }
    query = """SELECT relname, oid, relfilenode FROM pg_class
        WHERE relnamespace = 'geo'::regnamespace ORDER BY oid"""
    return files, ask(query)


def test_every_file_has_one_row_that_says_what_became_of_it(platform, rows):
    assert sorted(rows) == sorted(platform.blobs("bronze"))
    status = {blob: (row["status"], row["code"]) for blob, row in rows.items()}
    twins = {status.pop("formats/lots.fgb"), status.pop("same.fgb")}
    assert twins == {("accepted", None), ("duplicate", "DUPLICATE")}
    good = dict.fromkeys([*FORMATS, PARTLY_BAD], ("accepted", None))
    del good["formats/lots.fgb"]
    assert status == good | {k: ("rejected", code) for k, code in REJECTED.items()}


@pytest.mark.parametrize(("blob", "layer"), LAYERS)
def test_a_table_holds_what_another_reader_finds_in_the_file(
    platform, rows, ask, blob, layer
):
    expected = FORMATS[blob][layer](platform.container("bronze") / blob)
    expected.columns = expected.columns.str.lower()
    table = table_of(rows, blob, layer)
    found = shapes_of(ask, table)
    assert sorted(found) == sorted(expected["name"])
    for name, geometry in zip(expected["name"], expected.geometry, strict=True):
        assert shapely.equals(found[name], geometry), name
    (column,) = ask(
        "SELECT srid, coord_dimension FROM geometry_columns "
        "WHERE f_table_schema = 'geo' AND f_table_name = %s",
        table,
    )
    srid = SRIDS.get(blob, {}).get(layer, WGS84)
    assert column == {"srid": srid, "coord_dimension": 2}
    if "number" in expected and expected["number"].notna().any():
        numbers = ask("SELECT name, number FROM {}", of=[table])
        theirs = zip(expected["name"], expected["number"].isna(), strict=True)
        nulls = {name for name, null in theirs if null}
        assert {one["name"] for one in numbers if one["number"] is None} == nulls
        total = sum(one["number"] for one in numbers if one["number"] is not None)
        assert total == expected["number"].sum()


def table_of(rows, blob, layer):
    """Table of a layer; of two twins either may be the first."""
    if rows[blob]["status"] == "duplicate":
        return next(iter(tables_of(rows["same.fgb"]).values()))
    return tables_of(rows[blob])[layer]


def test_a_table_has_key_index_comments_and_a_row_in_the_catalogue(rows, ask):
    table = tables_of(rows[TOWN])["lots"]
    (row,) = ask("SELECT * FROM ops.tables WHERE table_name = %s", table)
    assert (row["blob"], row["rows"], row["srid"]) == (TOWN, 8, UTM)
    assert row["geometry_type"] == "MultiPolygon"
    (box,) = ask("SELECT ST_Extent(geom)::text AS box FROM {}", of=[table])
    sides = box["box"].removeprefix("BOX(").removesuffix(")").replace(",", " ")
    assert row["extent"] == pytest.approx([float(side) for side in sides.split()])
    indexes = ask("SELECT indexdef FROM pg_indexes WHERE tablename = %s", table)
    kinds = {one["indexdef"].partition(" USING ")[2] for one in indexes}
    assert kinds == {"btree (fid)", "gist (geom)"}
    said = ask(
        "SELECT attname, col_description(attrelid, attnum) AS said FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0",
        f"geo.{table}",
    )
    comments = {one["attname"]: one["said"] for one in said}
    assert comments["number"] == "number"


def test_the_catalogue_is_the_truth_and_no_geometry_is_invalid(ask):
    listed = {
        row["table_name"]: row["rows"]
        for row in ask("SELECT table_name, rows FROM ops.tables")
    }
    relations = ask(
        "SELECT relname FROM pg_class "
        "WHERE relnamespace = 'geo'::regnamespace AND relkind = 'r'"
    )
    assert {one["relname"] for one in relations} == set(listed)
    for table, count in listed.items():
        (found,) = ask(
            "SELECT count(*) AS rows, "
            "count(*) FILTER (WHERE NOT ST_IsValid(geom)) AS invalid FROM {}",
            of=[table],
        )
        assert found == {"rows": count, "invalid": 0}, table


def test_rows_are_counted_and_the_refused_ones_are_shown(platform, rows, ask):
    for row in rows.values():
        if row["status"] == "accepted":
            assert row["rows_read"] == row["rows_loaded"] + row["rows_rejected"]
    row = rows[PARTLY_BAD]
    assert (row["rows_read"], row["rows_loaded"], row["rows_rejected"]) == (5, 3, 2)
    (layer,) = row["layers"]
    assert sum(layer["refused"].values()) == 2
    assert layer["changed"]["geometries_repaired"] == 1
    found = ask("SELECT id, ST_Area(geom) AS area FROM {}", of=[layer["table"]])
    areas = {one["id"]: one["area"] for one in found}
    assert areas == {1: 1.0, 2: pytest.approx(0.5), 5: None}

    silver = platform.blobs("silver")
    (name,) = [name for name in silver if name.endswith("rejected.geojson")]
    features = json.loads(silver[name].read_text("utf-8"))["features"]
    told = {one["id"]: one["properties"] for one in features}
    assert {row: one["code"] for row, one in told.items()} == {
        3: "COLLAPSED",
        4: "BAD_ROW",
    }
    assert json.loads(told[4]["attributes"]) == {"id": "4"}


def test_a_layer_that_is_not_loaded_is_in_the_ledger(rows):
    layers = rows["formats/walk.gpx"]["layers"]
    skipped = {one["layer"] for one in layers if one.get("skipped")}
    assert skipped == {"routes", "route_points"}


def test_a_refused_file_leaves_nothing_and_says_why(platform, rows):
    for blob in REJECTED:
        row = rows[blob]
        assert not row["products"]
        assert {"found", "expected"} <= set(row["evidence"])
    assert "swapped" in rows["bad/swapped.geojson"]["message"]
    assert not [name for name in platform.blobs("silver") if "/bad/" in name]
    assert not [*platform.home.rglob("evil*")]


def test_every_product_belongs_to_exactly_one_accepted_row(platform, rows, ask):
    accepted = [row for row in rows.values() if row["status"] == "accepted"]
    owned = [href.rsplit("/silver/", 1)[1] for href in product_files(iter(accepted))]
    assert sorted(map(unquote, owned)) == sorted(platform.blobs("silver"))
    products = [one for row in accepted for one in row["products"]]
    tables = [one["table"] for one in products if "table" in one]
    listed = ask("SELECT 'geo.' || table_name AS name FROM ops.tables")
    assert sorted(tables) == sorted(one["name"] for one in listed)


def test_a_search_by_place_finds_the_item_of_each_accepted_file(rows, ask):
    found = ask(
        "SELECT f FROM jsonb_array_elements(pgstac.search("
        """'{{"collections": ["vectors"], "bbox": [8, 47, 12, 53], "limit": 50}}'"""
        ") -> 'features') AS f"
    )
    items = {one["f"]["id"]: one["f"] for one in found}
    accepted = [row for row in rows.values() if row["status"] == "accepted"]
    products = [one for row in accepted for one in row["products"]]
    assert {one["item"] for one in products if "item" in one} == set(items)
    (town,) = [
        one for one in items.values() if one["properties"]["strata:source"] == TOWN
    ]
    assert town["properties"]["table:row_count"] == 16
    assert {*tables_of(rows[TOWN]).values(), "thumbnail"} <= set(town["assets"])
    assert shape(town["geometry"]).intersects(shapely.Point(9.01, 48.51))


def test_a_second_ingest_changes_nothing(platform, ask):
    before = platform.ledger(), stamps(platform, ask)
    inbox = str(platform.home / "inbox")
    said = platform.strata("ingest", inbox, "--json", check=False)
    assert all(json.loads(line)["unchanged"] for line in said.splitlines())
    assert (platform.ledger(), stamps(platform, ask)) == before


def test_a_changed_file_replaces_its_table_and_a_lost_layer_loses_its_own(
    platform, rows, ask
):
    before = tables_of(rows[TOWN])
    new = lots(UTM, 9).iloc[:5]
    write_town(platform.container("bronze") / TOWN, lots=new)
    platform.strata("run", "--until-idle")

    assert tables_of(platform.ledger()[TOWN]) == {"lots": before["lots"]}
    found = shapes_of(ask, before["lots"])
    assert set(found) == set(new["name"])
    for name, geometry in zip(new["name"], new.geometry, strict=True):
        assert shapely.equals(found[name], geometry)
    listed = ask("SELECT table_name, version FROM ops.tables")
    versions = {one["table_name"]: one["version"] for one in listed}
    assert versions.pop(before["lots"]) == 2
    assert set(versions.values()) == {1}
    assert before["trees"] not in versions
    assert not is_there(ask, before["trees"])


def test_unpublish_takes_table_and_item_back_and_only_when_told(platform, rows, ask):
    (table,) = tables_of(rows[PARTLY_BAD]).values()
    before = stamps(platform, ask)
    said = platform.strata("unpublish", PARTLY_BAD)
    assert f"would take back\tgeo.{table}" in said
    assert stamps(platform, ask) == before

    platform.strata("unpublish", PARTLY_BAD, "--yes")
    assert platform.ledger()[PARTLY_BAD]["status"] == "ignored"
    assert not is_there(ask, table)
    products = rows[PARTLY_BAD]["products"]
    (item,) = [one["item"] for one in products if "item" in one]
    assert not ask("SELECT id FROM pgstac.items WHERE id = %s", item)
    _, after = stamps(platform, ask)
    gone = {one["relname"] for one in before[1]} - {one["relname"] for one in after}
    assert all(table in name for name in gone)
    assert not [n for n in platform.blobs("silver") if n.startswith("vectors/rows/")]
