"""Texts of metadata as values that can be true; all else is None, never a guess."""

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime

PERCENT = 100.0
FULL_CIRCLE = 360.0
RIGHT_ANGLE = 90.0
DIGITS = 9  # after which binary fractions show
MOST_CHARACTERS = 200  # of a text
MOST_ORBITS = 9999  # until a ground track repeats; of CryoSat-2, the most, 5344
LONGEST_M = 1_000_000.0
_NO_CHARACTER = re.compile(r"[\x00\ud800-\udfff]")  # to a store of texts


def tidy(text: str, most: int = MOST_CHARACTERS) -> str:
    r"""A text as every store takes it: no NUL, no half of a pair, not too long.

    >>> tidy("a\0b"), tidy("\ud800"), tidy("abc", 2)
    ('a\ufffdb', '\ufffd', 'ab')
    """
    return _NO_CHARACTER.sub("\ufffd", text[:most])


def number(text: str | None) -> float | None:
    """A finite number.

    >>> number(" 3.5 "), number("NaN"), number("n/a"), number(None)
    (3.5, None, None, None)
    """
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def within(value: float | None, low: float, high: float) -> float | None:
    """The number if it lies in a range, both ends included.

    >>> within(-999.0, 0, 100), within(12.0, 0, 100)
    (None, 12.0)
    """
    return value if value is not None and low <= value <= high else None


def percent(text: str | None, scale: float = 1.0) -> float | None:
    """A share in percent, of a text that has it in percent, or times `scale`.

    >>> percent("12.5"), percent("0.125", 100), percent("-999", 100), percent("-1")
    (12.5, 12.5, None, None)
    """
    share = number(text)
    return within(None if share is None else rounded(share * scale), 0, PERCENT)


def azimuth(text: str | None) -> float | None:
    """Degrees clockwise from north, 0 to 360.

    >>> azimuth("-47.5"), azimuth("360"), azimuth("9999")
    (312.5, 360.0, None)
    """
    angle = within(number(text), -FULL_CIRCLE, FULL_CIRCLE)
    if angle is None or angle >= 0:
        return angle
    return rounded(angle + FULL_CIRCLE)


def tilt(text: str | None) -> float | None:
    """Degrees from a vertical, 0 to 90; to which side does not matter.

    >>> tilt("-3.1"), tilt("91")
    (3.1, None)
    """
    angle = number(text)
    return None if angle is None else within(abs(angle), 0, RIGHT_ANGLE)


def elevation(text: str | None) -> float | None:
    """Degrees above the horizon, -90 to 90."""
    return within(number(text), -RIGHT_ANGLE, RIGHT_ANGLE)


def complement(angle: float | None) -> float | None:
    """Elevation of a zenith angle, and the reverse.

    >>> complement(27.4), complement(None)
    (62.6, None)
    """
    return None if angle is None else rounded(RIGHT_ANGLE - angle)


def length(text: str | None) -> float | None:
    """A length above 0, and one on Earth."""
    value = number(text)
    return within(value, 0, LONGEST_M) if value else None


def orbit(text: str | None) -> int | None:
    """Number of a relative orbit, from 1.

    >>> orbit("022"), orbit("0"), orbit("R"), orbit("9" * 30)
    (22, None, None, None)
    """
    digits = (text or "").strip()
    value = within(number(digits), 1, MOST_ORBITS) if digits.isdecimal() else None
    return None if value is None else int(value)


def moment(text: str | None) -> datetime | None:
    """A time, ISO 8601; without a zone it is UTC, as all these formats have it.

    >>> moment("2014-07-09T10:11:12.0012345Z").isoformat()
    '2014-07-09T10:11:12.001234+00:00'
    >>> moment("yesterday"), moment("0001-01-01T00:00:00+14:00")
    (None, None)
    """
    try:
        found = datetime.fromisoformat((text or "").strip())
        zoned = found if found.tzinfo else found.replace(tzinfo=UTC)
        return zoned.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def slug(text: str | None) -> str | None:
    """A name as STAC writes names of platforms and instruments.

    >>> slug("Sentinel-2A"), slug("LANDSAT_8"), slug(" "), slug(None)
    ('sentinel-2a', 'landsat-8', None, None)
    """
    words = (text or "").replace("_", " ").lower().split()
    return "-".join(words) or None


def only(values: Iterable[str | None]) -> str | None:
    """The value that all have in common; None if they differ.

    >>> only(["a", "a"]), only(["a", "b"]), only([])
    ('a', None, None)
    """
    found = {*values}
    return found.pop() if len(found) == 1 else None


def mean(values: Iterable[float | None]) -> float | None:
    """Arithmetic mean of numbers that are all known.

    >>> mean([0.5, 0.7]), mean([0.5, None]), mean([])
    (0.6, None, None)
    """
    found = [*values]
    known = [value for value in found if value is not None]
    if not known or len(known) < len(found):
        return None
    return rounded(sum(known) / len(known))


def rounded(value: float) -> float:
    """The number without the noise of binary fractions."""
    return round(value, DIGITS)
