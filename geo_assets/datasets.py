"""Datasets as Dagster Components: one YAML file becomes assets, checks and a job."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Self

import dagster as dg
from dagster.components.core.component_tree import (
    ComponentTree,
    ComponentTreeException,
)
from pydantic import BaseModel, ValidationError

from geo_assets.contract import DatasetContract, RasterContract, VectorContract
from geo_assets.explain import ContractError, explain
from geo_assets.grid_contract import HexGridContract

PROJECT = Path(__file__).parents[1]
_RASTERS = """\
type: {type_name}
attributes:
  name: {name}
  title: {title}
  source: {{container: bronze, pattern: "{name}/**/*.tif"}}
  tiers: all
"""
_VECTORS = """\
type: {type_name}
attributes:
  name: {name}
  title: {title}
  source: {{container: bronze, pattern: "{name}/**"}}
  table: {name}
"""
_GRID = """\
type: {type_name}
attributes:
  name: {name}
  title: {title}
  # Omit the region for the whole Earth; then resolutions go from 0 to 7.
  region: {{country: CHE}}
  resolutions: [5, 6, 7, 8]
  schedule: "23 2 1 * *"
"""


class _Scaffolder(dg.Scaffolder):
    """Writes a `defs.yaml` that works as it is."""

    example: ClassVar[str]

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        """Write the file into a folder named like the dataset."""
        name = request.target_path.name.lower().replace("-", "_")
        title = name.replace("_", " ").capitalize()
        request.target_path.mkdir(parents=True, exist_ok=True)
        text = self.example.format(type_name=request.type_name, name=name, title=title)
        (request.target_path / "defs.yaml").write_text(text, encoding="utf-8")


class RasterDatasetScaffolder(_Scaffolder):
    """Writes the example of a raster dataset."""

    example = _RASTERS


class VectorDatasetScaffolder(_Scaffolder):
    """Writes the example of a vector dataset."""

    example = _VECTORS


class HexGridScaffolder(_Scaffolder):
    """Writes the example of a grid."""

    example = _GRID


@dg.scaffold_with(RasterDatasetScaffolder)
class RasterDataset(dg.Component):
    """A dataset of rasters: each becomes checked COG tiers and a STAC item."""

    def __init__(self, contract: RasterContract) -> None:
        self.contract = contract

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes that `defs.yaml` may hold."""
        return RasterContract

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What `dg list components` says."""
        return dg.ComponentTypeSpec(
            description="Rasters in a container become COG tiers and STAC items.",
            tags=["raster", "cog", "stac"],
        )

    @classmethod
    def load(
        cls, attributes: BaseModel | None, context: dg.ComponentLoadContext
    ) -> Self:
        """The dataset of validated attributes."""
        del context
        return cls(RasterContract.model_validate(attributes, from_attributes=True))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Assets, checks and the job of the dataset."""
        del context
        from geo_assets.joins.assets import build_statistics_defs
        from geo_assets.raster.assets import build_raster_defs

        made = build_raster_defs(self.contract)
        return dg.Definitions.merge(made, build_statistics_defs(self.contract))


@dg.scaffold_with(VectorDatasetScaffolder)
class VectorDataset(dg.Component):
    """A dataset of vector files: each becomes rows in PostGIS and a STAC item."""

    def __init__(self, contract: VectorContract) -> None:
        self.contract = contract

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes that `defs.yaml` may hold."""
        return VectorContract

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What `dg list components` says."""
        return dg.ComponentTypeSpec(
            description="Vector files in a container become PostGIS tables.",
            tags=["vector", "postgis", "stac"],
        )

    @classmethod
    def load(
        cls, attributes: BaseModel | None, context: dg.ComponentLoadContext
    ) -> Self:
        """The dataset of validated attributes."""
        del context
        return cls(VectorContract.model_validate(attributes, from_attributes=True))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Assets, checks and the job of the dataset."""
        del context
        from geo_assets.gold.assets import build_export_defs
        from geo_assets.joins.assets import build_statistics_defs
        from geo_assets.vector.assets import build_vector_defs

        return dg.Definitions.merge(
            build_vector_defs(self.contract),
            build_export_defs(self.contract),
            build_statistics_defs(self.contract),
        )


@dg.scaffold_with(HexGridScaffolder)
class HexGrid(dg.Component):
    """A grid of H3 cells: tables in PostGIS, GeoParquet in gold, by the clock."""

    def __init__(self, contract: HexGridContract) -> None:
        self.contract = contract

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The attributes that `defs.yaml` may hold."""
        return HexGridContract

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What `dg list components` says."""
        return dg.ComponentTypeSpec(
            description="H3 cells of the Earth or a region, in PostGIS and gold.",
            tags=["h3", "postgis", "geoparquet"],
        )

    @classmethod
    def load(
        cls, attributes: BaseModel | None, context: dg.ComponentLoadContext
    ) -> Self:
        """The grid of validated attributes."""
        del context
        return cls(HexGridContract.model_validate(attributes, from_attributes=True))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Assets, checks and the job of the grid."""
        del context
        from geo_assets.h3.assets import build_grid_defs

        return build_grid_defs(self.contract)


KINDS = (RasterDataset, VectorDataset)


def load_tree(project: Path = PROJECT) -> ComponentTree:
    """The component tree of a project: its `defs` folder, not yet built."""
    return ComponentTree.for_project(project)


def contracts_of(tree: ComponentTree) -> Sequence[DatasetContract]:
    """The contracts of all datasets of a tree.

    Raises:
        ContractError: a file breaks the contract; says which, where and how.
    """
    with _explained():
        return [
            one.contract
            for kind in KINDS
            for one in tree.get_all_components(of_type=kind)
        ]


def grids_of(tree: ComponentTree) -> Sequence[HexGridContract]:
    """The contracts of all grids of a tree.

    Raises:
        ContractError: as `contracts_of`.
    """
    with _explained():
        return [one.contract for one in tree.get_all_components(of_type=HexGrid)]


@contextmanager
def _explained() -> Generator[None]:
    """A broken contract, told with file, line and remedy."""
    try:
        yield
    except ComponentTreeException as error:
        cause = error.__cause__
        if isinstance(cause, ValidationError):
            raise ContractError(explain(cause, _model_of(cause))) from error
        raise


def _model_of(error: ValidationError) -> type[BaseModel]:
    """Whose attributes a mistake was made in; the error is titled like its model."""
    models = (RasterContract, VectorContract, HexGridContract)
    return next((one for one in models if one.__name__ == error.title), RasterContract)


def read_contracts(project: Path = PROJECT) -> Sequence[DatasetContract]:
    """The contracts of a project, as its code location sees them."""
    return contracts_of(load_tree(project))
