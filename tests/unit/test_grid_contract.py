"""geo_assets.grid_contract and the runs that a schedule asks for."""

import pytest
from dagster._utils.schedules import is_valid_cron_schedule
from pydantic import ValidationError

from geo_assets.grid_contract import HexGridContract, is_cron
from geo_assets.h3.numbers import count_of_base, count_of_earth
from geo_assets.h3.specs import grid_part, plan_runs


def contract(**attributes):
    return HexGridContract.model_validate({"name": "h3", **attributes})


@pytest.mark.parametrize(
    "cron",
    ["23 2 1 * *", "*/15 8-18 * jan,jul mon-fri", "0 0 * * 7", "5,35 * * * *"],
)
def test_what_is_taken_for_a_cron_dagster_takes_too(cron):
    assert is_cron(cron)
    assert is_valid_cron_schedule(cron)


@pytest.mark.parametrize(
    "cron", ["60 * * * *", "* * * *", "@daily", "* * 0 * *", "*/0 * * * *", "a * * * *"]
)
def test_what_is_no_cron_is_an_error(cron):
    with pytest.raises(ValidationError, match="schedule"):
        contract(schedule=cron)


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"resolutions": [8]}, "needs a `region`"),
        ({"resolutions": [3, 3]}, "each once"),
        ({"variants": []}, "one or more"),
        ({"region": {}}, "give one of"),
        ({"region": {"country": "CHE", "table": "a"}}, "give one of"),
        ({"region": {"bbox": [0, 5, 10, 1]}}, "west, south, east, north"),
        ({"timezone": "Mars/Olympus"}, "time zone"),
    ],
)
def test_a_mistake_is_told(attributes, said):
    with pytest.raises(ValidationError, match=said):
        contract(**attributes)


def test_a_region_may_have_finer_cells_and_no_partitions():
    alps = contract(name="alps", resolutions=[5, 10], region={"country": "CHE"})
    assert not alps.is_partitioned(10)
    assert len([*plan_runs(alps)]) == 1
    part = grid_part(alps, "land", 10)
    assert (part.root, part.name, part.parent) == (
        "alps_land",
        "alps_land_10",
        "alps_land",
    )


def test_the_runs_of_a_fine_grid_cover_every_base_cell_once():
    runs = [*plan_runs(contract(resolutions=[4, 6, 7], variants=["land"]))]
    assert [key.path for key in runs[0].assets] == [["h3", "land_4"]]
    for resolution in (6, 7):
        name = f"land_{resolution}"
        mine = [run for run in runs if run.assets[0].path[-1] == name]
        bases = [b for r in mine for b in range(int(r.first), int(r.last) + 1)]
        assert bases == [*range(122)]


@pytest.mark.parametrize("resolution", range(11))
def test_base_cells_together_have_all_cells(resolution):
    counts = [count_of_base(base, resolution) for base in range(122)]
    assert sum(counts) == count_of_earth(resolution) == 2 + 120 * 7**resolution
