"""Which layers and which attributes of a file are loaded, by the dataset's contract."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from geo_assets.contract import Columns, VectorContract
from geo_assets.errors import (
    NoFeaturesError,
    NoGeometryError,
    SchemaMismatchError,
    TooLargeError,
    WrongLayerError,
)
from geo_assets.vector.model import Layer, SkippedLayer

NOT_NAMED = "the dataset names another layer"
NO_ROWS = "no features"


@dataclass
class Found:
    """What a reader found in a file, before the contract's choice of layers."""

    format: str
    """By GDAL's name, with the container."""
    layers: list[Layer] = field(default_factory=list)
    """Those that can be read."""
    skipped: list[SkippedLayer] = field(default_factory=list)
    """Those that cannot, or that hold nothing."""
    notes: list[str] = field(default_factory=list)
    """What a person should know."""


def wanted(name: str, contract: VectorContract) -> bool:
    """Whether the dataset loads a layer of this name."""
    return contract.layer is None or contract.layer == name


def choose_layers(found: Found, blob: str, contract: VectorContract) -> Found:
    """The layers that are loaded; at least one, at least one with geometry.

    Raises:
        WrongLayerError: the layer that the dataset names is not there.
        NoFeaturesError: there is no layer, or none holds a feature.
        NoGeometryError: no layer has a geometry.
    """
    names = [one.name for one in (*found.layers, *found.skipped)]
    if contract.layer is not None and contract.layer not in names:
        raise WrongLayerError(
            f"{blob} has no layer {contract.layer!r}.",
            found=names[:200],
            expected=contract.layer,
        )
    chosen = [one for one in found.layers if wanted(one.name, contract)]
    others = [one for one in found.layers if not wanted(one.name, contract)]
    skipped = [SkippedLayer(name=one.name, reason=NOT_NAMED) for one in others]
    full = [one for one in chosen if one.feature_count != 0]
    empty = [SkippedLayer(name=o.name, reason=NO_ROWS) for o in chosen if o not in full]
    skipped = [*found.skipped, *skipped, *empty]
    _check_content(full, skipped, blob, contract)
    return Found(found.format, full, skipped, found.notes)


def _check_content(
    full: list[Layer], skipped: list[SkippedLayer], blob: str, contract: VectorContract
) -> None:
    if not full:
        raise NoFeaturesError(
            f"{blob} holds no feature.",
            found={one.name: one.reason for one in skipped[:200]},
            expected="at least one layer with at least one feature",
        )
    if contract.layer is None and all(one.geometry_type is None for one in full):
        raise NoGeometryError(
            f"No layer of {blob} holds a geometry.",
            found={one.name: [f.name for f in one.fields][:50] for one in full[:50]},
            expected="a layer with a geometry",
        )
    _check_limits(full, contract)


def _check_limits(layers: list[Layer], contract: VectorContract) -> None:
    limits = contract.limits
    rows = sum(one.feature_count or 0 for one in layers)
    columns = max(len(one.fields) for one in layers)
    if rows > limits.max_rows:
        raise TooLargeError(
            f"The file holds {rows} features.",
            found=rows,
            expected=f"at most {limits.max_rows} (limits.max_rows)",
        )
    if columns > limits.max_columns:
        raise TooLargeError(
            f"A layer has {columns} fields.",
            found=columns,
            expected=f"at most {limits.max_columns} (limits.max_columns)",
        )


def choose_fields(names: Sequence[str], columns: Columns, layer: str) -> list[int]:
    """Positions of the fields that the contract loads, in their order.

    Raises:
        SchemaMismatchError: `include` names a field that is not there.

    >>> choose_fields(["a", "b"], Columns(exclude=["a"]), "lots")
    [1]
    """
    missing = [one for one in columns.include if one not in names]
    if missing:
        raise SchemaMismatchError(
            f"Layer {layer!r} has no field {', '.join(map(repr, missing))}.",
            found=list(names)[:1000],
            expected=columns.include,
        )
    if columns.include:
        return [at for at, name in enumerate(names) if name in columns.include]
    return [at for at, name in enumerate(names) if name not in columns.exclude]
