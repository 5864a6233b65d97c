"""Write `geo_assets/h3/countries.parquet` and `land.parquet`: Natural Earth, 1:50m.

Taken from Debian's package `r-cran-rnaturalearthdata` (CC0; the data are in the public
domain). Not part of any run: the files are committed. To make it again:

    apt-get download r-cran-rnaturalearthdata && dpkg -x r-cran-rnatural*.deb x
    pip install rdata
    python samples/natural_earth_land.py x/usr/lib/R/site-library/rnaturalearthdata/data
"""

import gzip
import lzma
import sys
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rdata
import shapely

TARGET = Path(__file__).parents[1] / "geo_assets/h3"
GRID = 1e-4  # degrees: narrower gaps between countries, which no map means, are closed
DEGREES = 4  # decimals: 11 m, where the scale allows for hundreds
POLE = -89.99  # Antarctica ends a hair before it
LZMA2 = [{"id": lzma.FILTER_LZMA2}]


def read_variable(folder: Path, name: str):
    """A variable of an R package's lazy-load database."""
    index = gzip.decompress((folder / "Rdata.rdx").read_bytes())
    parsed = rdata.parser.parse_data(index)
    start, size = map(int, rdata.conversion.convert(parsed)["variables"][name])
    packed = (folder / "Rdata.rdb").read_bytes()[start : start + size]
    assert packed[4:5] == b"Z"
    plain = lzma.decompress(packed[5:], lzma.FORMAT_RAW, filters=LZMA2)
    return rdata.conversion.convert(rdata.parser.parse_data(plain))


def polygon_of(country) -> shapely.MultiPolygon:
    """Shells less holes."""
    rings = {True: [], False: []}
    for part in country.Polygons:
        xy = np.round(np.asarray(part.coords), DEGREES)
        xy[xy[:, 1] < POLE, 1] = -90
        rings[bool(part.hole[0])].append(shapely.make_valid(shapely.Polygon(xy)))
    made = shapely.difference(*(shapely.union_all(rings[hole]) for hole in (False, True)))
    parts = [p for p in shapely.get_parts(made) if p.geom_type == "Polygon"]
    return shapely.multipolygons(parts)


def main(folder: Path) -> None:
    """Read, mend, write."""
    found = read_variable(folder, "countries50")
    shapes = [polygon_of(one) for one in found.polygons]
    assert shapely.is_valid(shapes).all()
    texts = {
        name: [None if (t := str(v)) in {"<NA>", "nan"} else t for v in found.data[column]]
        for name, column in (("name", "name_long"), ("iso_a2", "iso_a2"), ("iso_a3", "iso_a3"))
    }
    land = shapely.union_all(shapes, grid_size=GRID)
    write("countries", {**texts, "geometry": shapes})
    write("land", {"geometry": [land]})


def write(name: str, columns: dict) -> None:
    """A table, as small as it gets."""
    wkb = pa.array(shapely.to_wkb(columns["geometry"], byte_order=1), pa.binary())
    table, path = pa.table(columns | {"geometry": wkb}), TARGET / f"{name}.parquet"
    pq.write_table(
        table, path, compression="zstd", compression_level=19, use_dictionary=False
    )
    print(name, table.num_rows, "rows,", path.stat().st_size, "bytes")



if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
