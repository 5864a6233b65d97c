"""What a check of `strata doctor` says."""

from pydantic import BaseModel


class Finding(BaseModel, frozen=True):
    """One thing that was looked at.

    Attributes:
        name: stable name of the check.
        ok: whether it is as it must be.
        found: what is there.
        expected: what must be there.
        fix: what to do about it.
    """

    name: str
    ok: bool
    found: str
    expected: str
    fix: str


def clock_finding(name: str, skew_seconds: float, limit_seconds: float) -> Finding:
    """Whether another clock goes with ours."""
    return Finding(
        name=name,
        ok=abs(skew_seconds) <= limit_seconds,
        found=f"{skew_seconds:+.1f} s from this machine's clock",
        expected=f"at most {limit_seconds:g} s",
        fix="set both clocks by NTP (timedatectl set-ntp true): etags, leases and the "
        "settle time compare times of both",
    )
