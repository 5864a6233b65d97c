"""Promotion as Dagster runs it: who may, what stands in the way, what it tells."""

import json

import dagster as dg
import pytest
from psycopg import sql
from pydantic import SecretStr

from geo_assets.definitions import build_defs, build_resources
from geo_resources import promotion
from geo_resources.database import connect
from geo_resources.production import ProductionDatabase
from geo_resources.settings import Settings
from tests.conftest import TEMPLATE, cloned_database
from tests.integration.meanwhile import before
from tests.integration.vector_world import VectorWorld, opened

pytestmark = pytest.mark.integration

LOTS = {"source": {"pattern": "lots/**"}, "table": "lots"}
AUTO = {"source": {"pattern": "auto/**"}, "table": "auto", "promote": "auto"}
PASSWORD = "geheim-5ecret"


class PromotionWorld(VectorWorld):
    """The same world, beside a production database."""

    def __init__(self, home, url, project, instance):
        super().__init__(home, url, project, instance)
        self.project, self._home = project, home

    def name_production(self, url):
        """Settings name a production database from now on."""
        settings = Settings(
            home=self._home,
            settle_seconds=0,
            retry_waits_seconds="0",
            production_database_url=SecretStr(url),
        )
        self.production = ProductionDatabase(url=url)
        self.resources = build_resources(settings) | {
            "database": self.database,
            "production": self.production,
        }
        self._defs = build_defs(settings, self.resources, self.project)

    def drop(self, blob, *numbers):
        """A file of points arrives and is loaded."""
        features = [
            {
                "type": "Feature",
                "properties": {"v": number},
                "geometry": {"type": "Point", "coordinates": [number, 1]},
            }
            for number in numbers
        ]
        path = self.place(blob)
        path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
        self.settle(blob)
        return self.arrive()

    def promote(self, dataset, **config):
        """A run by hand."""
        job = self._defs.resolve_job_def(f"{dataset}__promotion")
        return job.execute_in_process(
            instance=self._instance,
            run_config={"ops": {f"production__{dataset}": {"config": config}}},
            raise_on_error=False,
        )

    def judge(self, asset, check, *, passed, severity="ERROR", partition=None):
        """A check was evaluated."""
        self._instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(asset),
                check_name=check,
                passed=passed,
                severity=dg.AssetCheckSeverity(severity),
                partition=partition,
            )
        )

    def look(self):
        """Let the sensor look; the jobs it asks for are executed, their names come."""
        sensor = self._defs.resolve_sensor_def("promotions")
        chosen = {k: self.resources[k] for k in ("database", "production")}
        with dg.build_sensor_context(
            instance=self._instance, definitions=self._defs, resources=chosen
        ) as context:
            found = sensor(context)
        for request in found.run_requests:
            self._defs.resolve_job_def(request.job_name).execute_in_process(
                instance=self._instance, tags={"dagster/sensor_name": "promotions"}
            )
        return [one.job_name for one in found.run_requests], str(found.skip_reason)

    def serves(self, table):
        with connect(self.production.address) as connection:
            row = connection.execute(
                "SELECT to_regclass(%s)", [f"geo.{table}"]
            ).fetchone()
            if row == (None,):
                return None
            query = sql.SQL("SELECT v FROM {} ORDER BY 1")
            name = sql.Identifier("geo", table)
            return [one[0] for one in connection.execute(query.format(name))]

    def told(self, run):
        """Everything that the run said, in events and logs."""
        return str([one.to_json() for one in self._instance.all_logs(run.run_id)])

    def attempts(self):
        with connect(self.production.address) as connection:
            query = "SELECT state, who, run_id, message FROM ops.promotions"
            return connection.execute(query + " ORDER BY serial").fetchall()


@pytest.fixture
def world(cluster):
    with (
        cloned_database(cluster, TEMPLATE) as production,
        opened(cluster, PromotionWorld, {"lots": LOTS, "auto": AUTO}) as world,
    ):
        world.name_production(production)
        yield world
        world.production.close()


def failure(run):
    return next(
        one.step_failure_data.user_failure_data.description
        for one in run.all_events
        if one.is_step_failure
    )


