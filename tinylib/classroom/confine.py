"""What the worker does to itself before it touches a learner's code: another user, limits, Landlock, an audit hook. Stdlib only.

Landlock is the Linux kernel's own way for a process to give up files, TCP and signals for good; it needs no rights. Where it is missing
(older kernels, macOS) the audit hook stands alone, which stops Python code but not native code: that is why `process` is not for strangers.
"""

import ctypes
import os
import resource
import shutil
import struct
import subprocess
import sys

PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_CAPSET_VERSION, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 4, 8, 0x20080522, 36, 38
CAP_DAC_READ_SEARCH = 2
CREATE, ADD_RULE, RESTRICT = 444, 445, 446
READ = (1 << 0) | (1 << 2) | (1 << 3)                   # execute, read a file, list a folder
FILE_RIGHTS = (1 << 0) | (1 << 1) | (1 << 2) | (1 << 14)
RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
FIRST_UID = 200_000
MIB = 1 << 20


def libc():
    """The C library, with errno kept."""
    return ctypes.CDLL(None, use_errno=True)


def landlock_version() -> int:
    """Version of the kernel's Landlock; 0 where there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, libc().syscall(CREATE, None, 0, 1))


def landlock(readable: list[str], writable: list[str]) -> None:
    """Give up every file but these (and TCP and signals to others, where the kernel can). OSError when refused."""
    version, call = landlock_version(), libc().syscall
    handled = RIGHTS[min(version, 5)]
    attributes = [handled, 3 if version >= 4 else 0, 3 if version >= 6 else 0]
    packed = struct.pack(f"<{1 + (version >= 4) + (version >= 6)}Q", *attributes[: 1 + (version >= 4) + (version >= 6)])
    ruleset = call(CREATE, packed, len(packed), 0)
    _sure(ruleset)
    for paths, rights in ((readable, READ), (writable, handled)):
        for path in paths:
            _allow(call, ruleset, path, rights & handled)
    _sure(libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _sure(call(RESTRICT, ruleset, 0))
    os.close(ruleset)


def _allow(call, ruleset, path, rights):
    try:
        handle = os.open(path, getattr(os, "O_PATH", 0) | os.O_CLOEXEC)
    except OSError:
        return
    rights &= -1 if os.path.isdir(path) else FILE_RIGHTS
    _sure(call(ADD_RULE, ruleset, 1, struct.pack("<Qi", rights, handle), 0))
    os.close(handle)


def _sure(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def drop_user(uid: int, keep_reading: bool) -> None:
    """Become user `uid` without any group or right; `keep_reading` keeps the right to read through closed folders (only under Landlock)."""
    if keep_reading:
        _sure(libc().prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if keep_reading:
        mask = 1 << CAP_DAC_READ_SEARCH
        data = struct.pack("<6I", mask, mask, 0, 0, 0, 0)
        _sure(libc().capset(struct.pack("<Ii", PR_CAPSET_VERSION, 0), data))


def adopt_orphans() -> None:
    """Make this process the parent of its descendants' orphans, so that none escapes."""
    if sys.platform.startswith("linux"):
        libc().prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def shut_to_debuggers() -> None:
    """No process of the same user can trace this one or its forks, or read and write their memory."""
    if sys.platform.startswith("linux"):
        libc().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def first_to_go() -> None:
    """When the machine's memory is short, the kernel ends this process and its forks before any other."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("1000")
    except OSError:
        return


def limit(cpu_seconds: float, mapped: int, tasks: int, memory_mib: int, file_mib: int, processes: int, files: int) -> None:
    """Limits of this process and its children; memory on top of the `mapped` bytes, processes on top of the `tasks` that there are."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_CPU, int(cpu_seconds) + 1)
    _lower(resource.RLIMIT_FSIZE, file_mib * MIB)
    _lower(resource.RLIMIT_NOFILE, files)
    _lower(resource.RLIMIT_NPROC, processes + tasks)
    if sys.platform.startswith("linux"):
        _lower(resource.RLIMIT_AS, mapped + memory_mib * MIB)


def _lower(kind, value):
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def mapped_bytes() -> int:
    """Address space in use."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def tasks_of_user() -> int:
    """Threads that this user runs already; they count towards its limit. 0 where /proc is closed."""
    count = 0
    for name in filter(str.isdigit, listed("/proc")):
        try:
            if os.stat(f"/proc/{name}").st_uid == os.getuid():
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return count


def listed(folder: str) -> list[str]:
    """Names in a folder; none where it is closed."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def remove(path: str) -> None:
    """Take away a file or a folder of graded code, however deep it is nested."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        elif os.path.lexists(path):
            os.remove(path)
    except OSError:
        return
    except RecursionError:
        subprocess.run(["rm", "-rf", "--", path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def audit(readable: tuple[str, ...], writable: tuple[str, ...]) -> None:
    """Refuse, inside Python, other files, sockets, programs, native code and the interpreter's own tools. Cannot be removed."""
    _no_bare_fork_exec()
    space = {"READ": tuple(map(os.path.realpath, readable)), "WRITE": tuple(map(os.path.realpath, writable)), "real": os.path.realpath,
             "fsdecode": os.fsdecode, "separator": os.sep}
    exec(compile(HOOK, "<frozen audit>", "exec"), space)           # own globals, all bound as defaults: nothing of it is reachable by name
    sys.addaudithook(space.pop("hook"))


def _no_bare_fork_exec():
    """The one way to start a program that Python's audit events do not cover."""
    def closed(*_):
        raise PermissionError("this is closed to graded code")

    import _posixsubprocess
    subprocess._fork_exec = _posixsubprocess.fork_exec = closed


HOOK = '''
def hook(event, args, READ=READ, WRITE=WRITE, real=real, fsdecode=fsdecode, separator=separator, PermissionError=PermissionError,
         isinstance=isinstance, str=str, bytes=bytes, any=any, int=int, len=len, busy=[],
         files=frozenset({"open", "os.listdir", "os.scandir", "os.chdir", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink",
                          "os.chmod", "os.chown", "os.truncate", "os.utime", "shutil.copyfile", "sqlite3.connect", "glob.glob"}),
         never=("socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.startfile", "ctypes.", "ftplib.", "urllib.",
                "http.", "smtplib.", "webbrowser.", "pty.", "gc.get_", "sys._current", "code.__new__", "winreg.", "os.putenv", "signal.pthread",
                "os.kill", "os.killpg", "cpython.run", "sys.remote_exec")):
    if event in files and args and isinstance(args[0], (str, bytes)) and not busy:
        busy.append(1)
        try:
            path = real(fsdecode(args[0]))
        finally:
            busy.pop()
        writes = event not in ("open", "os.listdir", "os.scandir", "os.chdir", "glob.glob") or (
            event == "open" and ((isinstance(args[1], str) and any(c in args[1] for c in "wax+")) or (isinstance(args[2], int) and args[2] & 3)))
        roots = WRITE if writes else READ + WRITE
        if path != "/dev/null" and not any(path == root or path.startswith(root + separator) for root in roots):
            raise PermissionError("this file is closed to graded code")
    elif event.startswith(never):
        raise PermissionError("this is closed to graded code")
'''
