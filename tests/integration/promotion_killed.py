"""A promotion that kills its process; arguments: working, production, where."""

import os
import signal
import sys
from typing import Any

from geo_resources import promotion, promotion_copy, promotion_swap, promotions
from tests.integration.promotion_world import World


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    working, production, where = sys.argv[1:]
    module, name = {
        "copying": (promotion_copy, "pump"),
        "indexing": (promotion, "finish_staged"),
        "items": (promotion_swap, "fingerprint_items"),
        "swapped": (promotions, "finish"),
    }[where]
    setattr(module, name, die)
    World(working, production).promote()
