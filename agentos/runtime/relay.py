"""The relay: the only way from a sandbox to the network, an HTTP proxy that knows which hosts are allowed."""

import ipaddress
import re
import selectors
import socket
import socketserver
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from agentos.errors import Refused

PORTS = (443, 80)
"""The ports of a host that is listed without one."""

MOST_HEAD = 65536
PATIENCE = 30.0
IDLE = 300.0
CROWD = 64
"""Connections at a time; one more waits for its turn."""

_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
"""What a host may be written with: a name, or an address. The resolver reads a name up to its first zero
byte: `evil.org\\0.example.com` was in the list by `*.example.com`, and led to evil.org."""

_FORGED = re.compile(rb"[^\t\x20-\x7e\x80-\xff]")
"""What no line of a head has. Some servers end a line at a lone carriage return or line feed, and find a
field there that nobody looked at."""

_WRAPPED = tuple(map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
"""IPv6 addresses whose last four bytes are one of IPv4 (RFC 4291, RFC 2765, RFC 6052)."""

_LOCAL = tuple(map(ipaddress.IPv6Network, ("64:ff9b:1::/48", "fec0::/10")))
"""Networks of one's own that Python 3.11 takes for public (RFC 8215, RFC 3879)."""


class Target(NamedTuple):
    """Where a request wants to go."""

    host: str
    port: int


def is_allowed(target: Target, allowed: Sequence[str]) -> bool:
    """Whether a list of `host`, `host:port`, `*.domain` and `*` (any host) names this target."""
    return any(_matches(target, entry) for entry in allowed)


def _matches(target: Target, entry: str) -> bool:
    name, port = _entry(entry)
    if target.port not in ((port,) if port else PORTS):
        return False
    host = target.host.lower().rstrip(".")
    return name in ("*", host) or (name.startswith("*.") and host.endswith(name[1:]))


def _entry(entry: str) -> tuple[str, int | None]:
    """A listed host and its port; an IPv6 address with a port stands in brackets."""
    name, colon, port = entry.strip().rpartition(":")
    if not colon or not port.isdigit() or (":" in name and not name.startswith("[")):
        return entry.strip().lower().strip("[]"), None
    return name.lower().strip("[]"), int(port)


def resolve(target: Target, allowed: Sequence[str]) -> list[tuple[str, int]]:
    """The addresses to try. Raises Refused for a host that is not listed, and for a private address.

    A name that leads to an address of this machine or its network is refused however it is listed: only the
    address itself, written out, opens it.
    """
    if not is_allowed(target, allowed):
        raise Refused(f"{target.host}:{target.port} is not in the `network:` list")
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Refused(f"{target.host} has no address") from None
    addresses = dict.fromkeys(str(address[0]) for *_, address in found)
    literal = [entry for entry in allowed if "*" not in entry]
    reached = [
        (address, target.port)
        for address in addresses
        if is_public(address) or is_allowed(Target(address, target.port), literal)
    ]
    if not reached:
        raise Refused(f"{target.host} is in a private network; list the address itself to allow it")
    return reached


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet, what it wraps included."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = [found.ipv4_mapped, found.sixtofour, *(found.teredo or ())]
        if any(found in network for network in _WRAPPED):
            inner.append(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
        is_local = any(found in network for network in _LOCAL)
        if is_local or any(each is not None and not is_public(str(each)) for each in inner):
            return False
    return found.is_global and not found.is_multicast


@contextmanager
def opened(allowed: Sequence[str]) -> Iterator[Path]:
    """A relay for these hosts as long as the block lasts; gives the path of its unix socket."""
    with tempfile.TemporaryDirectory(prefix="agentos-") as folder:
        path = Path(folder, "relay")
        with _Server(str(path), _Handler) as server:
            server.allowed = tuple(allowed)
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            try:
                yield path
            finally:
                server.shutdown()
                server.hang_up()
                thread.join()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    allowed: tuple[str, ...] = ()
    request_queue_size = CROWD
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: str, handler: type[socketserver.BaseRequestHandler]) -> None:
        super().__init__(path, handler)
        self._crowd = threading.Semaphore(CROWD)
        self.open: set[socket.socket] = set()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._crowd:
            self.open.add(request)
            try:
                super().process_request_thread(request, client_address)
            finally:
                self.open.discard(request)

    def hang_up(self) -> None:
        """End what is still talking, on both sides."""
        for each in list(self.open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is the sandbox's own affair; anything else is ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(socketserver.BaseRequestHandler):
    """One connection from the sandbox: CONNECT, or a plain request with the whole address."""

    request: socket.socket
    server: _Server

    def handle(self) -> None:
        self.request.settimeout(PATIENCE)
        head, rest = _head(self.request)
        try:
            target, first, answer = _request(head)
            outer = _connect(resolve(target, self.server.allowed))
        except Refused as why:
            self._answer("403 Forbidden", str(why))
        except OSError as why:
            self._answer("502 Bad Gateway", f"no connection: {why.strerror or why}")
        else:
            with outer:
                self.server.open.add(outer)
                try:
                    outer.sendall(first + rest)
                    self.request.sendall(answer)
                    _carry(self.request, outer)
                finally:
                    self.server.open.discard(outer)

    def _answer(self, status: str, why: str) -> None:
        text = f"agentos: {why}\n".encode(errors="replace")
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
        self.request.sendall(head.encode() + text)


def _head(request: socket.socket) -> tuple[bytes, bytes]:
    """The request's head, and what came after it."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < MOST_HEAD:
        chunk = request.recv(4096)
        if not chunk:
            break
        data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _request(head: bytes) -> tuple[Target, bytes, bytes]:
    """Where it goes, what to send there first, and what to answer first. Raises Refused."""
    line, _, fields = head.partition(b"\r\n")
    if any(map(_FORGED.search, head.split(b"\r\n"))):
        raise Refused("that is no request to a proxy: it has control characters in its head")
    method, _, rest = line.partition(b" ")
    where = rest.rpartition(b" ")[0].decode("latin-1")
    try:
        parts = urlsplit(f"//{where}" if method == b"CONNECT" else where)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not _HOST.fullmatch(host):
        raise Refused("that is no request to a proxy")
    if method == b"CONNECT":
        return Target(host, port or 443), b"", b"HTTP/1.1 200 OK\r\n\r\n"
    if parts.scheme != "http":
        raise Refused(f"{parts.scheme or 'that'} is not relayed; http, and CONNECT for the rest")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(host, port or 80), _rewritten(method, path, parts.netloc.rpartition("@")[2], fields), b""


def _rewritten(method: bytes, path: str, host: str, fields: bytes) -> bytes:
    """The head as the server itself wants it: one request a connection, its Host the one that was checked.

    Dropped is what some servers take for a field all the same: ` Host: x`, which goes on from the line before
    (RFC 9112, 5.2), and `Host : x` (5.1).
    """
    ours = ("connection", "proxy-connection", "proxy-authorization", "host")
    named = [(field.partition(b":")[0].decode("latin-1").lower(), field) for field in fields.split(b"\r\n")]
    kept = [field for name, field in named if name and name == name.strip() and name not in ours]
    first = b"%s %s HTTP/1.1" % (method, path.encode("latin-1"))
    return b"\r\n".join([first, b"Host: " + host.encode("latin-1"), b"Connection: close", *kept, b"", b""])


def _connect(addresses: Sequence[tuple[str, int]]) -> socket.socket:
    """The first of these addresses that answers. Raises OSError."""
    last: OSError | None = None
    for address in addresses:
        try:
            return socket.create_connection(address, timeout=PATIENCE)
        except OSError as error:
            last = error
    raise last or OSError("no address")


def _carry(one: socket.socket, other: socket.socket) -> None:
    """Both ways until both ends are done, or nothing moves for a while."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while selector.get_map():
            ready = selector.select(IDLE)
            if not ready:
                return
            for key, _ in ready:
                source, target = key.fileobj, key.data
                assert isinstance(source, socket.socket)
                data = source.recv(65536)
                if data:
                    target.sendall(data)
                else:
                    selector.unregister(source)
                    with suppress(OSError):
                        target.shutdown(socket.SHUT_WR)
