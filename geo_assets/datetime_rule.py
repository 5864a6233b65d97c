"""When a raster was taken: by the dataset's rule, its sensor, tags, name, or arrival.

A rule that does not fit a file does not stop it: the next source is asked, the result
says which one answered, and a warning says what the rule looked for. So a wrong rule is
seen on every file, and no file is lost to it.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel

Origin = Literal["rule", "sensor", "tags", "filename", "blob"]
Tags = Mapping[str, Mapping[str, str]]

FROM_NAME = "from: filename "
FROM_TAGS = "from: tags"
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST_AHEAD = timedelta(days=1)  # clocks and time zones of others
TAGS = (  # name space, name; the time of exposure before the time of writing
    ("IMAGERY", "ACQUISITIONDATETIME"),
    ("EXIF", "EXIF_DateTimeOriginal"),
    ("", "EXIF_DateTimeOriginal"),
    ("", "TIFFTAG_DATETIME"),
)
TAG_FORMATS = (  # TIFF 6.0, page 31, and EXIF 2.32 write colons in the date
    "%Y:%m:%d %H:%M:%S",
    "%Y:%m:%d %H:%M:%S%z",
)
DIRECTIVES = {  # of strptime: those with a fixed number of digits, and time zones
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "m": r"\d{2}",
    "d": r"\d{2}",
    "H": r"\d{2}",
    "M": r"\d{2}",
    "S": r"\d{2}",
    "f": r"\d{1,6}",
    "j": r"\d{3}",
    "b": r"[A-Za-z]{3}",
    "z": r"(?:Z|[+-]\d{2}:?\d{2})",
    "%": "%",
}
DATE_IN_NAME = re.compile(
    r"(?<!\d)(?P<y>(?:19|20)\d{2})(?P<s>[-_]?)(?P<m>0[1-9]|1[0-2])(?P=s)"
    r"(?P<d>0[1-9]|[12]\d|3[01])"
    r"(?:T(?P<H>[01]\d|2[0-3]):?(?P<M>[0-5]\d):?(?P<S>[0-5]\d)(?:\.\d+)?Z?)?(?!\d)"
)


class ItemTime(BaseModel, frozen=True):
    """When an item is of: one moment, or a range if no moment is known.

    Attributes:
        moment: UTC; None if only the range is known.
        start, end: UTC; both None if the moment is known.
        source: what said so.
        warnings: what should have said so, and did not.
    """

    moment: AwareDatetime | None = None
    start: AwareDatetime | None = None
    end: AwareDatetime | None = None
    source: Origin
    warnings: tuple[str, ...] = ()


def check_rule(rule: str) -> None:
    """Nothing, for a rule of `resolve_time`.

    Raises:
        ValueError: the rule cannot be understood; the message is for its writer.

    >>> check_rule("from: filename %Y%m%d")
    >>> check_rule("from: name")
    Traceback (most recent call last):
    ...
    ValueError: 'from: name' is neither `from: filename <strptime format>`, nor `from: \
tags`, nor an ISO 8601 time
    """
    if rule.startswith(FROM_NAME):
        if "Y" not in _directives(rule) and "y" not in _directives(rule):
            message = f"{rule!r} names no year (%Y)"
            raise ValueError(message)
    elif rule != FROM_TAGS:
        _fixed(rule)


def resolve_time(  # noqa: PLR0913 - sources of a time, by name
    rule: str | None,
    *,
    blob: str,
    tags: Tags,
    last_modified: datetime,
    now: datetime,
    sensed: ItemTime | None = None,
) -> ItemTime:
    """When the raster in `blob` was taken.

    Args:
        blob: name of the blob, folders included.
        rule: `from: filename <strptime format>` (with a `/` in it: of the whole blob
            name), `from: tags`, a fixed ISO 8601 time, or None. A format without a day
            gives the range of its month or year.
        tags: name space to tags, as GDAL names them.
        last_modified: of the blob; the range if nothing else is known.
        now: times later than a day from now, or before 1900, are not believed.
        sensed: what metadata of the sensor say, or the name of its product; comes
            before the tags, unless the rule asks for these.
    """
    ruled = _by_rule(rule, blob, now) if rule else None
    if ruled:
        return ruled
    warnings = _unmet(rule, blob)
    known = [sensed, _at(_by_tags(tags, now), "tags")]
    if rule == FROM_TAGS:
        known.reverse()
    for time in (*known, _at(_by_name(blob), "filename")):
        if time and _believed(time, now):
            noted = () if time.source == "tags" and rule == FROM_TAGS else warnings
            return time.model_copy(update={"warnings": noted})
    arrived = last_modified.astimezone(UTC)
    return ItemTime(start=arrived, end=arrived, source="blob", warnings=warnings)


def _by_rule(rule: str, blob: str, now: datetime) -> ItemTime | None:
    if rule == FROM_TAGS:
        return None  # tags come next in any case
    if not rule.startswith(FROM_NAME):
        return ItemTime(moment=_fixed(rule), source="rule")
    pattern = rule.removeprefix(FROM_NAME)
    found = _match(pattern, blob)
    if found is None or not _plausible(found, now):
        return None
    given = _directives(rule)
    if given & {"d", "j"}:
        return ItemTime(moment=found, source="rule")
    end = (
        _next_month(found) if given & {"m", "b"} else found.replace(year=found.year + 1)
    )
    return ItemTime(start=found, end=end - timedelta(seconds=1), source="rule")


def _at(moment: datetime | None, source: Origin) -> ItemTime | None:
    return ItemTime(moment=moment, source=source) if moment else None


def _believed(time: ItemTime, now: datetime) -> bool:
    """Whether a time, and both ends of a range, are plausible."""
    found = [one for one in (time.moment, time.start, time.end) if one]
    return bool(found) and all(_plausible(one, now) for one in found)


def _unmet(rule: str | None, blob: str) -> tuple[str, ...]:
    if rule is None:
        return ()
    if rule == FROM_TAGS:
        return ("the dataset takes times from tags, and the file has no usable one",)
    pattern = rule.removeprefix(FROM_NAME)
    return (f"the dataset's time rule {pattern!r} does not fit the name {blob!r}",)


def _match(pattern: str, blob: str) -> datetime | None:
    """Time at the first place in the name where the format fits; digits end there."""
    name = blob if "/" in pattern else blob.rpartition("/")[2]
    pieces = re.split(r"%(.)", pattern)  # literals and directives in turn
    regex = "".join(
        DIRECTIVES[piece] if i % 2 else re.escape(piece)
        for i, piece in enumerate(pieces)
    )
    for match in re.finditer(rf"(?<!\d){regex}(?!\d)", name):
        moment = _parse(match[0], pattern)
        if moment:
            return moment
    return None


def _directives(rule: str) -> set[str]:
    """Letters of the format in a file name rule.

    Raises:
        ValueError: one of them is not understood.
    """
    found = set(re.findall(r"%(.?)", rule.removeprefix(FROM_NAME)))
    if unknown := found - DIRECTIVES.keys():
        message = f"{rule!r}: %{min(unknown)} is not one of {', %'.join(DIRECTIVES)}"
        raise ValueError(message)
    return found


def _next_month(moment: datetime) -> datetime:
    return (moment.replace(day=1) + timedelta(days=32)).replace(day=1)


def _by_tags(tags: Tags, now: datetime) -> datetime | None:
    """First time in the tags that can be believed; without a zone it counts as UTC."""
    for moment in _tagged(tags):
        if _plausible(moment, now):
            return moment
    return None


def _tagged(tags: Tags) -> Iterator[datetime]:
    for space, name in TAGS:
        text = tags.get(space, {}).get(name, "").strip().strip("\0")
        offset = tags.get(space, {}).get("EXIF_OffsetTimeOriginal", "").strip()
        zoned = text + offset if name.startswith("EXIF") else text
        times = (_parse(zoned, form) for form in TAG_FORMATS)
        moment = next(filter(None, times), None) or _parse_iso(text)
        if moment:
            yield moment


def _by_name(blob: str) -> datetime | None:
    """Time of the first date in the file name that is one."""
    for match in DATE_IN_NAME.finditer(blob.rpartition("/")[2]):
        parts = match.groupdict()
        text = "".join(parts[key] or "00" for key in "ymdHMS")
        moment = _parse(text, "%Y%m%d%H%M%S")
        if moment:
            return moment
    return None


def _parse(text: str, pattern: str) -> datetime | None:
    try:
        moment = datetime.strptime(text, pattern)  # noqa: DTZ007 # zoned in _to_utc
    except ValueError:
        return None
    return _to_utc(moment)


def _parse_iso(text: str) -> datetime | None:
    try:
        return _to_utc(datetime.fromisoformat(text))
    except ValueError:
        return None


def _fixed(rule: str) -> datetime:
    moment = _parse_iso(rule)
    if moment is None:
        message = (
            f"{rule!r} is neither `{FROM_NAME}<strptime format>`, nor `{FROM_TAGS}`,"
            " nor an ISO 8601 time"
        )
        raise ValueError(message)
    return moment


def _to_utc(moment: datetime) -> datetime:
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return zoned.astimezone(UTC)


def _plausible(moment: datetime, now: datetime) -> bool:
    return EARLIEST <= moment <= now + LATEST_AHEAD
