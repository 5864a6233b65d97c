"""Where a circuit breaker keeps its state: a JSON file that processes share."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pybreaker


class StateFile(pybreaker.CircuitBreakerStorage):
    """State of a breaker in a file; whoever writes holds the breaker's lock."""

    def __init__(self, path: Path) -> None:
        super().__init__(path.stem)
        self._path = path

    def read(self) -> dict[str, Any]:
        """What the file says; one that is not there or was cut off says nothing."""
        try:
            return dict(json.loads(self._path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return {}

    def write(self, **changed: object) -> None:
        """Change members; readers see the old or the new file."""
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps(self.read() | changed), encoding="utf-8")
        beside.replace(self._path)

    @property
    def state(self) -> str:
        """Closed, if it was never told."""
        return self.read().get("state", pybreaker.STATE_CLOSED)

    @state.setter
    def state(self, state: str) -> None:
        self.write(state=state)

    def increment_counter(self) -> None:
        """One more fault in a row."""
        self.write(faults=self.counter + 1)

    def reset_counter(self) -> None:
        """No fault in a row."""
        self.write(faults=0)

    def increment_success_counter(self) -> None:
        """One more success in a row."""
        self.write(successes=self.success_counter + 1)

    def reset_success_counter(self) -> None:
        """No success in a row."""
        self.write(successes=0)

    @property
    def counter(self) -> int:
        """Faults in a row."""
        return self.read().get("faults", 0)

    @property
    def success_counter(self) -> int:
        """Successes in a row."""
        return self.read().get("successes", 0)

    @property
    def opened_at(self) -> datetime | None:
        """When it opened last."""
        found = self.read().get("opened_at")
        return datetime.fromisoformat(found) if found else None

    @opened_at.setter
    def opened_at(self, datetime: "datetime") -> None:
        self.write(opened_at=datetime.isoformat())
