"""What services and the machine say of themselves in their exceptions.

Goes in: an exception of psycopg, SQLAlchemy, Azure, obstore, GDAL or the OS. Comes out:
a `Sign` in our words, or None. Modules are told by their names, so that nothing heavy
is imported for an error that is not theirs. What stays out: what follows from a sign.
"""

import errno
import re
import socket
import traceback
from typing import Any, Literal, NamedTuple

from geo_assets.retry_after import wait_of
from geo_resources.breakers import Service

Kind = Literal["down", "busy", "throttled", "full", "exhausted", "refused", "gone"]
Speaker = Service | Literal["machine", "data_factory"]

PGSTAC_MODULE = "geo_resources.pgstac"


class Sign(NamedTuple):
    """What a service or the machine said."""

    where: Speaker
    kind: Kind
    """Down, busy with others, throttled, its disk full, out of handles or memory,
    access refused, or what was asked for is gone."""
    wait_seconds: float | None = None
    """How long it wants to be left alone."""


def read_sign(error: BaseException) -> Sign | None:
    """The sign in `error`; None if no service and no machine speaks there.

    >>> read_sign(OSError(errno.ENOSPC, "No space left on device"))
    Sign(where='machine', kind='full', wait_seconds=None)
    """
    origin = type(error).__module__.partition(".")[0]
    if origin == "sqlalchemy":
        return _of_sqlalchemy(error)
    if origin in {"psycopg", "psycopg_pool"}:
        return _of_postgres(error)
    if origin == "azure":
        return _of_azure(error)
    if origin == "obstore":
        return _of_obstore(error)
    if origin == "rasterio":
        return _of_gdal(error)
    return _of_system(error) if isinstance(error, OSError) else None


# PostgreSQL, Appendix A: the first two characters are the class. Longest match wins.
_SQLSTATES: dict[str, Kind] = {
    "08": "down",  # connection exception
    "25P03": "down",  # idle in a transaction for too long: the session is gone
    "28": "refused",  # invalid authorization
    "3D": "refused",  # no such database
    "40": "busy",  # rollback: serialization, deadlock
    "42501": "refused",  # insufficient privilege
    "53": "down",  # insufficient resources
    "53100": "full",
    "53300": "throttled",  # too many connections
    "53400": "throttled",  # configuration limit exceeded
    "55006": "busy",  # object in use
    "55P03": "busy",  # lock not available
    "57014": "busy",  # cancelled: the statement's time was over
    "57P": "down",  # shutdown, crash, cannot connect now
    "58": "down",  # system error: I/O, files
    "XX000": "busy",  # "tuple concurrently updated"
}
# A refused connection has no SQLSTATE: libpq passes the server's words on.
_CONNECT_WORDS: tuple[tuple[str, Kind], ...] = (
    (r"too many (clients|connections)|remaining connection slots", "throttled"),
    (r"no more connections allowed", "throttled"),  # PgBouncer
    (
        (
            r"password authentication failed|no pg_hba\.conf entry|no password supplied"
            r'|permission denied for database|(role|database) ".*" does not exist'
        ),
        "refused",
    ),
)


def _of_sqlalchemy(error: BaseException) -> Sign | None:
    """Of the driver's error that it carries, or of its pool's time-out."""
    driver = getattr(error, "orig", None)
    if isinstance(driver, BaseException):
        return read_sign(driver)
    waited = type(error).__name__ == "TimeoutError"  # every pooled connection is in use
    return Sign("database", "busy") if waited else None


def _of_postgres(error: BaseException) -> Sign | None:
    state: str | None = getattr(error, "sqlstate", None)
    if state is None:
        return _of_lost_connection(error)
    kind = _kind_of_sqlstate(state)
    if kind is None:
        return None
    ours = kind not in {"down", "full", "throttled"} and _is_of_pgstac(error)
    return Sign("pgstac" if ours else "database", kind)


def _kind_of_sqlstate(state: str) -> Kind | None:
    for length in (5, 3, 2):
        if state[:length] in _SQLSTATES:
            return _SQLSTATES[state[:length]]
    return None


def _of_lost_connection(error: BaseException) -> Sign | None:
    names = {base.__name__ for base in type(error).__mro__}
    if not names & {"OperationalError", "InterfaceError"}:
        return None
    for words, kind in _CONNECT_WORDS:
        if re.search(words, str(error)):
            return Sign("database", kind)
    return Sign("database", "down")


def _is_of_pgstac(error: BaseException) -> bool:
    """Whether our functions on pgSTAC were at work when it was raised."""
    frames = traceback.walk_tb(error.__traceback__)
    names = (one.f_globals.get("__name__", "") for one, _ in frames)
    return any(name.startswith(PGSTAC_MODULE) for name in names)


