"""The sandbox's end of the relay: a port on 127.0.0.1 that leads to a unix socket, then the command itself.

It runs inside, as a file of its own, and so imports nothing of ours.
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


def _serve(listener: socket.socket, path: str) -> None:
    while True:
        inner, _ = listener.accept()
        outer = socket.socket(socket.AF_UNIX)
        try:
            outer.connect(path)
        except OSError:
            inner.close()
            continue
        for pair in ((inner, outer), (outer, inner)):
            threading.Thread(target=pump, args=pair, daemon=True).start()


def main(path: str, argv: list[str]) -> None:
    """Forward in a child process and become the command; both end with the sandbox."""
    listener = socket.create_server(("127.0.0.1", PORT))
    if os.fork() == 0:
        null = os.open(os.devnull, os.O_RDWR)
        for handle in (0, 1, 2):
            os.dup2(null, handle)
        _serve(listener, path)
    listener.close()
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        print(f"bwrap: execvp {argv[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
