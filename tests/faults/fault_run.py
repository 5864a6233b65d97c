"""Files arrive while everything around them breaks; in the end nothing shows it.

    python -m tests.faults.fault_run --files 1000 --minutes 12 --seed 1 2 3 4 5
    python -m tests.faults.fault_run --files 60 --minutes 1 --seed 1 --local

Some files (5 % bad) go through a stack that nobody disturbs: that is what is expected.
Then, per seed, through a new stack while runs, daemon and code server are killed,
PostgreSQL crashes, Azurite stops, the disk of the temporary folder is full, messages
come twice and a second daemon runs. When it has come to rest, ledger, products, tables
and items must be the same, and nothing may lie about that nobody owns.

Quicker than the defaults, so that a run ends: files are tried again after 1, 2, 4 s and
from the ledger after 5 s, growing, up to 30 times; breakers try again after 5 s. What
is then `failed` for good is tried again by hand, once, as an operator would, and said.
Files that were in three dead runs are spared from kills of workers.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from bench.azurite import Azurite
from bench.stack import Folder, Stack, temporary_home
from geo_cli.processes import ServiceError
from geo_cli.rows import retry_rows
from tests.faults.calamities import (
    ALL,
    LOCAL,
    Scene,
    Strike,
    small_disk,
    strike_until,
)
from tests.faults.fault_files import Fate, make_files
from tests.faults.harvest import Harvest, compare, fate_differences, reap
from tests.faults.rest import Watch, wait_for_rest, wait_for_work

QUICK: Mapping[str, Any] = {
    "settle_seconds": 1.0,
    "sensor_interval_seconds": 2,
    "retry_waits_seconds": "1,2,4",
    "recovery_delay_seconds": 5.0,
    "recovery_attempts": 30,
    "breaker_seconds": 5.0,
}
FAILED = "SELECT code, count(*) FROM ops.ledger WHERE status = 'failed' GROUP BY code"
REST_SECONDS = 300  # and 3 s for each file


def silent(_text: str) -> None:
    """Nothing."""


def say(text: str) -> None:
    """A line for people, at once."""
    print(text, flush=True)  # noqa: T201 - a script


@dataclass
class Report:
    """What became of one seed."""

    seed: int
    struck: Counter[str] = field(default_factory=Counter)
    wall_s: float = 0.0
    by_hand: dict[str, int] = field(default_factory=dict)
    bugs: set[str] = field(default_factory=set)
    """What was called a bug, although a calamity made it."""
    differences: list[str] = field(default_factory=list)

    def row(self, kinds: Sequence[str]) -> str:
        """A line of the table."""
        struck = " | ".join(str(self.struck[kind]) for kind in kinds)
        hand = ", ".join(f"{n} {code}" for code, n in self.by_hand.items()) or "0"
        wrong = f"**{len(self.differences)} differences**"
        result = wrong if self.differences else "as undisturbed"
        cells = [str(self.seed), struck, f"{self.wall_s:.0f}", hand]
        return f"| {' | '.join(cells)} | {len(self.bugs)} | {result} |"


@contextmanager
def opened(
    *, local: bool, disk: bool, web: bool
) -> Iterator[tuple[Stack, Path | None]]:
    """A stack that is up and serves, and its small disk if there is one."""
    with temporary_home() as home:
        blobs = Folder(home) if local else Azurite(home / "azurite")
        with (
            small_disk(home) as place,
            Stack(home, blobs, web=web, **QUICK) as stack,
        ):
            stack.serve()
            yield stack, place if disk else None


def run_undisturbed(files: Path, fates: Mapping[str, Fate], *, local: bool) -> Harvest:
    """What the files become when nothing happens.

    Raises:
        ServiceError: not even that is as the making of the files says.
    """
    begin = time.monotonic()
    with opened(local=local, disk=False, web=False) as (stack, _):
        for blob in fates:
            stack.blobs.put(blob, files / blob)
        unrest = wait_for_rest(stack, len(fates), REST_SECONDS + 3 * len(fates), silent)
        harvest = reap(stack)
    wrong = [unrest] if unrest else [*fate_differences(fates, harvest)]
    if wrong:
        message = "undisturbed, and yet:\n" + "\n".join(wrong)
        raise ServiceError(message)
    seconds = time.monotonic() - begin
    say(f"undisturbed: {len(fates)} files in {seconds:.0f} s, start and end included")
    return harvest


def run_disturbed(
    files: Path,
    fates: Mapping[str, Fate],
    expected: Callable[[], Harvest],
    seed: int,
    options: argparse.Namespace,
) -> Report:
    """Drop the files while calamities strike; what came of it."""
    report, begin = Report(seed), time.monotonic()
    chance = Random(seed)  # noqa: S311 - no secret
    web = not options.local
    with opened(local=options.local, disk=True, web=web) as (stack, disk):
        if disk is None:
            say("no small disk could be mounted: it is never full")
        what = (stack, files, [*fates], options.minutes)
        drop = Thread(target=drop_files, args=what, daemon=True)
        drop.start()
        watch = Watch(stack, report.bugs)
        scene, kinds = Scene(stack, chance, disk), kinds_of(options)
        wait_for_work(stack)
        tell = say if options.tell else silent
        over = storm_end(options.minutes * 60, least=len(kinds))
        report.struck = strike_until(scene, kinds, options.pause, over, tell)
        drop.join()
        tell("  the storm is over")
        mend(scene)
        wait = REST_SECONDS + 3 * len(fates)
        unrest = wait_for_rest(stack, len(fates), wait, tell)
        unrest = unrest or retry_by_hand(stack, report, len(fates), wait, tell)
        watch.end()
        if unrest:
            report.differences.append(f"never came to rest: {unrest}")
        found = reap(stack)
        report.differences += compare(fates, expected(), found)
        if report.differences and options.keep:
            input(f"{stack.home}: Enter ends it ")
    report.wall_s = time.monotonic() - begin
    return report


def storm_end(seconds: float, least: int) -> Callable[[Counter[str]], bool]:
    """Whether it is over: after that time, and on a slow machine not before `least`.

    For ever it does not last, either, if nothing can be struck.
    """
    begin = time.monotonic()

    def is_over(struck: Counter[str]) -> bool:
        lasted = time.monotonic() - begin
        return lasted > seconds and (struck.total() >= least or lasted > 5 * seconds)

    return is_over


def drop_files(stack: Stack, files: Path, blobs: Sequence[str], minutes: float) -> None:
    """Let files arrive evenly over most of the time; again, when storage is down."""
    pause = 0.7 * 60 * minutes / len(blobs)
    for blob in blobs:
        while True:
            try:
                stack.blobs.put(blob, files / blob)
            except Exception as error:  # noqa: BLE001 - whoever delivers tries again
                say(f"{blob} is not taken yet: {type(error).__name__}")
                time.sleep(1)
            else:
                break
        time.sleep(pause)


def mend(scene: Scene) -> None:
    """Everything runs again, whatever a calamity left."""
    if scene.disk:
        (scene.disk / "ballast").unlink(missing_ok=True)
    scene.stack.cluster.start()
    scene.stack.blobs.start()


def retry_by_hand(
    stack: Stack,
    report: Report,
    files: int,
    seconds: float,
    tell: Callable[[str], None],
) -> str | None:
    """What is failed for good is tried again, as an operator would after the storm."""
    failed = stack.ask(FAILED)
    for row in failed:
        report.by_hand[row["code"]] = row["count"]
        retry_rows(stack.settings, code=row["code"], dataset=None)
    return wait_for_rest(stack, files, seconds, tell) if failed else None


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument("--minutes", type=float, default=12, help="of calamities")
    parser.add_argument("--pause", type=float, default=8, help="mean, between two, s")
    parser.add_argument("--local", action="store_true", help="a folder, no Azurite")
    parser.add_argument(
        "--together", action="store_true", help="undisturbed run beside the first seed"
    )
    parser.add_argument("--kinds", nargs="+", choices=[*ALL], help="only these")
    parser.add_argument("--tell", action="store_true", help="of each calamity")
    parser.add_argument("--keep", action="store_true", help="wait when it differs")
    return parser.parse_args(arguments)


def kinds_of(options: argparse.Namespace) -> Mapping[str, Strike]:
    """The calamities that are wanted, and can be had."""
    had = LOCAL if options.local else ALL
    return {k: v for k, v in had.items() if k in (options.kinds or had)}


def fault_run(options: argparse.Namespace) -> list[Report]:
    """One report per seed; each is printed when it is there."""
    kinds = [*kinds_of(options)]
    with (
        TemporaryDirectory(prefix="strata-files-") as folder,
        ThreadPoolExecutor(1) as beside,
    ):
        files = Path(folder)
        fates = make_files(files, options.files)
        expected = beside.submit(run_undisturbed, files, fates, local=options.local)
        if not options.together:
            expected.result()
        say(f"| seed | {' | '.join(kinds)} | wall, s | by hand | bugs | result |")
        say(f"| ---: | {'---: | ' * (len(kinds) + 3)}--- |")
        reports = []
        for seed in options.seed:
            report = run_disturbed(files, fates, expected.result, seed, options)
            say(report.row(kinds))
            for line in report.differences:
                say(f"  seed {seed}: {line}")
            for bug in sorted(report.bugs):
                say(f"  seed {seed}: called a bug: {bug}")
            reports.append(report)
    return reports


def main() -> None:
    """Print the table; exit 1 if any seed ended otherwise than undisturbed."""
    reports = fault_run(parse_arguments())
    sys.exit(any(report.differences for report in reports))


if __name__ == "__main__":
    main()
