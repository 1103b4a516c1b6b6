"""The one client for outgoing calls.

1. A target comes from our configuration or from a finalised peering, never from a message.
2. Its name is resolved, the addresses are checked, and the connection goes to a checked address:
   between check and use there is no second look-up (DNS rebinding).
3. Private, loopback, link-local and reserved ranges only where `egress.private_networks` lists
   them; plain http likewise.
4. Redirects are refused, proxies of the environment are not used.
5. One deadline bounds the whole exchange, a size the answer.

Written on http.client: connecting and sending are two calls there, which is what tells a surely
unsent request from one that may have arrived.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

from eme_connector.errors import DeliveryError

MAX_ANSWER = 1024 * 1024
IDLE_S = 1.0
"""A kept connection older than this is not used again: the other side may just be closing it,
and a request that meets the close would be neither sent nor unsent."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_PATH_CHARACTERS = "/%:@!$&'()*+,;=~-._?"
_KEPT_REDIRECTS = frozenset({307, 308})

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, headers in lower case, the body, each Set-Cookie as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gate:
    """Which addresses we may call."""

    private: tuple[Network, ...] = ()

    @classmethod
    def of(cls, networks: Iterable[str]) -> Gate:
        """Return the gate that lets these private networks (CIDR) through besides public ones."""
        return cls(tuple(ipaddress.ip_network(one) for one in networks))

    def check(self, text: str, *, plain: bool) -> str | None:
        """Return why this address is refused, or None; *plain* is http without TLS."""
        address = _real(ipaddress.ip_address(text.partition("%")[0]))
        if any(address in one for one in self.private if one.version == address.version):
            return None
        if not address.is_global or address.is_multicast:
            return "private-address"
        return "plain-http" if plain else None


