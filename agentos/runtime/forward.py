"""The sandbox's end of the relay: a port on 127.0.0.1 that leads to a unix socket, then the command itself.

A listed server of this machine, `127.0.0.1:8080`, is found inside at just that address: few programs ask a
proxy for one. This runs inside, as a file of its own, and so imports nothing of ours.
"""

import os
import socket
import sys
import threading

PORT = 3128
PROXY = f"http://127.0.0.1:{PORT}"
VARIABLES = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), PROXY),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "localhost,127.0.0.1"),
    "NODE_USE_ENV_PROXY": "1",
}


def pump(source: socket.socket, target: socket.socket) -> None:
    """Carry bytes one way until the source ends."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for each in (source, target):
            each.close()


def tunnel(outer: socket.socket, target: str) -> None:
    """Let the relay connect to a target. Raises OSError where it won't."""
    outer.sendall(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        byte = outer.recv(1)  # what follows the answer's head is the target's
        if not byte or len(answer) > 4096:
            raise ConnectionError(answer)
        answer += byte
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError(answer)


def _serve(listener: socket.socket, path: str, target: str) -> None:
    while True:
        inner, _ = listener.accept()
        outer = socket.socket(socket.AF_UNIX)
        try:
            outer.connect(path)
            if target:
                tunnel(outer, target)
        except OSError:
            inner.close()
            outer.close()
            continue
        for pair in ((inner, outer), (outer, inner)):
            threading.Thread(target=pump, args=pair, daemon=True).start()


def _listeners(ports: str) -> list[tuple[socket.socket, str]]:
    """The proxy's port, and one for each listed server of this machine; one that can't be had is said."""
    found = [(socket.create_server(("127.0.0.1", PORT)), "")]
    for port in filter(None, ports.split(",")):
        try:
            found.append((socket.create_server(("127.0.0.1", int(port))), f"127.0.0.1:{port}"))
        except OSError as error:
            print(f"agentos: 127.0.0.1:{port} is asked by proxy alone: {error.strerror}", file=sys.stderr)
    return found


def main(path: str, ports: str, argv: list[str]) -> None:
    """Forward in a child process and become the command; both end with the sandbox."""
    listeners = _listeners(ports)
    if os.fork() == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for handle in (0, 1, 2):
            os.dup2(null, handle)
        for listener, target in listeners[1:]:
            threading.Thread(target=_serve, args=(listener, path, target), daemon=True).start()
        _serve(listeners[0][0], path, "")
    for listener, _ in listeners:
        listener.close()
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        print(f"bwrap: execvp {argv[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
