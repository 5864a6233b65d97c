"""geo_assets.raster.recheck: the outside world is asked again, by hand."""

import dagster as dg
import pytest

from geo_assets.datasets import PROJECT
from tests.conftest import TEMPLATE, cloned_database, temporary_home
from tests.e2e.platform import write_raster
from tests.integration.vector_world import VectorWorld

pytestmark = pytest.mark.integration


def test_checks_executed_by_hand_ask_the_cogs_and_the_catalogue_again(cluster):
    quiet = {"telemetry": {"enabled": False}}
    with (
        temporary_home() as home,
        cloned_database(cluster, TEMPLATE) as url,
        dg.DagsterInstance.local_temp(str(home), overrides=quiet) as instance,
    ):
        world = VectorWorld(home, url, PROJECT, instance)
        write_raster(world.place("a.tif"))
        world.settle("a.tif")
        assert world.arrive()["a.tif"]["status"] == "accepted"

        def ask(thing):
            return world.ask_checks(dg.AssetKey(["rasters", thing]), "a.tif")

        assert ask("validated") == {"source_valid": True}
        good = {"item_valid": True, "item_found": True, "item_complete": True}
        assert ask("item") == good
        sound = {"cog_valid": True, "pixels_identical": True}
        assert ask("cog_analysis") == ask("cog_archive") == sound

        other = write_raster(home / "other.tif", seed=1)
        other.replace(world.silver / "rasters/a/analysis.tif")
        assert ask("cog_analysis") == {"cog_valid": False, "pixels_identical": False}
        assert ask("cog_archive") == sound
        world.close()
