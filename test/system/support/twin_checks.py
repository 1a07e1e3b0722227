"""The same random operations on the mount of memory-daemon.ts and on a tmpfs must come to the same; runs after checks.py."""

import random
import shutil
import tempfile


class Side:
    """One of the two directories, and what is open in it."""

    def __init__(self, base):
        self.base = base
        self.open = {}

    def at(self, name):
        return os.path.join(self.base, name)


def outcome(work, side):
    try:
        return work(side)
    except OSError as error:
        return errno.errorcode[error.errno]


def described(side, name):
    status = os.lstat(side.at(name))
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        return (status.st_mode, status.st_uid, sorted(os.listdir(side.at(name))))
    said = (status.st_mode, status.st_uid, status.st_nlink, status.st_size)
    return said + ((os.readlink(side.at(name)),) if kind == stat.S_IFLNK else ())


def read_whole(side, name):
    # An absolute name is what path() makes of it.
    return content(side.at(name))


def mapped(side, slot, offset, data):
    fd = side.open[slot]
    size = os.fstat(fd).st_size
    if size == 0:
        return "empty"
    with mmap.mmap(fd, size) as view:
        offset %= size
        data = data[: size - offset]
        view[offset : offset + len(data)] = data
    return size


def file_work(pick, slot):
    offset, length = pick.choice((0, 1, 4095, 4096, 10_000, 65_536, 200_000)) + pick.randrange(3), pick.randrange(1, 30_000)
    data = pattern(length, pick.randrange(256))
    mode = pick.choice((0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE))
    return pick.choice(
        (
            lambda side: os.pwrite(side.open[slot], data, offset),
            lambda side: os.pwrite(side.open[slot], data, offset),
            lambda side: os.pread(side.open[slot], length, offset),
            lambda side: os.ftruncate(side.open[slot], offset),
            lambda side: fallocate(side.open[slot], mode, offset, length),
            lambda side: mapped(side, slot, offset, data),
            lambda side: os.fsync(side.open[slot]),
            lambda side: (os.fstat(side.open[slot]).st_size, os.fstat(side.open[slot]).st_nlink),
        )
    )


def name_work(pick, names, slots):
    name, other, slot = pick.choice(names), pick.choice(names), pick.choice(slots)
    flags = pick.choice((os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDWR | os.O_CREAT | os.O_EXCL, os.O_RDWR | os.O_CREAT | os.O_TRUNC))
    how = pick.choice((0, 0, NOREPLACE, EXCHANGE))

    def reopen(side):
        fd = os.open(side.at(name), flags, 0o640)
        os.close(side.open.pop(slot, os.dup(fd)))
        side.open[slot] = fd

    def rename(side):
        called(libc.renameat2(-100, side.at(name).encode(), -100, side.at(other).encode(), how))

    return pick.choice(
        (
            reopen,
            reopen,
            reopen,
            rename,
            rename,
            lambda side: os.mkdir(side.at(name), 0o750),
            lambda side: os.rmdir(side.at(name)),
            lambda side: os.unlink(side.at(name)),
            lambda side: os.link(side.at(name), side.at(other), follow_symlinks=False),
            lambda side: os.symlink(other, side.at(name)),
            lambda side: os.truncate(side.at(name), 5000),
            lambda side: os.chmod(side.at(name), 0o600),
            lambda side: described(side, name),
            lambda side: read_whole(side, name),
        )
    )


def twins():
    seed = int(os.environ.get("CKPTFS_TWIN_SEED", "1"))
    steps = int(os.environ.get("CKPTFS_TWIN_STEPS", "4000"))
    pick = random.Random(seed)
    twin = tempfile.mkdtemp(dir="/dev/shm", prefix="ckptfs-twin-")
    try:
        sides = (Side(MOUNT), Side(twin))
        names = [a + b for a in ("", "d/", "e/", "d/f/") for b in "abcdef"]
        slots = list(range(5))
        for step in range(steps):
            work = file_work(pick, pick.choice(slots)) if pick.random() < 0.5 else name_work(pick, names, slots)
            if any(cell not in side.open for side in sides for cell in slots):
                for cell in slots:
                    for side in sides:
                        if cell not in side.open:
                            side.open[cell] = os.open(side.at(f"slot-{cell}"), os.O_RDWR | os.O_CREAT)
            came, expected = (outcome(work, side) for side in sides)
            assert came == expected, f"seed {seed}, step {step}: {came!r:.300} instead of {expected!r:.300}"
            if step % 200 == 0:
                forget_unused()
                compare(sides)
        compare(sides)
    finally:
        shutil.rmtree(twin)


def compare(sides):
    mount, twin = ({name: described(side, name) for name in walked(side)} for side in sides)
    assert mount == twin
    for name, said in mount.items():
        if stat.S_ISREG(said[0]) and said[0] & 0o400:
            assert read_whole(sides[0], name) == read_whole(sides[1], name), name
    for slot in sides[0].open:
        assert os.pread(sides[0].open[slot], 1 << 20, 0) == os.pread(sides[1].open[slot], 1 << 20, 0)


def walked(side):
    for directory, below, files in os.walk(side.base):
        for name in below + files:
            yield os.path.relpath(os.path.join(directory, name), side.base)


globals()[sys.argv[1]]()
