"""The sandbox, attacked from inside by real processes; and what happens where there is none."""

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import Cli, Scratch

from agentos.errors import Refused
from agentos.runtime import bubblewrap, liveness, orphans, processes, relay, sandbox
from agentos.runtime.relay import Target
from agentos.runtime.sandbox import Cell, Ended, Limits

real = pytest.mark.skipif(bool(bubblewrap.hindrance()), reason=f"no sandbox: {bubblewrap.hindrance()}")

Run = Callable[..., Ended]


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    for name in ("workspace", "home"):
        (tmp_path / name).mkdir()
    return Cell(tmp_path / "workspace", tmp_path / "home")


@pytest.fixture
def run(cell: Cell) -> Run:
    """Run a Python program inside; it says OUT for each thing that it should not have been able to do."""

    def run(code: str, inside: Cell = cell, timeout: float = 20, **options: object) -> Ended:
        found = sandbox.find("auto")
        return found.run(["python3", "-c", code], inside, timeout=timeout, **options)  # type: ignore[arg-type]

    return run


def attempt(*lines: str) -> str:
    """A program that tries each statement, and says so where one did not fail."""
    tries = [
        f"try:\n    {line}\n    print('OUT', {line!r})\nexcept OSError: print('refused')" for line in lines
    ]
    return "\n".join(["import os, socket, ctypes, subprocess, time", *tries])


