"""Contents of files on the mount of memory-daemon.ts; runs after checks.py."""


def opening():
    fd = opened("a", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.write(fd, b"0123456789")
    fails(errno.EBADF, os.read, fd, 1)
    fails(errno.EEXIST, opened, "a", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    fails(errno.EEXIST, opened, "a", os.O_RDONLY | os.O_CREAT | os.O_EXCL)
    fails(errno.ENOENT, opened, "none", os.O_WRONLY)
    fails(errno.ENOENT, opened, "none/x", os.O_WRONLY | os.O_CREAT)
    fails(errno.ENOTDIR, opened, "a/x", os.O_WRONLY | os.O_CREAT)
    fails(errno.EISDIR, opened, "", os.O_WRONLY)
    fails(errno.EOPNOTSUPP, os.open, MOUNT, os.O_TMPFILE | os.O_RDWR)
    assert os.read(opened("a", os.O_RDONLY), 100) == b"0123456789"
    assert os.read(opened("a", os.O_RDWR | os.O_CREAT), 100) == b"0123456789"
    # Without an OPEN to carry it, O_TRUNC is a request of its own.
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY, os.O_WRONLY | os.O_CREAT):
        written("a", b"to be lost")
        opened("a", flags | os.O_TRUNC)
        assert os.stat(path("a")).st_size == 0 and content("a") == b""
    # Modes bind later openings, not the one that makes the file; the umask counts.
    os.umask(0o027)
    fd = opened("strict", os.O_WRONLY | os.O_CREAT, 0o467)
    os.write(fd, b"x")
    assert stat.S_IMODE(os.stat(path("strict")).st_mode) == 0o440
    assert as_user(lambda: tried(opened, "strict", os.O_RDONLY)) == "EACCES"
    os.symlink("a", path("to-a"))
    fails(errno.ELOOP, opened, "to-a", os.O_WRONLY | os.O_NOFOLLOW)
    os.write(opened("to-a", os.O_WRONLY), b"through")
    assert content("a") == b"through"


def tried(call, *args):
    try:
        call(*args)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"


def writing():
    data = pattern(3 * MIB + 4567)
    fd = opened("a")
    assert os.pwrite(fd, data, 1234) == len(data)
    assert os.fstat(fd).st_size == 1234 + len(data)
    whole = bytearray(bytes(1234) + data)
    for offset, length, seed in ((0, 1, 2), (4095, 2, 3), (4096, 4096, 4), (MIB - 1, MIB + 2, 5), (len(whole) - 1, 5000, 6)):
        part = pattern(length, seed)
        assert os.pwrite(fd, part, offset) == length
        whole[offset : offset + length] = part
        assert os.pread(fd, len(whole), 0) == whole
    assert os.pwritev(fd, [b"ab", b"", b"c" * 5000, b"d"], 100) == 5003
    whole[100:5103] = b"ab" + b"c" * 5000 + b"d"
    assert content("a") == whole
    # Far past the end: a hole, then data. Offsets of more than 32 bits.
    far = (1 << 40) + 5
    assert os.pwrite(fd, b"far", far) == 3
    assert os.fstat(fd).st_size == far + 3 and os.pread(fd, 10, far - 3) == b"\0\0\0far"
    assert os.lseek(fd, len(whole) + 4096, os.SEEK_DATA) == far // 4096 * 4096
    for place in ((1 << 53) - 1, 1 << 53, 1 << 60):
        fails(errno.EFBIG, os.pwrite, fd, b"x", place)
    for size in (1 << 53, 1 << 60):
        fails(errno.EFBIG, os.ftruncate, fd, size)
    assert os.fstat(fd).st_size == far + 3


def appending():
    first, second = (opened("a", os.O_WRONLY | os.O_CREAT | os.O_APPEND) for _ in range(2))
    for index in range(200):
        os.write(first, b"1" * index)
        os.write(second, b"2" * index)
    expected = b"".join(b"1" * index + b"2" * index for index in range(200))
    assert content("a") == expected
    # Two processes at once lose nothing.
    pids = []
    for letter in (b"x", b"y"):
        pid = os.fork()
        if pid == 0:
            fd = opened("a", os.O_WRONLY | os.O_APPEND)
            for _ in range(500):
                os.write(fd, letter * 10)
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
    rest = content("a")[len(expected) :]
    assert len(rest) == 10_000 and rest.count(b"x" * 10) + rest.count(b"y" * 10) == 1000


def truncating():
    data = pattern(100_000)
    fd = written("a", data)
    for size in (99_999, 50_000, 4096, 4095, 1):
        os.ftruncate(fd, size)
        assert os.fstat(fd).st_size == size and content("a") == data[:size]
    # What was cut off does not come back.
    os.truncate(path("a"), 60_000)
    assert content("a") == data[:1] + bytes(59_999)
    before = os.stat(path("a")).st_mtime_ns
    os.ftruncate(fd, 60_000)
    assert os.stat(path("a")).st_mtime_ns >= before
    fails(errno.EISDIR, os.truncate, MOUNT, 0)
    fails(errno.EINVAL, os.ftruncate, fd, -1)


def mapping():
    data = bytearray(pattern(100_000))
    fd = written("a", data)
    with mmap.mmap(fd, 100_000) as view:
        assert view[:] == data
        view[5000:25_000] = data[5000:25_000] = pattern(20_000, 9)
        # A mapping and read(2) see the same; write(2) shows in the mapping.
        assert os.pread(fd, 100_000, 0) == data
        os.pwrite(fd, b"written", 50_000)
        data[50_000:50_007] = b"written"
        assert view[:] == data
        view.flush()
        assert content("a") == data
        view[99_999] = data[99_999] = 77
    # munmap and close write back without being asked to.
    os.close(fd)
    assert content("a") == data
    fd = opened("a")
    os.ftruncate(fd, 200_000)
    with mmap.mmap(fd, 200_000) as view:
        view[150_000:150_003] = b"end"
        os.fsync(fd)
        assert content("a") == data + bytes(50_000) + b"end" + bytes(49_997)
    with mmap.mmap(opened("a", os.O_RDONLY), 4096, flags=mmap.MAP_PRIVATE) as view:
        view[0:3] = b"own"
    assert content("a")[:3] == data[:3]


def direct():
    fd = opened("a", os.O_RDWR | os.O_CREAT | os.O_DIRECT)
    data = bytearray(pattern(4 * MIB))
    with mmap.mmap(-1, 4 * MIB) as room:
        room[:] = bytes(data)
        assert os.pwritev(fd, [room], 0) == 4 * MIB
        room[:4096] = pattern(4096, 3)
        assert os.pwritev(fd, [memoryview(room)[:4096]], MIB) == 4096
        data[MIB : MIB + 4096] = pattern(4096, 3)
        # Not aligned: taken all the same.
        assert os.pwritev(fd, [memoryview(room)[:1000]], 4 * MIB + 7) == 1000
        data += bytes(7) + pattern(4096, 3)[:1000]
        count = os.preadv(fd, [room], 4096)
        assert count == len(data) - 4096 and room[:count] == data[4096:]
    # Pages that are cached, and mapped, follow.
    cached = opened("a")
    assert os.pread(cached, 5 * MIB, 0) == data
    with mmap.mmap(cached, 8192) as view, mmap.mmap(-1, 4096) as room:
        view[4096:8192] = data[4096:8192] = pattern(4096, 5)
        room[:] = pattern(4096, 4)
        assert os.pwritev(fd, [room], 0) == 4096
        data[:4096] = room[:]
        assert view[:] == data[:8192] and os.pread(cached, 8192, 0) == data[:8192]
    assert content("a") == data
    appended = opened("a", os.O_WRONLY | os.O_DIRECT | os.O_APPEND)
    with mmap.mmap(-1, 4096) as room:
        room[:] = pattern(4096, 6)
        assert os.writev(appended, [room]) == 4096
    assert content("a") == data + pattern(4096, 6)


def copying():
    data = pattern(MIB + 333)
    source = written("source", data)
    target = opened("target")
    # Neither form is offered: the kernel reads and writes.
    offset = 0
    while offset < len(data):
        offset += os.copy_file_range(source, target, len(data) - offset, offset, offset)
    assert content("target") == data
    assert os.copy_file_range(target, target, 1000, 0, 2 * MIB) == 1000
    assert content("target")[2 * MIB :] == data[:1000]
    os.ftruncate(target, 0)
    os.lseek(source, 0, os.SEEK_SET)
    while os.sendfile(target, source, None, MIB) > 0:
        pass
    assert content("target") == data
    reader, writer = os.pipe()
    os.ftruncate(target, 0)
    for start in range(0, len(data), 50_000):
        part = data[start : start + 50_000]
        os.write(writer, part)
        sent = 0
        while sent < len(part):
            sent += os.splice(reader, target, len(part) - sent, offset_dst=start + sent)
    assert content("target") == data


def allocating():
    data = bytearray(pattern(100_000))
    fd = written("a", data)
    fallocate(fd, 0, 0, 150_000)
    data += bytes(50_000)
    assert os.fstat(fd).st_size == 150_000 and content("a") == data
    os.posix_fallocate(fd, 10, 20)
    fallocate(fd, KEEP_SIZE, 100_000, 1_000_000)
    assert os.fstat(fd).st_size == 150_000
    for offset, length in ((0, 4096), (10_000, 1), (20_000, 20_000), (145_000, 50_000)):
        fallocate(fd, PUNCH_HOLE | KEEP_SIZE, offset, length)
        data[offset : offset + length] = bytes(len(data[offset : offset + length]))
        assert os.pread(fd, 200_000, 0) == data
    assert os.fstat(fd).st_size == 150_000 and content("a") == data
    assert os.lseek(fd, 0, os.SEEK_DATA) == 4096 and os.lseek(fd, 4096, os.SEEK_HOLE) == 20_480
    assert os.stat(path("a")).st_blocks < 25 * 8
    fallocate(fd, ZERO_RANGE, 140_000, 20_000)
    data[140_000:] = bytes(20_000)
    assert os.fstat(fd).st_size == 160_000 and content("a") == data
    fallocate(fd, ZERO_RANGE | KEEP_SIZE, 50_000, 200_000)
    data[50_000:] = bytes(110_000)
    assert os.fstat(fd).st_size == 160_000 and content("a") == data
    # What is written to a mapping before is punched as well.
    with mmap.mmap(fd, 16_384) as view:
        view[0:16_384] = pattern(16_384, 8)
        fallocate(fd, PUNCH_HOLE | KEEP_SIZE, 4096, 4096)
        assert view[4096:8192] == bytes(4096) and view[8192:] == pattern(16_384, 8)[8192:]
    for mode in (COLLAPSE_RANGE, PUNCH_HOLE, PUNCH_HOLE | ZERO_RANGE | KEEP_SIZE, 64):
        fails(errno.EOPNOTSUPP, fallocate, fd, mode, 0, 4096)
    fails(errno.EINVAL, fallocate, fd, 0, 0, 0)
    fails(errno.EFBIG, fallocate, fd, 0, 1 << 52, 1 << 60)


def unlinked():
    """What has no name any more lives as long as it is open or mapped."""
    data = pattern(50_000)
    fd = written("a", data)
    os.unlink(path("a"))
    fails(errno.ENOENT, os.stat, path("a"))
    assert os.fstat(fd).st_nlink == 0
    forget_unused()
    assert os.pread(fd, 100_000, 0) == data
    os.pwrite(fd, b"more", 100_000)
    os.ftruncate(fd, 100_002)
    os.fchmod(fd, 0o600)
    os.fsync(fd)
    # A new file of the same name is another one.
    other = written("a", b"other")
    assert os.fstat(other).st_ino != os.fstat(fd).st_ino and os.pread(fd, 10, 100_000) == b"mo"
    view = mmap.mmap(fd, 4096)
    os.close(fd)
    forget_unused()
    assert view[:] == data[:4096]
    view[:4] = b"last"
    view.flush()
    view.close()
    os.close(other)
    os.unlink(path("a"))
    replaced = written("b", b"replaced")
    os.close(written("c", b"by this"))
    os.rename(path("c"), path("b"))
    assert os.pread(replaced, 100, 0) == b"replaced" and content("b") == b"by this"
    os.close(replaced)
    os.unlink(path("b"))
    os.mkdir(path("d"))
    directory = opened("d", os.O_RDONLY)
    os.rmdir(path("d"))
    fails(errno.ENOENT, os.open, "x", os.O_CREAT | os.O_WRONLY, dir_fd=directory)
    assert os.listdir(directory) == []
    os.close(directory)


def forgotten():
    """What has no name and no user is gone: a node is told of and forgotten equally often, however it became known."""
    nodes = lambda: os.statvfs(MOUNT).f_files - os.statvfs(MOUNT).f_ffree
    count = nodes()
    os.mkdir(path("d"))
    for index in range(300):
        os.mknod(path(f"d/{index}"), 0o100644)
    held = opened("d/held")
    os.link(path("d/held"), path("d/linked"))
    os.symlink("held", path("d/soft"))
    forget_unused()
    for _ in range(3):
        assert len(os.listdir(path("d"))) == 303
        os.stat(path("d/7"))
        os.utime(path("d"))
    os.rename(path("d/8"), path("d/7"))
    for name in os.listdir(path("d")):
        os.unlink(path(f"d/{name}"))
    os.rmdir(path("d"))
    forget_unused()
    assert in_time(lambda: nodes() == count + 2), "the one that is open, and with it the directory it was in"
    os.close(held)
    forget_unused()
    assert in_time(lambda: nodes() == count)


def locking():
    """Locks are the kernel's own: between processes, without a request."""
    fd = written("a", b"x" * 100)
    fcntl.flock(fd, fcntl.LOCK_EX)
    other = lambda kind: tried(fcntl.flock, opened("a"), kind | fcntl.LOCK_NB)
    assert in_child(lambda: other(fcntl.LOCK_SH)) == "EAGAIN"
    fcntl.flock(fd, fcntl.LOCK_SH)
    assert in_child(lambda: other(fcntl.LOCK_SH)) == "done" and in_child(lambda: other(fcntl.LOCK_EX)) == "EAGAIN"
    fcntl.flock(fd, fcntl.LOCK_UN)
    fcntl.lockf(fd, fcntl.LOCK_EX, 10, 20)
    ranged = lambda start: tried(fcntl.lockf, opened("a"), fcntl.LOCK_EX | fcntl.LOCK_NB, 5, start)
    assert in_child(lambda: ranged(25)) in ("EAGAIN", "EACCES") and in_child(lambda: ranged(30)) == "done"


def failing():
    """Errors reach write(2), close(2), fsync(2), msync(2); what failed is not there."""
    data = pattern(10_000)
    for operation in ("write", "flush", "sync", "setattr", "allocate"):
        os.close(written(operation, data))
    fail = lambda name: os.setxattr(path(name), "user.fail", name.encode())
    heal = lambda name: os.removexattr(path(name), "user.fail")
    fail("write")
    fd = opened("write")
    fails(errno.EIO, os.pwrite, fd, b"lost", 0)
    fails(errno.EIO, os.pwrite, fd, b"lost" * 5000, 9000)
    assert os.fstat(fd).st_size == 10_000 and os.pread(fd, 20_000, 0) == data
    with mmap.mmap(-1, 8192) as room:
        fails(errno.EIO, os.pwritev, opened("write", os.O_RDWR | os.O_DIRECT), [room], 8192)
    assert os.fstat(fd).st_size == 10_000 and content("write") == data
    with mmap.mmap(fd, 4096) as view:
        view[:4] = b"lost"
        fails(errno.EIO, view.flush)
        view[:4] = b"lost"
        fails(errno.EIO, os.fsync, fd)
        view[:4] = b"lost"
        fails(errno.EIO, os.close, fd)
        heal("write")
    fd = opened("flush")
    fail("flush")
    os.write(fd, b"x")
    fails(errno.EIO, os.close, fd)
    fd = opened("sync")
    fail("sync")
    os.write(fd, b"x")
    fails(errno.EIO, os.fsync, fd)
    fails(errno.EIO, os.fdatasync, fd)
    fails(errno.EIO, os.write, opened("sync", os.O_WRONLY | os.O_SYNC), b"x")
    os.close(fd)
    fail("setattr")
    fd = opened("setattr")
    fails(errno.EIO, os.ftruncate, fd, 5)
    fails(errno.EIO, opened, "setattr", os.O_WRONLY | os.O_TRUNC)
    fails(errno.EIO, os.chmod, path("setattr"), 0o600)
    assert stat.S_IMODE(os.stat(path("setattr")).st_mode) == 0o644 and content("setattr") == data
    fail("allocate")
    fails(errno.EIO, fallocate, opened("allocate"), PUNCH_HOLE | KEEP_SIZE, 0, 4096)
    assert content("allocate") == data


def full():
    fd = opened("a")
    room = os.statvfs(MOUNT).f_bavail * 4096
    block = bytes(MIB)
    while room >= 2 * MIB:
        room -= os.write(fd, block)
    size = os.fstat(fd).st_size
    direct_fd = opened("a", os.O_RDWR | os.O_DIRECT)
    with mmap.mmap(-1, 4 * MIB) as big:
        fails(errno.ENOSPC, os.pwritev, direct_fd, [big], size)
    os.close(direct_fd)
    assert os.fstat(fd).st_size == size
    try:
        for _ in range(3):
            os.pwrite(fd, block, os.fstat(fd).st_size)
        raise AssertionError("there was room for more than it said")
    except OSError as error:
        assert error.errno == errno.ENOSPC
    os.unlink(path("a"))
    os.close(fd)
    forget_unused()
    assert in_time(lambda: os.statvfs(MOUNT).f_bavail * 4096 > 2 * MIB)
    os.close(written("b", block))
    assert content("b") == block


globals()[sys.argv[1]]()
