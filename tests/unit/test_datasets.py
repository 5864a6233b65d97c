"""geo_assets.datasets and geo_assets.explain: a dataset is one YAML file."""

import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from geo_assets.contract import RasterContract
from geo_assets.datasets import ContractError, read_contracts
from geo_assets.declared import may_be_a_dataset
from geo_assets.raster.assets import build_raster_defs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with the shipped inbox and room for more datasets."""
    package = tmp_path / "yaml_only"
    (package / "defs").mkdir(parents=True)
    for folder in (package, package / "defs"):
        (folder / "__init__.py").write_text('"""Test."""\n', encoding="utf-8")
    shutil.copytree(
        ROOT / "geo_assets" / "defs" / "rasters", package / "defs" / "rasters"
    )
    (tmp_path / "pyproject.toml").write_text(
        '[tool.dg]\ndirectory_type = "project"\n'
        '[tool.dg.project]\nroot_module = "yaml_only"\n',
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("yaml_only")]:
        del sys.modules[name]


def add_dataset(project: Path, name: str, attributes: str) -> None:
    folder = project / "yaml_only" / "defs" / name
    folder.mkdir()
    text = f"type: geo_assets.RasterDataset\nattributes:\n{attributes}"
    (folder / "defs.yaml").write_text(text, encoding="utf-8")


def test_names_are_found_without_dagster_or_left_to_it(project):
    defs = project / "yaml_only" / "defs"
    assert all(may_be_a_dataset(one.name, defs) for one in read_contracts(project))
    assert not may_be_a_dataset("elsewhere", defs)
    add_dataset(project, "told", '  name: "{{ env.NAME }}"')
    assert may_be_a_dataset("elsewhere", defs)


FLOOD_DEPTH = """\
  name: flood_depth
  title: Flood depth, 100-year return period
  source: {container: bronze, pattern: "flood_depth/**/*.tif"}
  tiers: [visualization, analysis]
  crs: EPSG:4326
  tile: {above_megapixels: 400, size: 8192}
  stac: {license: CC-BY-4.0, datetime: "from: filename %Y%m%d"}
  h3: {resolutions: [5, 6], statistics: [mean, max]}
  owners: ["team:hazards"]
"""


def test_the_example_of_the_design_is_a_dataset_by_yaml_alone(project):
    add_dataset(project, "flood_depth", FLOOD_DEPTH)
    contracts = {one.name: one for one in read_contracts(project)}
    assert set(contracts) == {"rasters", "flood_depth"}
    assert contracts["flood_depth"].wanted_tiers == ("visualization", "analysis")


def test_a_dataset_has_its_assets_checks_and_job():
    contract = RasterContract.model_validate(
        {"name": "dem", "source": {"pattern": "dem/**"}, "owners": ["team:relief"]}
    )
    defs = build_raster_defs(contract)
    specs = {
        spec.key.to_user_string(): spec
        for asset in defs.assets
        for spec in (asset.specs if isinstance(asset, dg.AssetsDefinition) else [asset])
    }
    assert set(specs) == {
        "dem/bronze",
        "dem/validated",
        "dem/cog_visualization",
        "dem/cog_analysis",
        "dem/cog_archive",
        "dem/item",
        "dem/collection",
        "dem/quality",
        "dem/stac_geoparquet",
        "dem/stac_static",
    }
    item = specs["dem/item"]
    assert item.group_name == "dem"
    assert item.owners == ["team:relief"]
    assert item.partitions_def == dg.DynamicPartitionsDefinition(name="dem__files")
    assert [job.name for job in defs.jobs] == ["dem__ingest"]


def test_every_mistake_is_told_with_file_line_and_remedy(project):
    add_dataset(project, "wrong", '  name: wrong\n  tierz: all\n  source: {a: "b"}\n')
    with pytest.raises(ContractError) as caught:
        read_contracts(project)
    file = project / "yaml_only" / "defs" / "wrong" / "defs.yaml"
    assert f"{file}:4: `tierz` is not an attribute here; did you mean `tiers`?" in str(
        caught.value
    )
    assert f"{file}:5: `source.pattern` is required" in str(caught.value)


def test_dg_finds_the_component_and_scaffolds_a_dataset_that_loads(project):
    del project
    dg_command = Path(sys.executable).parent / "dg"
    found = subprocess.run(
        [dg_command, "list", "components", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "geo_assets.RasterDataset" in found.stdout
