"""The minimal root of a sandbox: what of the machine is mounted, made up, or masked."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY, SHARED = 1 << 30, 64 << 20
"""Bytes of /tmp and /dev/shm; they are memory."""

ETC = (
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
)
"""What programs need of /etc; never the whole, which may hold keys that our user can read."""

DEVICES = {
    "null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0),
}  # fmt: skip
"""The devices that programs need, by their numbers (Linux, Documentation/admin-guide/devices.txt)."""

MASKED = (
    "kallsyms", "kcore", "key-users", "keys", "kmsg", "kpagecgroup", "kpagecount", "kpageflags",
    "slabinfo", "sysrq-trigger", "timer_list", "vmallocinfo",
)  # fmt: skip
"""What /proc tells about the kernel, or takes from root."""

MADE_UP = {
    "passwd": "agent:x:1000:1000:agent:{home}:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "group": "agent:x:1000:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


def mounts() -> list[str]:
    """The mounts that every command sees."""
    line = ["--dir", "/etc", "--dir", "/run", "--dir", "/var/tmp", *_kernel()]
    line += ["--size", str(SHARED), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
    line += ["--size", str(TEMPORARY), "--perms", "1777", "--tmpfs", "/tmp"]
    for place in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store"):
        if os.path.islink(place):
            line += ["--symlink", os.readlink(place), place]
        elif os.path.isdir(place):
            line += ["--ro-bind", place, place]
    for place in ETC:
        if os.path.exists(place):
            line += ["--ro-bind", os.path.realpath(place), place]
    return line


def _kernel() -> list[str]:
    """/proc and /dev. Where root runs us, our user inside still owns what root owns: without the read-only
    mounts 766 kernel settings, core_pattern among them, could be written (Linux 6.18, bubblewrap 0.8)."""
    line = ["--proc", "/proc", "--dev", "/dev"]
    for place in ("/proc/sys", "/proc/pressure"):
        line += ["--ro-bind-try", place, place]
    for name in MASKED:
        line += ["--ro-bind", "/dev/null", f"/proc/{name}"] if os.path.exists(f"/proc/{name}") else []
    return line


@contextmanager
def made_up(home: Path) -> Iterator[Path]:
    """A folder with the files of /etc that are not the machine's own."""
    with tempfile.TemporaryDirectory(prefix="agentos-") as folder:
        for name, text in MADE_UP.items():
            Path(folder, name).write_text(text.format(home=home))
        if os.geteuid() == 0:
            _make_devices(Path(folder))
        yield Path(folder)


def _make_devices(folder: Path) -> None:
    """Device files of our own, where root runs us: the machine's would be the agent's to close to everybody.

    Where the disk or the container has no devices, the machine's stay in use.
    """
    try:
        for name, numbers in DEVICES.items():
            os.mknod(folder / name, stat.S_IFCHR | 0o600, os.makedev(*numbers))
            os.chmod(folder / name, 0o666)
        os.close(os.open(folder / "null", os.O_WRONLY))
    except OSError:
        for name in DEVICES:
            (folder / name).unlink(missing_ok=True)


def made_up_mounts(folder: Path) -> list[str]:
    line = [part for name in MADE_UP for part in ("--ro-bind", str(folder / name), f"/etc/{name}")]
    for name in DEVICES:
        line += ["--dev-bind", str(folder / name), f"/dev/{name}"] if (folder / name).exists() else []
    return line