def test_a_person_promotes_and_takes_back(world):
    world.drop("lots/a.geojson", 1, 2)
    run = world.promote("lots")
    assert run.success
    assert world.serves("lots") == [1, 2]
    (made,) = [e for e in run.all_events if e.is_step_materialization]
    facts = made.materialization.metadata
    assert made.asset_key == dg.AssetKey(["production", "lots"])
    assert (facts["rows"].value, facts["items"].value) == (2, 1)
    assert facts["who"].value == "web interface"
    world.drop("lots/b.geojson", 3)
    assert world.promote("lots").success
    assert world.serves("lots") == [1, 2, 3]
    assert world.promote("lots", reverse=True).success
    assert world.serves("lots") == [1, 2]
    assert [one[0] for one in world.attempts()] == ["done"] * 3


def test_failed_checks_refuse_and_are_named(world):
    rows = world.drop("lots/a.geojson", 1)
    key = rows["lots/a.geojson"]["partition_key"]
    world.judge(["lots", "collection"], "success_rate", passed=False, severity="WARN")
    assert world.promote("lots").success
    world.judge(["lots", "collection"], "success_rate", passed=False)
    world.judge(["lots", "validated"], "source_valid", passed=False, partition=key)
    world.judge(
        ["lots", "validated"], "source_valid", passed=False, partition="rejected"
    )
    world.drop("lots/b.geojson", 2)
    world.judge(["lots", "collection"], "success_rate", passed=False)
    words = failure(world.promote("lots"))
    assert "success_rate on lots/collection" in words
    assert f"source_valid on lots/validated of {key}" in words
    assert "of rejected" not in words
    assert world.serves("lots") == [1]
    state, _, _, message = world.attempts()[-1]
    assert state == "failed"
    assert "success_rate" in message
    world.judge(["lots", "collection"], "success_rate", passed=True)
    assert world.ask_checks(dg.AssetKey(["lots", "validated"]), key)["source_valid"]
    assert world.promote("lots").success
    assert world.serves("lots") == [1, 2]


def test_only_what_is_automatic_is_promoted_by_itself_and_once(world):
    world.drop("lots/a.geojson", 1)
    assert world.look()[0] == []
    world.drop("auto/a.geojson", 1)
    assert world.look()[0] == ["auto__promotion"]
    assert (world.serves("auto"), world.serves("lots")) == ([1], None)
    assert world.attempts()[0][1] == "sensor promotions"
    assert "nothing is new" in world.look()[1]
    world.drop("auto/b.geojson", 2)
    world.judge(["auto", "collection"], "success_rate", passed=False)
    assert "success_rate" in world.look()[1]
    world.judge(["auto", "collection"], "success_rate", passed=True)
    assert world.look()[0] == ["auto__promotion"]
    assert world.serves("auto") == [1, 2]


def test_what_a_person_took_back_is_not_promoted_again_until_something_is_new(world):
    world.drop("auto/a.geojson", 1)
    world.look()
    world.drop("auto/b.geojson", 2)
    world.look()
    world.promote("auto", reverse=True)
    assert world.serves("auto") == [1]
    assert "took this version back" in world.look()[1]
    world.drop("auto/c.geojson", 3)
    assert world.look()[0] == ["auto__promotion"]
    assert world.serves("auto") == [1, 2, 3]


def test_no_secret_is_told_when_production_cannot_be_reached(world):
    world.drop("lots/a.geojson", 1)
    good = world.promote("lots")
    secret = world.production.address.split("@")[0].rsplit(":", 1)[1]
    assert len(secret) > 5
    assert secret not in world.told(good)
    world.name_production(f"postgresql://strata:{PASSWORD}@127.0.0.1:1/none")
    bad = world.promote("lots")
    assert not bad.success
    assert "127.0.0.1" in world.told(bad)
    assert PASSWORD not in world.told(bad)
    assert PASSWORD not in str(world.resources)


def test_without_a_production_database_there_is_nothing_to_promote(world, home):
    defs = build_defs(Settings(home=home), world.resources, world.project)
    keys = defs.resolve_asset_graph().get_all_asset_keys()
    assert not [one for one in keys if one.path[0] == "production"]
    assert "promotions" not in {one.name for one in defs.sensors}


def test_no_failed_check_is_overlooked_because_it_is_told_late(world, monkeypatch):
    rows = world.drop("auto/a.geojson", 1)
    key = rows["auto/a.geojson"]["partition_key"]
    world.ask("UPDATE ops.ledger SET told = false")
    assert "files are not through" in world.look()[1]
    assert "not known yet" in failure(world.promote("auto"))

    def tell():
        world.judge(["auto", "table"], "counts_match", passed=False, partition=key)
        world.ask("UPDATE ops.ledger SET told = true")

    before(monkeypatch, promotion, "tables_of", tell)
    assert "counts_match on auto/table" in failure(world.promote("auto"))
    assert world.serves("auto") is None
