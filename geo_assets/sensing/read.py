"""From everything that may tell of a raster to what is known of how it was taken.

Pure. Sidecars come before the raster's own tags, and both before names: who made the
product knows it best. What two sources say differently is warned of.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from geo_assets.errors import CorruptError, SourceError
from geo_assets.sensing import dimap, landsat, maxar, planet, sentinel2
from geo_assets.sensing.embedded import Tags, read_tags
from geo_assets.sensing.leaves import Leaves, read_leaves
from geo_assets.sensing.model import Frozen, Reading, Sensing, Sidecar, SidecarFacts
from geo_assets.sensing.values import tidy

MOST_KEPT = 400  # values of a sidecar; a Landsat MTL has some 300
MOST_OF_PATH = 500  # characters; one of DIMAP has some 150
UNKNOWN = "metadata of no kind that is known"
Reader = Callable[[Leaves], dict[str, Any] | None]
_SIDECARS: dict[str, Reader] = {
    landsat.KIND: landsat.read_mtl,
    sentinel2.TILE: sentinel2.read_tile,
    sentinel2.PRODUCT: sentinel2.read_product,
    maxar.KIND: maxar.read_imd,
    planet.KIND: planet.read_item,
    dimap.KIND: dimap.read_dimap,
}
_TIMES = ("acquired", "start", "end")  # one source has said all of them


class Told(Frozen):
    """What is known, of which sidecars, and what was odd about them."""

    sensing: Sensing
    sidecars: tuple[SidecarFacts, ...] = ()
    warnings: tuple[str, ...] = ()


def read_sensing(blob: str, tags: Tags, sidecars: Sequence[Sidecar] = ()) -> Told:
    """How the picture in a raster was taken.

    Args:
        blob: its name, folders included.
        tags: its tags, by name space as GDAL has them.
        sidecars: blobs beside it, the nearest first. One that cannot be read, or is
            of no known kind, says nothing, and what became of it is told.
    """
    readings: list[tuple[str, Reading]] = []
    facts: list[SidecarFacts] = []
    warnings: list[str] = []
    for sidecar in sidecars:
        reading, complaint = _read_sidecar(sidecar)
        facts.append(_facts_of(sidecar, reading, complaint))
        if complaint:
            warnings.append(f"The sidecar {sidecar.blob} was not read: {complaint}")
        elif reading.values:
            readings.append((sidecar.blob, reading))
    ranked = sorted(readings, key=lambda one: [*_SIDECARS].index(one[1].kind))
    own = [(one.kind, one) for one in (*read_tags(tags), *_read_name(blob))]
    sensing, contradictions = combine([*ranked, *own])
    return Told(
        sensing=sensing,
        sidecars=tuple(facts),
        warnings=(*warnings, *contradictions),
    )


def _read_sidecar(sidecar: Sidecar) -> tuple[Reading, str]:
    """What a sidecar said, and why it could not be read."""
    try:
        leaves = read_leaves(sidecar.content)
        kind, values = _understand(leaves)
    except SourceError as error:
        return Reading(kind=UNKNOWN), f"{error.code}: {error.message}"
    kept = {
        tidy("/".join(leaf.path), MOST_OF_PATH): leaf.text
        for leaf in leaves.found[:MOST_KEPT]
    }
    return Reading(kind=kind, values=values, kept=kept), ""


def _understand(leaves: Leaves) -> tuple[str, dict[str, Any]]:
    """The kind of a document, and fields of `Sensing` with what it says.

    Raises:
        CorruptError: one of them is nothing that can be.
    """
    try:
        for kind, reader in _SIDECARS.items():
            values = reader(leaves)
            if values is not None:
                Sensing(**values)
                return kind, values
    except (ValueError, OverflowError) as error:
        raise CorruptError(
            "The metadata hold a value that cannot be.",
            found=tidy(str(error)),
            expected="values as the format has them",
        ) from error
    return UNKNOWN, {}


def _facts_of(sidecar: Sidecar, reading: Reading, complaint: str) -> SidecarFacts:
    return SidecarFacts(
        **sidecar.model_dump(include={"blob", "href", "etag", "sha256", "size_bytes"}),
        kind=None if reading.kind == UNKNOWN else reading.kind,
        complaint=complaint or None,
        kept=reading.kept,
    )


def _read_name(blob: str) -> Iterable[Reading]:
    for kind, read in (
        (landsat.NAMING, landsat.read_name),
        (sentinel2.NAMING, sentinel2.read_name),
    ):
        values = read(blob)
        if values:
            yield Reading(kind=kind, values=values)


def combine(readings: Sequence[tuple[str, Reading]]) -> tuple[Sensing, list[str]]:
    """What the sources say together: the first that speaks of a field counts.

    Returns:
        What is known, and a sentence for each contradiction: of platforms, for other
        values differ by the definitions of their sources.
    """
    values: dict[str, Any] = {}
    said_by: dict[str, str] = {}
    platforms: dict[str, str] = {}
    for source, reading in readings:
        found = {
            key: one for key, one in reading.values.items() if one not in (None, ())
        }
        if any(key in values for key in _TIMES):
            found = {key: one for key, one in found.items() if key not in _TIMES}
        if "platform" in found:
            platforms.setdefault(found["platform"], source)
        for key in found.keys() - values.keys():
            values[key], said_by[key] = found[key], source
    said = [f"{name} ({source})" for name, source in platforms.items()]
    contradictions = [f"Sources differ on the platform: {', '.join(said)}."]
    sensing = Sensing(**values, said_by=dict(sorted(said_by.items())))
    return sensing, contradictions if len(said) > 1 else []
