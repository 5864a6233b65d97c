"""One deadline for a whole HTTP request, however slowly the other side speaks.

A socket's own time-out is one of silence: who sends a byte now and then is listened to
for ever. What stays out: what is asked, and what becomes of an answer.
"""

import http.client
import socket
import threading
import time
import urllib.request
from contextlib import suppress
from functools import partial
from typing import Any, Self

Address = tuple[Any, ...]  # as the family of a socket has it


class Deadline(urllib.request.HTTPSHandler, urllib.request.HTTPHandler):
    """Opens connections for urllib, and cuts them off when the time is up.

    Connecting to all of a host's addresses, TLS and the answer have it together; an
    address that says nothing leaves its share of the time to those after it. Only
    the lookup of the host's name is not cut short: the system bounds it.

    Args:
        seconds: time from now on.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._until = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._handles: list[socket.socket] = []

    @property
    def left(self) -> float:
        """Seconds that are left; 0 when the time is up."""
        return max(0.0, self._until - time.monotonic())

    def __enter__(self) -> Self:
        """Watch the clock."""
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Cut nothing off any more."""
        self._timer.cancel()
        self._timer.join()
        for handle in self._handles:
            handle.close()

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """The answer to a request by http."""
        return self.do_open(partial(self._prepare, http.client.HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """The answer to a request by https."""
        return self.do_open(partial(self._prepare, http.client.HTTPSConnection), req)

    def _prepare(
        self,
        kind: type[http.client.HTTPConnection],
        host: str,
        **options: Any,  # noqa: ANN401 - urllib's, some for TLS only
    ) -> http.client.HTTPConnection:
        connection = kind(host, **options)
        # the one place where a socket can be had before TLS and a proxy speak on it
        connection._create_connection = self._connect  # noqa: SLF001 # pyright: ignore[reportAttributeAccessIssue]
        return connection

    def _connect(self, address: tuple[str, int], *_options: object) -> socket.socket:
        """A connection to the first address of a host that takes one in time."""
        host, port = address
        refusal: OSError = TimeoutError()
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for number, (family, kind, protocol, _, place) in enumerate(places):
            found = socket.socket(family, kind, protocol)
            try:
                self._connect_to(found, place, self.left / (len(places) - number))
            except OSError as error:
                found.close()
                refusal = error
            else:
                return found
        raise refusal

    def _connect_to(self, found: socket.socket, place: Address, seconds: float) -> None:
        # TLS takes the socket itself over; a second handle ends the same connection
        self._handles.append(found.dup())
        if seconds:
            found.settimeout(seconds)
            found.connect(place)
        if not self.left:  # it may have been cut before there was anything to cut
            raise TimeoutError
        found.settimeout(self.left)

    def _cut(self) -> None:
        for handle in [*self._handles]:
            with suppress(OSError):  # not connected, or no longer
                handle.shutdown(socket.SHUT_RDWR)
