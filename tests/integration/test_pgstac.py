"""geo_resources.pgstac"""

import json
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from psycopg import Rollback

from geo_assets.catalog.collection import build_collection
from geo_assets.catalog.stac_validate import validate_item
from geo_assets.contract import RasterContract
from geo_resources.database import connect
from geo_resources.pgstac import (
    ItemsLostError,
    aggregate,
    delete_items,
    ensure_collection,
    get_collection,
    get_item,
    get_items,
    load_items,
    put_collection,
    search,
)
from tests.integration.pgstac_world import (
    collection,
    count,
    found_by,
    item,
    load,
    opened,
    read,
)
from tests.integration.sessions import sessions_ended
from tests.unit.raster.rasters import pixels_of, write_raster
from tests.unit.raster.test_item import item_of

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


@pytest.fixture
def database(database_url):
    with opened(database_url) as database:
        yield database


def test_an_item_comes_back_as_it_was_sent(database):
    sent = item(
        "a", title='Höhe \U0001f5fa C:\\temp\\new "q" \\u0041\ttab\nline', n=2**60
    )

    assert load(database, [sent]) == 1

    assert read(database, "a") == sent


def test_a_time_range_keeps_its_null_datetime(database):
    times = {
        "start_datetime": "2024-01-01T00:00:00Z",
        "end_datetime": "2024-02-01T00:00:00Z",
    }
    sent = item("a", None, **times)
    load(database, [sent])

    assert read(database, "a") == sent
    with database.transaction() as connection:
        (feature,) = search(connection, {"ids": ["a"]})["features"]
    assert feature == sent


def test_loading_again_replaces(database):
    load(database, [item("a", title="old"), item("b")])
    load(database, [item("a", title="new")])

    assert read(database, "a")["properties"]["title"] == "new"
    assert count(database) == 2


def test_of_an_id_that_comes_twice_the_last_counts(database):
    assert load(database, [item("a", title="first"), item("a", title="last")]) == 1
    assert read(database, "a")["properties"]["title"] == "last"


@pytest.mark.parametrize("partitions", [None, "month"])
def test_an_item_whose_time_changes_moves_and_is_not_doubled(database, partitions):
    with database.transaction() as connection:
        connection.execute("UPDATE collections SET partition_trunc = %s", [partitions])
    load(
        database, [item("a", "2024-01-31T10:00:00Z"), item("b", "2024-01-31T10:00:00Z")]
    )
    load(database, [item("a", "2023-06-01T00:00:00Z")])

    assert count(database) == 2
    assert found_by(database, datetime="2023-06-01T00:00:00Z/2023-06-02T00:00:00Z") == [
        "a"
    ]
    assert found_by(database, datetime="2024-01-01T00:00:00Z/..") == ["b"]


@pytest.mark.parametrize("partitions", [None, "month"])
def test_times_become_utc_before_they_choose_a_month(database, partitions):
    with database.transaction() as connection:
        connection.execute("UPDATE collections SET partition_trunc = %s", [partitions])
    load(database, [item("a", "2024-01-31T23:30:00-05:00")])
    assert read(database, "a")["properties"]["datetime"] == "2024-02-01T04:30:00Z"


