"""System calls against the mounted file system of pattern-daemon.mjs: client_checks.py CHECK MOUNT."""

import ctypes
import errno
import mmap
import os
import sys

MOUNT = sys.argv[2]
libc = ctypes.CDLL(None, use_errno=True)
MS_REMOUNT = 32
MIB = 1 << 20


def path(name):
    return os.path.join(MOUNT, name)


def expected(start, length):
    return bytes(((at * 7 + (at >> 12) * 31) & 255) for at in (place % MIB for place in range(start, start + length)))


def fails(code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except OSError as error:
        assert error.errno == code, f"{call.__name__}{args}: {error} instead of {errno.errorcode[code]}"
        return
    raise AssertionError(f"{call.__name__}{args} succeeded instead of {errno.errorcode[code]}")


def opened(name, flags=os.O_RDONLY):
    return os.open(path(name), flags)


def reading():
    fd = opened("big")
    assert os.pread(fd, 5000, 123_457) == expected(123_457, 5000)
    # Far more than one request holds, over the 32-bit edge of nothing but into many buffers at once.
    buffers = [bytearray(3 * MIB), bytearray(1), bytearray(70_001)]
    assert os.preadv(fd, buffers, 10 * MIB + 13) == 3 * MIB + 70_002
    assert b"".join(buffers) == expected(10 * MIB + 13, 3 * MIB + 70_002)
    assert os.pread(fd, 100, (1 << 30) - 10) == expected((1 << 30) - 10, 10)
    assert os.pread(fd, 100, 1 << 30) == b""
    small = opened("small")
    assert os.read(small, 100_000) == expected(0, 10_000)
    assert os.read(small, 10) == b""
    assert os.read(opened("empty"), 10) == b""
    fails(errno.EISDIR, os.read, opened("many"), 10)


def mapping():
    fd = opened("big")
    with mmap.mmap(fd, 8 * MIB, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE, offset=4 * MIB) as view:
        assert view[777:9000] == expected(4 * MIB + 777, 8223)
        assert view[-1:] == expected(12 * MIB - 1, 1)
    with mmap.mmap(fd, 4096, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED) as view:
        assert view[:] == expected(0, 4096)


def copying():
    source = opened("big")
    for name in ("sendfile", "splice"):
        reader, writer = os.pipe()
        got = b""
        offset = 5 * MIB + 1
        while len(got) < 300_000:
            count = min(60_000, 300_000 - len(got))
            if name == "sendfile":
                sent = os.sendfile(writer, source, offset, count)
            else:
                place = ctypes.c_longlong(offset)
                sent = libc.splice(source, ctypes.byref(place), writer, None, ctypes.c_size_t(count), 0)
            assert sent > 0, name
            offset += sent
            while sent > 0:
                part = os.read(reader, sent)
                got += part
                sent -= len(part)
        assert got == expected(5 * MIB + 1, 300_000), name


def direct():
    fd = opened("big", os.O_RDONLY | os.O_DIRECT)
    with mmap.mmap(-1, 4 * MIB) as room:
        assert os.preadv(fd, [room], 6 * MIB + 4096) == 4 * MIB
        assert room[:] == expected(6 * MIB + 4096, 4 * MIB)
        assert os.preadv(fd, [memoryview(room)[:4096]], (1 << 30) - 4096) == 4096
        assert os.preadv(fd, [room], 1 << 30) == 0
        assert os.preadv(opened("small", os.O_RDONLY | os.O_DIRECT), [room], 8192) == 10_000 - 8192
        assert room[: 10_000 - 8192] == expected(8192, 10_000 - 8192)


def one_direct_mebibyte():
    fd = opened("big", os.O_RDONLY | os.O_DIRECT)
    with mmap.mmap(-1, MIB) as room:
        assert os.preadv(fd, [room], 100 * MIB) == MIB


def holes():
    fd = opened("holes")
    data = os.pread(fd, 100_000, 0)
    assert data == b"".join(expected(at, 4096) if at % 8192 == 0 else bytes(4096) for at in range(0, 40_960, 4096))
    assert os.lseek(fd, 0, os.SEEK_DATA) == 0
    assert os.lseek(fd, 0, os.SEEK_HOLE) == 4096
    assert os.lseek(fd, 5000, os.SEEK_DATA) == 8192
    assert os.lseek(fd, 36_864, os.SEEK_HOLE) == 36_864
    fails(errno.ENXIO, os.lseek, fd, 36_864, os.SEEK_DATA)
    fails(errno.ENXIO, os.lseek, fd, 40_960, os.SEEK_HOLE)
    assert os.lseek(fd, -5, os.SEEK_END) == 40_955
    huge = opened("huge")
    assert os.fstat(huge).st_size == 2**53 - 1
    assert os.lseek(huge, 2**52, os.SEEK_HOLE) == 2**52 + 4096
    place = 2**53 - 4096
    assert os.pread(huge, 4096, place - 4096) == expected(place - 4096, 4096)


def attributes():
    status = os.stat(path("small"))
    assert (status.st_size, status.st_ino, status.st_nlink, status.st_mode) == (10_000, 3, 1, 0o100644)
    assert status.st_mtime_ns == 1_600_000_000_123_456_789 and status.st_blocks == 20
    assert os.readlink(path("link")) == "small"
    assert os.stat(path("link")).st_ino == 3 and os.lstat(path("link")).st_size == 5
    fails(errno.ENOENT, os.stat, path("none"))
    fails(errno.ENOTDIR, os.stat, path("small/x"))
    fails(errno.ENAMETOOLONG, os.stat, path("x" * 256))
    fails(errno.EINVAL, os.readlink, path("small"))
    assert os.access(path("small"), os.R_OK) and not os.access(path("small"), os.W_OK)
    # A birth time is asked for with STATX, which is not there: the rest must come all the same.
    room = ctypes.create_string_buffer(256)
    assert libc.statx(-100, path("big").encode(), 0, 0xFFF, room) == 0
    assert int.from_bytes(room.raw[40:48], "little") == 1 << 30
    sizes = os.statvfs(path("small"))
    assert (sizes.f_bsize, sizes.f_frsize, sizes.f_blocks, sizes.f_namemax) == (4096, 4096, 123_456, 255)


def extended():
    assert os.getxattr(path("small"), "user.colour") == b"blue"
    assert os.getxattr(path("small"), "user.empty") == b""
    assert sorted(os.listxattr(path("small"))) == ["user.colour", "user.empty"]
    assert os.listxattr(path("big")) == []
    fails(errno.ENODATA, os.getxattr, path("small"), "user.none")
    room = ctypes.create_string_buffer(3)
    assert libc.getxattr(path("small").encode(), b"user.colour", room, 3) == -1
    assert ctypes.get_errno() == errno.ERANGE
    assert libc.listxattr(path("small").encode(), room, 3) == -1
    assert ctypes.get_errno() == errno.ERANGE


def listing():
    for _ in range(2):
        names = os.listdir(path("many"))
        assert names == [f"name-{index:05d}" for index in range(10_000)]
    assert sum(entry.stat().st_size for entry in os.scandir(path("many"))) == sum(range(10_000))
    kinds = {entry.name: (entry.is_dir(), entry.is_symlink()) for entry in os.scandir(MOUNT)}
    assert kinds["many"] == (True, False) and kinds["link"] == (True, True) or kinds["link"] == (False, True)


def seeking_directories():
    class Entry(ctypes.Structure):
        _fields_ = [
            ("ino", ctypes.c_ulong),
            ("off", ctypes.c_long),
            ("reclen", ctypes.c_ushort),
            ("type", ctypes.c_ubyte),
            ("name", ctypes.c_char * 256),
        ]

    libc.opendir.restype = ctypes.c_void_p
    libc.readdir.restype = ctypes.POINTER(Entry)
    libc.telldir.restype = ctypes.c_long
    stream = ctypes.c_void_p(libc.opendir(path("many").encode()))
    places = {}
    while True:
        place = libc.telldir(stream)
        entry = libc.readdir(stream)
        if not entry:
            break
        places[entry.contents.name] = place
    assert len(places) == 10_002
    for index in [9999, 0, 5000, 1, 9998, 4321, 123]:
        name = f"name-{index:05d}".encode()
        libc.seekdir(stream, ctypes.c_long(places[name]))
        assert libc.readdir(stream).contents.name == name
    libc.rewinddir(stream)
    assert libc.readdir(stream).contents.name == b"."
    libc.closedir(stream)


def refusals():
    """Every writing call; where mount(8) says `ro` the kernel refuses, else the transport does."""
    small, link, many = path("small"), path("link"), path("many")
    fails(errno.EROFS, os.open, small, os.O_WRONLY)
    fails(errno.EROFS, os.open, small, os.O_RDONLY | os.O_TRUNC)
    fails(errno.EROFS, os.open, path("new"), os.O_WRONLY | os.O_CREAT)
    fails(errno.EROFS, os.open, MOUNT, os.O_WRONLY | os.O_TMPFILE)
    refused_names()


def refusals_of_the_transport():
    """On a mount without `ro`, after opens have become the kernel's own."""
    os.read(opened("small"), 1)
    fails(errno.EROFS, os.open, path("new"), os.O_WRONLY | os.O_CREAT)
    fails(errno.EROFS, os.open, MOUNT, os.O_WRONLY | os.O_TMPFILE)
    refused_names()
    fd = opened("small", os.O_RDWR)
    fails(errno.EROFS, os.write, fd, b"x")
    fails(errno.EROFS, os.ftruncate, fd, 5)
    fails(errno.EROFS, os.posix_fallocate, fd, 0, 4096)
    assert libc.fallocate(fd, 3, ctypes.c_long(0), ctypes.c_long(4096)) == -1 and ctypes.get_errno() == errno.EROFS
    fails(errno.EROFS, os.copy_file_range, opened("big"), fd, 100, 0, 0)
    os.close(fd)
    fails(errno.EROFS, os.open, path("small"), os.O_RDONLY | os.O_TRUNC)
    fails(errno.EROFS, os.open, path("small"), os.O_WRONLY | os.O_TRUNC)
    assert os.pread(opened("small"), 10_000, 0) == expected(0, 10_000)


def refused_names():
    small, link, many = path("small"), path("link"), path("many")
    fails(errno.EROFS, os.mkdir, path("new"))
    fails(errno.EROFS, os.mknod, path("new"), 0o100644)
    fails(errno.EROFS, os.mkfifo, path("new"))
    fails(errno.EROFS, os.symlink, "x", path("new"))
    fails(errno.EROFS, os.link, small, path("new"))
    fails(errno.EROFS, os.unlink, small)
    fails(errno.EROFS, os.unlink, link)
    fails(errno.EROFS, os.rmdir, many)
    fails(errno.EROFS, os.rename, small, path("new"))
    assert libc.renameat2(-100, small.encode(), -100, path("new").encode(), 1) == -1 and ctypes.get_errno() == errno.EROFS
    fails(errno.EROFS, os.truncate, small, 5)
    fails(errno.EROFS, os.chmod, small, 0o600)
    fails(errno.EROFS, os.chown, small, 5, 5)
    fails(errno.EROFS, os.utime, small, (1, 1))
    fails(errno.EROFS, os.setxattr, small, "user.new", b"x")
    fails(errno.EROFS, os.removexattr, small, "user.colour")


def faults():
    for name in ("broken", "buggy", "broken"):
        fails(errno.EIO, os.pread, opened(name), 100, 0)
    assert os.pread(opened("small"), 100, 0) == expected(0, 100)


def closing():
    for _ in range(20):
        fd = opened("small")
        os.fsync(fd)
        os.close(os.dup(fd))
        os.close(fd)
        directory = opened("many", os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(directory)
        os.close(directory)


def handles():
    """open_by_handle_at after the kernel has forgotten the node: needs lookups of "." (EXPORT_SUPPORT)."""
    handle = ctypes.create_string_buffer(8 + 128)
    ctypes.memmove(handle, (128).to_bytes(4, sys.byteorder), 4)
    mount_id = ctypes.c_int()
    assert libc.name_to_handle_at(-100, path("many/name-00777").encode(), handle, ctypes.byref(mount_id), 0) == 0
    # A remount forgets what no process uses; drop_caches would do so on the whole machine.
    flags = os.statvfs(MOUNT).f_flag & (os.ST_RDONLY | os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC)
    assert libc.mount(None, MOUNT.encode(), None, ctypes.c_ulong(MS_REMOUNT | flags), None) == 0
    top = os.open(MOUNT, os.O_RDONLY)
    fd = libc.open_by_handle_at(top, handle, os.O_RDONLY)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    assert os.fstat(fd).st_ino == 877 and os.pread(fd, 1000, 0) == expected(0, 777)


globals()[sys.argv[1]]()
