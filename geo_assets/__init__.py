"""The assets of the platform and the pure functions behind them.

The component types are offered here by name, as `defs.yaml` writes them, and loaded on
first use: a raster worker that imports a stage must not pay for Dagster.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geo_assets.datasets import HexGrid, RasterDataset, VectorDataset

__all__ = ["HexGrid", "RasterDataset", "VectorDataset"]


def __getattr__(name: str) -> object:
    """A component type, imported when it is asked for."""
    if name not in __all__:
        raise AttributeError(name)
    from geo_assets import datasets

    return getattr(datasets, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
