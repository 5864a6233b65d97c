"""Data Factory carries the rows: the real SDK against a stand-in, between databases."""

import time

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError

from geo_assets.faults import diagnose
from geo_resources import promotions
from geo_resources.data_factory import (
    DataFactory,
    PipelineBrokenError,
    PipelineDeadlineError,
    PipelineFailedError,
)
from geo_resources.promotion_model import PromotionError, PromotionMismatchError
from tests.conftest import TEMPLATE, cloned_database
from tests.integration.factory_stand_in import PIPELINE, TOKEN, Factory, serving
from tests.integration.promotion_world import World, item_of
from tests.integration.tables_world import load_of, spec_of, values

pytestmark = pytest.mark.integration

ROWS = {"v": "bigint", "some_bytes": "bytea", "a_list": "text[]", "a_json": "jsonb"}


class Token:
    """A credential that asks nobody."""

    def get_token(self, *scopes, **_):
        self.scopes = scopes
        return AccessToken(TOKEN, int(time.time()) + 3600)


@pytest.fixture
def world(cluster, database_url):
    with cloned_database(cluster, TEMPLATE) as production:
        world = World(database_url, production)
        yield world
        world.close()


@pytest.fixture
def stand_in(world, tmp_path, monkeypatch):
    """A factory that copies for `carry`."""
    factory = Factory(world.working.address, world.url)
    with serving(factory, tmp_path) as (endpoint, certificate):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        factory.said = []
        factory.resource = DataFactory(
            pipeline=PIPELINE, endpoint=endpoint, poll_seconds=0.05, seconds=30
        ).entered_with(Token())
        yield factory


def load(world, *numbers, etag="1"):
    full = {"some_bytes": b"\x00\xff", "a_list": ["a,b", None], "a_json": '{"n": 1.50}'}
    rows = [{**one, **full} for one in values(*numbers)] + [{"v": None}]
    world.here.load(spec_of(**ROWS), rows, load_of(etag=etag))


def carry(world, factory):
    """Promote by the factory."""

    def engine(source, production, plans):
        factory.resource.copy_all(source, production, plans, say=factory.said.append)

    return world.promote(engine, engine="data_factory")


def test_what_a_pipeline_copied_is_verified_and_served(world, stand_in):
    load(world, 1, 2)
    world.put_items(item_of("a"))
    carry(world, stand_in)
    assert world.serves() == [(1, 1), (2, 2), (3, None)]
    assert world.items().keys() == {"a"}
    query = "SELECT fid, some_bytes, a_list, a_json, ST_AsEWKT(geom) FROM geo.lots"
    assert world.there.rows(query) == world.here.rows(query)
    said = "\n".join(stand_in.said)
    assert "activity copy tables: Succeeded, 1.5 s, 3 rows" in said
    assert world.relations("geo_next") == set()
    assert (stand_in.count("createRun"), stand_in.count("cancel")) == (1, 0)
    assert world.audit()[0].engine == "data_factory"


def test_the_service_is_asked_again_when_it_says_so(world, stand_in):
    load(world, 1)
    stand_in.faults = [("get", 500, {}), ("get", 429, {"Retry-After": "1"})]
    carry(world, stand_in)
    assert world.serves() == [(1, 1), (2, None)]
    looks = [moment for kind, moment in stand_in.calls if kind == "get"]
    assert looks[2] - looks[1] >= 1
    assert stand_in.count("createRun") == 1


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (500, {}, ("transient", None)),
        (429, {"Retry-After": "7"}, ("throttling", 7.0)),
        (403, {}, ("permanent", None)),
    ],
)
def test_a_run_that_is_not_begun_is_told_apart_and_begun_once(
    world, stand_in, status, headers, expected
):
    """Its answer may be lost, so that trying again at once could begin a second."""
    load(world, 1)
    stand_in.faults = [("createRun", status, headers)]
    with pytest.raises(HttpResponseError) as caught:
        carry(world, stand_in)
    found = diagnose(caught.value)
    assert found.where == "data_factory"
    assert (found.category, found.wait_seconds) == expected
    assert stand_in.count("createRun") == 1
    assert world.audit()[0].state == "failed"
    assert world.relations("geo_next") == set()


@pytest.mark.parametrize(
    ("kind", "error", "category"),
    [
        ("UserError", PipelineFailedError, None),
        ("SystemError", PipelineBrokenError, "transient"),
    ],
)
def test_a_failed_pipeline_is_told_with_its_activities(
    world, stand_in, kind, error, category
):
    load(world, 1)
    stand_in.ending = "Failed"
    secret = "login failed: Password=gehe1m;"
    stand_in.failure = {"errorCode": "2200", "message": secret, "failureType": kind}
    with pytest.raises(error) as caught:
        carry(world, stand_in)
    told = str(caught.value) + "\n".join(stand_in.said) + str(world.audit())
    assert "login failed" in told
    assert "gehe1m" not in told
    if category:
        assert diagnose(caught.value).category == category
    else:
        assert issubclass(error, PromotionError)
    assert world.relations("geo") == set()


def test_a_run_that_hangs_is_cancelled(world, stand_in):
    load(world, 1)
    stand_in.ending = "hang"
    stand_in.resource = stand_in.resource.model_copy(update={"seconds": 0.3})
    stand_in.resource = stand_in.resource.entered_with(Token())
    with pytest.raises(PipelineDeadlineError):
        carry(world, stand_in)
    assert [one["cancelled"] for one in stand_in.runs.values()] == [True]


def test_an_interrupted_run_is_cancelled(world, stand_in, monkeypatch):
    load(world, 1)

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("geo_resources.data_factory.time.sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        carry(world, stand_in)
    assert [one["cancelled"] for one in stand_in.runs.values()] == [True]
    assert world.audit()[0].state == "failed"


def test_what_a_pipeline_leaves_out_is_not_served(world, stand_in):
    load(world, 1)
    carry(world, stand_in)
    load(world, 1, 2, 3, etag="2")
    whole = stand_in.copy

    def half(tables):
        query = f"{tables[0]['source_query']} LIMIT 2"
        return whole([{**tables[0], "source_query": query}])

    stand_in.copy = half
    with pytest.raises(PromotionMismatchError):
        carry(world, stand_in)
    assert world.serves() == [(1, 1), (2, None)]
    world.there.transact(promotions.sweep)
    assert world.relations("geo_next") == set()


def test_without_a_pipeline_that_is_said():
    factory = DataFactory()
    with pytest.raises(PromotionError, match="STRATA_DATA_FACTORY"):
        factory.run([], print)
