"""What there is to work with: of the machine, or of the container that we are in.

A container sees the memory and cores of its host, and is ended when it takes more than
it was given. What it was given stands in its control groups, of both versions, which
may lie within others.

Source: cgroups(7); Linux, admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.
"""

import math
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath

import psutil

ROOT = Path("/")
_OF_MEMORY = ("memory.max", "memory.limit_in_bytes")  # "max", or a number beyond any


@cache
def memory_bytes(root: Path = ROOT) -> int:
    """How much memory all that runs here may take.

    Args:
        root: where `proc` and `sys` are.
    """
    limits = (
        int(text)
        for group in _groups(root, "memory")
        for text in (_read(group / name) for name in _OF_MEMORY)
        if text.isdecimal()
    )
    return min([psutil.virtual_memory().total, *limits])


@cache
def cores(root: Path = ROOT) -> int:
    """How many cores this process may keep busy; 1 or more.

    Args:
        root: where `proc` and `sys` are.
    """
    shares = (share for group in _groups(root, "cpu") for share in _shares(group))
    return max(1, min([_usable(), *map(math.ceil, shares)]))


def _usable() -> int:
    """Cores that this process may run on; macOS does not bind processes to cores."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _shares(group: Path) -> Iterator[float]:
    """Cores' worth of time that a group may take; nothing if that is not limited."""
    ours = _read(group / "cpu.max").split()
    theirs = [_read(group / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
    for quota, period in (pair for pair in (ours, theirs) if len(pair) == 2):  # noqa: PLR2004
        if quota.isdecimal() and period.isdecimal():  # neither "max" nor -1
            yield int(quota) / int(period)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of the groups that this process is in, the innermost first."""
    mount = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = mount / controller if controllers else mount
        group = PurePosixPath(name.lstrip("/"))
        # A container may see the path on its host, and its own group as the top.
        inner = [] if ".." in group.parts else [group, *group.parents]
        yield from (top / one for one in dict.fromkeys([*inner, PurePosixPath()]))


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="surrogateescape").strip()
    return ""
