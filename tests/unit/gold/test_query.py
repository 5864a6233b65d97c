"""A query reaches what it is given, and nothing else, whatever it tries."""

import time

import duckdb
import pyarrow.parquet as pq
import pytest

from geo_assets.gold.query import QueryError, QueryTask, Source, check_query, run_query
from geo_assets.workers import WorkerDeadlineError, open_workers
from geo_resources.limits import WorkerLimits

MEMORY = 200_000_000
POINT = "0101000000000000000000F03F0000000000000040"


@pytest.fixture
def gold(tmp_path):
    """A folder with a table that is shown, one that is not, and a file beside it."""
    folder = tmp_path / "gold"
    folder.mkdir()
    for name in ("shown", "hidden"):
        geometry = f"ST_GeomFromWKB(unhex('{POINT}')) AS g"
        select = f"SELECT range AS a, {geometry} FROM range(5)"  # noqa: S608 - ours
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({select}) TO '{folder}/{name}.parquet'")
    (tmp_path / "secret.csv").write_text("a\nhush\n")
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    return folder


@pytest.fixture
def ask(gold, tmp_path):
    """Rows of the answer to a query."""

    def ask(sql):
        sources = [Source("lots", "shown", gold / "shown.parquet")]
        target = tmp_path / "answer.parquet"
        run_query(QueryTask(sql, sources, target, MEMORY, threads=1))
        return pq.read_table(target)

    return ask


def test_a_query_reads_its_sources_and_writes_geoparquet(ask):
    answer = ask("SELECT a, g FROM lots.shown WHERE a > 2 ORDER BY a -- a comment")
    assert answer["a"].to_pylist() == [3, 4]
    assert answer["g"].to_pylist()[0] == bytes.fromhex(POINT)
    assert b"geo" in (answer.schema.metadata or {})


HOSTILE = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_json('/etc/passwd')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM glob('{gold}/*')",
    "SELECT * FROM parquet_metadata('{gold}/hidden.parquet')",
    "SELECT * FROM read_parquet('{gold}/hidden.parquet')",
    "SELECT * FROM read_parquet('{gold}/*.parquet')",
    "SELECT * FROM read_parquet('{gold}/shown.parquet/../hidden.parquet')",
    "SELECT * FROM read_csv('{gold}/link.csv')",
    "SELECT * FROM read_csv('{gold}/../secret.csv')",
    "SELECT * FROM query('SELECT * FROM read_csv(''/etc/passwd'')')",
    "SELECT * FROM query('COPY lots.shown TO ''{gold}/x.csv''')",
    "SELECT * FROM query_table('/etc/passwd')",
    "SELECT * FROM read_parquet('https://example.com/a.parquet')",
    "SELECT * FROM read_parquet('s3://bucket/a.parquet')",
    "SELECT * FROM read_duckdb('/tmp/x.db')",
    "SELECT getenv('HOME')",
    "SELECT * FROM secret_variable",
    "SELECT * FROM enable_logging(storage = 'file', storage_path = '{gold}/log')",
    "WITH x AS (INSERT INTO lots.shown VALUES (1, NULL) RETURNING a) SELECT * FROM x",
    "WITH x AS (COPY lots.shown TO '{gold}/x.csv') SELECT 1",
    "COPY lots.shown TO '{gold}/x.csv'",
    "COPY lots.shown TO '{gold}/shown.parquet' (USE_TMP_FILE false)",
    "COPY (SELECT 1) TO '/tmp/x.csv'",
    "EXPORT DATABASE '{gold}/x'",
    "IMPORT DATABASE '{gold}'",
    "ATTACH '{gold}/x.db'",
    "ATTACH ':memory:' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{gold}/x.duckdb_extension'",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "RESET lock_configuration",
    "SET memory_limit = '100GB'",
    "PRAGMA memory_limit = '100GB'",
    "CALL enable_logging()",
    "CREATE SECRET s (TYPE s3)",
    "CREATE TABLE t AS SELECT 1",
    "DROP VIEW lots.shown",
    "SELECT 1; SELECT 2",
    "SELECT 1) TO '{gold}/x.csv'; --",
    "",
]


@pytest.mark.parametrize("sql", HOSTILE)
def test_hostile_sql_is_refused_and_leaves_nothing_behind(ask, gold, sql):
    secret_variable = [{"a": 1}]
    before = {path: path.stat().st_mtime_ns for path in gold.iterdir()}
    with pytest.raises(QueryError):
        ask(sql.replace("{gold}", str(gold)))
    assert {path: path.stat().st_mtime_ns for path in gold.iterdir()} == before
    assert secret_variable


def test_the_settings_stay_locked_even_for_statements_that_are_not_asked_for(ask):
    """What the parser lets through still meets DuckDB's own lock."""
    found = ask(
        "SELECT name, value FROM duckdb_settings() "
        "WHERE name IN ('enable_external_access', 'lock_configuration')"
    )
    assert {tuple(row.values()) for row in found.to_pylist()} == {
        ("enable_external_access", "false"),
        ("lock_configuration", "true"),
    }


def test_a_query_gets_no_more_memory_than_it_may_have(ask):
    with pytest.raises(QueryError, match="memory"):
        ask("SELECT list(range) FROM range(100_000_000)")


def test_a_query_that_does_not_end_is_ended(tmp_path):
    endless = "SELECT count(*) FROM range(10_000_000) AS a, range(10_000_000) AS b"
    endless += " WHERE a.range * b.range % 7 = 3"
    task = QueryTask(endless, [], tmp_path / "answer.parquet", MEMORY, threads=1)
    limits = WorkerLimits(deadline_base_seconds=2)
    begin = time.monotonic()
    with (
        open_workers(1, limits, "geo_assets.gold.query") as workers,
        pytest.raises(WorkerDeadlineError),
    ):
        workers.call(run_query, 0, task)
    assert time.monotonic() - begin < 300


def test_one_select_is_a_query():
    check_query("FROM t SELECT a;")
    with pytest.raises(QueryError, match="one SELECT"):
        check_query("SELECT 1; DROP TABLE t")
