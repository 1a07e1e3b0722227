"""What the checks of a mount that can be written share. The program's second argument is the mount, or a directory in it.
The program that runs a file of checks puts this one in front of it."""

import ctypes
import errno
import fcntl
import mmap
import os
import stat
import sys
import time

MOUNT = sys.argv[2]
libc = ctypes.CDLL(None, use_errno=True)
MIB = 1 << 20
KEEP_SIZE, PUNCH_HOLE, COLLAPSE_RANGE, ZERO_RANGE = 1, 2, 8, 16
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
WRITE_AND_WAIT = 7
MS_REMOUNT = 32


def path(name):
    return os.path.join(MOUNT, name)


def fails(code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except OSError as error:
        assert error.errno == code, f"{call.__name__}{args}: {error} instead of {errno.errorcode[code]}"
        return
    raise AssertionError(f"{call.__name__}{args} succeeded instead of {errno.errorcode[code]}")


def called(result):
    """The result of a function of the C library, which fails as Python's do."""
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def fallocate(fd, mode, offset, length):
    called(libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(length)))


def renameat2(old, new, flags):
    called(libc.renameat2(-100, path(old).encode(), -100, path(new).encode(), flags))


def opened(name, flags=os.O_RDWR | os.O_CREAT, mode=0o644):
    return os.open(path(name), flags, mode)


def pattern(length, seed=1):
    return bytes((at * 7 + (at >> 12) * 31 + seed * 13) & 255 for at in range(length))


def written(name, data):
    fd = opened(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    assert os.write(fd, data) == len(data)
    return fd


def forget_unused():
    """Makes the kernel forget names, attributes and nodes of this mount that no process uses, as a remount does.

    Writing to drop_caches does it on the whole machine, where other tests count what the kernel asks for.
    """
    flags = os.statvfs(MOUNT).f_flag & (os.ST_RDONLY | os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC)
    top = MOUNT
    while not os.path.ismount(top):
        top = os.path.dirname(top)
    called(libc.mount(None, top.encode(), None, ctypes.c_ulong(MS_REMOUNT | flags), None))


def in_time(holds):
    """Whether it comes to hold within seconds: the kernel tells of what it forgets in the background."""
    for _ in range(200):
        if holds():
            return True
        time.sleep(0.05)
    return False


def content(name):
    """What the file system itself has, not what the kernel has cached."""
    with open(path(name), "rb") as file:
        called(libc.sync_file_range(file.fileno(), ctypes.c_long(0), ctypes.c_long(0), WRITE_AND_WAIT))
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return file.read()


def in_child(work):
    """Runs it in another process. Returns what it returns, a short text, or fails."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        result = b"failed"
        try:
            result = str(work()).encode()
        finally:
            os.write(writer, result)
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        result = pipe.read().decode()
    os.waitpid(pid, 0)
    assert result != "failed"
    return result


def as_user(work, uid=65534):
    """Runs it in another process as this user."""

    def switched():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        return work()

    return in_child(switched)
