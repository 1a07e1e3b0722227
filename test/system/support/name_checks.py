"""Names, directories and attributes on the mount of memory-daemon.ts; runs after checks.py."""

import collections
import random
import sqlite3


def names():
    os.mkdir(path("d"), 0o751)
    status = os.stat(path("d"))
    assert stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o751
    fails(errno.EEXIST, os.mkdir, path("d"))
    fails(errno.ENOENT, os.mkdir, path("none/d"))
    os.close(written("d/f", b"one"))
    os.link(path("d/f"), path("hard"))
    assert os.stat(path("hard")).st_ino == os.stat(path("d/f")).st_ino and os.stat(path("d/f")).st_nlink == 2
    fails(errno.EEXIST, os.link, path("hard"), path("d/f"))
    fails(errno.EPERM, os.link, path("d"), path("hard-d"))
    os.symlink("d/f", path("soft"))
    assert os.readlink(path("soft")) == "d/f" and content("soft") == b"one"
    os.symlink("x" * 4095, path("long"))
    assert os.readlink(path("long")) == "x" * 4095
    fails(errno.ENAMETOOLONG, os.mkdir, path("n" * 256))
    os.mkdir(path("n" * 255))
    os.mkdir(os.fsencode(MOUNT) + b"/\xff\n\x01")
    assert b"\xff\n\x01" in os.listdir(os.fsencode(MOUNT))
    os.mknod(path("node"), 0o100640)
    assert stat.S_IMODE(os.stat(path("node")).st_mode) == 0o640
    os.mkfifo(path("fifo"), 0o620)
    assert stat.S_ISFIFO(os.stat(path("fifo")).st_mode)
    fails(errno.EPERM, os.mknod, path("device"), 0o020600, 0x103)
    fails(errno.ENOTEMPTY, os.rmdir, path("d"))
    fails(errno.ENOTDIR, os.rmdir, path("node"))
    fails(errno.EISDIR, os.unlink, path("d"))
    os.unlink(path("d/f"))
    assert os.stat(path("hard")).st_nlink == 1 and content("hard") == b"one"
    os.rmdir(path("d"))
    fails(errno.ENOENT, os.rmdir, path("d"))
    fails(errno.ENOENT, os.unlink, path("d/f"))


def missing_names():
    """That a name is missing is remembered, and forgotten by whatever makes it."""
    os.mkdir(path("d"))
    os.close(written("source", b"content"))
    makers = {
        "open": lambda name: os.close(opened(name)),
        "mknod": lambda name: os.mknod(path(name), 0o100644),
        "mkdir": lambda name: os.mkdir(path(name)),
        "symlink": lambda name: os.symlink("source", path(name)),
        "link": lambda name: os.link(path("source"), path(name)),
        "rename": lambda name: (os.close(written("moved", b"")), os.rename(path("moved"), path(name))),
        "rename2": lambda name: (os.close(written("moved", b"")), renameat2("moved", name, NOREPLACE)),
    }
    for directory in ("", "d/"):
        for how, make in makers.items():
            for _ in range(3):
                fails(errno.ENOENT, os.lstat, path(directory + how))
            make(directory + how)
            os.lstat(path(directory + how))
            assert how in os.listdir(path(directory))
            remove = os.rmdir if how == "mkdir" else os.unlink
            remove(path(directory + how))
            fails(errno.ENOENT, os.lstat, path(directory + how))
            assert how not in os.listdir(path(directory))
            make(directory + how)
            os.rename(path(directory + how), path("away"))
            fails(errno.ENOENT, os.lstat, path(directory + how))
            os.lstat(path("away"))
            remove(path("away"))


