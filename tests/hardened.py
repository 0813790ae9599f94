"""Run a command under what config/streamproc.service allows, as far as that works without systemd.

    python -m tests.hardened UNIT COMMAND…

Applied: the system call filter, MemoryDenyWriteExecute, NoNewPrivileges, UMask, the empty
capability set. What needs mounts (ProtectSystem, PrivateTmp, …) or another user is not.
"""

import contextlib
import ctypes
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_ALLOW = 0x7FFF0000  # SCMP_ACT_ALLOW; libseccomp's seccomp.h
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38  # linux/prctl.h
_PR_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN = 65, 1


def directives(unit: Path) -> Iterator[tuple[str, str]]:
    """Every Name=value of a unit file, in order."""
    for line in unit.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            yield name, value


def allowed_calls(unit: Path) -> set[str]:
    """The system calls that SystemCallFilter= leaves, its lines applied in order."""
    allowed: set[str] = set()
    for name, value in directives(unit):
        if name == "SystemCallFilter":
            calls = set(_expand(value.removeprefix("~").split()))
            allowed = allowed - calls if value.startswith("~") else allowed | calls
    return allowed


def _expand(names: list[str]) -> Iterator[str]:
    for name in names:
        if not name.startswith("@"):
            yield name
            continue
        listed = subprocess.run(
            ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
        ).stdout.splitlines()[1:]
        yield from _expand([line.strip() for line in listed if not line.strip().startswith("#")])


def _filter_calls(calls: set[str]) -> None:
    """Everything else fails with EPERM, and so does a socket of an address family that is not
    allowed."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(0x00050000 | errno.EPERM))  # SCMP_ACT_ERRNO
    for name in sorted(calls):
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # negative: not of this architecture
            assert library.seccomp_rule_add(context, _ALLOW, number, 0) == 0, name
    assert library.seccomp_load(context) == 0


def _prctl(*arguments: int) -> None:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:5]]
    if ctypes.CDLL(None, use_errno=True).prctl(*padded):
        raise OSError(ctypes.get_errno(), f"prctl{arguments}")


def main(unit: Path, *command: str) -> None:
    calls = allowed_calls(unit)
    values = dict(directives(unit))
    os.umask(int(values["UMask"], 8))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = int(values["LimitNOFILE"])
    if hard != resource.RLIM_INFINITY:
        files = min(files, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if os.geteuid() == 0:
        assert values["CapabilityBoundingSet"] == ""
        for capability in range(41):  # CAP_LAST_CAP
            _prctl(_PR_CAPBSET_DROP, capability)
    assert values["NoNewPrivileges"] == "yes"
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if values["MemoryDenyWriteExecute"] == "yes":
        _prctl(_PR_SET_MDWE, _MDWE_REFUSE_EXEC_GAIN)
    _filter_calls(calls)
    with contextlib.suppress(PermissionError):
        os.chroot("/")
        raise AssertionError("the filter lets forbidden calls through")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