_STATUSES: dict[int, Kind] = {
    401: "refused",
    403: "refused",
    404: "gone",
    408: "down",
    409: "busy",  # a lease, a container that is being deleted
    412: "busy",  # somebody else wrote
    425: "busy",
    429: "throttled",
    503: "throttled",  # Azure: ServerBusy
}
_FIRST_SERVER_ERROR = 500


def _of_status(status: int, wait_seconds: float | None = None) -> Sign | None:
    """What an HTTP status of storage means; None if the request itself was wrong."""
    kind = _STATUSES.get(status)
    if kind is None and status >= _FIRST_SERVER_ERROR:
        kind = "down"
    return Sign("storage", kind, wait_seconds) if kind else None


def _of_azure(error: BaseException) -> Sign | None:
    names = {base.__name__ for base in type(error).__mro__}
    response: Any = getattr(error, "response", None)
    where = _speaker(response)
    status = getattr(error, "status_code", None) or getattr(
        response, "status_code", None
    )
    if isinstance(status, int):
        if "ClientAuthenticationError" in names and status < _FIRST_SERVER_ERROR:
            return Sign(where, "refused")
        wait = wait_of(getattr(response, "headers", None) or {})
        sign = _of_status(status, wait)
        return sign and sign._replace(where=where)
    # no answer: the network, or the endpoint of an identity, did not reply
    return Sign(where, "down") if "AzureError" in names else None


def _speaker(response: Any) -> Speaker:  # noqa: ANN401 - of any Azure library
    """Which service of Azure answered; storage, if nobody did."""
    url = str(getattr(getattr(response, "request", None), "url", ""))
    return "data_factory" if "/Microsoft.DataFactory/" in url else "storage"


_STATUS_WORDS = re.compile(
    r"(?:status code|HTTP (?:response|error)(?: code)?)\D{0,3}(\d{3})\b", re.IGNORECASE
)
_WAIT_WORDS = re.compile(r"retry-after\W{1,4}(\d+)\b", re.IGNORECASE)
_OBSTORE_KINDS: dict[str, Kind] = {
    "PermissionDeniedError": "refused",
    "UnauthenticatedError": "refused",
    "NotFoundError": "gone",
    "AlreadyExistsError": "busy",
    "PreconditionError": "busy",
}


def _of_obstore(error: BaseException) -> Sign | None:
    """By its class; a GenericError has a status in its text, or nothing answered."""
    name = type(error).__name__
    if name in _OBSTORE_KINDS:
        return Sign("storage", _OBSTORE_KINDS[name])
    return _of_text(str(error)) if name in {"GenericError", "BaseError"} else None


def _of_text(text: str) -> Sign | None:
    found, wait = _STATUS_WORDS.search(text), _WAIT_WORDS.search(text)
    seconds = wait_of({"retry-after": wait[1]}) if wait else None
    if found:
        return _of_status(int(found[1]), seconds)
    return Sign("storage", "down", seconds)


def _of_gdal(error: BaseException) -> Sign | None:
    """Of GDAL in this process; the chains turn the content's faults into SourceErrors.

    `/vsiaz/` says an HTTP status, a disk its errno's words.
    """
    from geo_assets.raster.gdal_env import is_platform_fault

    if not is_platform_fault(error):
        return None
    text = str(error)
    if re.search("no space left", text, re.IGNORECASE):
        return Sign("machine", "full")
    if re.search("Input/output error", text, re.IGNORECASE):
        return Sign("machine", "down")
    return _of_text(text)


_ERRNOS: dict[int, Sign] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), Sign("machine", "full")),
    **dict.fromkeys(
        (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS),
        Sign("machine", "exhausted"),
    ),
    **dict.fromkeys(
        (errno.EIO, errno.ESTALE, errno.EBUSY, errno.EINTR, errno.EPIPE),
        Sign("machine", "down"),
    ),
    **dict.fromkeys(
        (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN),
        Sign("machine", "down"),
    ),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS), Sign("machine", "refused")
    ),
}


def _of_system(error: OSError) -> Sign | None:
    status = getattr(error, "code", None)  # of urllib
    if isinstance(status, int):
        return _of_status(status, wait_of(getattr(error, "headers", None) or {}))
    if isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
        return Sign("machine", "down")
    reason = getattr(error, "reason", None)  # of urllib, too
    if isinstance(reason, OSError):
        return _of_system(reason)
    return _ERRNOS.get(error.errno or 0)
