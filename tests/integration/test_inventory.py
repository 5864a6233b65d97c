"""An inventory says what lies in the containers, and what the ledger knows of it."""

import hashlib
from datetime import UTC, datetime, timedelta

import dagster as dg
import duckdb
import pytest
from pydantic import ValidationError

from geo_assets.bronze import inventory
from geo_assets.bronze.assets import INVENTORY, build_inventory_asset
from geo_assets.bronze.costs import STORAGE_COST, build_cost_asset
from geo_assets.bronze.filters import Filters
from geo_assets.bronze.inventory import Surveyor, take_inventory
from geo_assets.contract import RasterContract
from geo_assets.routing import Router
from geo_resources import ledger, pgstac
from geo_resources.blobs import MissingContainerError
from geo_resources.database import Database
from geo_resources.prices import Prices
from geo_resources.scratch import Scratch
from geo_resources.storage import Storage
from sensors.schedules import build_schedules
from tests.conftest import AZURITE_ACCOUNT
from tests.integration.ledger_world import World
from tests.integration.meanwhile import before
from tests.integration.pgstac_world import collection, item

pytestmark = pytest.mark.integration

DEM = RasterContract.model_validate(
    {"name": "dem", "source": {"pattern": "dem/**/*.tif"}}
)
NOW = datetime(2026, 11, 28, 15, tzinfo=UTC)


class Place:
    """Three containers, a ledger, and a dataset that takes `dem/**/*.tif`."""

    def __init__(self, storage, database, folder):
        storage.ensure_containers(["bronze", "silver", "gold"])
        self.storage, self.database, self.folder = storage, database, folder
        self.world, self.now = World(database), NOW

    def put(self, container, **blobs):
        for name, data in blobs.items():
            self.storage.put_bytes(container, name, data)

    def observe(self):
        """The arrivals sensor has seen bronze, long after all was written."""
        router = Router([DEM])
        self.world.transact(
            ledger.observe,
            "bronze",
            self.storage.list_pages("bronze"),
            lambda blob: router.route("bronze", blob),
            datetime.now(UTC) + timedelta(hours=1),
            timedelta(minutes=1),
        )

    def accept(self, name, *tiers, item_id=None):
        """The file was made into COGs that lie in silver, and an item."""
        (row,) = self.world.transact(ledger.claim, "dem", [name], "run", NOW)
        data = self.storage.read_range("bronze", name, 0, row.bytes)
        self.world.transact(ledger.content, row, hashlib.sha256(data).hexdigest())
        products = [
            {
                "kind": "cog",
                "tier": tier,
                "href": self.storage.href("silver", f"dem/{name}/{tier}.tif"),
                "bytes": 7,
            }
            for tier in tiers
        ]
        for tier in tiers:
            self.storage.put_bytes("silver", f"dem/{name}/{tier}.tif", b"1234567")
        entry = {"kind": "item", "collection": "dem", "item": item_id or name}
        self.world.transact(ledger.accept, row, [*products, entry])

    def take(self, keep=90, **filters):
        self.now += timedelta(hours=1)
        place = Surveyor(self.storage, self.database, Router([DEM]), self.folder, keep)
        return take_inventory(place, Filters(**filters), self.now)

    def rows(self, found, columns="*"):
        """Rows of the snapshot, read by DuckDB."""
        container, name = self.storage.parse_href(found.href)
        path = self.folder / "read.parquet"
        self.storage.download(container, name, path)
        query = f"SELECT {columns} FROM '{path}' ORDER BY container, name"  # noqa: S608
        with duckdb.connect() as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def place(database_url, tmp_path):
    database = Database(url=database_url)
    storage = Storage(url=(tmp_path / "storage").as_uri())
    yield Place(storage, database, tmp_path)
    database.close()


def numbers(groups):
    return {one.name: (one.blobs, one.bytes) for one in groups}


def test_every_blob_of_every_container_is_in_the_snapshot(place):
    place.put("bronze", **{"dem/a.tif": b"12345", "notes.TXT": b"1", "dem/ä b": b""})
    place.put("silver", **{"dem/lost.tif": b"123"})
    place.put("gold", **{"dem/items.parquet": b"12"})

    found = place.take()

    assert place.rows(found, "container, name, bytes, extension, kind, size_class") == [
        ("bronze", "dem/a.tif", 5, "tif", "raster", "below 1 MB"),
        ("bronze", "dem/ä b", 0, "", "other", "empty"),
        ("bronze", "notes.TXT", 1, "txt", "document", "below 1 MB"),
        ("gold", "dem/items.parquet", 2, "parquet", "vector", "below 1 MB"),
        ("silver", "dem/lost.tif", 3, "tif", "raster", "below 1 MB"),
    ]
    assert (found.blobs, found.bytes) == (5, 11)
    assert numbers(found.by_container) == {
        "bronze": (3, 6),
        "gold": (1, 2),
        "silver": (1, 3),
    }
    assert numbers(found.by_kind)["raster"] == (2, 8)
    assert found.oldest <= found.newest
    stated = {
        blob.etag
        for container in ("bronze", "silver", "gold")
        for page in place.storage.list_pages(container)
        for blob in page
        if not blob.name.startswith("_inventory")
    }
    assert {etag for (etag,) in place.rows(found, "etag")} == stated