def is_alive(mark: str) -> bool:
    """Whether any process on this machine has this text on its command line."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in file.read_bytes() and int(file.parent.name) != os.getpid():
                return True
        except OSError:
            continue
    return False


# What a command gets ------------------------------------------------------------------------------------


@real
def test_a_command_has_its_workspace_its_home_and_what_it_was_given(cell: Cell) -> None:
    given = Cell(cell.workspace, cell.home, env={"TOKEN": "a b"})
    ended = sandbox.find("auto").run(
        ["sh", "-c", 'cat; echo "$TOKEN" > said; touch ~/kept; pwd; env; exit 3'],
        given,
        timeout=9,
        stdin=b"in\n",
    )
    assert ended.code == 3
    first, where, *env = ended.output.decode().split("\n")
    assert (first, where) == ("in", "/workspace")
    assert {line.split("=")[0] for line in env if line} == {"TOKEN", "PATH", "HOME", "LANG", "TMPDIR", "PWD"}
    assert (cell.workspace / "said").read_text() == "a b\n"
    assert (cell.home / "kept").exists()


@real
def test_a_program_that_is_not_there_is_127(cell: Cell) -> None:
    assert sandbox.find("auto").run(["no-such-program"], cell, timeout=9).code == 127


@real
def test_output_is_streamed_and_its_middle_cut_out(run: Run) -> None:
    heard: list[bytes] = []
    ended = run("print('a' * 50000, 'b' * 50000, end='')", limit=1000, on_output=heard.append)
    assert sum(map(len, heard)) == 100001
    assert ended.output.startswith(b"a" * 500 + b"\n[... 99001 bytes left out ...]\n")
    assert ended.output.endswith(b"b" * 500)


@real
def test_what_the_workspace_has_installed_comes_first(cell: Cell) -> None:
    tool = cell.workspace / ".venv/bin/tool"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\necho $0\n")
    tool.chmod(0o755)
    assert sandbox.find("auto").run(["tool"], cell, timeout=9).output == b"/workspace/.venv/bin/tool\n"


# Files ---------------------------------------------------------------------------------------------------


@real
def test_nothing_outside_can_be_read_or_written(run: Run, cell: Cell, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("secret")
    (cell.workspace / "file").symlink_to(key)
    (cell.workspace / "folder").symlink_to(tmp_path)
    ended = run(
        attempt(
            f"open({str(key)!r})",
            "open('file')",
            "open('folder/key')",
            "open('../key')",
            f"open({str(tmp_path / 'workspace' / '..' / 'key')!r})",
            "open('/etc/shadow')",
            "os.listdir('/root/.ssh')",
            "os.listdir('/home')",
            "os.listdir('/sys')",
            "open('/usr/agentos', 'w')",
            "open('/etc/passwd', 'a')",
            "open('/new', 'w')",
            "open('/dev/new', 'w')",
            "open('/run/new', 'w')",
            "os.chmod('/usr', 0o777)",
            "os.mknod('disk', 0o60600, os.makedev(254, 0))",
            "os.link('/etc/passwd', 'linked')",
        )
    )
    assert ended.output.decode().split() == ["refused"] * 17
    run("open('folder/new', 'w').write('into a /tmp of its own')")
    assert key.read_text() == "secret"
    assert sorted(os.listdir(tmp_path)) == ["home", "key", "workspace"]


@real
def test_a_key_in_the_home_or_the_environment_stays_outside(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "real"
    home.mkdir()
    (home / ".netrc").write_text("planted-key")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("API_KEY", "planted-key")
    ended = run(
        "import glob, os\n"
        f"places = glob.glob('/proc/*/environ') + glob.glob('/proc/*/cmdline') + [{str(home / '.netrc')!r}]\n"
        f"places += glob.glob('/proc/*/root{home}/.netrc') + glob.glob('/proc/*/cwd/*')\n"
        "for place in places:\n"
        "    try: data = open(place, 'rb').read()\n"
        "    except OSError: continue\n"
        "    print('OUT' if b'planted' + b'-key' in data and b'python3' not in data else 'looked')\n"
        "print(len(glob.glob('/proc/[0-9]*')), 'API_KEY' in os.environ)"
    )
    assert "OUT" not in ended.output.decode()
    assert ended.output.decode().split()[-2:] == ["2", "False"]


@real
def test_the_root_of_the_first_process_is_the_sandboxs_own(run: Run, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    ended = run(
        attempt(
            f"open('/proc/1/root{tmp_path}/key')", "open('/proc/1/mem', 'rb').read(1)", "open('/proc/kcore')"
        )
    )
    assert "OUT" not in ended.output.decode()


@real
def test_no_setting_of_the_kernel_is_open_for_writing(run: Run) -> None:
    ended = run(
        "import os\n"
        "for top, folders, files in os.walk('/proc'):\n"
        "    if top == '/proc': folders[:] = [f for f in folders if not f.isdigit() and 'self' not in f]\n"
        "    for name in files:\n"
        "        try: os.close(os.open(f'{top}/{name}', os.O_WRONLY | os.O_NONBLOCK)); print('OUT', top, name)\n"
        "        except OSError: pass\n"
        "print('looked')"
    )
    assert ended.output == b"looked\n"


@real
def test_the_machines_devices_keep_their_modes(run: Run) -> None:
    before = os.stat("/dev/null").st_mode
    run(
        "import os\nfor name in ('null', 'zero', 'random', 'tty'):\n    try: os.chmod('/dev/' + name, 0)\n    except OSError: pass"
    )
    assert os.stat("/dev/null").st_mode == before
    assert (
        run("open('/dev/null', 'w').write('x'); print(len(open('/dev/urandom', 'rb').read(4)))").output
        == b"4\n"
    )


@real
def test_no_file_of_ours_is_open_inside(run: Run) -> None:
    ended = run(
        "import os\nfor n in os.listdir('/proc/self/fd'):\n    if int(n) > 2: print(os.readlink('/proc/self/fd/' + n))"
    )
    assert ended.output.decode().split() in ([], ["/proc/2/fd"]) or b"No such file" in ended.output


# Privileges and processes ----------------------------------------------------------------------------------


@real
def test_no_namespace_mount_trace_or_keyring_of_others(run: Run) -> None:
    ended = run(
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.unshare(0x10000000), libc.unshare(0x00020000), libc.mount(b'x', b'/tmp', b'tmpfs', 0, None),\n"
        "      libc.umount2(b'/workspace', 2), libc.mount(None, b'/usr', None, 0x1020, None),\n"
        f"      libc.ptrace(16, {os.getpid()}, 0, 0), libc.ptrace(16, 0, 0, 0))\n"
        "try: os.kill(" + str(os.getpid()) + ", 0); print('OUT')\n"
        "except OSError: print('refused')\n"
        "print(open('/proc/self/status').read().split('CapEff:')[1].split()[0])"
    )
    assert ended.output.decode().split() == ["-1"] * 7 + ["refused", "0" * 16]


@real
def test_what_forks_and_detaches_dies_with_the_command(run: Run) -> None:
    mark = f"lingering-{os.getpid()}"
    ended = run(
        "import os, subprocess, sys\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        for handle in (0, 1, 2): os.close(handle)\n"
        f"        os.execvp('sleep', ['{mark}', '600'])\n"
        "    os._exit(0)\n"
        "os.wait(); print('done')"
    )
    assert (ended.code, ended.output) == (0, b"done\n")
    assert not is_alive(mark)


@real
def test_a_command_that_never_ends_is_stopped_with_all_it_started(run: Run) -> None:
    mark = f"endless-{os.getpid()}"
    ended = run(
        f"import os, signal, sys, time\nsys.stdout.write('begun'); sys.stdout.flush()\n"
        "for number in range(1, 65):\n"
        "    try: signal.signal(number, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        f"if os.fork() == 0: os.setsid(); os.execvp('sleep', ['{mark}', '600'])\n"
        "time.sleep(600)",
        timeout=0.7,
    )
    assert (ended.code, ended.output, ended.stopped) == (None, b"begun", "it ran longer than 0.7 s")
    assert ended.seconds < 5
    assert not is_alive(mark)


@real
def test_a_command_dies_with_the_process_that_runs_it(cell: Cell) -> None:
    mark = f"orphan-{os.getpid()}"
    code = (
        "import sys\nfrom pathlib import Path\nfrom agentos.runtime import sandbox\n"
        "cell = sandbox.Cell(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "sandbox.find('auto').run(['sh', '-c', 'touch begun; exec sleep 600 ' + sys.argv[3]], cell, timeout=600)"
    )
    argv = [sys.executable, "-c", code, str(cell.workspace), str(cell.home)]
    parent = subprocess.Popen([*argv, "0"])
    until = time.monotonic() + 20
    while not (cell.workspace / "begun").exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert is_alive(str(cell.workspace)), mark
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    while is_alive("600\0000") and time.monotonic() < until:
        time.sleep(0.01)
    assert not is_alive("600\0000")


def held(owner: str) -> int:
    """The first process of a killed bubblewrap, waiting for a word that a full pipe has kept it from saying."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with suppress(BlockingIOError):
        while os.write(theirs, b"." * 512):
            pass
    os.set_blocking(theirs, True)
    line = ["bwrap", "--unshare-user", "--unshare-pid", "--die-with-parent", "--ro-bind", "/", "/"]
    line += ["--info-fd", str(theirs), "--", "sleep", "600"]
    process = subprocess.Popen(line, pass_fds=[theirs], env={"PATH": os.environ["PATH"], orphans.MARK: owner})
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until = time.monotonic() + 20
    while not (found := children.read_text().split()) and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    process.wait()
    os.close(ours)
    os.close(theirs)
    return int(found[0])


