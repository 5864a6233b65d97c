"""How long a service asks to be left alone, from the headers of its answer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def wait_of(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, as RFC 9110 (10.2.3) lets a service say it: a number or a date.

    Azure also gives milliseconds. A date that has passed is no wait.

    >>> wait_of({"Retry-After": "7"}), wait_of({"x-ms-retry-after-ms": "1500"})
    (7.0, 1.5)
    """
    named = {name.lower(): value for name, value in headers.items()}
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        if named.get(name, "").isdigit():
            return int(named[name]) / 1000
    value = named.get("retry-after", "").strip()
    if value.isdigit():
        return float(value)
    return _until(value) if value else None


def _until(date: str) -> float | None:
    """Seconds until an HTTP date; None if it is none."""
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)