def renaming():
    files = lambda: {name: content(name) for name in ("a", "b") if os.path.exists(path(name))}
    os.close(written("a", b"a"))
    os.rename(path("a"), path("b"))
    assert files() == {"b": b"a"}
    os.close(written("a", b"a2"))
    fails(errno.EEXIST, renameat2, "a", "b", NOREPLACE)
    renameat2("a", "b", EXCHANGE)
    assert files() == {"a": b"a", "b": b"a2"}
    fails(errno.ENOENT, renameat2, "a", "none", EXCHANGE)
    fails(errno.EINVAL, renameat2, "a", "b", NOREPLACE | EXCHANGE)
    fails(errno.EINVAL, renameat2, "a", "none", WHITEOUT)
    os.rename(path("a"), path("b"))
    assert files() == {"b": b"a"}
    os.link(path("b"), path("a"))
    os.rename(path("a"), path("b"))
    assert files() == {"a": b"a", "b": b"a"}, "two names of one file stay"
    fails(errno.ENOENT, os.rename, path("none"), path("a"))
    os.makedirs(path("d/e"))
    os.mkdir(path("empty"))
    fails(errno.EISDIR, os.rename, path("a"), path("d"))
    fails(errno.ENOTDIR, os.rename, path("d"), path("a"))
    fails(errno.ENOTEMPTY, os.rename, path("empty"), path("d"))
    fails(errno.EINVAL, os.rename, path("d"), path("d/e/f"))
    fails(errno.EINVAL, renameat2, "d", "d/e", EXCHANGE)
    os.close(written("d/e/f", b"deep"))
    os.rename(path("d"), path("empty"))
    assert content("empty/e/f") == b"deep"
    renameat2("a", "empty", EXCHANGE)
    assert content("a/e/f") == b"deep" and content("empty") == b"a"
    # A directory that moves takes its ".." along.
    os.mkdir(path("to"))
    os.rename(path("a/e"), path("to/e"))
    fd = opened("to/e", os.O_RDONLY)
    assert os.stat("..", dir_fd=fd).st_ino == os.stat(path("to")).st_ino
    forget_unused()
    assert os.stat("..", dir_fd=fd).st_ino == os.stat(path("to")).st_ino


def changing_listings():
    """What stays is listed once; a listing ends, whatever is made meanwhile."""
    count = 3000
    os.mkdir(path("d"))
    for index in range(count):
        os.mknod(path(f"d/{index}"), 0o100644)
    everything = {str(index) for index in range(count)}

    def walked(act):
        # A change, so that the kernel does not go by a listing it has cached.
        os.mknod(path("d/x"), 0o100644)
        os.unlink(path("d/x"))
        seen = []
        with os.scandir(path("d")) as entries:
            for entry in entries:
                seen.append(entry.name)
                act(len(seen), entry.name)
                assert len(seen) <= count, "a listing without an end"
        return collections.Counter(seen)

    made = walked(lambda at, _: os.mknod(path(f"d/new-{at}"), 0o100644))
    assert made == collections.Counter(everything)
    for at in range(1, count + 1):
        os.unlink(path(f"d/new-{at}"))
    assert set(os.listdir(path("d"))) == everything
    renamed = walked(lambda at, name: os.rename(path(f"d/{name}"), path(f"d/{name}.x")))
    assert renamed == collections.Counter(everything)
    replaced = walked(lambda at, name: (os.mknod(path("new"), 0o100644), os.rename(path("new"), path(f"d/{name}"))))
    assert replaced == collections.Counter(f"{name}.x" for name in everything)
    # Removed in another order than they are listed.
    order = sorted(os.listdir(path("d")), key=hash)
    gone = set()

    def remove(at, _):
        for name in order[at * 2 - 2 : at * 2]:
            os.unlink(path(f"d/{name}"))
            gone.add(name)

    left = walked(remove)
    assert max(left.values()) == 1
    assert set(os.listdir(path("d"))) == {f"{name}.x" for name in everything} - gone


def seeking_listings():
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
    os.mkdir(path("d"))
    for index in range(2000):
        os.mknod(path(f"d/{index}"), 0o100644)
    stream = ctypes.c_void_p(libc.opendir(path("d").encode()))
    order, places = [], {}
    while True:
        place = libc.telldir(stream)
        entry = libc.readdir(stream)
        if not entry:
            break
        name = entry.contents.name.decode()
        order.append(name)
        places[name] = place
    # After a cookie comes what came before, less what is gone, also where the entry of the cookie itself is.
    removed = set(random.Random(1).sample(order[2:], 900))
    for name in removed:
        os.unlink(path(f"d/{name}"))
    os.mknod(path("d/new"), 0o100644)
    # Without this the kernel may go on with the listing it has cached, as it may by POSIX.
    libc.rewinddir(stream)
    assert libc.readdir(stream).contents.name == b"."
    for name in random.Random(2).sample(order, 100):
        libc.seekdir(stream, ctypes.c_long(places[name]))
        next_ones = [other for other in order[order.index(name) :] if other not in removed]
        entry = libc.readdir(stream)
        assert (entry.contents.name.decode() if entry else None) == (next_ones[0] if next_ones else None)
    libc.rewinddir(stream)
    again = []
    while True:
        entry = libc.readdir(stream)
        if not entry:
            break
        again.append(entry.contents.name.decode())
    assert sorted(again) == sorted((set(order) - removed) | {"new"})