@pytest.mark.parametrize(
    "wrong",
    [
        item("a", "2024-01-31T10:00:00"),
        item("a", "31 January"),
        item("a", height=float("nan")),
        item("a") | {"collection": "other"},
    ],
    ids=["naive", "no-time", "nan", "other-collection"],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_loaded(database, wrong):
    with pytest.raises(ValueError, match=r"."):
        load(database, [item("b"), wrong])
    assert count(database) == 0


def test_nothing_to_load_is_no_error(database):
    assert load(database, []) == 0


def test_the_collection_must_be_there(database):
    with pytest.raises(LookupError, match="none"):
        load(database, [item("a") | {"collection": "none"}], "none")


def test_the_transaction_is_the_callers(database):
    with database.transaction() as connection:
        load_items(connection, "dem", [item("a")])
        assert get_item(connection, "dem", "a") is not None
        raise Rollback
    assert read(database, "a") is None


def test_outside_a_transaction_is_refused(database_url):
    with connect(database_url) as connection:
        connection.autocommit = True
        with pytest.raises(ValueError, match="transaction"):
            load_items(connection, "dem", [item("a")])


def test_the_callers_search_path_is_given_back(database):
    with database.transaction() as connection:
        connection.execute("SET LOCAL search_path TO ops")
        load_items(connection, "dem", [item("a")])
        search(connection, {})
        assert connection.execute("SHOW search_path").fetchone() == ("ops",)
        assert connection.execute("SHOW pgstac.readonly").fetchone() in {
            ("",),
            ("False",),
        }


def test_four_loaders_of_one_collection_lose_nothing(database):
    def load_share(worker):
        for start in range(0, 40, 8):
            names = [f"{worker}-{start + i}" for i in range(8)]
            times = [f"20{start + 10}-0{i + 1}-01T00:00:00Z" for i in range(8)]
            pairs = zip(names, times, strict=True)
            load(
                database, [item(name, time) for name, time in pairs] + [item("shared")]
            )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(load_share, range(4)))

    assert count(database) == 4 * 40 + 1
    assert len(found_by(database, limit=500)) == 161


def test_a_loader_killed_before_its_commit_leaves_nothing(database, database_url):
    script = f"""
        import json, sys, time
        from geo_resources.database import Database
        from geo_resources.pgstac import load_items
        with Database(url=sys.argv[1]).transaction() as connection:
            load_items(connection, "dem", [json.loads({json.dumps(item("a"))!r})])
            print("loaded", flush=True)
            time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), database_url]
    with (
        sessions_ended(database_url),
        subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as child,
    ):
        assert child.stdout.readline() == b"loaded\n"
        child.send_signal(signal.SIGKILL)

    assert read(database, "a") is None
    assert load(database, [item("a")]) == 1  # the lock went with the killed one


def test_items_that_do_not_arrive_as_sent_are_named(database, database_url):
    with connect(database_url) as admin:
        admin.execute(SABOTAGE)
    with pytest.raises(ItemsLostError) as caught:
        load(database, [item("a"), item("b"), item("c")])

    assert (caught.value.missing, caught.value.different) == (["b"], ["c"])
    assert count(database) == 0


SABOTAGE = """
SET LOCAL ROLE pgstac_admin;
CREATE FUNCTION pgstac.sabotage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.id = 'b' THEN RETURN NULL; END IF;
    IF NEW.id = 'c' THEN NEW.content := NEW.content || '{"more": 1}'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER sabotage BEFORE INSERT ON pgstac.items
