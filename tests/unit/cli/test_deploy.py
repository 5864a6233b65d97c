"""The files by which Strata is run: dagster.yaml, compose.yaml, deploy, scripts."""

import json
import re
from importlib import import_module

import pytest
import yaml
from dagster._config import validate_config
from dagster._core.instance.config import dagster_instance_config
from dagster_azure.blob.compute_log_manager import AzureBlobComputeLogManager
from dagster_postgres import DagsterPostgresStorage

from geo_resources.settings import CHECKOUT, Settings


def read_yaml(name: str):
    return yaml.safe_load((CHECKOUT / name).read_text())


@pytest.mark.parametrize("folder", [".", "deploy/azure"])
def test_dagster_accepts_the_instance_configuration(folder):
    config, _ = dagster_instance_config(str(CHECKOUT / folder))
    storage = config["storage"]["custom"]
    named = getattr(import_module(storage["module"]), storage["class"])
    assert issubclass(named, DagsterPostgresStorage)
    assert storage["config"] == {"postgres_url": {"env": "STRATA_DAGSTER_STORAGE_URL"}}
    assert config["telemetry"] == {"enabled": False}


def test_azures_instance_differs_in_its_logs_and_in_how_many_runs_it_takes():
    local, azure = read_yaml("dagster.yaml"), read_yaml("deploy/azure/dagster.yaml")
    del azure["compute_logs"]
    assert azure["concurrency"]["runs"].pop("max_concurrent_runs") == 4
    assert local["concurrency"]["runs"].pop("max_concurrent_runs") == 2
    assert azure == local


def test_the_storage_variable_is_one_that_we_set():
    settings = Settings.model_validate({"STRATA_DATABASE_URL": "postgresql://h/d"})
    url = settings.variables()["STRATA_DAGSTER_STORAGE_URL"]
    assert url == "postgresql+psycopg2://h/d"


def test_azures_compute_logs_are_configured_as_their_class_wants():
    block = read_yaml("deploy/azure/dagster.yaml")["compute_logs"]
    assert block["class"] == AzureBlobComputeLogManager.__name__
    config = {"config": AzureBlobComputeLogManager.config_type()}
    assert validate_config(config["config"], block["config"]).success


def test_every_workspace_names_the_same_location():
    local = read_yaml("workspace.yaml")["load_from"][0]["python_module"]
    remote = read_yaml("deploy/workspace.yaml")["load_from"][0]["grpc_server"]
    command = read_yaml("compose.yaml")["services"]["code"]["command"]
    assert local["location_name"] == remote["location_name"] == command[-1]
    assert str(remote["port"]) in command
    assert remote["host"] in read_yaml("compose.yaml")["services"]


def test_compose_starts_what_it_waits_for_and_publishes_to_the_loopback_alone():
    services = read_yaml("compose.yaml")["services"]
    assert {"postgis", "azurite", "webserver", "daemon"} <= set(services)
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_compose_sets_only_variables_that_are_settings():
    named = read_yaml("compose.yaml")["x-strata"]["environment"]
    known = {field.alias for field in Settings.model_fields.values()}
    assert set(named) <= known


def test_azurite_is_pinned_to_one_version_everywhere():
    version = json.loads((CHECKOUT / "package.json").read_text())["devDependencies"]
    image = read_yaml("compose.yaml")["services"]["azurite"]["image"]
    assert image.endswith(f":{version['azurite']}")
    lock = json.loads((CHECKOUT / "package-lock.json").read_text())["packages"]
    assert lock["node_modules/azurite"]["version"] == version["azurite"]
    assert not any("resolved" in package for package in lock.values())


def test_uv_is_pinned_to_one_version_everywhere():
    script = (CHECKOUT / "scripts/install_python.sh").read_text()
    version = re.search(r"UV_VERSION=(\S+)", script)[1]
    assert f"uv=={version}" in (CHECKOUT / "deploy/Dockerfile").read_text()


def test_every_path_that_the_image_copies_is_let_through():
    docker = (CHECKOUT / "deploy/Dockerfile").read_text()
    copied = {
        name
        for line in re.findall(r"^COPY (.+) \S+$", docker, re.MULTILINE)
        for name in line.split()
    }
    let_through = (CHECKOUT / ".dockerignore").read_text().splitlines()
    assert {f"!{name}" for name in copied} <= set(let_through)
    assert all((CHECKOUT / name).exists() for name in copied)
