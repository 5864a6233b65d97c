"""Programs that Strata starts: run to the end, left in the background, stopped by pid.

The only module that starts processes. Servers run as an ordinary user: PostgreSQL and
PgBouncer refuse root.
"""

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

SERVER_ACCOUNT = "postgres"  # Debian's package creates it
TAIL_LINES = 15
POLL_SECONDS = 0.05
START_LOOKS = 10
LONG_LOG_BYTES = 20_000_000
_STARTED: list[subprocess.Popen[bytes]] = []  # a Popen collected alive complains


class ServiceError(Exception):
    """A service that we need cannot be had; the message says what to do."""


class Account(BaseModel, frozen=True):
    """An ordinary user that root's servers run as."""

    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """Whom the servers run as: us, unless we are root.

    Raises:
        ServiceError: we are root and there is no user `postgres`.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(SERVER_ACCOUNT)
    except KeyError:
        message = (
            f"PostgreSQL does not run as root and there is no user {SERVER_ACCOUNT}: "
            "install PostgreSQL by the system's packages, or run as an ordinary user"
        )
        raise ServiceError(message) from None
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)


def run(
    command: Sequence[str | Path],
    *,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """The finished process, its output as text.

    Raises:
        ServiceError: it failed (only with `check`); the message ends in its output.
    """
    done = subprocess.run(  # noqa: S603 - our own programs, no shell
        [str(part) for part in command],
        capture_output=True,
        text=True,
        cwd="/",
        env=env,
        check=False,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if check and done.returncode:
        output = tail(done.stderr or done.stdout)
        message = f"{Path(command[0]).name} ended with {done.returncode}:\n{output}"
        raise ServiceError(message)
    return done


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    detached: bool = False,
) -> subprocess.Popen[bytes]:
    """A process in the background, writing to `log` (appended), in its own group.

    Args:
        command: program and arguments.
        log: takes standard output and error; a long one is put aside first, as `.1`.
        env: whole environment; this process's when omitted.
        cwd: working directory.
        detached: it lives on when the terminal goes.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LONG_LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))  # who still writes to it goes on
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own programs, no shell
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=detached,
            process_group=None if detached else 0,
        )
    _STARTED.append(process)
    return process


def is_alive(pid: int, marker: str) -> bool:
    """Whether process `pid` runs and has `marker` in its command line.

    A pid file outlives its process, and the number may by now be somebody else's. A
    process that has ended but was not yet collected counts as gone.
    """
    if not Path("/proc/self").exists():
        return exists(pid)
    return marker.encode() in _command_line(pid)


def _command_line(pid: int) -> bytes:
    """What the process was called with; nothing if it is gone.

    For a moment of its start a process has none, so one look is not enough.
    """
    for _ in range(START_LOOKS):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            state = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(") ")[2]
        except (FileNotFoundError, ProcessLookupError):
            return b""
        if command or state.startswith("Z"):
            return command
        time.sleep(POLL_SECONDS)
    return b""


def exists(pid: int) -> bool:
    """Whether any process has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def read_pid(path: Path) -> int | None:
    """Number on the first line of a pid file; None when there is none."""
    try:
        return int(path.read_text(encoding="utf-8").splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def stop(pid: int, marker: str, *, timeout_seconds: float = 20) -> bool:
    """Ask process `pid` to end, then make it; whether there was one to stop."""
    if not is_alive(pid, marker):
        return False
    os.kill(pid, signal.SIGTERM)
    if not wait_until(lambda: not is_alive(pid, marker), timeout_seconds):
        os.kill(pid, signal.SIGKILL)
    return True


def wait_until(condition: Callable[[], bool], timeout_seconds: float) -> bool:
    """Whether `condition()` came true in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a text."""
    return "\n".join(text.rstrip().splitlines()[-lines:])


def log_tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log file."""
    if not log.exists():
        return "(no log)"
    return tail(log.read_text(encoding="utf-8", errors="replace"), lines)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM ends us as Ctrl-C does: what we started is stopped.

    Also when it comes in the midst of something that turns it into an error of its own,
    as Python 3.11 does while it makes a class.
    """
    interrupted: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        interrupted.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except Exception as error:
        if interrupted:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
