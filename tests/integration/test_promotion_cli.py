"""`strata promote`, and what `up` and `doctor` do for a production database."""

import json
import sys

import pytest
from pydantic import SecretStr

from geo_cli import services
from geo_cli.database_checks import check_production
from geo_cli.processes import ServiceError, run
from geo_cli.promote import Wish, preview, promote_dataset
from geo_cli.watch import open_instance
from geo_resources.database import connect
from geo_resources.settings import Settings, process_environment
from tests.conftest import TEMPLATE, cloned_database
from tests.integration.tables_world import load_of, spec_of, values

pytestmark = pytest.mark.integration
FORWARD = Wish("vectors", reverse=False, engine="")
BACK = Wish("vectors", reverse=True, engine="")


@pytest.fixture
def production(cluster):
    with cloned_database(cluster, TEMPLATE) as url:
        yield url


@pytest.fixture
def settings(home, database_url, production, monkeypatch):
    """A home with two databases of our own; this process has its variables."""
    named = Settings(
        home=home,
        database_url=SecretStr(database_url),
        production_database_url=SecretStr(production),
    ).model_copy(update={"local_database": False})
    for name, value in services.up(named).variables().items():
        monkeypatch.setenv(name, value)
    return Settings.from_environment()


def test_a_person_promotes_by_command_and_takes_back(settings, production, loader):
    load = load_of(dataset="vectors")
    loader.load(spec_of(v="bigint"), values(1, 2), load)
    found = preview(settings, FORWARD)
    assert [(one["table"], one["rows"]) for one in found.tables] == [("geo.lots", 2)]
    assert (found.serves, found.obstacles) == ("nothing", [])
    done = promote_dataset(settings, FORWARD)
    assert (done.action, done.rows) == ("promote", 2)
    assert "@" in done.who
    with open_instance(settings) as instance:
        tags = instance.get_run_by_id(done.run_id).tags
    assert tags["strata/user"] == done.who
    assert preview(settings, BACK).obstacles == []
    assert promote_dataset(settings, BACK).tables == []
    with connect(production) as connection:
        connection.execute("SET ROLE strata_loader")
        connection.execute("CREATE TABLE geo.lots (theirs text)")
    (obstacle,) = preview(settings, FORWARD).obstacles
    assert "no promotion put there" in obstacle
    with pytest.raises(ServiceError, match="no promotion put there"):
        promote_dataset(settings, FORWARD)
    with pytest.raises(ServiceError, match="no dataset lots"):
        preview(settings, Wish("lots", reverse=False, engine=""))


def test_without_yes_it_says_what_would_be_and_exits_by_what_stands_in_the_way(
    settings,
):
    command = [sys.executable, "-m", "geo_cli.main", "promote", "vectors", "--json"]
    done = run(command, env=process_environment(settings), check=False)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["obstacles"] == ["vectors has neither tables nor items"]


def test_without_a_production_database_that_is_said(settings):
    none = settings.model_copy(update={"production_database_url": None})
    with pytest.raises(LookupError, match="STRATA_PRODUCTION_DATABASE_URL"):
        preview(none, FORWARD)
    assert [*check_production(none)] == []


def test_doctor_looks_at_production_as_at_the_first(settings, production):
    found = {one.name: one for one in check_production(settings)}
    assert all(one.ok for one in found.values())
    assert {"production-postgis", "production-roles", "production-pgstac"} <= {*found}
    with connect(production) as connection:
        connection.execute("SET ROLE strata_owner")
        connection.execute("DELETE FROM ops.migrations WHERE name LIKE '014%'")
    wrong = [one.name for one in check_production(settings) if not one.ok]
    assert wrong == ["production-migrations"]
    lost = SecretStr("postgresql://strata:gehe1m@127.0.0.1:1/none")
    away = settings.model_copy(update={"production_database_url": lost})
    (one,) = check_production(away)
    assert (one.name, one.ok) == ("production-database", False)
    assert "STRATA_PRODUCTION_DATABASE_URL" in one.fix
    assert "gehe1m" not in str(one)
