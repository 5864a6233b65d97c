"""What is searched for, from the words of a command line to the body of a search."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from geo_assets.catalog.stac import time_text

BOUNDS = (4, 6)  # numbers of a bounding box, flat and with heights
MOST_LATITUDE, MOST_LONGITUDE = 90.0, 180.0
OPEN = ("..", "")


class SearchError(ValueError):
    """What is searched for makes no sense; the message says why."""


def search_body(  # noqa: PLR0913
    *,
    collections: Sequence[str] = (),
    ids: Sequence[str] = (),
    bbox: str | None = None,
    time: str | None = None,
    cql2: str | None = None,
    sort_by: Sequence[str] = (),
) -> dict[str, Any]:
    """Body of a STAC API search.

    Args:
        collections: any of these; all if none.
        ids: any of these items; all if none.
        bbox: `west,south,east,north` in degrees; west > east crosses the antimeridian.
        time: a moment, or `start/end` with `..` for open, ISO 8601.
        cql2: a filter as CQL2 text, or as CQL2 JSON.
        sort_by: fields, `-` before one for falling order.

    Raises:
        SearchError: one of them makes no sense.
    """
    body: dict[str, Any] = {
        "collections": [*collections],
        "ids": [*ids],
        "bbox": parse_bbox(bbox) if bbox else None,
        "datetime": parse_interval(time) if time else None,
        "sortby": [_sort(one) for one in sort_by],
    }
    found = {key: value for key, value in body.items() if value}
    if cql2:
        found |= {"filter": parse_filter(cql2), "filter-lang": "cql2-json"}
    return found


def parse_bbox(text: str) -> list[float]:
    """Four numbers in degrees.

    >>> parse_bbox("170, -20,-170,10.5")
    [170.0, -20.0, -170.0, 10.5]

    Raises:
        SearchError: they are not four numbers on the Earth, south before north.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise SearchError(f"not numbers: {text!r}") from error
    if len(numbers) not in BOUNDS:
        raise SearchError(f"not west,south,east,north: {text!r}")
    if len(numbers) == BOUNDS[1]:  # the catalogue is flat
        numbers = [*numbers[:2], *numbers[3:5]]
    west, south, east, north = numbers
    inside = max(abs(west), abs(east)) <= MOST_LONGITUDE
    if not (inside and -MOST_LATITUDE <= south <= north <= MOST_LATITUDE):
        raise SearchError(f"not on the Earth, or south of it is north: {text!r}")
    return numbers


def parse_interval(text: str) -> str:
    """A moment or an interval, as an API takes it: days become whole days, UTC.

    >>> parse_interval("2024-01-31")
    '2024-01-31T00:00:00Z/2024-01-31T23:59:59.999999Z'
    >>> parse_interval("2024/..")
    '2024-01-01T00:00:00Z/..'

    Raises:
        SearchError: it is not ISO 8601, ends before it begins, or never does either.
    """
    parts = text.split("/")
    if len(parts) > 2:  # noqa: PLR2004
        raise SearchError(f"more than a start and an end: {text!r}")
    start, end = _bound(parts[0], last=False), _bound(parts[-1], last=True)
    if start == end == "..":
        raise SearchError(f"open at both ends: {text!r}")
    if start == end:
        return start
    if ".." not in {start, end} and start > end:
        raise SearchError(f"ends before it begins: {text!r}")
    return f"{start}/{end}"


_FORMS = (  # what a time may leave out, and how far it then reaches
    ("%Y", "year"),
    ("%Y-%m", "month"),
    ("%Y-%m-%d", "day"),
)


def _bound(text: str, *, last: bool) -> str:
    """The first or the last moment of what a time names."""
    text = text.strip()
    if text in OPEN:
        return ".."
    for form, unit in _FORMS:
        try:
            start = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return time_text(_last(start, unit) if last else start)
    try:
        moment = datetime.fromisoformat(text)
        return time_text(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except ValueError as error:
        raise SearchError(f"not a time of ISO 8601: {text!r}") from error
    except OverflowError as error:
        raise SearchError(f"not of the years 1 to 9999 in UTC: {text!r}") from error


def _last(start: datetime, unit: str) -> datetime:
    """The last moment of the year, month or day that begins so."""
    month = 12 if unit == "year" else start.month
    day = start.day if unit == "day" else monthrange(start.year, month)[1]
    return datetime.combine(date(start.year, month, day), datetime.max.time(), UTC)


def parse_filter(text: str) -> dict[str, Any]:
    """CQL2, as text or as JSON, as the JSON that pgSTAC takes.

    Raises:
        SearchError: it is not CQL2.
    """
    import cql2

    try:
        found = (
            cql2.parse_json(text) if text.lstrip()[:1] == "{" else cql2.parse_text(text)
        )
        found.validate()
    except (cql2.ParseError, cql2.ValidationError, ValueError) as error:
        raise SearchError(f"not CQL2: {error}") from error
    return _boxes_as_polygons(found.to_json())


def _boxes_as_polygons(value: Any) -> Any:  # noqa: ANN401 # JSON of any depth
    """CQL2's `BBOX(...)` as GeoJSON: pgSTAC takes no other form."""
    if isinstance(value, list):
        return [_boxes_as_polygons(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"bbox"}:
        return _polygon(*parse_bbox(",".join(map(str, value["bbox"]))))
    return {key: _boxes_as_polygons(part) for key, part in value.items()}


def _polygon(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """A box; one that crosses the antimeridian in two parts."""
    spans = [(west, MOST_LONGITUDE), (-MOST_LONGITUDE, east)]
    spans = [(west, east)] if west <= east else spans
    rings = [
        [[a, south], [b, south], [b, north], [a, north], [a, south]] for a, b in spans
    ]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings}
    return {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}


def _sort(field: str) -> dict[str, str]:
    """A field to sort by.

    >>> _sort("-properties.datetime")
    {'field': 'properties.datetime', 'direction': 'desc'}
    """
    direction = "desc" if field.startswith("-") else "asc"
    return {"field": field.lstrip("+-"), "direction": direction}