def test_the_ledger_tells_who_claims_and_who_owns_what(place):
    place.put("bronze", **{"dem/a.tif": b"a", "dem/b.tif": b"b", "other.tif": b"c"})
    place.observe()
    place.accept("dem/a.tif", "analysis", "archive")
    place.put("silver", **{"dem/nobody.tif": b"d"})
    place.put("bronze", **{"dem/late.tif": b"e"})
    place.put("gold", **{"elsewhere/x.parquet": b"f"})

    found = place.take()

    assert place.rows(found, "name, standing, dataset, tier, status") == [
        ("dem/a.tif", "claimed", "dem", "source", "accepted"),
        ("dem/b.tif", "claimed", "dem", "source", "pending"),
        ("dem/late.tif", "new", "dem", "source", None),
        ("other.tif", "unclaimed", None, "source", "ignored"),
        ("elsewhere/x.parquet", "export", None, "export", None),
        ("dem/dem/a.tif/analysis.tif", "product", "dem", "analysis", None),
        ("dem/dem/a.tif/archive.tif", "product", "dem", "archive", None),
        ("dem/nobody.tif", "unowned", "dem", "unowned", None),
    ]
    assert found.standing("unclaimed") == 1
    assert found.examples == {
        "unclaimed": ("bronze/other.tif",),
        "unowned": ("silver/dem/nobody.tif",),
    }


def test_the_same_content_counts_once_and_a_scene_delivered_twice_is_told(place):
    with place.database.transaction() as connection:
        pgstac.ensure_collection(connection, collection("dem"))
        scenes = [item("a"), item("twin"), item("moved", west=11.0), item("copy")]
        unknown = {"strata:datetime_source": "blob"}
        scenes += [item("undated", **unknown)]
        pgstac.load_items(connection, "dem", scenes)
    data = {"a": b"xx", "copy": b"xx", "twin": b"yyy", "moved": b"z", "undated": b"u"}
    place.put("bronze", **{f"dem/{name}.tif": data for name, data in data.items()})
    place.observe()
    for name in data:
        place.accept(f"dem/{name}.tif", item_id=name)

    found = place.take()

    assert (found.same_content.blobs, found.same_content.bytes) == (1, 2)
    assert (found.probably_same.blobs, found.probably_same.bytes) == (1, 3)
    told = place.rows(found, "name, same_content_as, probably_same_as")
    assert [row for row in told if row[1] or row[2]] == [
        ("dem/copy.tif", "bronze/dem/a.tif", "bronze/dem/a.tif"),
        ("dem/twin.tif", None, "bronze/dem/a.tif"),
    ]


def test_a_snapshot_that_was_begun_before_and_taken_after_stays(place, monkeypatch):
    place.now += timedelta(hours=1)
    taken = []

    def take_earlier():
        place.now -= timedelta(hours=2)
        taken.append(place.take())

    before(monkeypatch, inventory, "_delete_old", take_earlier)
    taken.append(place.take())
    there = [place.storage.parse_href(one.href) for one in taken]
    assert [place.storage.exists(*one) for one in there] == [True, True]


def test_filters_are_all_of_them_held(place):
    place.put(
        "bronze",
        **{"dem/a.tif": b"1" * 10, "dem/b.TIF": b"1" * 99, "dem/c.txt": b"1" * 10},
        **{"demo/d.tif": b"1" * 10},
    )
    place.put("silver", **{"dem/a.tif": b"1" * 10})

    def names(**filters):
        found = place.take(**filters)
        return [f"{a}/{b}" for a, b in place.rows(found, "container, name")]

    assert names(containers=["bronze"], prefix="dem/", extensions=[".tif"]) == [
        "bronze/dem/a.tif",
        "bronze/dem/b.TIF",
    ]
    assert names(prefix="dem", max_bytes=10, extensions=["tif"]) == [
        "bronze/dem/a.tif",
        "bronze/demo/d.tif",
        "silver/dem/a.tif",
    ]
    assert names(min_bytes=11, prefix="dem") == ["bronze/dem/b.TIF"]
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert len(names(modified_before=tomorrow, containers=["bronze"])) == 4
    assert names(modified_since=tomorrow) == []
    with pytest.raises(ValidationError):
        Filters(min_bytes=-1)


