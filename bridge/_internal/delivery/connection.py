"""The one HTTP connection to the server."""

from __future__ import annotations

import codecs
import contextlib
import socket
import threading
import urllib.request
from typing import TYPE_CHECKING, NamedTuple

from bridge._internal.forking import no_fork, reset_in_children

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from bridge._internal.payload import Data

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
_SHORTEST_TIMEOUT_S = 0.001
_KEEPALIVE_EXPIRY_S = 30.0
# An answer's body is read only so that the connection can be used again; past this much it is closed instead.
_MAX_ANSWER_BYTES = 64 * 1024
_SOCKET_EVENTS = ("connect_tcp.complete", "start_tls.complete", "connect_unix_socket.complete")


class Answer(NamedTuple):
    """What of a response matters here."""

    status: int
    headers: Mapping[str, str]


class UnreachableError(Exception):
    """The server gave no answer; it may if asked again."""


class UnsendableError(Exception):
    """The request cannot be made, now or later."""


class Connection:
    """Posts to one URL, over a client of its own that is made when first needed, or over the one it was given.

    `post` is for one thread at a time; `interrupt` is for any other.
    """

    def __init__(self, url: str, headers: Mapping[str, str], http_client: httpx.Client | None = None) -> None:
        self._url_text = url
        self._url: httpx.URL | None = None
        self._headers = dict(headers)
        self._given_client = http_client
        self._own_client: httpx.Client | httpx.HTTPTransport | None = None
        self._sockets = _Sockets()
        reset_in_children(self)

    def post(self, body: bytes, encoding: str | None, timeout_s: float | None = None) -> Answer:
        """Post and return the answer as soon as its status is there.

        Raises `UnreachableError` or `UnsendableError`. An answer that breaks off after its headers is an answer.
        """
        own = self._ready_client()
        import httpx

        try:
            response = self._send(own, self._request(body, encoding, timeout_s))
        except httpx.HTTPStatusError as error:  # an event hook of a client that was given
            return Answer(error.response.status_code, error.response.headers)
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL) as error:
            raise UnsendableError(str(error)) from error
        except (httpx.RequestError, OSError) as error:
            raise UnreachableError(str(error)) from error
        with contextlib.suppress(httpx.HTTPError, httpx.StreamError, OSError), contextlib.closing(response):
            _read(response)
        return Answer(response.status_code, response.headers)

    def interrupt(self) -> None:
        """Break off the request that is under way, if it has a connection; it then raises `UnreachableError`."""
        self._sockets.shut_down()

    def close(self) -> None:
        """Close the connection; the next `post` makes a new one. A client that was given stays open."""
        client, self._own_client = self._own_client, None
        self._sockets.forget()
        if client is not None:
            client.close()

    def reset_after_fork(self) -> None:
        # The client's locks may be held by a thread that is not here, so it is not closed but left; its socket is, or
        # two processes would speak over it. A client that was given opens a new one by itself.
        self._sockets.close_after_fork()
        if self._own_client is not None:
            _left_to_the_parent.append(self._own_client)
            self._own_client = None

    def _ready_client(self) -> httpx.Client | httpx.HTTPTransport | None:
        """Return our own client, made when first needed; `None` where one was given."""
        if self._given_client is None and self._own_client is None:
            self._own_client = _new_client()
        return self._own_client

    def _send(self, own: httpx.Client | httpx.HTTPTransport | None, request: httpx.Request) -> httpx.Response:
        import httpx

        client = self._given_client or own
        if isinstance(client, httpx.HTTPTransport):
            return client.handle_request(request)
        assert client is not None
        if client.is_closed:
            raise UnsendableError("the HTTP client that was given is closed")
        return client.send(request, stream=True, follow_redirects=False)

    def _request(self, body: bytes, encoding: str | None, timeout_s: float | None) -> httpx.Request:
        import httpx

        if self._url is None:
            self._url = httpx.URL(self._url_text)
        headers = self._headers if encoding is None else {**self._headers, "Content-Encoding": encoding}
        watched = {"trace": self._sockets.watch}
        if self._given_client is None:
            extensions = {**watched, "timeout": _timeouts(timeout_s)}
            return httpx.Request("POST", self._url, content=body, headers=headers, extensions=extensions)
        # With what its owner configured: headers, parameters, cookies, time-outs.
        timeout = httpx.USE_CLIENT_DEFAULT if timeout_s is None else httpx.Timeout(max(_SHORTEST_TIMEOUT_S, timeout_s))
        return self._given_client.build_request(
            "POST", self._url, content=body, headers=headers, timeout=timeout, extensions=watched
        )


# Clients of a parent process: kept, since collecting them would warn of sockets that were not closed.
_left_to_the_parent: list[httpx.Client | httpx.HTTPTransport] = []


class _Sockets:
    """Knows the socket in use, by httpx's `trace` extension: the one way to wake a thread that waits for an answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # protects _socket
        self._socket: socket.socket | None = None

    def watch(self, event: str, info: Data) -> None:
        if event.endswith(_SOCKET_EVENTS):
            found = info["return_value"].get_extra_info("socket")
            with self._lock:
                self._socket = found if isinstance(found, socket.socket) else None

    def shut_down(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._socket is not None:
                # Past `SSLSocket.shutdown`, which takes the session from under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def forget(self) -> None:
        with self._lock:
            self._socket = None

    def close_after_fork(self) -> None:
        self._lock = threading.Lock()
        found, self._socket = self._socket, None
        if found is not None:
            with contextlib.suppress(OSError):
                found.close()


def _new_client() -> httpx.Client | httpx.HTTPTransport:
    """Return httpx's client, which knows of proxies, or where there are none its transport, for a quarter less CPU."""
    # Imported when first needed, as `import bridge` is not to pay for it. httpx imports more as it goes, and the first
    # look-up of a host imports the encoding of its name.
    with no_fork():
        codecs.lookup("idna")
        import httpx

        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_KEEPALIVE_EXPIRY_S)
        proxies = urllib.request.getproxies()  # what httpx itself asks
        if any(proxies.get(scheme) for scheme in ("http", "https", "all")):
            return httpx.Client(limits=limits)
        return httpx.HTTPTransport(limits=limits)


def _timeouts(timeout_s: float | None) -> dict[str, float]:
    longest = READ_TIMEOUT_S if timeout_s is None else max(_SHORTEST_TIMEOUT_S, min(timeout_s, READ_TIMEOUT_S))
    return {"connect": min(CONNECT_TIMEOUT_S, longest), "read": longest, "write": longest, "pool": longest}


def _read(response: httpx.Response) -> None:
    size = 0
    for chunk in response.iter_raw():
        size += len(chunk)
        if size > _MAX_ANSWER_BYTES:
            return
