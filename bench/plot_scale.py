"""Cost per row, or per pixel, by their number, drawn from the table of a bench.

In goes the table that `bench_vectors.py --scale` or `bench_giant.py` prints, a file;
out comes an SVG: `python bench/plot_scale.py scale.md docs/images/cost-per-row.svg`.
Seconds per megapixel are microseconds per pixel.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

WIDTH, HEIGHT, LEFT, RIGHT, EDGE = 640, 400, 60, 170, 40
WAYS = {"one file", "tiles"}
COLOURS = {
    "giant": "#1f77b4",
    "points": "#1f77b4",
    "buildings": "#d62728",
    "complex": "#2ca02c",
}
DASHES = {"ogr2ogr": "6 4", "ours": "none", "one file": "6 4", "tiles": "none"}


class Point(NamedTuple):
    """Microseconds per row at a number of rows."""

    source: str
    tool: str
    rows: int
    micros: float


def read(text: str) -> Iterator[Point]:
    """Both tools' points of the table's lines."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] in WAYS:
            pixels = int(cells[2]) * 1_000_000
            yield Point("giant", cells[0], pixels, float(cells[5]))
            continue
        if len(cells) > 5 and cells[1].isdigit() and int(cells[1]) >= 10_000:  # noqa: PLR2004
            yield Point(cells[0], "ogr2ogr", int(cells[1]), float(cells[4]))
            yield Point(cells[0], "ours", int(cells[1]), float(cells[5]))


def draw(points: Sequence[Point]) -> str:
    """An SVG with logarithmic axes, a line per source and tool."""
    rows = [math.log10(point.rows) for point in points]
    micros = [math.log10(point.micros) for point in points]
    low, high = math.floor(min(rows)), math.ceil(max(rows))
    bottom, top = math.floor(min(micros)), math.ceil(max(micros))

    def x(value: float) -> float:
        share = (value - low) / (high - low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        share = (value - bottom) / (top - bottom)
        return HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE)

    marks = [
        f'<line x1="{x(one)}" x2="{x(one)}" y1="{y(bottom)}" y2="{y(top)}"/>'
        f'<text x="{x(one) - 10}" y="{y(bottom) + 18}">10^{one}</text>'
        for one in range(low, high + 1)
    ]
    marks += [
        f'<line x1="{x(low)}" x2="{x(high)}" y1="{y(one)}" y2="{y(one)}"/>'
        f'<text x="8" y="{y(one) + 4}">{10**one:g} µs</text>'
        for one in range(bottom, top + 1)
    ]
    lines: list[str] = []
    ordered = sorted(points)
    for (source, tool), some in groupby(ordered, key=lambda p: (p.source, p.tool)):
        places = [(x(math.log10(p.rows)), y(math.log10(p.micros))) for p in some]
        path = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
        style = f'stroke="{COLOURS[source]}" stroke-dasharray="{DASHES[tool]}"'
        across, down = places[-1]
        lines.append(f'<polyline points="{path}" {style}/>')
        lines.append(
            f'<text x="{across + 6:.1f}" y="{down + 4:.1f}">{source}, {tool}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="11" fill="none" stroke-width="2">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        '<g stroke="#ddd" stroke-width="1">'
        + "".join(marks).replace("<text", '<text stroke="none" fill="#333"')
        + "</g>"
        + "".join(lines).replace("<text", '<text fill="#333" stroke="none"')
        + "</svg>\n"
    )


def main() -> None:
    """Read a table, write a picture."""
    table, picture = map(Path, sys.argv[1:])
    points = [*read(table.read_text(encoding="utf-8"))]
    picture.write_text(draw(points), encoding="utf-8")


if __name__ == "__main__":
    main()