def attributes():
    os.close(written("a", b"content"))
    for mode in (0o600, 0o7777, 0, 0o644):
        os.chmod(path("a"), mode)
        assert stat.S_IMODE(os.stat(path("a")).st_mode) == mode
    os.chown(path("a"), 12, 34)
    assert (os.stat(path("a")).st_uid, os.stat(path("a")).st_gid) == (12, 34)
    os.chown(path("a"), -1, 56)
    assert (os.stat(path("a")).st_uid, os.stat(path("a")).st_gid) == (12, 56)
    for time_ns in (1_600_000_000_123_456_789, 0, -5_000_000_001, 1 << 40):
        os.utime(path("a"), ns=(1, time_ns))
        assert os.stat(path("a")).st_mtime_ns == time_ns
    os.utime(path("a"))
    assert abs(os.stat(path("a")).st_mtime - time.time()) < 5
    os.utime(path("a"), ns=(0, 0))
    os.truncate(path("a"), 100)
    assert abs(os.stat(path("a")).st_mtime - time.time()) < 5
    os.utime(path("a"), ns=(0, 0))
    os.close(opened("a", os.O_WRONLY | os.O_TRUNC))
    assert abs(os.stat(path("a")).st_mtime - time.time()) < 5
    os.utime(MOUNT, ns=(0, 0))
    os.mkdir(path("d"))
    assert abs(os.stat(MOUNT).st_mtime - time.time()) < 5
    # Blocks, sizes and times that the kernel has remembered follow what is written.
    fd = opened("a")
    for size in (4096, 8192, 100_000):
        os.utime(path("a"), ns=(0, 0))
        os.pwrite(fd, b"x" * 100, size - 100)
        assert os.stat(path("a")).st_size == size and os.stat(path("a")).st_mtime_ns > 0
    assert os.stat(path("a")).st_blocks == 3 * 8
    os.symlink("a", path("soft"))
    os.chown(path("soft"), 77, 88, follow_symlinks=False)
    assert os.lstat(path("soft")).st_uid == 77 and os.stat(path("a")).st_uid == 12


def privileges():
    """Who may not have them loses set-user-id and set-group-id by changing a file."""
    os.chmod(MOUNT, 0o777)
    mode = lambda: stat.S_IMODE(os.stat(path("a")).st_mode)
    os.close(written("a", b"content"))

    def after(change, user=65534):
        os.chmod(path("a"), 0o6777)
        if user is None:
            change()
        else:
            assert as_user(change, user) == "None"
        return mode()

    append = lambda: os.close(os.write(opened("a", os.O_WRONLY), b"x") and opened("a"))
    assert after(append) == 0o777 and after(append, None) == 0o6777
    assert after(lambda: os.truncate(path("a"), 3)) == 0o777 and after(lambda: os.truncate(path("a"), 3), None) == 0o6777
    assert after(lambda: os.close(opened("a", os.O_WRONLY | os.O_TRUNC))) == 0o777
    assert after(lambda: fallocate(opened("a"), 0, 0, 10)) == 0o777
    assert after(lambda: fallocate(opened("a"), 0, 0, 10), None) == 0o6777
    with mmap.mmap(-1, 4096) as room:
        direct = lambda: os.close(opened("a", os.O_WRONLY | os.O_DIRECT) if os.pwritev(opened("a"), [room], 0) else -1)
        assert after(direct) == 0o777
    assert after(lambda: os.chown(path("a"), 65534, 65534), None) == 0o777
    os.chmod(path("a"), 0o2767)
    append()
    assert mode() == 0o2767
    os.chmod(path("a"), 0o2747)
    assert as_user(append) == "None" and mode() in (0o2747, 0o747), "no group executes it: not a privilege"
    # What is made in a directory with set-group-id is of its group.
    os.mkdir(path("d"))
    os.chown(path("d"), 0, 4321)
    os.chmod(path("d"), 0o2777)
    as_user(lambda: os.mkdir(path("d/e")) or os.close(opened("d/f")) or os.symlink("x", path("d/l")))
    for name in ("e", "f", "l"):
        status = os.lstat(path(f"d/{name}"))
        assert (status.st_uid, status.st_gid) == (65534, 4321)
    assert os.stat(path("d/e")).st_mode & 0o2000
    as_user(lambda: os.mkdir(path("mine")))
    assert (os.stat(path("mine")).st_uid, os.stat(path("mine")).st_gid) == (65534, 65534)


