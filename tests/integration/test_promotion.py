"""Promotion between real databases: production serves what was sent, or as before."""

import subprocess
import threading

import psycopg
import pytest

from geo_resources.database import connect
from geo_resources.promotion_model import (
    PromotionMismatchError,
    PromotionRefusedError,
)
from tests.integration.promotion_world import (
    World,
    between,
    item_of,
    load,
    promote_first,
)
from tests.integration.tables_world import load_of, polygon, spec_of

pytestmark = pytest.mark.integration

EVERY_TYPE = {
    "a_bigint": "bigint",
    "a_real": "real",
    "a_double": "double precision",
    "a_text": "text",
    "a_json": "jsonb",
    "a_flag": "boolean",
    "a_day": "date",
    "a_number": "numeric",
    "some_bytes": "bytea",
    "an_id": "uuid",
    "a_list": "text[]",
    "a_moment": "timestamp with time zone",
    "select": "text",
    'we"ird name': "text",
}
RING = polygon((0, 0), (0, 1.1), (1e-7, 1), (0, 0))


@pytest.fixture
def world(cluster, database_url):
    with between(cluster, database_url) as world:
        yield world


@pytest.fixture
def promoted(world):
    """Version 1 serves: three rows, two items."""
    return promote_first(world)


def dump(cluster, url, *options):
    """What pg_dump says of schema geo, without its random key."""
    program = cluster.binaries.folder / "pg_dump"
    command = [program, "--schema=geo", *options, url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "restrict" not in line]


def test_a_promoted_table_is_dumped_like_the_one_it_was_copied_from(world, cluster):
    """pg_dump as oracle: types, SRID, keys, indexes, checks, comments, grants, rows."""
    spec = spec_of(geometry="Polygon", srid=25832, **EVERY_TYPE)
    full = {
        "a_bigint": 2**62,
        "a_real": 0.1,
        "a_double": 0.1 + 0.2,
        "a_text": "tab\there 'quoted' \\ \u00e4\u4e2d",
        "a_json": '{"b": [1.50, null], "a": "x"}',
        "a_flag": True,
        "an_id": bytes(range(16)),
        "a_list": ["x,y", "", '"'],
        "some_bytes": b"\x00\xff",
        'we"ird name': "",
        "geom": RING,
    }
    empty = dict.fromkeys([*EVERY_TYPE, "geom"])
    world.here.load(spec, [full, empty, full | {"a_double": float("nan")}])
    for statement in (
        'CREATE INDEX "by ""text" ON geo.lots (lower(a_text), "select" DESC)',
        "CREATE UNIQUE INDEX partly ON geo.lots (fid) WHERE a_flag",
        "ALTER TABLE geo.lots ADD CONSTRAINT positive CHECK (a_bigint > 0)",
        "ALTER TABLE geo.lots ADD UNIQUE (fid, a_text)",
        "GRANT SELECT (a_text) ON geo.lots TO pgstac_read",
        "COMMENT ON COLUMN geo.lots.\"select\" IS 'it''s a word'",
    ):
        world.here.execute(statement)
    world.promote()
    urls = world.working.address, world.url
    shapes = [dump(cluster, url, "--schema-only") for url in urls]
    assert shapes[0] == shapes[1]
    assert any("partly" in line for line in shapes[0])
    assert world.relations("geo_next") == set()
    rows = [sorted(dump(cluster, url, "--data-only")) for url in urls]
    assert rows[0] == rows[1]


def test_promoted_items_are_found_as_they_are_in_the_working_database(promoted):
    assert promoted.items() == promoted.here_items()
    assert promoted.items()["a"]["assets"]["rows"]["href"].startswith("file:///silver/")


def test_what_is_gone_in_the_working_database_goes_and_what_is_new_comes(promoted):
    load(promoted, 7, etag="2", w="text")
    promoted.here.execute("DELETE FROM pgstac.items WHERE id = 'a'")
    promoted.put_items(item_of("c", 7.5))
    swapped = promoted.promote()
    assert promoted.serves() == [(1, 7)]
    assert promoted.items() == promoted.here_items()
    assert promoted.items().keys() == {"b", "c"}
    assert [one["rows"] for one in swapped.tables] == [1]
    assert promoted.relations("geo_next") == set()


def test_readers_see_one_version_or_the_other_and_never_wait_in_vain(promoted):
    stop, seen, errors = threading.Event(), set(), []

    def read():
        with connect(promoted.url) as connection:
            connection.autocommit = True
            while not stop.is_set():
                try:
                    query = "SELECT count(*), min(v), max(v) FROM geo.lots"
                    seen.add(connection.execute(query).fetchone())
                    query = "SELECT count(*) FROM pgstac.items"
                    seen.add(connection.execute(query).fetchone())
                except psycopg.Error as error:
                    errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for version in (10, 20, 30):
        load(promoted, *[version] * 500, etag=str(version))
        promoted.promote()
    promoted.reverse()
    stop.set()
    for reader in readers:
        reader.join()
    assert errors == []
    whole = {(500, version, version) for version in (10, 20, 30)}
    assert seen <= {(3, 1, 3), (2,), *whole}
    assert len(seen) > 2