@real
def test_a_sandbox_that_waits_for_a_killed_runtime_is_swept_away() -> None:
    """Killed before it has said who its parent is, bubblewrap leaves a process that waits for ever."""
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    own = orphans.mark()[orphans.MARK]
    here = own.rpartition(".")[2]
    lost, kept, far = held(f"{dead.pid}.1.{here}"), held(own), held(f"{dead.pid}.1.1")
    time.sleep(0.2)
    swept = orphans.sweep()
    until = time.monotonic() + 20
    while liveness.started(lost) and time.monotonic() < until:
        time.sleep(0.01)
    assert not liveness.started(lost), "whoever sweeps first: a tick of another test may"
    assert liveness.started(kept) and liveness.started(far), "by itself it waits for ever"
    assert not {kept, far}.intersection(swept)
    for left in (kept, far):
        os.kill(left, signal.SIGKILL)


@real
def test_a_fork_bomb_is_contained(cell: Cell, run: Run) -> None:
    small = Cell(cell.workspace, cell.home, limits=Limits(processes=40))
    ended = run(
        "import os, time\n"
        "made = 0\n"
        "for _ in range(400):\n"
        "    try:\n"
        "        if os.fork() == 0: time.sleep(600)\n"
        "        made += 1\n"
        "    except OSError: break\n"
        "print(made, flush=True)\n"
        "time.sleep(0.3)\n"
        "os._exit(0)",
        small,
    )
    assert ended.stopped == "it had more than 40 processes" or int(ended.output.split()[0]) < 40


