"""What can befall a stack: each strikes, lasts a while and is mended as operators do.

In goes a stack and a seeded source of chance; out comes how often each kind struck.
Processes are killed only by the number under which the stack, or a run of it, is known.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import NamedTuple

import psutil
import psycopg

from bench.azurite import Azurite
from bench.stack import Stack
from geo_cli.daemon import MARKER
from geo_cli.processes import ServiceError, run, spawn
from geo_resources.settings import CHECKOUT, process_environment

MOST_ATTEMPTS = 3  # files that died in more runs are spared: 5 would count as killers
DISK_MB = 96
SECOND_DAEMON_SECONDS = 25.0
WORKERS = "SELECT run_id, value FROM run_tags WHERE key = 'strata/worker'"
PATIENT = "SELECT count(*) FROM ops.ledger WHERE run_id = %s AND attempts > %s"

Strike = Callable[["Scene"], bool]


class Scene(NamedTuple):
    """Where calamities happen."""

    stack: Stack
    chance: Random
    disk: Path | None
    """A small disk that holds scratch; None if none could be mounted."""

    def lasts(self, least: float, most: float) -> None:
        """Let time go by."""
        time.sleep(self.chance.uniform(least, most))


def kill_worker(scene: Scene) -> bool:
    """SIGKILL a run that is at work."""
    for row in scene.stack.ask_dagster(WORKERS + " ORDER BY id DESC LIMIT 8"):
        if scene.stack.ask(PATIENT, row["run_id"], MOST_ATTEMPTS)[0]["count"]:
            continue
        _, pid, start = row["value"].rsplit(":", 2)
        if _kill(scene.stack, int(pid), start):
            return True
    return False


def _kill(stack: Stack, pid: int, start: str) -> bool:
    """Kill a process of this home that began at `start`; whether it lived."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        ours = process.environ().get("STRATA_HOME") == str(stack.home)
        if ours and f"{process.create_time():.2f}" == start:
            process.kill()
            return True
    return False


def kill_daemon(scene: Scene) -> bool:
    """SIGKILL the daemon; the supervisor starts another."""
    daemon = scene.stack.daemon
    if daemon:
        daemon.kill()
    return daemon is not None


def kill_code_server(scene: Scene) -> bool:
    """SIGKILL a process that holds the definitions; Dagster starts another."""
    servers = scene.stack.code_servers()
    if servers:
        scene.chance.choice(servers).kill()
    return bool(servers)


def crash_postgres(scene: Scene) -> bool:
    """Stop PostgreSQL without a shutdown: what was committed is recovered."""
    cluster = scene.stack.cluster
    command = [cluster.binaries.folder / "pg_ctl", "-D", cluster.data]
    run([*command, "stop", "-m", "immediate"], account=cluster.account)
    scene.lasts(0.5, 6)
    cluster.start()
    return True


def stop_storage(scene: Scene) -> bool:
    """No storage for a while."""
    scene.stack.blobs.stop()
    scene.lasts(1, 12)
    scene.stack.blobs.start()
    return True


def fill_disk(scene: Scene) -> bool:
    """No room on the disk of the temporary folder."""
    if scene.disk is None:
        return False
    ballast = scene.disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    scene.lasts(2, 10)
    ballast.unlink()
    return True


def repeat_events(scene: Scene) -> bool:
    """Tell again, several times, of blobs that are long known."""
    azurite = scene.stack.blobs
    if not isinstance(azurite, Azurite):
        return False
    known = scene.stack.ask("SELECT blob FROM ops.ledger ORDER BY id")
    for row in scene.chance.choices(known, k=30) if known else []:
        azurite.tell(row["blob"])
        azurite.tell(row["blob"])
    return bool(known)


def run_second_daemon(scene: Scene) -> bool:
    """A second daemon beside the first, as after a bad deployment."""
    stack = scene.stack
    command = [sys.executable, "-m", MARKER, "run", "-w", CHECKOUT / "workspace.yaml"]
    log = stack.home / "logs" / "second_daemon.log"
    environment = process_environment(stack.settings)
    second = spawn(command, log=log, env=environment, cwd=CHECKOUT, detached=True)
    try:
        second.wait(SECOND_DAEMON_SECONDS)
    except subprocess.TimeoutExpired:
        os.kill(second.pid, signal.SIGTERM)
        second.wait()
    return True


LOCAL: Mapping[str, Strike] = {
    "worker": kill_worker,
    "daemon": kill_daemon,
    "code server": kill_code_server,
    "postgres": crash_postgres,
    "disk": fill_disk,
}
ALL: Mapping[str, Strike] = {
    **LOCAL,
    "storage": stop_storage,
    "events": repeat_events,
    "two daemons": run_second_daemon,
}
OFTEN = {"worker": 3}  # in a round; the others once


def strike_until(
    scene: Scene,
    kinds: Mapping[str, Strike],
    pause: float,
    over: Callable[[Counter[str]], bool],
    tell: Callable[[str], None],
) -> Counter[str]:
    """Rounds of every kind in random order until it is over; how often each struck."""
    struck: Counter[str] = Counter()
    begin, deck = time.monotonic(), list[str]()
    while not over(struck):
        if not deck:
            deck = [kind for kind in kinds for _ in range(OFTEN.get(kind, 1))]
            scene.chance.shuffle(deck)
        name, seconds = deck.pop(), time.monotonic() - begin
        with contextlib.suppress(psycopg.Error, psutil.Error, ServiceError):
            if kinds[name](scene):
                struck[name] += 1
                tell(f"  after {seconds:.0f} s: {name}")
        time.sleep(scene.chance.expovariate(1 / pause))
    return struck


@contextlib.contextmanager
def small_disk(home: Path):
    """Scratch on a disk of its own that is soon full; None if we may not mount one."""
    place = home / "disk"
    place.mkdir()
    options = f"size={DISK_MB}m"
    command = ["mount", "-t", "tmpfs", "-o", options, "strata-scratch", str(place)]
    mounted = run(command, check=False).returncode == 0
    (place / "scratch").mkdir()
    (home / "scratch").symlink_to(place / "scratch")
    try:
        yield place if mounted else None
    finally:
        if mounted:
            run(["umount", "--lazy", str(place)], check=False)