def test_a_transaction_that_began_before_finds_rows_after(promoted):
    with connect(promoted.url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT 1 FROM ops.migrations")
        load(promoted, 7, 8, etag="2")
        promoted.promote()
        query = "SELECT count(*) FROM geo.lots"
        assert connection.execute(query).fetchone() == (2,)


def test_rights_are_those_of_production_and_what_was_revoked_stays_so(promoted):
    promoted.there.execute("GRANT SELECT ON geo.lots TO pgstac_read")
    load(promoted, 7, etag="2")
    promoted.promote()
    readers = "SELECT has_table_privilege(%s, 'geo.lots', 'SELECT')"
    assert promoted.there.value(readers, "pgstac_read")
    promoted.there.execute("REVOKE ALL ON geo.lots FROM pgstac_read, strata_reader")
    promoted.reverse()
    assert not promoted.there.value(readers, "pgstac_read")
    assert not promoted.there.value(readers, "strata_reader")
    hidden = "SELECT has_schema_privilege('strata_reader', 'geo_previous', 'USAGE')"
    assert not promoted.there.value(hidden)


def test_what_people_hung_on_production_stays_and_shows_the_new_rows(promoted):
    promoted.there.execute("CREATE VIEW geo.small AS SELECT v FROM geo.lots")
    promoted.there.execute("CREATE INDEX of_somebody ON geo.lots (v)")
    small = "SELECT v FROM geo.small ORDER BY v"
    load(promoted, 7, 8, etag="2")
    promoted.promote()
    assert promoted.serves() == [(1, 7), (2, 8)]
    assert promoted.there.execute(small) == [(7,), (8,)]
    promoted.there.execute("DROP INDEX geo.of_somebody")
    promoted.there.execute("DROP VIEW geo.small")
    promoted.reverse()
    assert promoted.serves() == [(1, 1), (2, 2), (3, 3)]
    promoted.there.execute("CREATE VIEW geo.small AS SELECT v FROM geo.lots")
    promoted.reverse()
    assert promoted.there.execute(small) == [(7,), (8,)]
    indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'geo'"
    assert promoted.there.value(indexes) == 2
    assert promoted.relations("geo_next") == set()


def test_what_people_hung_refuses_other_columns_and_a_table_that_goes(promoted):
    promoted.there.execute("CREATE VIEW geo.small AS SELECT v FROM geo.lots")
    spec = spec_of(v="bigint", w="text")
    promoted.here.load(spec, [{"v": 7, "w": "x"}], load_of(etag="2"))
    with pytest.raises(PromotionRefusedError, match=r"\(w\).* view geo.small"):
        promoted.promote()
    promoted.here.execute("DELETE FROM ops.tables")
    with pytest.raises(PromotionRefusedError, match=r"is to go.* view geo.small"):
        promoted.promote()
    assert promoted.serves() == [(1, 1), (2, 2), (3, 3)]


def test_a_trigger_that_changes_rows_is_found_out(promoted):
    promoted.there.execute(
        "CREATE FUNCTION geo.less() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.v = 0; RETURN NEW; END $$; "
        "CREATE TRIGGER less BEFORE INSERT ON geo.lots "
        "FOR EACH ROW EXECUTE FUNCTION geo.less()"
    )
    load(promoted, 7, etag="2")
    with pytest.raises(PromotionMismatchError, match="something else"):
        promoted.promote()
    assert promoted.serves() == [(1, 1), (2, 2), (3, 3)]


def test_a_table_that_no_promotion_made_is_nobodys_to_replace(world):
    load(world, 1)
    world.there.execute("CREATE TABLE geo.lots (theirs text)")
    with pytest.raises(PromotionRefusedError, match="no promotion put there"):
        world.promote()
    assert world.there.value("SELECT count(*) FROM geo.lots") == 0


def test_row_security_is_not_copied_away(world):
    load(world, 1)
    world.here.execute("ALTER TABLE geo.lots ENABLE ROW LEVEL SECURITY")
    with pytest.raises(PromotionRefusedError, match="row security"):
        world.promote()


def test_an_empty_dataset_does_not_empty_production(world):
    with pytest.raises(PromotionRefusedError, match="neither tables nor items"):
        world.promote()
    assert [one.state for one in world.audit()] == ["failed"]


def test_the_working_database_is_not_promoted_into_itself(database_url):
    itself = World(database_url, database_url)
    load(itself, 1)
    with pytest.raises(PromotionRefusedError, match="itself"):
        itself.promote()
    itself.close()


def test_the_record_says_who_brought_what_when(promoted):
    row = promoted.audit()[0]
    assert (row.who, row.run_id, row.state, row.rows) == ("anna", "run-1", "done", 3)
    assert row.began_at < row.ended_at
    assert row.items["count"] == 2
    assert row.tables[0]["extent"] == [1.0, 0.5, 3.0, 1.5]
    load(promoted, 7, etag="2")
    promoted.promote()
    assert promoted.audit()[1].replaced == row.id


def test_what_was_damaged_in_production_since_shows_in_the_checksum(promoted):
    """The checksum is of the rows: order does not matter, a value does."""
    query = (
        'SELECT coalesce(sum(hashtextextended(l::text COLLATE "C", 0)), 0)::text '
        "FROM (SELECT * FROM geo.lots ORDER BY fid {}) AS l"
    )
    known = promoted.audit()[0].tables[0]["checksum"]
    assert promoted.there.value(query.format("DESC")) == known
    promoted.there.execute("UPDATE geo.lots SET v = 0 WHERE fid = 2")
    assert promoted.there.value(query.format("ASC")) != known
