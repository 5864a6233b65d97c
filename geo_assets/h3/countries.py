"""The land and countries that ship with Strata: Natural Earth, 1:50m, public domain.

The files beside this one are made by `samples/natural_earth_land.py`, which says from
what.
"""

from pathlib import Path

import shapely
from shapely.geometry.base import BaseGeometry

_FOLDER = Path(__file__).parent


class UnknownCountryError(LookupError):
    """No country of this name or code."""


def read_land() -> BaseGeometry:
    """All land, one geometry; lakes count as land, as countries have them."""
    return shapely.from_wkb(_read("land", "geometry")["geometry"][0])


def read_country(wanted: str) -> BaseGeometry:
    """A country by its name or its ISO 3166 code of two or three letters.

    >>> read_country("CHE") == read_country("Switzerland") == read_country("ch")
    True

    Raises:
        UnknownCountryError: names those that begin alike.
    """
    table = _read("countries", "name", "iso_a2", "iso_a3", "geometry")
    sought = wanted.casefold()
    for *names, shape in zip(*table.values(), strict=True):
        if sought in {str(name).casefold() for name in names if name}:
            return shapely.from_wkb(shape)
    alike = [n for n in table["name"] if n and n.casefold().startswith(sought[:2])]
    raise UnknownCountryError(f"no country {wanted!r}; there are {', '.join(alike)}")


def _read(name: str, *columns: str) -> dict[str, list]:
    import pyarrow.parquet as pq

    path = _FOLDER / f"{name}.parquet"
    return pq.read_table(path, columns=[*columns]).to_pydict()