FOR EACH ROW EXECUTE FUNCTION pgstac.sabotage()
"""


def test_the_lists_of_an_item_survive_the_merging_with_the_collection(database):
    """pgSTAC stores only what differs from `item_assets`, list by list."""
    sent = item("a")
    sent["assets"]["analysis"]["roles"] = ["visual"]
    sent["assets"]["thumbnail"] = {"href": "t.png", "roles": ["thumbnail"]}
    load(database, [sent])
    with database.transaction() as connection:
        changed = collection("dem")
        changed["item_assets"]["analysis"]["title"] = "changed"
        put_collection(connection, changed)
    assert read(database, "a") == sent


def test_deleting_says_how_many_there_were(database):
    load(database, [item("a"), item("b")])
    with database.transaction() as connection:
        assert delete_items(connection, "dem", ["a", "x"]) == 1
        assert list(get_items(connection, "dem", ["a", "b"])) == ["b"]


def test_a_collection_is_made_once_and_replaced_on_request(database):
    with database.transaction() as connection:
        assert not ensure_collection(connection, collection("dem", title="other"))
        assert get_collection(connection, "dem") == collection("dem")
        put_collection(connection, collection("dem", title="new"))
        put_collection(connection, collection("second"))
    with database.transaction() as connection:
        assert get_collection(connection, "dem")["title"] == "new"
        assert get_collection(connection, "second") == collection("second")
        assert get_collection(connection, "none") is None


def test_a_collection_that_says_the_same_again_is_not_touched(database):
    def put(**said):
        with database.transaction() as connection:
            put_collection(connection, collection("dem", **said))
            query = "SELECT xmin::text FROM pgstac.collections WHERE id = 'dem'"
            return connection.execute(query).fetchone()

    one = put(title="said")
    assert put(title="said") == one
    assert put(title="another") != one


def test_many_may_make_the_same_collection_at_once(database):
    def make(_):
        with database.transaction() as connection:
            return ensure_collection(connection, collection("new"))

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(make, range(4))) == [False, False, False, True]


def test_loads_rebuild_no_constraint(database):
    """Rebuilding takes ACCESS EXCLUSIVE: searches would wait for whole batches."""
    with database.transaction() as connection:
        load_items(connection, "dem", [item("a", "1999-01-01T00:00:00Z")])
        load_items(connection, "dem", [item("b", "2030-01-01T00:00:00Z")])
        held = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock'"
            " AND relation IN (SELECT relid FROM pg_partition_tree('items'))"
        ).fetchone()
    assert held == (0,)


def test_an_empty_collection_adds_up_to_nothing(database):
    with database.transaction() as connection:
        assert aggregate(connection, "dem") == {
            "items": 0,
            "bytes": 0,
            "longitudes": [],
            "latitudes": None,
            "interval": None,
            "proj_codes": [],
            "gsd": None,
            "platforms": [],
            "instruments": [],
            "bands": [],
        }


def test_a_collection_adds_up_exactly(database):
    more = {"platform": "landsat-9", "instruments": ["oli", "tirs"], "gsd": 30}
    load(
        database,
        [
            item("a", "2020-01-01T00:00:00Z", west=10.25),
            item("b", "2021-01-01T00:00:00Z", west=11, gsd=0.5) | {"collection": "dem"},
            item("c", "2022-01-01T00:00:00Z", west=-20, **more),
        ],
    )
    with database.transaction() as connection:
        total = aggregate(connection, "dem")
    assert total.pop("interval") == [
        "2020-01-01T00:00:00+00:00",
        "2022-01-01T00:00:00+00:00",
    ]
    assert total == {
        "items": 3,
        "bytes": 3000,
        "longitudes": [[-20, -19], [10.25, 12]],
        "latitudes": [50, 51],
        "proj_codes": ["EPSG:32633"],
        "gsd": [0.5, 30],
        "platforms": ["landsat-9"],
        "instruments": ["oli", "tirs"],
        "bands": [{"name": "height", "data_type": "float32", "unit": "m"}],
    }


def test_an_item_of_ours_survives_pgstac_and_makes_its_collection(database, tmp_path):
    pixels = pixels_of("float32", (2, 300, 400))
    source = write_raster(tmp_path / "in.tif", pixels, nodata=float("nan"))
    sent = item_of(source)
    dataset = {"name": "dem", "source": {"pattern": "**"}}
    contract = RasterContract.model_validate(dataset)
    with database.transaction() as connection:
        put_collection(connection, build_collection(contract))
    load(database, [sent])

    assert read(database, sent["id"]) == sent
    with database.transaction() as connection:
        made = build_collection(contract, aggregate(connection, "dem"), {"accepted": 1})
        put_collection(connection, made)
        assert get_collection(connection, "dem") == made
    assert validate_item(made).errors == ()
    assert made["extent"]["spatial"]["bbox"] == [pytest.approx(sent["bbox"])]
    assert made["strata:bytes"] == sum(a["file:size"] for a in sent["assets"].values())
    assert [band["name"] for band in made["summaries"]["bands"]] == [
        band["name"] for band in sent["assets"]["analysis"]["bands"]
    ]
    assert read(database, sent["id"]) == sent