def permissions():
    os.chmod(MOUNT, 0o755)
    os.close(written("a", b"content"))
    refused = lambda call, *args: as_user(lambda: fails(errno.EACCES, call, *args)) == "None"
    assert refused(opened, "a", os.O_WRONLY) and refused(opened, "new") and refused(os.mkdir, path("new"))
    assert refused(os.unlink, path("a")) and refused(os.rename, path("a"), path("b"))
    assert as_user(lambda: fails(errno.EPERM, os.chmod, path("a"), 0o777)) == "None"
    assert as_user(lambda: fails(errno.EPERM, os.chown, path("a"), 1, 1)) == "None"
    os.mkdir(path("shared"))
    os.chmod(path("shared"), 0o1777)
    as_user(lambda: os.close(opened("shared/theirs")), 1000)
    assert as_user(lambda: fails(errno.EPERM, os.unlink, path("shared/theirs"))) == "None"
    as_user(lambda: os.unlink(path("shared/theirs")), 1000)


def extended():
    os.close(written("a", b""))
    os.mkdir(path("d"))
    for name in ("a", "d"):
        os.setxattr(path(name), "user.x", b"1")
        os.setxattr(path(name), "user.empty", b"")
        os.setxattr(path(name), "user.a/b", b"slash")
        os.setxattr(path(name), "user.big", b"v" * 65_536)
        assert os.getxattr(path(name), "user.big") == b"v" * 65_536 and os.getxattr(path(name), "user.a/b") == b"slash"
        assert sorted(os.listxattr(path(name))) == ["user.a/b", "user.big", "user.empty", "user.x"]
        fails(errno.EEXIST, os.setxattr, path(name), "user.x", b"2", os.XATTR_CREATE)
        fails(errno.ENODATA, os.setxattr, path(name), "user.none", b"2", os.XATTR_REPLACE)
        os.setxattr(path(name), "user.x", b"22", os.XATTR_REPLACE)
        assert os.getxattr(path(name), "user.x") == b"22" and os.getxattr(path(name), "user.empty") == b""
        os.removexattr(path(name), "user.x")
        fails(errno.ENODATA, os.getxattr, path(name), "user.x")
        fails(errno.ENODATA, os.removexattr, path(name), "user.x")
        for other in ("security.capability", "trusted.x", "system.posix_acl_access"):
            fails(errno.EOPNOTSUPP, os.setxattr, path(name), other, acl if "acl" in other else capability)


acl = b"\x02\0\0\0" + b"".join(bytes([tag, 0, 6, 0]) + b"\xff\xff\xff\xff" for tag in (1, 4, 32))
capability = b"\0\0\0\x02" + bytes(16)


def handles():
    """open_by_handle_at after the kernel has forgotten the node, and after the node is gone."""
    handle = ctypes.create_string_buffer(8 + 128)
    ctypes.memmove(handle, (128).to_bytes(4, sys.byteorder), 4)
    mount_id = ctypes.c_int()
    os.close(written("a", b"content"))
    called(libc.name_to_handle_at(-100, path("a").encode(), handle, ctypes.byref(mount_id), 0))
    forget_unused()
    top = os.open(MOUNT, os.O_RDONLY)
    fd = called(libc.open_by_handle_at(top, handle, os.O_RDWR))
    assert os.read(fd, 100) == b"content" and os.write(fd, b"more") == 4
    os.close(fd)
    os.unlink(path("a"))
    forget_unused()
    os.close(written("b", b"another"))

    def stale():
        try:
            os.close(called(libc.open_by_handle_at(top, handle, os.O_RDONLY)))
        except OSError as error:
            return error.errno == errno.ESTALE
        forget_unused()
        return False

    assert in_time(stale)


def database():
    """A program that locks ranges, maps shared memory, truncates, renames and syncs: SQLite, from two processes at once."""
    for journal in ("wal", "delete"):
        file = path(f"{journal}.db")
        base = sqlite3.connect(file)
        assert base.execute(f"pragma journal_mode={journal}").fetchone()[0] == journal
        base.execute("create table t (who text, n integer, data blob)")
        base.commit()

        def insert(who):
            own = sqlite3.connect(file, timeout=30)
            for n in range(50):
                with own:
                    own.execute("insert into t values (?, ?, ?)", (who, n, bytes(n * 50)))

        pid = os.fork()
        if pid == 0:
            insert("child")
            os._exit(0)
        insert("parent")
        assert os.waitpid(pid, 0)[1] == 0
        assert base.execute("select count(*), sum(length(data)) from t").fetchone() == (100, 2 * 50 * sum(range(50)))
        assert base.execute("pragma integrity_check").fetchone()[0] == "ok"
        base.close()
        forget_unused()
        assert sqlite3.connect(file).execute("pragma integrity_check").fetchone()[0] == "ok"


globals()[sys.argv[1]]()
