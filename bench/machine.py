"""What a table was measured on, for the line below it."""

import os
import platform
from importlib.metadata import version
from pathlib import Path


def machine(*packages: str, tools: tuple[str, ...] = ()) -> str:
    """Processor, memory, versions and load.

    Args:
        packages: of Python, whose versions matter.
        tools: what other programs say of their versions.
    """
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = (line.split(":")[1] for line in lines if line.startswith("model name"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    parts = (
        f"{next(names, platform.machine()).strip()}, {os.cpu_count()} CPUs",
        f"{memory:.0f} GB",
        f"Python {platform.python_version()}",
        *tools,
        *(f"{name} {version(name)}" for name in packages),
    )
    return f"{'; '.join(parts)}. Load {os.getloadavg()[0]:.1f}."
