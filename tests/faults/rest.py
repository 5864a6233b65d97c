"""When a stack has come to rest, and what its ledger said on the way.

In goes a stack whose services may be down at any moment; out comes nothing but words:
what was still to be done, and which faults were called bugs.
"""

import time
from collections.abc import Callable
from threading import Event, Thread

import psycopg

from bench.stack import Stack
from tests.e2e.platform import files_below

OPEN = """
SELECT
    (SELECT count(*) FROM ops.ledger) AS rows,
    (SELECT count(*) FROM ops.ledger WHERE status IN ('pending', 'running')
        OR (status = 'failed' AND retry_after IS NOT NULL)) AS open,
    (SELECT count(*) FROM ops.deletions) AS deletions,
    (SELECT count(*) FROM pg_class WHERE relname ~ '__stg_[0-9]+$') AS staging
"""
UNFINISHED = """
SELECT count(*) FROM runs
WHERE status IN ('QUEUED', 'NOT_STARTED', 'STARTING', 'STARTED', 'CANCELING')
"""
BUGS = "SELECT message FROM ops.ledger WHERE code = 'BUG'"
BEGUN = "SELECT count(*) FROM ops.ledger WHERE attempts > 0"
START_SECONDS = 120
QUIET_LOOKS = 4
LOOK_SECONDS = 2.0


def wait_for_work(stack: Stack) -> None:
    """Until the first file is in a run: before that there is little to disturb."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if stack.ask(BEGUN)[0]["count"]:
            return
        time.sleep(0.5)


def wait_for_rest(
    stack: Stack, files: int, seconds: float, tell: Callable[[str], None]
) -> str | None:
    """Until nothing is open and nothing lies about; else what was still to be done."""
    begin, quiet, before = time.monotonic(), 0, None
    deadline = begin + seconds
    while quiet < QUIET_LOOKS:
        seen = _find_work(stack, files)
        if seen != before:
            tell(f"  {time.monotonic() - begin:.0f} s later: {seen or 'at rest'}")
            before = seen
        quiet = 0 if seen else quiet + 1
        if time.monotonic() > deadline:
            return seen or "a longer look"
        time.sleep(LOOK_SECONDS)
    return None


def _find_work(stack: Stack, files: int) -> str | None:
    try:
        (look,) = stack.ask(OPEN)
        runs = stack.ask_dagster(UNFINISHED)[0]["count"]
    except psycopg.Error as error:
        return f"the database: {error}"
    look |= {"runs": runs, "missing": max(0, files - look.pop("rows"))}
    look["scratch"] = len([*files_below(stack.scratch)])
    work = [f"{count} {what}" for what, count in look.items() if count]
    return ", ".join(work) or None


class Watch:
    """Looks now and then for what the ledger calls a bug: rows forget it later."""

    def __init__(self, stack: Stack, bugs: set[str]) -> None:
        self.stack, self.bugs, self.over = stack, bugs, Event()
        self.thread = Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self) -> None:
        while not self.over.wait(LOOK_SECONDS):
            try:
                found = self.stack.ask(BUGS)
            except psycopg.Error:
                continue
            self.bugs |= {str(row["message"])[:300] for row in found}

    def end(self) -> None:
        """Look no more."""
        self.over.set()
        self.thread.join()