def test_nothing_to_find_is_an_inventory_of_nothing(place):
    found = place.take(prefix="no/such/folder/x")
    assert (found.blobs, found.bytes, found.oldest) == (0, 0, None)
    assert (found.by_kind, found.examples) == ((), {})
    assert place.rows(found) == []
    assert place.take().blobs == 1, "the first inventory's own snapshot"


def test_a_container_that_cannot_be_listed_is_not_an_empty_one(place):
    before = place.take()
    (place.folder / "storage/silver").rmdir()
    with pytest.raises(MissingContainerError):
        place.take()
    again = place.world.query("SELECT taken_at FROM ops.inventories")
    assert [row["taken_at"] for row in again] == [before.taken_at]
    with pytest.raises(ValueError, match="no container of the platform"):
        place.take(containers=["iron"])


def test_inventories_of_the_same_blobs_are_compared_over_time(place):
    place.put("bronze", **{"dem/a.tif": b"12345"})
    place.take(containers=["bronze"])
    place.take(prefix="elsewhere")
    place.put("bronze", **{"dem/b.tif": b"123", "who.txt": b"1"})
    found = place.take(containers=["bronze"])

    assert [(one.blobs, one.bytes, one.unclaimed) for one in found.trend] == [
        (1, 5, 0),
        (3, 9, 1),
    ]
    assert (found.growth.blobs, found.growth.bytes) == (2, 4)


def test_old_snapshots_go_and_their_numbers_stay(place):
    taken = [place.take(keep=2, containers=["bronze"]) for _ in range(4)]
    place.storage.put_bytes("gold", "_inventory/20200101T000000.000000Z.parquet", b"")
    taken.append(place.take(keep=2, containers=["bronze"]))

    kept = [blob.name for page in place.storage.list_pages("gold") for blob in page]
    hrefs = [place.storage.href("gold", name) for name in kept]
    assert hrefs == [one.href for one in taken[-2:]]
    assert len(taken[-1].trend) == 5


def test_sizes_are_kept_of_inventories_of_everything_alone(place):
    place.put("bronze", **{"dem/a.tif": b"a", "x.tif": b"bb"})
    place.observe()
    place.accept("dem/a.tif", "analysis")
    place.take(prefix="dem")
    place.take()
    query = "SELECT container, dataset, tier, blobs, bytes FROM ops.inventory_sizes"
    assert {tuple(row.values()) for row in place.world.query(query)} >= {
        ("bronze", "dem", "source", 1, 1),
        ("bronze", "", "source", 1, 2),
        ("silver", "dem", "analysis", 1, 7),
    }
    once = "SELECT DISTINCT inventory_id FROM ops.inventory_sizes"
    assert len(place.world.query(once)) == 1


def test_an_inventory_of_azure_knows_products_by_their_address(
    azurite, database_url, tmp_path
):
    database = Database(url=database_url)
    storage = Storage(url=f"az://{AZURITE_ACCOUNT}", connection_string=azurite)
    place = Place(storage, database, tmp_path)
    (tmp_path / "storage").mkdir()
    for container in ("bronze", "silver", "gold"):
        for page in storage.list_pages(container):
            storage.delete(container, [blob.name for blob in page])
    place.put("bronze", **{"dem/a b.tif": b"a"})
    place.observe()
    place.accept("dem/a b.tif", "analysis")
    found = place.take()
    database.close()
    assert place.rows(found, "container, standing, dataset") == [
        ("bronze", "claimed", "dem"),
        ("silver", "product", "dem"),
    ]


def test_the_asset_takes_its_filters_from_the_run_and_tells_numbers(place):
    place.put("bronze", **{"dem/a.tif": b"12345", "b.txt": b"1"})
    done = dg.materialize(
        [build_inventory_asset([DEM])],
        resources={
            "storage": place.storage,
            "database": place.database,
            "scratch": Scratch(root=str(place.folder / "scratch")),
        },
        run_config={"ops": {"bronze__inventory": {"config": {"extensions": ["tif"]}}}},
    )
    (event,) = done.get_asset_materialization_events()
    told = event.materialization.metadata
    assert told["blobs"].value == 1
    assert told["bytes"].value == 5
    assert told["filters"].value == {"extensions": ["tif"]}
    assert "| raster | 1 | 5 bytes |" in told["by kind"].value
    assert told["dagster/uri"].value.endswith(".parquet")


def test_the_schedule_takes_the_inventory_every_day():
    schedule = next(one for one in build_schedules([], []) if one.name == "inventory")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.cron_schedule == "41 3 * * *"
    defs = dg.Definitions(
        assets=[build_inventory_asset([DEM]), build_cost_asset()],
        schedules=[schedule],
        resources={
            "storage": Storage(url="file:///nowhere"),
            "database": Database(),
            "scratch": Scratch(root="/nowhere"),
            "prices": Prices(),
        },
    )
    keys = defs.resolve_job_def("inventory").asset_layer.executable_asset_keys
    assert keys == {INVENTORY, STORAGE_COST}
