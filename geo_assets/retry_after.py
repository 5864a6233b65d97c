"""How long a service asks to be left alone, from the headers of its answer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_SECONDS = 86_400.0  # whoever says more is asked again after a day


def wait_of(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, as RFC 9110 (10.2.3) lets a service say it: a number or a date.

    Azure also gives milliseconds. A date that has passed is no wait; a day is the most.

    >>> wait_of({"Retry-After": "7"}), wait_of({"x-ms-retry-after-ms": "1500"})
    (7.0, 1.5)
    """
    named = {name.lower(): value.strip() for name, value in headers.items()}
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        if _is_number(named.get(name, "")):
            return min(float(named[name]) / 1000, LONGEST_SECONDS)
    value = named.get("retry-after", "")
    asked = float(value) if _is_number(value) else _until(value)
    return None if asked is None else min(asked, LONGEST_SECONDS)


def _is_number(text: str) -> bool:
    """Whether it is digits, and such as a number is made of: `²` is a digit, too."""
    return text.isascii() and text.isdecimal()


def _until(date: str) -> float | None:
    """Seconds until an HTTP date; None if it is none."""
    try:
        moment = parsedate_to_datetime(date)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max((moment - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, OverflowError):  # also a date or a zone that no clock shows
        return None