class Target:
    """One place that we call, with connections kept between calls.

    `most` bounds an answer, in bytes; `tls` takes the place of the system's authorities.
    """

    def __init__(
        self,
        url: str,
        gate: Gate,
        *,
        timeout: float,
        keep: int = 4,
        most: int = MAX_ANSWER,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        self._plain = parts.scheme != "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (80 if self._plain else 443)
        self._path = quote(parts.path, safe=_PATH_CHARACTERS)
        self._query = f"?{quote(parts.query, safe=_PATH_CHARACTERS)}" if parts.query else ""
        self._gate = gate
        self._timeout = timeout
        self._most = most
        self._tls = tls
        self._kept: deque[tuple[float, _Connection]] = deque(maxlen=keep)
        self._lock = threading.Lock()

    def call(
        self, method: str, *, path: str = "", body: bytes = b"", headers: Mapping[str, str]
    ) -> Answer:
        """Call the target, with *path* added to its own.

        Raises:
            DeliveryError: no whole answer; `maybe_sent` unless nothing of the request left.
        """
        deadline = time.monotonic() + self._timeout
        connection = self._take() or self._connect(deadline)
        try:
            answer = connection.exchange(
                method, f"{self._path}{path}{self._query}" or "/", body, headers, deadline
            )
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        if 300 <= answer.status < 400:
            # 307 and 308 ask to send it again elsewhere; the others may follow on having acted
            raise DeliveryError(
                "redirect-refused",
                str(answer.status),
                maybe_sent=answer.status not in _KEPT_REDIRECTS,
            )
        return answer

    def ping(self) -> None:
        """Raise DeliveryError unless a connection can be made."""
        self._keep(self._connect(time.monotonic() + self._timeout))

    def close(self) -> None:
        """Close what is kept."""
        with self._lock:
            while self._kept:
                self._kept.popleft()[1].close()

    def _take(self) -> _Connection | None:
        with self._lock:
            while self._kept:
                since, connection = self._kept.pop()
                if time.monotonic() - since < IDLE_S and not connection.has_news():
                    return connection
                connection.close()
        return None

    def _keep(self, connection: _Connection) -> None:
        if connection.sock is None:
            return
        with self._lock:
            if len(self._kept) == self._kept.maxlen:
                self._kept.popleft()[1].close()
            self._kept.append((time.monotonic(), connection))

    def _connect(self, deadline: float) -> _Connection:
        connection = _Connection(self._host, self._port)
        connection.most = self._most
        connection.default_port = 80 if self._plain else 443  # which the Host header leaves out
        connection.sock = _Deadline(self._open(deadline))
        return connection

    def _open(self, deadline: float) -> socket.socket:
        failure = DeliveryError("unreachable", "no address")
        for family, address in self._checked():
            try:
                return self._open_one(family, address, deadline)
            except TimeoutError:
                failure = DeliveryError("connect-timeout")
            except ssl.SSLError as exc:
                failure = DeliveryError("tls", exc.reason or "handshake failed")
            except OSError as exc:
                failure = DeliveryError("unreachable", type(exc).__name__)
        raise failure

    def _open_one(self, family: int, address: Any, deadline: float) -> socket.socket:
        raw = socket.socket(family, socket.SOCK_STREAM)
        try:
            raw.settimeout(_left(deadline))
            raw.connect(address)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.settimeout(_left(deadline))
            if self._plain:
                return raw
            # the name, not the pinned address, is what the certificate must be for
            return (self._tls or _tls()).wrap_socket(raw, server_hostname=self._host)
        except BaseException:
            raw.close()
            raise

    def _checked(self) -> list[tuple[int, Any]]:
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            raise DeliveryError("name-unresolved", type(exc).__name__) from exc
        why = [self._gate.check(str(one[4][0]), plain=self._plain) for one in found]
        allowed: list[tuple[int, Any]] = [
            (one[0], one[4]) for one, refused in zip(found, why, strict=True) if not refused
        ]
        if not allowed:
            raise DeliveryError(next(filter(None, why), "unreachable"), "by egress rules")
        return allowed


class _Connection(http.client.HTTPConnection):
    """A connection that is made before it is used, and never makes itself anew."""

    auto_open = 0
    sock: Any
    most = MAX_ANSWER

    def exchange(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], deadline: float
    ) -> Answer:
        self.sock.deadline = deadline
        sized = {"Content-Length": str(len(body)), **headers} if body else dict(headers)
        try:
            self.request(method, path, body or None, {"Accept-Encoding": "identity", **sized})
            response = self.getresponse()
            content = response.read(self.most + 1)
            if response.length and len(content) <= self.most:
                raise http.client.IncompleteRead(b"", response.length)
        except TimeoutError as exc:
            raise DeliveryError("timeout", maybe_sent=True) from exc
        except (OSError, http.client.HTTPException) as exc:
            raise DeliveryError("broken-off", type(exc).__name__, maybe_sent=True) from exc
        if len(content) > self.most:
            raise DeliveryError("response-too-large", maybe_sent=True)
        found = {name.lower(): value for name, value in response.getheaders()}
        cookies = tuple(response.headers.get_all("Set-Cookie") or ())
        return Answer(response.status, found, content, cookies)

    def has_news(self) -> bool:
        """Say whether something waits to be read: between two calls that is a close."""
        return bool(self.sock is None or self.sock.has_news())


class _Deadline:
    """A socket whose every wait ends at `deadline`, however slowly the other side drips."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.deadline = 0.0

    def sendall(self, data: Any) -> None:
        view = memoryview(data)
        while view:
            self._sock.settimeout(_left(self.deadline))
            view = view[self._sock.send(view) :]

    def makefile(self, _mode: str, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self, self._sock.makefile("rb", buffering=0)))

    def settle(self) -> None:
        self._sock.settimeout(_left(self.deadline))

    def has_news(self) -> bool:
        try:
            self._sock.settimeout(0)
            return bool(self._sock.recv(1) or True)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True

    def close(self) -> None:
        self._sock.close()


class _Reader(io.RawIOBase):
    def __init__(self, owner: _Deadline, raw: Any) -> None:
        self._owner, self._raw = owner, raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._owner.settle()
        found: int | None = self._raw.readinto(buffer)
        return found

    def close(self) -> None:
        self._raw.close()
        super().close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("out of time")
    return left


def _real(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


@cache
def _tls() -> ssl.SSLContext:
    return tls_context()


def tls_context(authority: str | None = None, *, unsafe: bool = False) -> ssl.SSLContext:
    """Return a context for one target: its own *authority* (PEM), or no check at all."""
    context = ssl.create_default_context(cadata=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if unsafe:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
