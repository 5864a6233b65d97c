"""Loops over numbers as machine code, which holds no interpreter lock."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(kernel: Kernel) -> Kernel:
    """The kernel as machine code, made when first called, and kept on disk.

    Numba keeps it beside this file, else in the user's cache; if it may write neither,
    each process makes its own.
    """
    options = {"nogil": True, "error_model": "numpy"}
    try:
        made = njit(cache=True, **options)(kernel)
    except RuntimeError:  # no place to keep it
        made = njit(**options)(kernel)
    return cast("Kernel", made)
