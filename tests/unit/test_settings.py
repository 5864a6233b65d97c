"""geo_resources.settings."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from geo_resources import settings as module
from geo_resources.settings import CHECKOUT, Settings, process_environment

URL = "postgresql://strata:hunter2@127.0.0.1:5433/strata"


@pytest.fixture
def environment(monkeypatch):
    """The environment of the process, empty but for what the test puts into it."""
    variables = {"PATH": "/usr/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    monkeypatch.setattr(module, "ENVIRONMENT", variables)
    return variables


@pytest.mark.usefixtures("environment")
def test_without_variables_all_state_lies_in_the_checkout():
    found = Settings.from_environment()
    assert found.home == CHECKOUT / ".strata"
    assert found.storage == (CHECKOUT / ".strata/storage").as_uri()
    assert found.local_database


def test_storage_follows_home_unless_it_is_named(environment, tmp_path):
    environment["STRATA_HOME"] = str(tmp_path / "with space")
    assert Settings.from_environment().storage.endswith("/with%20space/storage")
    environment["STRATA_STORAGE"] = "az://account"
    assert Settings.from_environment().storage == "az://account"


def test_a_relative_home_is_made_absolute(environment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environment["STRATA_HOME"] = "state"
    found = Settings.from_environment()
    assert found.home == tmp_path / "state"
    assert found.storage == (tmp_path / "state/storage").as_uri()


def test_an_empty_variable_counts_as_not_set(environment, tmp_path):
    environment |= {"STRATA_HOME": str(tmp_path), "STRATA_STORAGE": ""}
    environment["STRATA_DATABASE_URL"] = ""
    found = Settings.from_environment()
    assert found.storage == (tmp_path / "storage").as_uri()
    assert found.local_database


def test_a_child_looks_at_more_ended_runs_unless_somebody_says_otherwise(environment):
    limit = "DAGSTER_RUN_STATUS_SENSOR_PROCESS_LIMIT"
    assert process_environment()[limit] == "50"
    environment[limit] = "7"
    assert process_environment()[limit] == "7"


def test_a_value_that_cannot_be_used_is_an_error_that_names_the_variable(environment):
    environment["STRATA_MIN_FREE_GB"] = "plenty"
    with pytest.raises(ValidationError, match="STRATA_MIN_FREE_GB"):
        Settings.from_environment()


def test_secrets_are_in_no_repr_and_no_error(environment):
    environment |= {"STRATA_DATABASE_URL": URL, "STRATA_MIN_FREE_GB": "-1"}
    environment["AZURE_STORAGE_CONNECTION_STRING"] = "AccountKey=hunter2"
    with pytest.raises(ValidationError) as caught:
        Settings.from_environment()
    assert "hunter2" not in str(caught.value)
    del environment["STRATA_MIN_FREE_GB"]
    assert "hunter2" not in repr(Settings.from_environment())


def test_a_named_database_holds_dagsters_tables_too(environment):
    environment["STRATA_DATABASE_URL"] = URL + "?sslmode=require"
    found = Settings.from_environment()
    assert not found.local_database
    assert found.dagster_storage_url == (
        "postgresql+psycopg2://strata:hunter2@127.0.0.1:5433/strata?sslmode=require"
    )


def test_the_private_database_is_known_from_what_up_wrote(environment, tmp_path):
    environment["STRATA_HOME"] = str(tmp_path)
    with pytest.raises(LookupError, match="strata up"):
        Settings.from_environment().require_database_url()
    urls = {"database_url": URL, "dagster_url": "postgresql://a:b@127.0.0.1:1/dagster"}
    (tmp_path / "services.json").write_text(json.dumps(urls))
    found = Settings.from_environment()
    assert found.local_database
    assert found.require_database_url() == URL
    assert found.dagster_storage_url == "postgresql+psycopg2://a:b@127.0.0.1:1/dagster"


def test_a_child_sees_the_same_settings_and_keeps_its_bytecode(environment, tmp_path):
    environment |= {"STRATA_HOME": str(tmp_path), "STRATA_DATABASE_URL": URL}
    environment["AZURE_STORAGE_ACCOUNT_KEY"] = "key"
    here = Settings.from_environment()
    child = process_environment(here)
    assert child["PATH"] == "/usr/bin"
    assert child["DAGSTER_HOME"] == str(tmp_path / "dagster")
    assert "PYTHONDONTWRITEBYTECODE" not in child
    environment.clear()
    environment.update(child)
    assert Settings.from_environment() == here


def test_a_child_does_not_take_the_private_database_for_a_foreign_one(
    environment, tmp_path
):
    environment["STRATA_HOME"] = str(tmp_path)
    (tmp_path / "services.json").write_text(json.dumps({"database_url": URL}))
    child = process_environment()
    assert "STRATA_DATABASE_URL" not in child
    assert child["STRATA_DAGSTER_STORAGE_URL"].startswith("postgresql+psycopg2://")


def test_unknown_fields_are_an_error():
    with pytest.raises(ValidationError):
        Settings.model_validate({"hom": Path.cwd()})