@real
def test_the_watch_stops_a_fork_bomb_by_itself(cell: Cell, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """Where root runs us and no control group can be made."""
    monkeypatch.setattr("agentos.runtime.limits._parents", lambda: iter(()))
    monkeypatch.setattr("resource.RLIMIT_NPROC", 7)
    small = Cell(cell.workspace, cell.home, limits=Limits(processes=40))
    ended = run(
        "import os, time\nfor _ in range(100):\n    if os.fork() == 0: time.sleep(600)\ntime.sleep(20)", small
    )
    assert (ended.code, ended.stopped) == (None, "it had more than 40 processes")


@real
def test_memory_and_disk_have_an_end(cell: Cell, run: Run) -> None:
    small = Cell(cell.workspace, cell.home, limits=Limits(disk=8 << 20, file=4 << 20, memory=200 << 20))
    assert b"MemoryError" in run("x = bytearray(400 << 20)", small).output
    assert b"File too large" in run("open('big', 'wb').write(bytes(6 << 20))", small).output
    assert (cell.workspace / "big").stat().st_size <= 4 << 20
    ended = run(
        "import os, time\n"
        "for n in range(8):\n    f = open(f'f{n}', 'wb'); f.write(os.urandom(2 << 20)); f.flush(); os.fsync(f.fileno())\n"
        "time.sleep(20)",
        small,
    )
    assert ended.stopped == "its files came to more than 8 MiB"
    assert (
        b"No space left"
        in run("open('/dev/shm/x', 'wb').write(bytes(3 << 20) * 30)", Cell(cell.workspace, cell.home)).output
    )


# The network -----------------------------------------------------------------------------------------------


class Hello(http.server.BaseHTTPRequestHandler):
    """Says hello, and which Host it was asked for."""

    def do_GET(self) -> None:
        text = f"hello {self.headers['Host']} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@real
def test_no_socket_of_the_machine_can_be_reached(run: Run, port: int, tmp_path: Path) -> None:
    by_path = socket.socket(socket.AF_UNIX)
    by_path.bind(str(tmp_path / "socket"))
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0agentos-test-{os.getpid()}")
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    with by_path, abstract, udp:
        by_path.listen()
        abstract.listen()
        ended = run(
            attempt(
                f"socket.create_connection(('127.0.0.1', {port}), 2)",
                "socket.create_connection(('192.0.2.1', 80), 2)",
                f"socket.socket(socket.AF_UNIX).connect({str(tmp_path / 'socket')!r})",
                f"socket.socket(socket.AF_UNIX).connect('\\0agentos-test-{os.getpid()}')",
                "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
                "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
                "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
            )
            + f"\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {udp.getsockname()[1]}))"
        )
        udp.settimeout(0.1)
        with pytest.raises(TimeoutError):
            udp.recv(10)
    assert ended.output.decode().split() == ["refused"] * 7


FETCH = (
    "import os, urllib.request, urllib.error\ndel os.environ['no_proxy'], os.environ['NO_PROXY']\n"
    "proxy = urllib.request.ProxyHandler({'http': 'http://127.0.0.1:3128'})\n"
    "try: print(urllib.request.build_opener(proxy).open(%r, timeout=5).read().decode())\n"
    "except urllib.error.HTTPError as error: print(error.code, error.read().decode())\n"
)


@real
def test_the_relay_leads_to_listed_hosts_alone(cell: Cell, run: Run, port: int) -> None:
    def fetch(host: str, *allowed: str) -> str:
        inside = Cell(cell.workspace, cell.home, network=allowed)
        return run(FETCH % f"http://{host}:{port}/a?b", inside).output.decode()

    assert fetch("127.0.0.1", f"127.0.0.1:{port}") == f"hello 127.0.0.1:{port} /a?b\n"
    assert fetch("127.0.0.1", "127.0.0.1").startswith("403 agentos: 127.0.0.1")
    assert "list the address itself" in fetch("localhost", f"localhost:{port}")
    assert "is not in the `network:` list" in fetch("192.0.2.1", "example.com")


@real
def test_a_listed_server_of_this_machine_is_found_at_its_own_address(cell: Cell, run: Run, port: int) -> None:
    """Without any proxy, as most programs ask it: the listed one alone."""
    code = (
        "import urllib.request\nopener = urllib.request.build_opener(urllib.request.ProxyHandler({}))\n"
        "try: print(opener.open('http://127.0.0.1:PORT/x', timeout=5).read().decode())\n"
        "except OSError as error: print(type(error).__name__)\n"
    ).replace("PORT", str(port))
    listed = Cell(cell.workspace, cell.home, network=(f"127.0.0.1:{port}", "127.0.0.1:99999"))
    other = Cell(cell.workspace, cell.home, network=("127.0.0.1:1", "192.0.2.1:80"))
    assert run(code, listed).output.decode() == f"hello 127.0.0.1:{port} /x\n"
    assert run(code, other).output.decode().endswith("URLError\n")


def ask(path: Path, text: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(text.encode())
        found = b""
        while data := client.recv(4096):
            found += data
        return found


def test_a_tunnel_carries_both_ways(port: int) -> None:
    tunnelled = (
        f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    with relay.opened([f"127.0.0.1:{port}"]) as path:
        found = ask(path, tunnelled)
        assert found.startswith(b"HTTP/1.1 200 OK\r\n\r\n")
        assert found.endswith(b"hello x /x")


def test_a_server_that_says_nothing_does_not_hold_the_relay() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket(socket.AF_UNIX) as client:
        here = f"127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with relay.opened([here]) as path:
            client.connect(str(path))
            client.sendall(f"CONNECT {here} HTTP/1.1\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - began < 2


def test_the_relay_answers_nonsense_and_keeps_the_host_it_checked(port: int) -> None:
    here = f"127.0.0.1:{port}"
    with relay.opened([here]) as path:
        for text in (
            "\r\n\r\n",
            "CONNECT\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET http://[::1 HTTP/1.1\r\n\r\n",
            "GET ftp://x/ H\r\n\r\n",
            f"GET http://{here}/ HTTP/1.1\r\nX: y\nHost: intranet\r\n\r\n",
            f"GET http://{here}/ HTTP/1.1\r\nX: y\rHost: intranet\r\n\r\n",
        ):
            assert ask(path, text).startswith(b"HTTP/1.1 403"), text
        for field in (
            "Host: intranet",
            "HOST:intranet",
            "Host : intranet",
            " Host: intranet",
            "\tHost: intranet",
        ):
            forged = f"GET http://{here}/ HTTP/1.1\r\nAccept: */*\r\n{field}\r\n\r\n"
            assert ask(path, forged).endswith(f"hello {here} /".encode()), field


@pytest.mark.parametrize("host", ["192.0.2.1\0.example.com", "192.0.2.1%00.example.com", "192.0.2.1 .example.com",
                                  "[2001:db8::1%.example.com]", "192.0.2.1\u00ad.example.com"])  # fmt: skip
def test_a_name_that_the_resolver_would_read_otherwise_is_no_host(host: str) -> None:
    """`getaddrinfo` reads a name up to a zero byte: this one was both in the list and any address at all."""
    with relay.opened(["*.example.com:9"]) as path:
        for text in (f"CONNECT {host}:9 HTTP/1.1\r\n\r\n", f"GET http://{host}:9/ HTTP/1.1\r\n\r\n"):
            assert b"that is no request to a proxy" in ask(path, text), text


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "172.16.0.1", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1", "::",
     "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b:1::7f00:1", "fec0::1"],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not relay.is_public(address)


def test_public_addresses() -> None:
    assert relay.is_public("1.1.1.1") and relay.is_public("2606:4700:4700::1111")


@pytest.mark.parametrize(
    ("host", "port", "allowed", "expected"),
    [
        ("example.org", 443, ["example.org"], True),
        ("Example.org.", 80, ["example.org"], True),
        ("example.org", 22, ["example.org"], False),
        ("example.org", 22, ["example.org:22"], True),
        ("example.org", 443, ["example.org:22"], False),
        ("evil-example.org", 443, ["example.org"], False),
        ("example.org.evil.com", 443, ["example.org"], False),
        ("a.github.com", 443, ["*.github.com"], True),
        ("github.com", 443, ["*.github.com"], False),
        ("evilgithub.com", 443, ["*.github.com"], False),
        ("any.thing", 443, ["*"], True),
        ("any.thing", 8080, ["*"], False),
        ("::1", 8080, ["[::1]:8080"], True),
        ("::1", 443, ["::1"], True),
        ("x", 443, [], False),
    ],
)
def test_a_list_of_hosts(host: str, port: int, allowed: list[str], expected: bool) -> None:
    assert relay.is_allowed(Target(host, port), allowed) is expected


# Without a sandbox -----------------------------------------------------------------------------------------


def test_off_runs_with_a_scrubbed_environment_and_a_time_limit(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", "planted-key")
    off = sandbox.find("off")
    assert off.name == "off"
    assert b"planted" not in off.run(["env"], cell, timeout=9).output
    ended = off.run(["sh", "-c", "sleep 600 & sleep 600"], cell, timeout=0.3)
    assert (ended.code, ended.stopped) == (None, "it ran longer than 0.3 s")


def test_output_that_a_daemon_holds_open_does_not_hold_us(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE", 0.2)
    began = time.monotonic()
    ended = sandbox.find("off").run(["sh", "-c", "setsid sleep 3 & echo done"], cell, timeout=60)
    assert (ended.code, ended.output) == (0, b"done\n")
    assert time.monotonic() - began < 2.5


def test_a_large_input_that_nobody_reads(cell: Cell) -> None:
    assert sandbox.find("off").run(["true"], cell, timeout=9, stdin=b"x" * 1_000_000).code == 0
    assert (
        sandbox.find("off").run(["wc", "-c"], cell, timeout=9, stdin=b"x" * 1_000_000).output == b"1000000\n"
    )


def test_where_bubblewrap_cant_run_the_refusal_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "program", lambda: None)
    bubblewrap.hindrance.cache_clear()
    try:
        with pytest.raises(Refused, match=r"not installed.*`sandbox: off` in board/config\.yml") as refused:
            sandbox.find("auto")
    finally:
        monkeypatch.undo()
        bubblewrap.hindrance.cache_clear()
    assert refused.value.exit_code == 6


def test_where_namespaces_are_off_the_trial_run_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "program", lambda: "/bin/false")
    bubblewrap.hindrance.cache_clear()
    try:
        assert "bubblewrap could not start" in bubblewrap.hindrance()
    finally:
        monkeypatch.undo()
        bubblewrap.hindrance.cache_clear()


def test_doctor_says_which_sandbox_there_is(cli: Cli, scratch: Scratch) -> None:
    assert "andbox" not in cli("doctor").err, "nobody runs a command"
    scratch.write("agents/technical.md", scratch.read("agents/technical.md").replace("simulated", "command"))
    expected = "no commands here" if bubblewrap.hindrance() else "Sandbox: bubblewrap."
    assert expected in cli("doctor").err
    scratch.write("board/config.yml", scratch.read("board/config.yml") + "sandbox: off\n")
    assert "Sandbox: off, as board/config.yml says" in cli("doctor").err
