"""geo_resources.tables: what other people have hung on a table"""

from dataclasses import replace

import pytest
from psycopg import sql

from geo_resources.tables import (
    RowsLostError,
    SchemaConflictError,
)
from tests.integration.tables_world import (
    load_of,
    spec_of,
    values,
)

pytestmark = pytest.mark.integration


def test_grants_follow_the_name(loader, login):
    loader.load(spec_of(v="bigint", w="bigint"), [{"v": 1, "w": 2}])
    login.execute("REVOKE SELECT ON geo.lots FROM strata_reader")
    login.execute("GRANT SELECT (v), UPDATE (w) ON geo.lots TO strata_reader")
    login.execute("GRANT SELECT, INSERT ON geo.lots TO pgstac_read WITH GRANT OPTION")
    login.execute("GRANT SELECT ON geo.lots TO PUBLIC")
    acl = """SELECT relacl::text, (SELECT array_agg(attname || attacl::text ORDER BY 1)
        FROM pg_attribute WHERE attrelid = c.oid AND attacl IS NOT NULL)
        FROM pg_class AS c WHERE oid = 'geo.lots'::regclass"""
    before = loader.execute(acl)

    published = loader.load(
        spec_of(v="bigint", w="bigint"), [{"v": 1, "w": 2}], load_of(etag="2")
    )

    assert published.way == "swapped"
    assert loader.execute(acl) == before


def test_comments_of_others_stay_and_ours_follow_the_file(loader, login):
    loader.load(spec_of(v="bigint", w="bigint"), [{}])
    login.execute("COMMENT ON COLUMN geo.lots.v IS 'by Ann'")
    renamed = spec_of(v="bigint", w="bigint", comment="New words")
    first, second = renamed.columns
    both = (first, second.model_copy(update={"source": "W2"}))
    changed = replace(renamed, columns=both)

    for way in ("swapped", "in place"):
        assert loader.load(changed, [{}], load_of(etag=way)).way == way
        assert comments_of(loader) == ["New words", "by Ann", "W2"]
        login.execute("CREATE OR REPLACE VIEW geo.seen AS SELECT v FROM geo.lots")


def comments_of(loader):
    """Of the table and its second and third column."""
    query = """SELECT CASE n WHEN 0 THEN obj_description('geo.lots'::regclass)
        ELSE col_description('geo.lots'::regclass, n) END
        FROM unnest('{0,2,3}'::int[]) AS n"""
    return [row[0] for row in loader.execute(query)]


HUNG = {
    "view": "CREATE VIEW geo.seen AS SELECT fid, v, geom FROM geo.lots",
    "materialized view": "CREATE MATERIALIZED VIEW geo.seen AS SELECT v FROM geo.lots",
    "foreign key": "CREATE TABLE geo.notes (lot bigint REFERENCES geo.lots)",
    "policy": "CREATE POLICY p ON geo.lots USING (true)",
    "row security": "ALTER TABLE geo.lots ENABLE ROW LEVEL SECURITY",
    "trigger": """CREATE FUNCTION geo.nothing() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER t AFTER INSERT ON geo.lots EXECUTE FUNCTION geo.nothing()""",
    "index": "CREATE INDEX by_v ON geo.lots (v)",
    "constraint": "ALTER TABLE geo.lots ADD CONSTRAINT positive CHECK (v > 0)",
    "statistics": "CREATE STATISTICS geo.st ON fid, v FROM geo.lots",
    "function": """CREATE FUNCTION geo.f() RETURNS bigint
        RETURN (SELECT count(*) FROM geo.lots)""",
    "row type": """CREATE FUNCTION geo.g(geo.lots) RETURNS int LANGUAGE sql
        AS 'SELECT 1'""",
    "default": "ALTER TABLE geo.lots ALTER v SET DEFAULT 3",
    "child": "CREATE TABLE geo.child () INHERITS (geo.lots)",
    "storage options": "ALTER TABLE geo.lots SET (autovacuum_enabled = false)",
    "rule": "CREATE RULE r AS ON UPDATE TO geo.lots DO INSTEAD NOTHING",
    "replica identity": "ALTER TABLE geo.lots REPLICA IDENTITY FULL",
}


@pytest.mark.parametrize("what", HUNG)
def test_what_hangs_on_a_table_survives_its_reload(loader, login, what):
    loader.load(spec_of(), values(1, 2, 3))
    oid = loader.value("SELECT 'geo.lots'::regclass::oid")
    login.execute(HUNG[what])

    published = loader.load(spec_of(), values(4, 5, 6, 7), load_of(etag="2"))

    assert (published.way, published.replaced) == ("in place", 3)
    assert loader.value("SELECT 'geo.lots'::regclass::oid") == oid
    assert loader.rows("SELECT fid, v FROM ONLY geo.lots") == [
        (1, 4),
        (2, 5),
        (3, 6),
        (4, 7),
    ]
    assert not {name for name in loader.names() if "__stg_" in name}


def test_a_publication_survives(loader, login):
    loader.load(spec_of(), values(1))
    name = sql.Identifier(login.info.dbname)
    login.execute("RESET ROLE")
    login.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO strata_loader").format(name))
    login.execute("SET ROLE strata_loader")
    login.execute("CREATE PUBLICATION p FOR TABLE geo.lots")

    assert loader.load(spec_of(), values(2), load_of(etag="2")).way == "in place"
    assert loader.value("SELECT tablename FROM pg_publication_tables") == "lots"


def test_rows_that_others_point_at_stay_when_they_come_again(loader, login):
    loader.load(spec_of(), values(1, 2, 3))
    login.execute(HUNG["foreign key"])
    login.execute("INSERT INTO geo.notes VALUES (2)")

    loader.load(spec_of(), values(10, 20), load_of(etag="2"))
    assert loader.rows() == [(1, 10), (2, 20)]

    with pytest.raises(SchemaConflictError, match="notes_lot_fkey"):
        loader.load(spec_of(), values(100), load_of(etag="3"))
    assert loader.rows() == [(1, 10), (2, 20)]


def test_columns_that_a_view_needs_must_stay(loader, login):
    loader.load(spec_of(v="bigint", w="bigint", x="bigint"), [{"v": 1}])
    login.execute("CREATE VIEW geo.seen AS SELECT v FROM geo.lots")

    changed = loader.load(
        spec_of(v="bigint", w="text", y="date"), [{"v": 2, "w": "z"}], load_of(etag="2")
    )
    assert changed.changes == (
        "replace w text (was bigint)",
        "add y date",
        "drop x bigint",
    )
    assert loader.execute("SELECT v FROM geo.seen") == [(2,)]
    for types in ({"w": "text"}, {"v": "text"}):
        with pytest.raises(SchemaConflictError, match="column v") as caught:
            loader.load(spec_of(**types), [{}], load_of(etag="3"))
        assert caught.value.evidence["needed_by"] == ["rule _RETURN on view geo.seen"]
    assert loader.execute("SELECT v FROM geo.seen") == [(2,)]


def test_rows_that_a_trigger_swallows_are_missed(loader, login):
    loader.load(spec_of(), values(1))
    login.execute("""CREATE FUNCTION geo.swallow() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN IF NEW.v = 3 THEN RETURN NULL; END IF; RETURN NEW; END'""")
    login.execute("""CREATE TRIGGER t BEFORE INSERT ON geo.lots FOR EACH ROW
        EXECUTE FUNCTION geo.swallow()""")

    with pytest.raises(RowsLostError, match="took 1 of 2 rows"):
        loader.load(spec_of(), values(2, 3), load_of(etag="2"))
    assert loader.rows() == [(1, 1)]
